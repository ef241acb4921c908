"""The shipped checkpoint as users meet it: what it must mark, what it must leave alone, and what it must not make up."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from xraynet.batch.film_reader import facts_of_checkpoint
from xraynet.geometry import box_centres, intersection_over_union
from xraynet.inference.predictor import Predictor
from xraynet.ingest.read import read_radiograph
from xraynet.radiograph import ViewPosition
from xraynet.simulation.phantom import draw_phantom

DATA_STORE = Path(str(files("data_store"))) / "data"
RG1_MASSES = np.array(
    [
        *([290, 610, 480, 810], [380, 1050, 610, 1230], [170, 1230, 360, 1450], [1280, 610, 1440, 830]),
        *([1380, 760, 1550, 950], [1340, 1080, 1560, 1270], [1050, 1190, 1300, 1450]),
    ],
    dtype=np.float32,
)
"""Masses that anybody sees on pydicom's RG1, in stored pixels, drawn by eye."""


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.from_checkpoint()


def test_the_shipped_detector_goes_with_the_shipped_lungs(predictor: Predictor) -> None:
    assert predictor.warnings == ()


def test_masses_are_marked_and_no_millimetre_is_made_up(predictor: Predictor) -> None:
    reading = predictor.read(read_radiograph(DATA_STORE / "RG1_UNCR.dcm"))
    assert reading.gate.passed
    assert reading.image.view_position is ViewPosition.PA
    assert reading.image.spacing_mm is None
    assert all(finding.diameter_mm is None for finding in reading.detections)
    boxes = np.array([finding.box for finding in reading.reported], dtype=np.float32).reshape(-1, 4)
    x, y = box_centres(boxes)[:, :, None].transpose(1, 0, 2)
    x1, y1, x2, y2 = RG1_MASSES.T
    is_marked = ((x1 <= x) & (x <= x2) & (y1 <= y) & (y <= y2)).any(axis=0)
    assert is_marked.sum() >= 2


def test_an_ankle_is_refused(predictor: Predictor) -> None:
    reading = predictor.read(read_radiograph(DATA_STORE / "RG3_UNCR.dcm"))
    assert (reading.status, reading.detections, reading.film_score) == ("refused", (), None)
    assert "not-a-chest" in reading.gate.reasons


def test_a_phantom_passes_with_nothing_reported_and_an_empty_map(predictor: Predictor) -> None:
    analysis = predictor.analyse(draw_phantom(1, size=(1024, 1024)).radiograph)
    assert analysis.reading.gate.passed
    assert analysis.reading.reported == ()
    assert analysis.score_map is not None
    assert not facts_of_checkpoint(predictor.checkpoint).scale.colours(analysis.score_map).any()


def test_a_nodule_drawn_into_it_is_reported(predictor: Predictor) -> None:
    phantom = draw_phantom(1, size=(1024, 1024), num_nodules=1, diameter_mm=15.0)
    reading = predictor.read(phantom.radiograph)
    assert reading.reported
    boxes = np.array([finding.box for finding in reading.reported], dtype=np.float32)
    assert intersection_over_union(boxes, phantom.annotations.boxes).max() > 0.2
