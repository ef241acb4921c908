"""The training loop, on one screen: forward, loss, backward, Adam; validate, keep the best, stop early, resume exactly."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import torch
from torch import nn

from xraynet.detector.loss import compute_losses
from xraynet.detector.network import Detector
from xraynet.errors import NonFiniteLossError, TrainingError
from xraynet.samples.batches import DetectionBatch
from xraynet.training.distributed import Team
from xraynet.training.ema import MovingAverage
from xraynet.training.journal import Journal, Meter
from xraynet.training.learner import Learner, collect_state, restore
from xraynet.training.schedule import learning_rate_at
from xraynet.training.state import STATE_FILE, Progress, write_state
from xraynet.training.validate import Validation

_LOG_EVERY: Final = 10


@runtime_checkable
class BatchSource(Protocol):
    """Where batches come from: the same epoch always gives the same batches."""

    @property
    def steps_per_epoch(self) -> int:
        """How many optimizer steps an epoch has (the longest shard decides)."""

    def draw(self, epoch: int, *, first_step: int) -> Iterator[DetectionBatch]:
        """This rank's batches of one epoch, from its ``first_step`` on; a batch may hold no film."""


def fit(
    learner: Learner,
    source: BatchSource,
    *,
    validate: Callable[[Detector, int], Validation],
    keep_best: Callable[[MovingAverage[Detector], int, Validation], None],
    folder: Path,
    run_fingerprint: str,
    journal: Journal,
    resume: bool = False,
) -> Progress:
    """Train until the planned steps are done, the time is up, or validation has not improved for ``patience`` times.

    ``validate(detector, step)`` scores the averaged weights, on every rank alike (higher is better);
    ``keep_best(average, step, validation)`` writes the best ones at once, on the first rank. With ``resume`` the run in
    ``folder`` goes on where its last state was written, as if it had never stopped.
    """
    config, team = learner.config, learner.team
    if source.steps_per_epoch < 1:
        raise TrainingError("there are no films to train on")
    progress = restore(learner, folder / STATE_FILE, run_fingerprint=run_fingerprint) if resume else Progress()
    clock = Clock(already_s=progress.elapsed_s, max_minutes=config.max_minutes, team=team)
    while not is_finished(progress, learner, clock):
        progress = train_one_epoch(
            learner, source, progress, clock=clock, journal=journal, save=Saver(learner, folder, run_fingerprint)
        )
        if is_finished(progress, learner, clock) or progress.epoch % config.validate_every == 0:
            validation = validate(learner.average.model, progress.step)
            is_better = progress.best_score is None or validation.score > progress.best_score
            if is_better and team.is_first:
                keep_best(learner.average, progress.step, validation)
            progress = replace(
                progress,
                best_score=validation.score if is_better else progress.best_score,
                stale_validations=0 if is_better else progress.stale_validations + 1,
            )
        Saver(learner, folder, run_fingerprint)(replace(progress, elapsed_s=clock.elapsed_s()))
    return progress


def is_finished(progress: Progress, learner: Learner, clock: "Clock") -> bool:
    """True when all planned steps are done, the time is up (after one step at least), or validation improves no more."""
    patience = learner.config.patience
    is_stale = patience is not None and progress.stale_validations >= patience
    return progress.step >= learner.total_steps or is_stale or (progress.step > 0 and clock.is_up())


