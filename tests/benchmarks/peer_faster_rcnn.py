"""The peer that xraynet is measured against: torchvision's Faster R-CNN on the same films.

It is shown the very samples that our detector is shown: the same simulation, preparation and augmentation, and where a drawn
nodule can be seen by nobody, neither is held against it. Anchors of 8 to 128 pixels fit nodules at 1 mm a pixel; torchvision's
own begin at 32. Where our detector starts from weights learnt on photographs, so does the peer: on our backbone, from our file,
with torchvision's feature pyramid over all four strides. Elsewhere it is torchvision's MobileNetV3, from nothing. It trains as
ours does: AdamW, bfloat16, channels last, a rate that falls along the same half cosine. Its heatmap is EigenCAM (Muhammad and
Yeasin, IJCNN 2020): the projection of its pyramid's activations on their first principal component, which needs no gradient.
"""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as functional
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, fasterrcnn_mobilenet_v3_large_fpn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from xraynet.detector.backbone import Backbone, keep_depthwise_in_single_precision, load_backbone_weights
from xraynet.findings import NoduleDetections
from xraynet.geometry import clip_boxes
from xraynet.samples.batches import DetectionBatch, iterate_batches
from xraynet.samples.dataset import TrainingSamples

ANCHOR_SIDES: Final = (8, 16, 32, 64, 128)
_LOWEST_SCORE: Final = 0.001
_MOST_MARKS: Final = 100
_PYRAMID_CHANNELS: Final = 128
_FEW_PROPOSALS: Final = {
    "rpn_pre_nms_top_n_train": 500,
    "rpn_post_nms_top_n_train": 300,
    "rpn_pre_nms_top_n_test": 500,
    "rpn_post_nms_top_n_test": 300,
    "box_batch_size_per_image": 64,
}
"""A film has few nodules. With torchvision's 512 regions a film, half of a step on a CPU goes into regions without one."""

HeatMap = Float32[NDArray[np.float32], "height width"]


@dataclass(frozen=True)
class PeerStart:
    """A backbone of timm's that has the strides of ours, and the file of weights it starts from."""

    backbone: str
    weights: Path


@dataclass(frozen=True)
class PeerSettings:
    """How the peer is trained: until ``minutes`` are over or ``steps`` are done, whichever comes first."""

    learning_rate: float = 7e-4
    weight_decay: float = 0.02
    minutes: float | None = None
    steps: int | None = None
    batch_size: int = 4
    seed: int = 0
    start: PeerStart | None = None

    def __post_init__(self) -> None:
        if self.minutes is None and self.steps is None:
            raise ValueError("neither minutes nor steps are given; one of them was expected")


class _PyramidOverBackbone(nn.Module):
    """Our backbone under torchvision's pyramid; it takes the first of the three channels, which are all the same."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.body = Backbone(name)
        self.out_channels = _PYRAMID_CHANNELS
        self.fpn = FeaturePyramidNetwork(list(self.body.channels), self.out_channels, extra_blocks=LastLevelMaxPool())

    def forward(self, films: Tensor) -> dict[str, Tensor]:
        maps = self.body(films[:, :1].contiguous(memory_format=torch.channels_last))
        levels: dict[str, Tensor] = self.fpn(OrderedDict((str(level), one) for level, one in enumerate(maps)))
        return {name: level.float() for name, level in levels.items()}


class _AtItsOwnScale(GeneralizedRCNNTransform):
    """Normalizes and joins films, and never resizes one: torchvision's own would bring them to 800 pixels in evaluation."""

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        return image, target


class _Regions(RegionProposalNetwork):
    """Proposes regions; anchors that lie on a nodule to be ignored are no background."""

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        labels, matched = super().assign_targets_to_anchors(anchors, targets)
        ignored = [target["ignore"] for target in targets]
        return [_unless_ignored(*one) for one in zip(labels, anchors, ignored, strict=True)], matched


