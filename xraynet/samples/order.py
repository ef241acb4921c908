"""Which films an epoch shows, in which order, and which of them fall to which rank: a function of seed and epoch alone."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

_ORDER_STREAM: Final = 1


@dataclass(frozen=True)
class SampleRef:
    """One sample to draw: the epoch, the film (an index into the training entries), and the how-manieth time this epoch."""

    epoch: int
    film: int
    occurrence: int = 0


def draw_order(
    kinds: Sequence[Hashable], weights: Sequence[float], *, seed: int, epoch: int, num_samples: int | None = None
) -> list[SampleRef]:
    """An epoch's samples in their order.

    A film comes ``weights`` times as often as its share, to the nearest whole number from below or above, drawn anew
    each epoch; ``num_samples`` defaults to the number of films. Films of one kind are spread evenly, so that every
    batch holds about the mix of the whole.
    """
    if len(kinds) != len(weights):
        raise ValueError(f"there are {len(kinds)} kinds and {len(weights)} weights; one of each a film was expected")
    if any(not weight >= 0 for weight in weights):
        raise ValueError(f"the smallest weight is {min(weights)}; 0 or more was expected")
    total = sum(weights)
    if not kinds or total == 0:
        return []
    rng = np.random.default_rng(np.random.SeedSequence([seed, epoch, _ORDER_STREAM]))
    shuffled = rng.permutation(len(kinds))
    # Systematic sampling: every film's count is the floor or the ceiling of what its weight expects, and the sum is exact.
    wanted = num_samples if num_samples is not None else len(kinds)
    edges = np.floor(np.cumsum(np.asarray(weights, dtype=np.float64)[shuffled]) / total * wanted + rng.random())
    edges[-1] = wanted  # the sum of many weights may miss it by a rounding
    counts = np.diff(edges, prepend=0.0).astype(int)
    refs = [
        SampleRef(epoch=epoch, film=int(film), occurrence=occurrence)
        for film, count in zip(shuffled, counts, strict=True)
        for occurrence in range(count)
    ]
    return [refs[place] for place in _spread_kinds([kinds[ref.film] for ref in refs], rng)]


def _spread_kinds(kinds: Sequence[Hashable], rng: np.random.Generator) -> list[int]:
    places: dict[Hashable, list[int]] = {}
    for place, kind in enumerate(kinds):
        places.setdefault(kind, []).append(place)
    moments = np.zeros(len(kinds))
    for members in places.values():
        moments[rng.permutation(members)] = (np.arange(len(members)) + rng.random(len(members))) / len(members)
    return [int(place) for place in np.argsort(moments, kind="stable")]


def shard_steps(
    order: Sequence[SampleRef], *, batch_size: int, rank: int = 0, world_size: int = 1, drop_last: bool = False
) -> list[list[SampleRef]]:
    """The samples of each step that fall to ``rank``: as many steps on every rank, so that their collectives match.

    A step takes ``batch_size * world_size`` samples of the order; the last step may leave a rank fewer, or none. With
    ``drop_last`` a last step that is not full on every rank is left out.

    >>> order = [SampleRef(0, film) for film in range(5)]
    >>> [[len(step) for step in shard_steps(order, batch_size=2, rank=rank, world_size=2)] for rank in (0, 1)]
    [[2, 1], [2, 0]]
    """
    if batch_size < 1 or not 0 <= rank < world_size:
        raise ValueError(
            f"batch size {batch_size}, rank {rank} of {world_size}; at least 1, and 0 <= rank < ranks, was expected"
        )
    step_size = batch_size * world_size
    num_steps = len(order) // step_size if drop_last else -(-len(order) // step_size)
    starts = [step * step_size + rank * batch_size for step in range(num_steps)]
    return [list(order[start : start + batch_size]) for start in starts]
