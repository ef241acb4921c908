import pytest
import torch

from xraynet.detector import Calibration, DecodeConfig, DetectorOutput, decode_detections
from xraynet.detector.decode import suppress_repeats


def output_with_peaks(peaks: dict[tuple[int, int], float], *, distance: float = 8.0) -> DetectorOutput:
    logits = torch.full((1, 1, 16, 24), -20.0)
    for (row, column), logit in peaks.items():
        logits[0, 0, row, column] = logit
    return DetectorOutput(score_logits=logits, box_distances=torch.full((1, 4, 16, 24), distance))


def test_film_without_peaks_has_zero_boxes() -> None:
    boxes, scores = decode_detections(output_with_peaks({}))[0]
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)


def test_no_film_gives_no_detections() -> None:
    assert decode_detections(DetectorOutput(torch.zeros(0, 1, 8, 8), torch.zeros(0, 4, 8, 8))) == []


def test_peak_becomes_a_box_around_its_location() -> None:
    boxes, scores = decode_detections(output_with_peaks({(5, 10): 2.0}))[0]
    assert boxes.tolist() == [[34.0, 14.0, 50.0, 30.0]]
    torch.testing.assert_close(scores, torch.sigmoid(torch.tensor([2.0])))


def test_boxes_are_clipped_to_the_frame() -> None:
    boxes, _ = decode_detections(output_with_peaks({(0, 23): 2.0}))[0]
    assert boxes.tolist() == [[86.0, 0.0, 96.0, 10.0]]


def test_highest_score_comes_first_and_neighbours_of_a_peak_are_silent() -> None:
    boxes, scores = decode_detections(output_with_peaks({(3, 3): 0.0, (3, 4): -1.0, (12, 18): 3.0}))[0]
    assert len(boxes) == 2
    assert scores[0] > scores[1]
    assert boxes[0].tolist() == [66.0, 42.0, 82.0, 58.0]


def test_repeat_of_a_nodule_is_dropped_by_overlap_and_by_centre() -> None:
    boxes = torch.tensor([[0.0, 0.0, 40.0, 40.0], [4.0, 4.0, 44.0, 44.0], [18.0, 18.0, 22.0, 22.0], [50.0, 50.0, 60.0, 60.0]])
    assert suppress_repeats(boxes, overlap=0.2).tolist() == [True, False, False, True]


def test_dropped_box_drops_no_other() -> None:
    chain = torch.tensor([[0.0, 0.0, 20.0, 20.0], [12.0, 0.0, 32.0, 20.0], [24.0, 0.0, 44.0, 20.0]])
    assert suppress_repeats(chain, overlap=0.2).tolist() == [True, False, True]


def test_scores_below_the_floor_and_detections_beyond_the_most_are_left_out() -> None:
    peaks = {(2 * row, 3 * column): float(row - column) for row in range(8) for column in range(8)}
    assert len(decode_detections(output_with_peaks(peaks, distance=1.0), config=DecodeConfig(most_detections=5))[0][0]) == 5
    scores = decode_detections(output_with_peaks(peaks, distance=1.0), config=DecodeConfig(lowest_score=0.5))[0][1]
    assert (scores >= 0.5).all()


def test_calibration_moves_scores_and_keeps_their_order() -> None:
    output = output_with_peaks({(3, 3): 1.0, (10, 18): 2.0})
    _, scores = decode_detections(output, calibration=Calibration(slope=2.0, intercept=-3.0))[0]
    torch.testing.assert_close(scores, torch.sigmoid(torch.tensor([1.0, -1.0])))


@pytest.mark.parametrize(("slope", "intercept"), [(0.0, 0.0), (-1.0, 0.0), (float("nan"), 0.0), (1.0, float("inf"))])
def test_calibration_that_is_not_monotone_is_refused(slope: float, intercept: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        Calibration(slope=slope, intercept=intercept)


@pytest.mark.parametrize("wrong", [{"peak_window": 2}, {"lowest_score": 1.0}, {"most_detections": 0}, {"overlap": 2.0}])
def test_impossible_decoding_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        DecodeConfig(**wrong)  # type: ignore[arg-type]
