"""Bright discs to train on in seconds, and a loop around them; imported by tests and by the processes that they start."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from xraynet.detector import Detector, DetectorConfig
from xraynet.samples.batches import DetectionBatch
from xraynet.training.distributed import Team
from xraynet.training.journal import Journal
from xraynet.training.learner import Learner
from xraynet.training.loop import BatchSource, fit
from xraynet.training.recipe import TrainingConfig
from xraynet.training.state import Progress
from xraynet.training.validate import Validation

TINY = DetectorConfig(backbone="test_resnet", channels=16, head_depth=1)
ALONE = Team(rank=0, world_size=1, device=torch.device("cpu"))
SHORT = TrainingConfig(
    epochs=3, learning_rate=5e-3, warmup_steps=2, weight_decay=0.01, ema_decay=0.9, amp="off", validate_every=1
)


def draw_discs(seed: int, *, num_films: int, side: int = 64) -> DetectionBatch:
    """Films of grain; every second one has a bright disc."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side] + 0.5
    images, boxes = rng.random((num_films, 1, side, side), dtype=np.float32) * 0.3, []
    for index in range(num_films):
        (x, y), radius = rng.uniform(16, side - 16, 2), rng.uniform(5, 9)
        if index % 2 == 0:
            images[index, 0] += 0.6 * ((columns - x) ** 2 + (rows - y) ** 2 < radius**2)
        corners = [[x - radius, y - radius, x + radius, y + radius]] if index % 2 == 0 else []
        boxes.append(torch.tensor(np.array(corners, dtype=np.float32).reshape(-1, 4)))
    return DetectionBatch(
        images=torch.from_numpy(images),
        boxes=boxes,
        keys=tuple(f"{seed:08x}{index:08x}" for index in range(num_films)),
        ignore=[torch.zeros(0, 4) for _ in range(num_films)],
    )


@dataclass(frozen=True)
class Discs:
    """The same discs for the same epoch and step; ``fixed``: the same at every step."""

    num_steps: int = 4
    num_films: int = 4
    fixed: bool = False

    @property
    def steps_per_epoch(self) -> int:
        return self.num_steps

    def draw(self, epoch: int, *, first_step: int) -> Iterator[DetectionBatch]:
        for step in range(first_step, self.num_steps):
            yield draw_discs(0 if self.fixed else 1000 * epoch + step, num_films=self.num_films)


@dataclass(frozen=True)
class Sharded:
    """All films fall to the first rank; the shard of any other is empty."""

    whole: Discs
    rank: int

    @property
    def steps_per_epoch(self) -> int:
        return self.whole.num_steps

    def draw(self, epoch: int, *, first_step: int) -> Iterator[DetectionBatch]:
        if self.rank == 0:
            yield from self.whole.draw(epoch, first_step=first_step)


def build_learner(config: TrainingConfig, *, total_steps: int = 12, team: Team = ALONE) -> Learner:
    torch.manual_seed(config.seed)
    return Learner.of(Detector(TINY), config=config, team=team, total_steps=total_steps)


def validation_of(score: float) -> Validation:
    return Validation(score=score, films=(), figures={"froc_score": score})


def run_loop(learner: Learner, source: BatchSource, folder: Path, journal: Journal, *, resume: bool = False) -> Progress:
    """``fit``, with a validation that always finds the latest weights the best."""
    return fit(
        learner,
        source,
        validate=lambda _, step: validation_of(float(step)),
        keep_best=lambda *_: None,
        folder=folder,
        run_fingerprint="run",
        journal=journal,
        resume=resume,
    )


def same_weights(one: Learner, other: Learner) -> bool:
    pairs = [(one.detector, other.detector), (one.average.model, other.average.model)]
    return all(
        torch.equal(left, right)
        for first, second in pairs
        for left, right in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
