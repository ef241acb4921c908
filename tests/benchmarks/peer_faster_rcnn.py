"""The peer that xraynet is measured against: torchvision's Faster R-CNN on the same films.

It is shown the very samples that our detector is shown: the same simulation, preparation and augmentation, and where a drawn
nodule can be seen by nobody, neither is held against it. Anchors of 8 to 128 pixels fit nodules at 1 mm a pixel; torchvision's
own begin at 32. Where our detector starts from weights learnt on photographs, so does the peer: on our backbone, from our file,
with torchvision's feature pyramid over all four strides. Elsewhere it is torchvision's own on MobileNetV3, from nothing, whose
pyramid has strides 32 and 64 alone. It trains as ours does: the same optimizer, batches, moving average of the weights,
bfloat16 with boxes and losses in float32, and a rate that falls along the same half cosine, by the clock. Its heatmap is
EigenCAM (Muhammad and Yeasin, IJCNN 2020): the projection of its pyramid's activations on their first singular vector, which
needs no gradient.
"""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass, field
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
from xraynet.detector.decode import suppress_repeats
from xraynet.errors import NonFiniteLossError
from xraynet.findings import NoduleDetections
from xraynet.geometry import clip_boxes
from xraynet.samples.batches import DetectionBatch, iterate_batches
from xraynet.samples.dataset import TrainingSamples
from xraynet.training.ema import MovingAverage
from xraynet.training.learner import build_optimizer
from xraynet.training.recipe import TrainingConfig

ANCHOR_SIDES: Final = (8, 16, 32, 64, 128)
_LOWEST_SCORE: Final = 1e-4
_OVERLAP: Final = 0.2
_WARMUP_STEPS: Final = 50
_MOST_MARKS: Final = 100
_PYRAMID_CHANNELS: Final = 128
_PROPOSALS: Final = {
    "rpn_pre_nms_top_n_train": 500,
    "rpn_post_nms_top_n_train": 300,
    "rpn_pre_nms_top_n_test": 500,
    "rpn_post_nms_top_n_test": 300,
    "rpn_score_thresh": 0.0,
    "box_batch_size_per_image": 64,
}
"""A film has few nodules: with torchvision's 512 regions a film, half of a step on a CPU goes into regions without one."""

HeatMap = Float32[NDArray[np.float32], "height width"]


@dataclass(frozen=True)
class PeerStart:
    """A backbone of timm's that has the strides of ours, and the file of weights it starts from."""

    backbone: str
    weights: Path


@dataclass(frozen=True)
class PeerSettings:
    """How the peer is trained: by our recipe, until ``minutes`` are over or ``steps`` are done, whichever comes first."""

    training: TrainingConfig = field(default_factory=TrainingConfig)
    minutes: float | None = None
    steps: int | None = None
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
        return levels


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


def _in_single_precision(_part: nn.Module, _inputs: object, outputs: object) -> object:
    """A part's outputs as float32: in bfloat16 a place beyond 128 pixels is known to a pixel only, beyond 256 to two."""
    if isinstance(outputs, Tensor):
        return outputs.float()
    if isinstance(outputs, dict):
        return OrderedDict((name, _in_single_precision(_part, _inputs, one)) for name, one in outputs.items())
    assert isinstance(outputs, list | tuple)
    return type(outputs)(_in_single_precision(_part, _inputs, one) for one in outputs)


