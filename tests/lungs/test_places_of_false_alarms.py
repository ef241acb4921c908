import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARK = Path(__file__).resolve().parents[1] / "benchmarks" / "measure_false_alarms.py"


@pytest.fixture(scope="module")
def alarms() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure_false_alarms", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def two_lungs() -> np.ndarray:
    """Two upright lungs of 100 x 300 pixels, 100 pixels apart."""
    lungs = np.zeros((500, 500), dtype=np.bool_)
    lungs[100:400, 100:200] = True
    lungs[100:400, 300:400] = True
    return lungs


@pytest.mark.parametrize(
    ("centre", "place"),
    [
        ((150, 120), "apex"),
        ((190, 250), "perihilar third"),
        ((310, 250), "perihilar third"),
        ((120, 250), "elsewhere in the lungs"),
        ((380, 390), "elsewhere in the lungs"),
        ((225, 300), "behind heart or diaphragm"),
        ((150, 415), "behind heart or diaphragm"),
        ((250, 50), "outside the lungs"),
        ((450, 250), "outside the lungs"),
        ((499.9, 499.9), "outside the lungs"),
    ],
)
def test_a_place_is_named_by_what_the_lung_mask_says(
    alarms: ModuleType, two_lungs: np.ndarray, centre: tuple[float, float], place: str
) -> None:
    assert alarms.place_of(centre, two_lungs) == place


def test_without_lungs_every_place_is_outside(alarms: ModuleType) -> None:
    assert alarms.place_of((20, 30), np.zeros((64, 64), dtype=np.bool_)) == "outside the lungs"


def test_marks_are_counted_by_place_from_the_threshold_on(alarms: ModuleType) -> None:
    class Entry:
        def __init__(self, key: str) -> None:
            self.key = key

    marks = [
        alarms.FalseMark(entry=Entry(key), box=(0.0, 0.0, 1.0, 1.0), score=score, place=place)
        for key, score, place in (("a", 0.9, "apex"), ("a", 0.5, "apex"), ("b", 0.1, "outside the lungs"))
    ]
    figures = alarms.count_places(marks, threshold=0.3, num_films=4)
    assert (figures["marks"], figures["marks_a_film"], figures["films_with_a_mark"]) == (2, 0.5, 1)
    assert figures["by_place"]["apex"] == 2
    assert figures["by_place"]["outside the lungs"] == 0
