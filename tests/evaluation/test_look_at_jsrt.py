import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from xraynet.checkpoint import read_checkpoint
from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.intervals import Bootstrap
from xraynet.evaluation.matching import match_films
from xraynet.evaluation.rules import parse_rule
from xraynet.findings import LabelState, NoduleAnnotations, NoduleDetections

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def look_at_jsrt() -> ModuleType:
    path = ROOT / "tests" / "benchmarks" / "look_at_jsrt.py"
    spec = importlib.util.spec_from_file_location("look_at_jsrt", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def film(key: str, *, subtlety: int | None, found: float = 0.0, false: float = 0.0) -> ScoredFilm:
    """A film with a nodule of this subtlety (None: without), marked there and beside it with these scores."""
    nodule = np.array([[10, 10, 20, 20]], dtype=np.float32)
    annotations = (
        NoduleAnnotations(state=LabelState.FREE)
        if subtlety is None
        else NoduleAnnotations(nodule, ("nodule",), (None,), (None,), (subtlety,), LabelState.BOXED)
    )
    marks = [(box, score) for box, score in ((nodule[0], found), (nodule[0] + 50, false)) if score]
    boxes = np.array([box for box, _ in marks], dtype=np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in marks], dtype=np.float32)
    return ScoredFilm(key, annotations, NoduleDetections(boxes, scores), patient_key=key)


def test_subtle_nodules_do_not_count_among_the_clear_ones(look_at_jsrt: ModuleType) -> None:
    films = [
        film("a", subtlety=5, found=0.9),
        film("b", subtlety=3, found=0.2),
        film("c", subtlety=1, found=0.95),
        film("d", subtlety=None, false=0.5),
    ]
    table = match_films(films, parse_rule("jsrt-inside"))
    few = Bootstrap(num_resamples=50)
    # No false mark is admitted: only what scores above 0.5 is found. One a film is: then everything is.
    assert look_at_jsrt.sensitivity_of_clear_nodules(table, rate=0.2, bootstrap=few).value == 0.5
    assert look_at_jsrt.sensitivity_of_clear_nodules(table, rate=1.0, bootstrap=few).value == 1.0


def test_a_look_is_appended_and_never_rewritten(look_at_jsrt: ModuleType, tmp_path: Path) -> None:
    log = tmp_path / "looks.jsonl"
    for fingerprint in ("first", "second"):
        look_at_jsrt.append_look(fingerprint, name="nodule", why="a test", figures={}, log=log)
    assert [look["checkpoint"] for look in look_at_jsrt.read_looks(log)] == ["first", "second"]
    assert look_at_jsrt.read_looks(tmp_path / "none.jsonl") == []


def test_the_shipped_checkpoint_was_looked_at_and_no_checkpoint_twice(look_at_jsrt: ModuleType) -> None:
    looks = [json.loads(line) for line in look_at_jsrt.LOG.read_text().splitlines()]
    seen = [look["checkpoint"] for look in looks]
    assert len(set(seen)) == len(seen)
    assert read_checkpoint(ROOT / "checkpoints" / "xraynet.safetensors").fingerprint in seen
    for look in looks:
        assert {"date", "checkpoint", "name", "why", "figures"} == look.keys()
        assert {"no spacing given, jsrt-25mm", "no spacing given, jsrt-inside", "spacing given, jsrt-25mm"} <= look[
            "figures"
        ].keys()