def train_one_epoch(
    learner: Learner, source: BatchSource, progress: Progress, *, clock: "Clock", journal: Journal, save: "Saver"
) -> Progress:
    """One pass over the films (what is left of it, after a resume); returns the progress at its end."""
    config, team, detector = learner.config, learner.team, learner.detector
    detector.train()
    meter = Meter()
    batches = source.draw(progress.epoch, first_step=progress.step_in_epoch)
    for batch, num_films in keep_together(batches, team):
        step = progress.step
        rate = learning_rate_at(step, total_steps=learner.total_steps, config=config)
        for group in learner.optimizer.param_groups:
            group["lr"] = rate
        learner.optimizer.zero_grad(set_to_none=True)

        sums = torch.zeros(4, device=team.device)
        if batch is not None:
            films = batch.images.to(team.device, memory_format=torch.channels_last, non_blocking=True)
            with learner.autocast():
                output = detector(films)
            losses = compute_losses(output, batch.boxes, batch.ignore, config=config.loss)
            num_nodules = losses.total.new_tensor(sum(map(len, batch.boxes)))
            sums = torch.stack([losses.total.detach(), losses.score.detach(), losses.box.detach(), num_nodules])
        loss, score_loss, box_loss, nodules = (team.sum(sums) / num_films).tolist()
        if not math.isfinite(loss):
            raise NonFiniteLossError(step=step, loss=loss)
        if batch is not None:
            learner.scaler.scale(losses.total / num_films).backward()  # type: ignore[no-untyped-call]

        team.sum_gradients(detector)
        team.average_statistics(detector, share=0.0 if batch is None else len(batch) / num_films)
        learner.scaler.unscale_(learner.optimizer)
        norm = nn.utils.clip_grad_norm_(detector.parameters(), config.gradient_clip)
        if not learner.scaler.is_enabled() and not bool(torch.isfinite(norm)):
            raise TrainingError(f"the gradient's norm is {float(norm)} at step {step}; the weights were left alone")
        learner.scaler.step(learner.optimizer)
        learner.scaler.update()
        learner.average.update(detector, step=step)

        progress = replace(progress, step=step + 1, step_in_epoch=progress.step_in_epoch + 1)
        meter.add(loss=loss, score_loss=score_loss, box_loss=box_loss, nodules_per_film=nodules, gradient_norm=float(norm))
        if progress.step % _LOG_EVERY == 0 or progress.step == learner.total_steps:
            pace = {"learning_rate": rate, "epoch": progress.epoch, "elapsed_s": round(clock.elapsed_s(), 1)}
            journal.write("train", step=progress.step, figures={**meter.take_means(), **pace})
        journal.advance(
            step=progress.step, text=f"epoch {progress.epoch} loss {loss:.3f}", plain=progress.step % (5 * _LOG_EVERY) == 0
        )
        if progress.step >= learner.total_steps or clock.is_up():
            break
        if config.state_every_steps is not None and progress.step % config.state_every_steps == 0:
            save(replace(progress, elapsed_s=clock.elapsed_s()))
    else:
        return replace(progress, epoch=progress.epoch + 1, step_in_epoch=0)
    return progress


def keep_together(batches: Iterator[DetectionBatch], team: Team) -> Iterator[tuple[DetectionBatch | None, int]]:
    """Batches, and how many films all ranks hold in this step, until no rank has any; a rank without films gets None."""
    while True:
        batch = next(batches, None)
        num_films = 0 if batch is None else len(batch)
        total = int(team.sum(torch.tensor([num_films], device=team.device)).item())
        if total == 0:
            return
        yield (batch if num_films else None), total


@dataclass(frozen=True)
class Saver:
    """Writes the run's state, on the first rank."""

    learner: Learner
    folder: Path
    run_fingerprint: str

    def __call__(self, progress: Progress) -> None:
        """Write the state as it is now."""
        if self.learner.team.is_first:
            write_state(self.folder / STATE_FILE, collect_state(self.learner, progress, run_fingerprint=self.run_fingerprint))


class Clock:
    """How long the run has trained, all sittings together, and whether its time is up (the first rank's watch decides)."""

    def __init__(self, *, already_s: float, max_minutes: float | None, team: Team) -> None:
        self._started = time.monotonic() - already_s
        self._max_minutes = max_minutes
        self._team = team

    def elapsed_s(self) -> float:
        """Seconds since the run began, without the pauses between sittings."""
        return time.monotonic() - self._started

    def is_up(self) -> bool:
        """True when ``max_minutes`` have passed, on every rank at the same step."""
        if self._max_minutes is None:
            return False
        return self._team.share_first(self.elapsed_s()) >= 60 * self._max_minutes
