"""The peer that xraynet is measured against: torchvision's Faster R-CNN (MobileNetV3 with a pyramid) on the same films.

It is shown the very samples that our detector is shown: the same simulation, preparation and augmentation. Anchors of 8 to 128
pixels fit nodules at 1 mm a pixel; torchvision's own begin at 32. Its heatmap is EigenCAM (Muhammad and Yeasin, IJCNN 2020):
the projection of its pyramid's activations on their first principal component, which needs no gradient.
"""

import time
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as functional
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, fasterrcnn_mobilenet_v3_large_fpn
from torchvision.models.detection.anchor_utils import AnchorGenerator

from xraynet.findings import NoduleDetections
from xraynet.geometry import clip_boxes
from xraynet.samples.batches import DetectionBatch, iterate_batches
from xraynet.samples.dataset import TrainingSamples

ANCHOR_SIDES: Final = (8, 16, 32, 64, 128)
LEARNING_RATES: Final = (0.003, 0.01, 0.03)
_LOWEST_SCORE: Final = 0.001
_MOST_MARKS: Final = 100

HeatMap = Float32[NDArray[np.float32], "height width"]


@dataclass(frozen=True)
class PeerSettings:
    """How the peer is trained: until ``minutes`` are over or ``steps`` are done, whichever comes first."""

    learning_rate: float = 0.01
    minutes: float | None = None
    steps: int | None = None
    batch_size: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.minutes is None and self.steps is None:
            raise ValueError("neither minutes nor steps are given; one of them was expected")


def build_peer(*, seed: int = 0) -> FasterRCNN:
    """An untrained Faster R-CNN for films at their own scale: nothing in it resizes them."""
    torch.manual_seed(seed)
    peer = fasterrcnn_mobilenet_v3_large_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=2,
        image_mean=[0.5] * 3,
        image_std=[0.25] * 3,
        box_score_thresh=_LOWEST_SCORE,
        box_detections_per_img=_MOST_MARKS,
        box_nms_thresh=0.2,
        _skip_resize=True,
    )
    # As many anchors a place as torchvision's own, so that the head fits.
    peer.rpn.anchor_generator = AnchorGenerator((ANCHOR_SIDES,) * 3, ((0.75, 1.0, 1.33),) * 3)
    return peer


def train_peer(samples: TrainingSamples, settings: PeerSettings) -> tuple[FasterRCNN, int]:
    """Train a peer by stochastic gradient descent with momentum, as torchvision's reference does; the steps it took too."""
    peer = build_peer(seed=settings.seed).train()
    optimizer = torch.optim.SGD(peer.parameters(), lr=settings.learning_rate, momentum=0.9, weight_decay=1e-4)
    started_at, step, epoch = time.monotonic(), 0, 0
    while True:
        for batch in iterate_batches(samples, epoch=epoch, batch_size=settings.batch_size):
            if _is_over(settings, step=step, elapsed_s=time.monotonic() - started_at):
                return peer.eval(), step
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * min(1.0, (step + 1) / 50)
            optimizer.zero_grad(set_to_none=True)
            loss = sum(peer(*_as_torchvision(batch)).values())
            assert isinstance(loss, Tensor)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(peer.parameters(), 5.0)
            optimizer.step()
            step += 1
        epoch += 1


def _is_over(settings: PeerSettings, *, step: int, elapsed_s: float) -> bool:
    timed_out = settings.minutes is not None and elapsed_s >= 60 * settings.minutes
    return timed_out or (settings.steps is not None and step >= settings.steps)


def _as_torchvision(batch: DetectionBatch) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    images = list(batch.images.expand(-1, 3, -1, -1))
    targets = [{"boxes": boxes, "labels": torch.ones(len(boxes), dtype=torch.int64)} for boxes in batch.boxes]
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
