"""Trains the lung-field segmenter: a plain loop with Adam, and the fields that both networks' loops share."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from xraynet.errors import NonFiniteLossError, TrainingError
from xraynet.lungs.config import LungsTrainingConfig, PartTrainingConfig
from xraynet.lungs.network import LungFieldNetwork
from xraynet.lungs.views import FilmView, TrainingFilm, apply_view, draw_view

Part = Literal["segmenter", "gate"]
Batch = TypeVar("Batch")


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of one network: mean training loss, and its figure on the films kept aside (Dice, or films judged rightly)."""

    part: Part
    epoch: int
    loss: float
    validation: float


Report = Callable[[EpochRecord], None]


@dataclass(frozen=True, eq=False)
class FilmBatch:
    """Views of films as tensors, both float32 in channels-last order where they are films."""

    films: Float[Tensor, "batch 1 side side"]
    masks: Float[Tensor, "batch 1 side side"]


def stack_thumbnails(thumbnails: Sequence[Float32[NDArray[np.float32], "side side"]]) -> Float[Tensor, "batch 1 side side"]:
    """Thumbnails as a batch that the networks take."""
    return torch.from_numpy(np.stack(thumbnails)[:, None]).contiguous(memory_format=torch.channels_last)


def mean_dice(logits: Float[Tensor, "batch 1 side side"], masks: Float[Tensor, "batch 1 side side"]) -> float:
    """Mean over films of 2 |A and B| / (|A| + |B|), both cut at one half."""
    found, marked = logits > 0, masks > 0.5
    both = (found & marked).sum(dim=(1, 2, 3)).double()
    total = (found.sum(dim=(1, 2, 3)) + marked.sum(dim=(1, 2, 3))).double()
    return float(torch.where(total > 0, 2 * both / total.clamp(min=1), torch.ones_like(both)).mean())


def dice_and_entropy(
    logits: Float[Tensor, "batch 1 side side"], masks: Float[Tensor, "batch 1 side side"]
) -> Float[Tensor, ""]:
    """Binary cross-entropy plus one minus soft Dice: the first for every pixel, the second for the outline as a whole."""
    probability = torch.sigmoid(logits)
    overlap = (probability * masks).sum(dim=(1, 2, 3))
    total = probability.sum(dim=(1, 2, 3)) + masks.sum(dim=(1, 2, 3))
    dice = (2 * overlap + 1) / (total + 1)
    return functional.binary_cross_entropy_with_logits(logits, masks) + (1 - dice).mean()


def train_segmenter(
    network: LungFieldNetwork, films: Sequence[TrainingFilm], config: LungsTrainingConfig, *, report: Report
) -> float:
    """Fit the U-Net to films whose lungs are outlined; it ends with the weights of its best epoch. Returns that Dice.

    Raises TrainingError where a film has no outline or there are too few to keep some aside, NonFiniteLossError
    before weights move.
    """
    if len(films) < 2 or any(film.lung_mask is None for film in films):
        raise TrainingError(f"{len(films)} films to learn lung fields from; at least 2, each with a mask, were expected")
    learning, aside = split_aside(films, config)
    judged = _show_films(aside, [FilmView(seed=0)] * len(aside), side_px=config.network.side_px)

    def draw_batches(epoch: int) -> Iterator[FilmBatch]:
        part = config.segmenter
        rng = np.random.default_rng([config.seed, 1, epoch])
        for _ in range(-(-part.epoch_films // part.batch_size)):
            drawn = [learning[index] for index in rng.integers(len(learning), size=part.batch_size)]
            yield _show_films(drawn, [draw_view(rng, config.view) for _ in drawn], side_px=config.network.side_px)

    def measure_loss(batch: FilmBatch) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(batch.films)
        return dice_and_entropy(logits.float(), batch.masks)

    def validate() -> float:
        with torch.no_grad():
            return mean_dice(network(judged.films), judged.masks)

    return fit(network, "segmenter", config.segmenter, draw_batches, measure_loss, validate, report=report)


def split_aside(films: Sequence[TrainingFilm], config: LungsTrainingConfig) -> tuple[list[TrainingFilm], list[TrainingFilm]]:
    """Films to learn from, and the seeded part kept aside."""
    order = np.random.default_rng([config.seed, 0]).permutation(len(films))
    num_aside = min(max(1, round(len(films) * config.validation_part)), len(films) - 1)
    return [films[index] for index in sorted(order[num_aside:])], [films[index] for index in sorted(order[:num_aside])]


def _show_films(films: Sequence[TrainingFilm], views: Sequence[FilmView], *, side_px: int) -> FilmBatch:
    shown = [apply_view(film, view, side_px=side_px) for film, view in zip(films, views, strict=True)]
    return FilmBatch(films=stack_thumbnails([film for film, _ in shown]), masks=stack_thumbnails([mask for _, mask in shown]))


def fit(
    network: nn.Module,
    part: Part,
    config: PartTrainingConfig,
    draw_batches: Callable[[int], Iterator[Batch]],
    measure_loss: Callable[[Batch], Tensor],
    validate: Callable[[], float],
    *,
    report: Report,
) -> float:
    """Train for the configured epochs and put back the weights of the epoch that did best on the films kept aside."""
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    steps = config.epochs * -(-config.epoch_films // config.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _warm_then_cosine(step, steps))
    best, best_weights = -1.0, copy.deepcopy(network.state_dict())
    for epoch in range(config.epochs):
        network.train()
        losses = []
        for batch in draw_batches(epoch):
            loss = measure_loss(batch)
            if not torch.isfinite(loss):
                raise NonFiniteLossError(step=schedule.last_epoch, loss=float(loss.detach()))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        network.eval()
        figure = validate()
        report(EpochRecord(part=part, epoch=epoch, loss=float(np.mean(losses)), validation=figure))
        if figure >= best:
            best, best_weights = figure, copy.deepcopy(network.state_dict())
    network.load_state_dict(best_weights)
    return best


def _warm_then_cosine(step: int, steps: int) -> float:
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