class _Heads(RoIHeads):
    """Classifies regions; those that lie on a nodule to be ignored are no background."""

    _ignored: list[Tensor]

    def select_training_samples(
        self, proposals: list[Tensor], targets: list[dict[str, Tensor]] | None
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        self._ignored = [target["ignore"] for target in targets or []]
        selected: tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]] = super().select_training_samples(
            proposals, targets
        )
        return selected

    def assign_targets_to_proposals(
        self, proposals: list[Tensor], gt_boxes: list[Tensor], gt_labels: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        matched, labels = super().assign_targets_to_proposals(proposals, gt_boxes, gt_labels)
        return matched, [_unless_ignored(*one) for one in zip(labels, proposals, self._ignored, strict=True)]


def _unless_ignored(labels: Tensor, regions: Tensor, ignored: Tensor) -> Tensor:
    """Labels of regions: background (0) becomes "count it nowhere" (-1) where a region's centre lies in an ignored box."""
    centres = (regions[:, None, :2] + regions[:, None, 2:]) / 2
    is_inside = ((centres >= ignored[None, :, :2]) & (centres < ignored[None, :, 2:])).all(dim=2).any(dim=1)
    return torch.where((labels == 0) & is_inside, -torch.ones_like(labels), labels)


def build_peer(*, seed: int = 0, backbone: str | None = None) -> FasterRCNN:
    """An untrained Faster R-CNN for films at their own scale: nothing in it resizes them."""
    torch.manual_seed(seed)
    marks = {
        "num_classes": 2,
        "box_score_thresh": _LOWEST_SCORE,
        "box_detections_per_img": _MOST_MARKS,
        "box_nms_thresh": 0.2,
        **_FEW_PROPOSALS,
    }
    if backbone is not None:
        anchors = AnchorGenerator(tuple((side,) for side in ANCHOR_SIDES), ((0.75, 1.0, 1.33),) * 5)
        peer = FasterRCNN(_PyramidOverBackbone(backbone), rpn_anchor_generator=anchors, **marks)
        mean, spread = 0.0, 1.0
    else:
        peer = fasterrcnn_mobilenet_v3_large_fpn(weights=None, weights_backbone=None, **marks)
        keep_depthwise_in_single_precision(peer)
        # As many anchors a place as torchvision's own, so that the head fits.
        peer.rpn.anchor_generator = AnchorGenerator((ANCHOR_SIDES,) * 3, ((0.75, 1.0, 1.33),) * 3)
        mean, spread = 0.5, 0.25
    peer.transform = _AtItsOwnScale(0, 0, [mean] * 3, [spread] * 3)
    # torchvision builds both parts itself; only what they learn from is exchanged.
    peer.rpn.__class__, peer.roi_heads.__class__ = _Regions, _Heads
    return peer.to(memory_format=torch.channels_last)


def train_peer(samples: TrainingSamples, settings: PeerSettings) -> tuple[FasterRCNN, int]:
    """Train a peer; the steps it took too."""
    peer = build_peer(seed=settings.seed, backbone=None if settings.start is None else settings.start.backbone).train()
    if settings.start is not None:
        load_backbone_weights(peer.backbone.body, settings.start.weights)
    optimizer = torch.optim.AdamW(peer.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    started_at, step, epoch = time.monotonic(), 0, 0
    while True:
        for batch in iterate_batches(samples, epoch=epoch, batch_size=settings.batch_size):
            progress = _progress(settings, step=step, elapsed_s=time.monotonic() - started_at)
            if progress >= 1:
                return peer.eval(), step
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * progress))
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                losses = peer(*_as_torchvision(batch))
            loss = sum(losses.values())
            assert isinstance(loss, Tensor)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(peer.parameters(), 5.0)
            optimizer.step()
            step += 1
        epoch += 1


def read_peer(path: Path, *, backbone: str | None = None) -> FasterRCNN:
    """A trained peer from the file of its weights. ``backbone``: timm's name, where it started from weights of that."""
    peer = build_peer(backbone=backbone)
    peer.load_state_dict(torch.load(path, weights_only=True))
    return peer.eval()


def _progress(settings: PeerSettings, *, step: int, elapsed_s: float) -> float:
    """From 0 to 1, when minutes or steps are over."""
    of_time = 0.0 if settings.minutes is None else elapsed_s / (60 * settings.minutes)
    return max(of_time, 0.0 if settings.steps is None else step / settings.steps)


def _as_torchvision(batch: DetectionBatch) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    images = list(batch.images.expand(-1, 3, -1, -1))
    targets = [
        {"boxes": boxes, "labels": torch.ones(len(boxes), dtype=torch.int64), "ignore": ignore}
        for boxes, ignore in zip(batch.boxes, batch.ignore, strict=True)
    ]
    return images, targets


@torch.inference_mode()
def detect(peer: FasterRCNN, pixels: HeatMap) -> NoduleDetections:
    """What the peer marks on a prepared film, in network pixels."""
    film = torch.from_numpy(np.ascontiguousarray(pixels)).expand(3, -1, -1)
    found = peer([film])[0]
    boxes = clip_boxes(found["boxes"].numpy().astype(np.float32).reshape(-1, 4), size=pixels.shape)
    inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return NoduleDetections(boxes=boxes[inside], scores=found["scores"].numpy().astype(np.float32)[inside])


@torch.inference_mode()
def eigen_cam(peer: FasterRCNN, pixels: HeatMap) -> HeatMap:
    """EigenCAM of the peer over a prepared film: 0 to 1, of the film's size.

    The pyramid's levels are brought to the finest one's size and joined, as the method's authors do for detectors.
    """
    film = torch.from_numpy(np.ascontiguousarray(pixels)).expand(3, -1, -1)
    images, _ = peer.transform([film])
    levels = list(peer.backbone(images.tensors).values())
    finest = levels[0].shape[-2:]
    joined = torch.cat([functional.interpolate(level.abs(), size=finest, mode="bilinear") for level in levels], dim=1)[0]
    cam = first_component(joined)
    shown = functional.interpolate(cam[None, None], size=images.tensors.shape[-2:], mode="bilinear")[0, 0]
    height, width = pixels.shape
    return shown[:height, :width].numpy().astype(np.float32)


def first_component(activations: Float32[Tensor, "channels rows columns"]) -> Float32[Tensor, "rows columns"]:
    """Activations projected on their first principal component, the negative part cut off, 0 to 1."""
    channels, rows, columns = activations.shape
    flat = activations.reshape(channels, -1).T
    flat = flat - flat.mean(dim=0)
    axis = torch.linalg.svd(flat, full_matrices=False).Vh[0]
    # A singular vector has no sign of its own: what lights up most is what the network saw.
    projected = flat @ (axis * torch.sign(axis.sum()))
    cam = projected.reshape(rows, columns).clamp(min=0)
    return cam / cam.max().clamp(min=1e-9)
