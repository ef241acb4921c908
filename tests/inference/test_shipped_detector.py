"""The shipped checkpoint as users meet it: a phantom has nothing reported, the same phantom with a nodule has it reported."""

import numpy as np
import pytest

from xraynet.batch.folder import facts_of_checkpoint
from xraynet.checkpoint import find_shipped_checkpoint
from xraynet.errors import CheckpointError
from xraynet.geometry import intersection_over_union
from xraynet.inference.predictor import Predictor
from xraynet.simulation.phantom import draw_phantom


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    try:
        find_shipped_checkpoint()
    except CheckpointError as error:
        pytest.skip(str(error))
    return Predictor.from_checkpoint()


def test_the_shipped_detector_goes_with_the_shipped_lungs(predictor: Predictor) -> None:
    assert predictor.warnings == ()


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
