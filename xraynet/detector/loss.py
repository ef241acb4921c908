"""The training loss: penalty-reduced focal loss for the scores, generalised IoU for the boxes, all in float32."""

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from jaxtyping import Float32
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss

from xraynet.detector.assign import CentreTargets, assign_targets, locate_centres
from xraynet.detector.network import OUTPUT_STRIDE, DetectorOutput


@dataclass(frozen=True)
class LossConfig:
    """How the parts of the loss are weighed.

    ``focus``: how strongly easy locations are played down (alpha of CornerNet); ``spare``: how strongly the neighbours
    of a centre are spared (beta); ``box_weight``: the box loss against the score loss.
    """

    focus: float = 2.0
    spare: float = 4.0
    box_weight: float = 1.0


@dataclass(frozen=True, eq=False)
class DetectionLosses:
    """Losses summed over the films of a batch (divide by the number of films: so empty films count as much as others)."""

    score: Float32[Tensor, ""]
    box: Float32[Tensor, ""]
    total: Float32[Tensor, ""]


def compute_losses(
    output: DetectorOutput, boxes: list[Float32[Tensor, "_ 4"]], ignore: list[Float32[Tensor, "_ 4"]], *, config: LossConfig
) -> DetectionLosses:
    """The losses of one batch: ``boxes`` and ``ignore`` have one entry a film, in network pixels, zero boxes allowed."""
    rows, columns = output.score_logits.shape[-2:]
    device = output.score_logits.device
    if not boxes:
        nothing = torch.zeros((), device=device)
        return DetectionLosses(score=nothing, box=nothing, total=nothing)
    targets = assign_targets(boxes, ignore, rows=rows, columns=columns, stride=OUTPUT_STRIDE, device=device)
    score = focal_loss(output.score_logits.float(), targets, config=config)
    box = box_loss(output.box_distances.float(), targets)
    return DetectionLosses(score=score, box=box, total=score + config.box_weight * box)


def focal_loss(
    logits: Float32[Tensor, "batch 1 rows columns"], targets: CentreTargets, *, config: LossConfig
) -> Float32[Tensor, ""]:
    """Equation 1 of Law and Deng, CornerNet, ECCV 2018, summed over locations; ignored ones do not count."""
    score = torch.sigmoid(logits)
    at_centre = (1 - score) ** config.focus * functional.logsigmoid(logits)
    elsewhere = (1 - targets.heat) ** config.spare * score**config.focus * functional.logsigmoid(-logits)
    return -torch.where(targets.is_centre, at_centre, elsewhere * targets.counts).sum()


def box_loss(distances: Float32[Tensor, "batch 4 rows columns"], targets: CentreTargets) -> Float32[Tensor, ""]:
    """Generalised IoU loss (Rezatofighi et al., CVPR 2019), averaged over each nodule's locations, summed over nodules."""
    rows, columns = distances.shape[-2:]
    y, x = locate_centres(rows, columns, stride=OUTPUT_STRIDE, device=distances.device)
    film, row, column = torch.nonzero(targets.box_weights[:, 0] > 0, as_tuple=True)
    left, top, right, bottom = distances[film, :, row, column].unbind(dim=1)
    centre_y, centre_x = y[row, 0], x[0, column]
    proposed = torch.stack([centre_x - left, centre_y - top, centre_x + right, centre_y + bottom], dim=1)
    losses = generalized_box_iou_loss(proposed, targets.boxes_net[film, :, row, column])
    summed: Tensor = (losses * targets.box_weights[film, 0, row, column]).sum()
    return summed
