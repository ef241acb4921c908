"""Annotations, detections and readings are right once built."""

import numpy as np
import pytest

from xraynet.findings import (
    CheckpointIdentity,
    FilmFacts,
    FilmSource,
    Finding,
    GateVerdict,
    LabelState,
    NoduleAnnotations,
    NoduleDetections,
    Outcome,
    Reading,
    count_by_status,
)
from xraynet.radiograph import ViewPosition

BOX = np.array([[1, 2, 3, 4]], dtype=np.float32)


def reading(*findings: Finding, score: float | None = 0.9) -> Reading:
    return Reading(
        source=FilmSource("a.png", "0" * 64),
        status="ok",
        image=FilmFacts(10, 10, None, None, ViewPosition.UNKNOWN),
        gate=GateVerdict(passed=True),
        film_score=score,
        detections=findings,
        warnings=(),
        checkpoint=CheckpointIdentity("xraynet", "f" * 16, "0.1.0"),
        operating_threshold=0.5,
    )


def test_no_box_means_read_and_free_only_when_said() -> None:
    assert NoduleAnnotations().state is LabelState.UNKNOWN
    assert NoduleAnnotations.of_boxes(BOX).state is LabelState.BOXED
    assert NoduleAnnotations.of_boxes(BOX[:0]).state is LabelState.FREE


def test_annotations_that_contradict_their_state_are_refused() -> None:
    with pytest.raises(ValueError, match="free of nodules has 1"):
        NoduleAnnotations(BOX, ("nodule",), (None,), (None,), (None,), LabelState.FREE)
    with pytest.raises(ValueError, match="has no box"):
        NoduleAnnotations(state=LabelState.BOXED)
    with pytest.raises(ValueError, match="class_names has 0 entries"):
        NoduleAnnotations(boxes=BOX)


def test_detections_sort_themselves_by_falling_score() -> None:
    detections = NoduleDetections(np.concatenate([BOX, BOX + 1]), np.array([0.1, 0.9], np.float32))
    assert detections.scores.tolist() == pytest.approx([0.9, 0.1])
    assert detections.boxes[0, 0] == 2 and len(detections) == 2
    assert len(detections.select(detections.scores > 0.5)) == 1


def test_scores_outside_zero_to_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\] was expected"):
        NoduleDetections(BOX, np.array([1.5], np.float32))


@pytest.mark.untyped
def test_every_box_has_one_score() -> None:
    with pytest.raises(ValueError, match="one score a box"):
        NoduleDetections(BOX, np.zeros(2, np.float32))


def test_a_reading_knows_what_it_reports() -> None:
    high, low = Finding((0, 0, 2, 2), 0.9, reported=True), Finding((0, 0, 3, 3), 0.1, reported=False)
    film = reading(high, low)
    assert film.reported == (high,) and film.id == "0" * 16
    assert film.to_detections().scores.tolist() == pytest.approx([0.9, 0.1])
    assert len(reading().to_detections()) == 0


def test_readings_that_contradict_themselves_are_refused() -> None:
    high, low = Finding((0, 0, 2, 2), 0.9, reported=True), Finding((0, 0, 3, 3), 0.1, reported=False)
    with pytest.raises(ValueError, match="not sorted"):
        reading(low, high)
    with pytest.raises(ValueError, match="not analysed has 1"):
        reading(high, score=None)
    with pytest.raises(ValueError, match="fails for a reason"):
        GateVerdict(passed=False)
    with pytest.raises(ValueError, match="fails for a reason"):
        GateVerdict(passed=True, reasons=("blank",))


def test_outcomes_are_counted_under_all_three_names() -> None:
    outcomes = [Outcome("a", "1", "1", "ok"), Outcome("b", "2", "2", "failed", "truncated", "cut")]
    assert count_by_status(outcomes) == {"ok": 1, "refused": 0, "failed": 1}
