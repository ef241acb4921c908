"""Batches of training samples as tensors: the same ones in the same order, however many workers draw them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from xraynet.samples.dataset import TrainingSample, TrainingSamples
from xraynet.samples.order import shard_steps
from xraynet.samples.workers import SampleWorkers


@dataclass(frozen=True, eq=False)
class DetectionBatch:
    """Films as tensors: ``images``, and for each film the boxes to learn and those to ignore, in frame pixels.

    A rank whose shard ran out gets a batch of zero films, so that every rank takes the same number of steps.
    """

    images: Float32[Tensor, "batch 1 height width"]
    boxes: list[Float32[Tensor, "_ 4"]]
    keys: tuple[str, ...]
    ignore: list[Float32[Tensor, "_ 4"]]

    def __post_init__(self) -> None:
        lengths = {len(self.images), len(self.boxes), len(self.keys), len(self.ignore)}
        if len(lengths) != 1:
            raise ValueError(f"images, boxes, keys and ignore have {sorted(lengths)} entries; one of each a film was expected")

    def __len__(self) -> int:
        return len(self.keys)

    def to(self, device: torch.device | str) -> "DetectionBatch":
        """The same batch on another device."""
        return DetectionBatch(
            images=self.images.to(device, non_blocking=True),
            boxes=[boxes.to(device, non_blocking=True) for boxes in self.boxes],
            keys=self.keys,
            ignore=[boxes.to(device, non_blocking=True) for boxes in self.ignore],
        )

    @classmethod
    def of(cls, samples: Sequence[TrainingSample], *, frame_size: tuple[int, int]) -> "DetectionBatch":
        """Training samples as one batch; none of them make an empty batch."""
        images = torch.empty((len(samples), 1, *frame_size), dtype=torch.float32)
        for image, sample in zip(images, samples, strict=True):
            image[0] = torch.from_numpy(np.ascontiguousarray(sample.pixels))
        return cls(
            images=images,
            boxes=[torch.from_numpy(sample.boxes) for sample in samples],
            keys=tuple(sample.key for sample in samples),
            ignore=[torch.from_numpy(sample.ignore) for sample in samples],
        )


def iterate_batches(
    samples: TrainingSamples,
    *,
    epoch: int,
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    num_workers: int = 1,
    first_step: int = 0,
    drop_last: bool = False,
    workers: SampleWorkers | None = None,
) -> Iterator[DetectionBatch]:
    """The batches of one epoch for one rank: the same number on every rank, the last ones perhaps smaller, or empty.

    ``first_step`` goes on in the middle of an epoch exactly where an interrupted run stopped. ``workers`` keeps them
    from one epoch to the next; without it, ``num_workers`` of them live for this epoch (see ``SampleWorkers``).
    """
    steps = shard_steps(samples.order(epoch), batch_size=batch_size, rank=rank, world_size=world_size, drop_last=drop_last)[
        first_step:
    ]
    own = SampleWorkers(samples, num_workers=num_workers) if workers is None else None
    drawing = own if own is not None else workers
    assert drawing is not None
    try:
        for drawn in drawing.draw_steps(steps):
            yield DetectionBatch.of(drawn, frame_size=samples.config.frame_size)
    finally:
        if own is not None:
            own.close()


def count_steps(samples: TrainingSamples, *, batch_size: int, world_size: int = 1, drop_last: bool = False) -> int:
    """How many steps an epoch has, on every rank."""
    step_size = batch_size * world_size
    return len(samples) // step_size if drop_last else -(-len(samples) // step_size)
