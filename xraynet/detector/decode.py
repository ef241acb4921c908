"""Decodes the score map into detections: peaks, their boxes, and one detection a nodule."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as functional
from jaxtyping import Bool, Float32
from torch import Tensor
from torchvision.ops import box_iou

from xraynet.detector.assign import locate_centres
from xraynet.detector.calibration import UNCALIBRATED, Calibration
from xraynet.detector.network import OUTPUT_STRIDE, DetectorOutput
from xraynet.findings import LOWEST_KEPT_SCORE, MOST_KEPT_DETECTIONS


@dataclass(frozen=True)
class DecodeConfig:
    """Which peaks of the score map become detections.

    ``peak_window``: a peak is the highest of so many locations square (odd). ``overlap``: of two boxes with a larger
    IoU the lower-scoring one is dropped, as is one whose centre lies in the middle half of a higher-scoring box.
    ``second_view``: the film is read mirrored as well, and the score maps are averaged; None reads it once.
    """

    lowest_score: float = LOWEST_KEPT_SCORE
    most_detections: int = MOST_KEPT_DETECTIONS
    peak_window: int = 3
    overlap: float = 0.2
    second_view: Literal["mirrored"] | None = None

    def __post_init__(self) -> None:
        if self.peak_window < 1 or self.peak_window % 2 == 0:
            raise ValueError(f"peak_window is {self.peak_window}; an odd number was expected")
        if not (0 <= self.lowest_score < 1 and self.most_detections >= 1 and 0 <= self.overlap <= 1):
            raise ValueError(
                f"lowest_score {self.lowest_score}, most_detections {self.most_detections}, overlap {self.overlap} out of range"
            )


@torch.no_grad()
def decode_detections(
    output: DetectorOutput, *, config: DecodeConfig = DecodeConfig(), calibration: Calibration = UNCALIBRATED
) -> list[tuple[Float32[Tensor, "num 4"], Float32[Tensor, " num"]]]:
    """(boxes, scores) of every film: boxes XYXY in network pixels, clipped to the frame, highest score first."""
    logits, distances = output.score_logits.float(), output.box_distances.float()
    window = config.peak_window
    is_peak = logits == functional.max_pool2d(logits, window, stride=1, padding=window // 2)
    scores = torch.where(is_peak, calibration.apply(logits), -1.0)
    return [_decode_film(scores[index, 0], distances[index], config) for index in range(len(scores))]


def _decode_film(scores: Tensor, distances: Tensor, config: DecodeConfig) -> tuple[Tensor, Tensor]:
    rows, columns = scores.shape
    # Four times as many peaks as are kept: enough to fill the places of those that are suppressed.
    top, places = scores.flatten().topk(min(4 * config.most_detections, scores.numel()))
    places = places[top >= config.lowest_score]
    top = top[top >= config.lowest_score]
    y, x = locate_centres(rows, columns, stride=OUTPUT_STRIDE, device=scores.device)
    centre_y, centre_x = y[places // columns, 0], x[0, places % columns]
    left, top_side, right, bottom = distances.flatten(1)[:, places]
    frame_width, frame_height = columns * OUTPUT_STRIDE, rows * OUTPUT_STRIDE
    boxes = torch.stack(
        [
            (centre_x - left).clamp(0, frame_width),
            (centre_y - top_side).clamp(0, frame_height),
            (centre_x + right).clamp(0, frame_width),
            (centre_y + bottom).clamp(0, frame_height),
        ],
        dim=1,
    )
    keep = suppress_repeats(boxes, overlap=config.overlap)
    return boxes[keep][: config.most_detections], top[keep][: config.most_detections]


def suppress_repeats(boxes: Float32[Tensor, "num 4"], *, overlap: float) -> Bool[Tensor, " num"]:
    """Which boxes stay, from boxes sorted by falling score: greedy, by overlap and by centre."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    quarter = (boxes[:, 2:] - boxes[:, :2]) / 4
    apart = (centres[None, :, :] - centres[:, None, :]).abs()
    repeats = ((box_iou(boxes, boxes) > overlap) | (apart < quarter[:, None, :]).all(dim=2)).cpu()
    keep = torch.ones(len(boxes), dtype=torch.bool)
    for index in range(len(boxes)):
        if keep[index]:
            keep[index + 1 :] &= ~repeats[index, index + 1 :]
    return keep.to(boxes.device)
