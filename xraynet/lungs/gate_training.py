"""Trains the gate: chest films turned, inverted and mirrored, against laterals and pictures that are no chest at all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from xraynet.errors import TrainingError
from xraynet.lungs.config import LungsTrainingConfig
from xraynet.lungs.negatives import draw_lateral, draw_not_a_chest
from xraynet.lungs.network import GateLogits, GateNetwork, LungFieldNetwork
from xraynet.lungs.training import Report, fit, stack_thumbnails
from xraynet.lungs.views import FilmView, Thumbnail, TrainingFilm, apply_view, draw_view

FRONTAL, LATERAL, OTHER = 0, 1, 2
# Epochs are compared at even odds: the gate's thresholds are settled after training.
EVEN_ODDS = 0.5


@dataclass(frozen=True, eq=False)
class GateBatch:
    """Films and what is true of them; the last three fields are meaningless where ``kind`` is not frontal."""

    films: Float[Tensor, "batch 1 side side"]
    kind: Int64[Tensor, " batch"]
    quarter_turns: Int64[Tensor, " batch"]
    inverted: Float[Tensor, " batch"]
    mirrored: Float[Tensor, " batch"]


@dataclass(frozen=True, eq=False)
class GateFilms:
    """What the gate learns from: real frontal films, and drawn laterals and other pictures."""

    frontal: list[TrainingFilm]
    lateral: list[TrainingFilm]
    other: list[TrainingFilm]

    @classmethod
    def drawn_beside(
        cls, frontal: Sequence[TrainingFilm], *, num_drawn: int, side_px: int, seed: tuple[int, ...]
    ) -> "GateFilms":
        """Frontal films, with ``num_drawn`` pictures that are none and a quarter as many laterals, drawn under one seed."""
        if not frontal:
            raise TrainingError("no chest film to learn the gate from; at least 1 was expected")
        rng = np.random.default_rng(seed)
        lateral = [TrainingFilm(draw_lateral(rng, side_px=side_px)) for _ in range(max(1, num_drawn // 4))]
        other = [TrainingFilm(draw_not_a_chest(rng, films=frontal, side_px=side_px)) for _ in range(max(1, num_drawn))]
        return cls(frontal=list(frontal), lateral=lateral, other=other)


def outline_films(network: LungFieldNetwork, films: Sequence[TrainingFilm], *, side_px: int) -> list[TrainingFilm]:
    """The same films with lungs outlined by the segmenter where nobody did, so that views can make them white."""
    outlined = []
    for film in films:
        if film.lung_mask is not None:
            outlined.append(film)
            continue
        height, width = film.pixels.shape
        thumbnail, _ = apply_view(film, FilmView(seed=0), side_px=side_px)
        with torch.no_grad():
            probability = torch.sigmoid(network(stack_thumbnails([thumbnail])))
        longest = max(height, width)
        square = functional.interpolate(probability, size=(longest, longest), mode="bilinear")[0, 0].numpy()
        top, left = (longest - height) // 2, (longest - width) // 2
        outlined.append(replace(film, lung_mask=np.ascontiguousarray(square[top : top + height, left : left + width])))
    return outlined


def train_gate(
    network: GateNetwork, learning: GateFilms, aside: GateFilms, config: LungsTrainingConfig, *, report: Report
) -> float:
    """Fit the gate; it ends with the weights of its best epoch on the films kept aside. Returns the share judged rightly."""
    side_px = config.network.side_px
    judged = _show_every_way(aside, side_px=side_px)

    def draw_batches(epoch: int) -> Iterator[GateBatch]:
        rng = np.random.default_rng([config.seed, 2, epoch])
        for _ in range(-(-config.gate.epoch_films // config.gate.batch_size)):
            yield _draw_batch(rng, learning, config)

    def measure_loss(batch: GateBatch) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(batch.films)
        return gate_loss(logits, batch)

    def validate() -> float:
        right = []
        with torch.no_grad():
            for batch in judged:
                logits = network(batch.films)
                passed = torch.softmax(logits.kind, 1)[:, FRONTAL] >= EVEN_ODDS
                passed &= torch.softmax(logits.quarter_turns, 1)[:, 0] > EVEN_ODDS
                passed &= torch.sigmoid(logits.inverted) < EVEN_ODDS
                upright = (batch.kind == FRONTAL) & (batch.quarter_turns == 0) & (batch.inverted == 0)
                right.append((passed == upright).double())
        # Rotations and inversions outnumber films as they are: weigh passing and refusing alike.
        upright = torch.cat([(b.kind == FRONTAL) & (b.quarter_turns == 0) & (b.inverted == 0) for b in judged])
        all_right = torch.cat(right)
        return float((all_right[upright].mean() + all_right[~upright].mean()) / 2)

    return fit(network, "gate", config.gate, draw_batches, measure_loss, validate, report=report)


def gate_loss(logits: GateLogits, batch: GateBatch) -> Float[Tensor, ""]:
    """Cross-entropy of the kind of picture, plus, for frontal films alone, of turns and polarity.

    Mirroring counts only where a film is otherwise as it should be: no other film gets as far as that warning.
    """
    frontal = (batch.kind == FRONTAL).float()
    upright = frontal * (batch.quarter_turns == 0) * (batch.inverted == 0)
    turns = functional.cross_entropy(logits.quarter_turns.float(), batch.quarter_turns, reduction="none")
    inverted = functional.binary_cross_entropy_with_logits(logits.inverted.float(), batch.inverted, reduction="none")
    mirrored = functional.binary_cross_entropy_with_logits(logits.mirrored.float(), batch.mirrored, reduction="none")
    of_frontal = ((turns + inverted) * frontal).sum() / frontal.sum().clamp(min=1)
    of_upright = (mirrored * upright).sum() / upright.sum().clamp(min=1)
    return functional.cross_entropy(logits.kind.float(), batch.kind) + of_frontal + of_upright


def _draw_batch(rng: np.random.Generator, films: GateFilms, config: LungsTrainingConfig) -> GateBatch:
    shown, facts = [], []
    for _ in range(config.gate.batch_size):
        place, view = rng.random(), draw_view(rng, config.view)
        if place < config.gate_frontal_part:
            kind, pool = FRONTAL, films.frontal
            turns = int(rng.integers(1, 4)) if rng.random() < 0.45 else 0
            view = replace(view, quarter_turns=turns, inverted=bool(rng.random() < 0.35), mirrored=bool(rng.random() < 0.5))
        elif place < config.gate_frontal_part + config.gate_lateral_part:
            kind, pool = LATERAL, films.lateral
        else:
            kind, pool = OTHER, films.other
        film = pool[int(rng.integers(len(pool)))]
        shown.append(apply_view(film, view, side_px=config.network.side_px)[0])
        facts.append((kind, view.quarter_turns, float(view.inverted), float(view.mirrored)))
    return _gather(shown, facts)


def _show_every_way(films: GateFilms, *, side_px: int) -> list[GateBatch]:
    """Every film kept aside as it is, turned three ways and inverted; and the drawn pictures."""
    plain = FilmView(seed=0)
    ways = [plain, *(replace(plain, quarter_turns=turns) for turns in (1, 2, 3)), replace(plain, inverted=True)]
    views = [(FRONTAL, film, way) for film in films.frontal for way in ways]
    views += [(LATERAL, film, plain) for film in films.lateral] + [(OTHER, film, plain) for film in films.other]
    batches = []
    for start in range(0, len(views), 64):
        some = views[start : start + 64]
        shown = [apply_view(film, view, side_px=side_px)[0] for _, film, view in some]
        batches.append(_gather(shown, [(kind, view.quarter_turns, float(view.inverted), 0.0) for kind, _, view in some]))
    return batches


def _gather(shown: list[Thumbnail], facts: list[tuple[int, int, float, float]]) -> GateBatch:
    kind, turns, inverted, mirrored = zip(*facts, strict=True)
    return GateBatch(
        films=stack_thumbnails(shown),
        kind=torch.tensor(kind),
        quarter_turns=torch.tensor(turns),
        inverted=torch.tensor(inverted),
        mirrored=torch.tensor(mirrored),
    )