def build_peer(*, seed: int = 0, backbone: str | None = None) -> FasterRCNN:
    """An untrained Faster R-CNN for films at their own scale: nothing in it resizes them."""
    torch.manual_seed(seed)
    marks = {
        "num_classes": 2,
        "box_score_thresh": _LOWEST_SCORE,
        "box_detections_per_img": _MOST_MARKS,
        "box_nms_thresh": _OVERLAP,
        **_PROPOSALS,
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
    for part in (peer.backbone, peer.rpn.head, peer.roi_heads.box_predictor):
        part.register_forward_hook(_in_single_precision)
    return peer.to(memory_format=torch.channels_last)


def train_peer(samples: TrainingSamples, settings: PeerSettings) -> tuple[FasterRCNN, int]:
    """Train a peer: the moving average of its weights, and the steps it took. Raises NonFiniteLossError where its loss is."""
    training = settings.training
    peer = build_peer(seed=training.seed, backbone=None if settings.start is None else settings.start.backbone).train()
    if settings.start is not None:
        load_backbone_weights(peer.backbone.body, settings.start.weights)
    optimizer = build_optimizer(peer, training)
    average = MovingAverage(peer, decay=training.ema_decay)
    started_at, step, epoch = time.monotonic(), 0, 0
    while True:
        for batch in iterate_batches(samples, epoch=epoch, batch_size=training.batch_size):
            progress = _progress(settings, step=step, elapsed_s=time.monotonic() - started_at)
            if progress >= 1:
                return average.model, step
            for group in optimizer.param_groups:
                warm = min(1.0, (step + 1) / _WARMUP_STEPS)
                group["lr"] = training.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * progress))
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                losses = peer(*_as_torchvision(batch))
            loss = sum(losses.values())
            assert isinstance(loss, Tensor)
            if not bool(torch.isfinite(loss)):
                raise NonFiniteLossError(step=step, loss=float(loss.detach()))
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(peer.parameters(), training.gradient_clip)
            optimizer.step()
            average.update(peer, step=step)
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
    """What the peer marks on a prepared film, in network pixels; repeats are dropped by the rule that ours go by."""
    film = torch.from_numpy(np.ascontiguousarray(pixels)).expand(3, -1, -1)
    found = peer([film])[0]
    first = suppress_repeats(found["boxes"], overlap=_OVERLAP)
    boxes = clip_boxes(found["boxes"][first].numpy().astype(np.float32).reshape(-1, 4), size=pixels.shape)
    scores = found["scores"][first].numpy().astype(np.float32)
    inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return NoduleDetections(boxes=boxes[inside], scores=scores[inside])


@torch.inference_mode()
def eigen_cams(peer: FasterRCNN, pixels: HeatMap) -> dict[str, HeatMap]:
    """EigenCAMs of the peer over a prepared film: 0 to 1, of the film's size.

    One of each level of the pyramid, and one of all levels, brought to the coarsest one's size and joined without their signs,
    as pytorch-grad-cam does for this network. A singular vector has no sign of its own: of each level both are given, ``+``
    the one along which the channels' weights add up to more than nothing.
    """
    film = torch.from_numpy(np.ascontiguousarray(pixels)).expand(3, -1, -1)
    images, _ = peer.transform([film])
    size, (height, width) = images.tensors.shape[-2:], pixels.shape
    levels = peer.backbone(images.tensors)
    coarsest = levels["pool"].shape[-2:]
    joined = [functional.interpolate(level.abs(), size=coarsest, mode="bilinear") for level in levels.values()]
    cams = {}
    for name, activations in {"all levels": torch.cat(joined, dim=1), **levels}.items():
        for sign, cam in zip("+-", first_component(activations[0]), strict=True):
            shown = functional.interpolate(cam[None, None], size=size, mode="bilinear")[0, 0]
            cams[f"{name if name == 'all levels' else f'level {name}'} {sign}"] = shown[:height, :width].numpy()
    return cams


def first_component(activations: Float32[Tensor, "channels rows columns"]) -> Float32[Tensor, "2 rows columns"]:
    """Activations projected on their first right singular vector, in both its signs, negative parts cut off, 0 to 1.

    The first of the two has the sign with which the vector's entries add up to more than nothing.
    """
    channels, rows, columns = activations.shape
    flat = activations.reshape(channels, -1).T
    axis = torch.linalg.svd(flat, full_matrices=False).Vh[0]
    projected = (flat @ axis).reshape(rows, columns) * (1.0 if float(axis.sum()) >= 0 else -1.0)
    both = torch.stack([projected, -projected]).clamp(min=0)
    return both / both.amax(dim=(1, 2), keepdim=True).clamp(min=1e-9)
