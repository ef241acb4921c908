"""ValidationFilms: whole films as the predictor will see them, with real nodules and with simulated ones, always the same.

About half of the films that are free of nodules get simulated ones from a fixed seed, so that a detector without a
single real label can be compared from epoch to epoch. Figures from them say how well *simulated* nodules are found.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor

from xraynet.findings import LabelState, NoduleAnnotations
from xraynet.ingest.catalogue import FilmEntry
from xraynet.ingest.consensus import ConsensusConfig, find_consensus
from xraynet.radiograph import ViewPosition
from xraynet.samples.cache import CachedFilm, FilmCache
from xraynet.samples.dataset import drop_unreadable, simulate_in_film
from xraynet.simulation import SimulationConfig
from xraynet.simulation.film import annotate_nodules


@dataclass(frozen=True)
class ValidationConfig:
    """Which validation films are scored while training. ``most_films``: None takes all; boxed films get up to half.

    ``simulated_share``: the part of the free films that get simulated nodules, drawn by ``seed``.
    """

    most_films: int | None = 200
    simulated_share: float = 0.5
    seed: int = 20
    simulation: SimulationConfig = field(default_factory=SimulationConfig)
    consensus: ConsensusConfig = field(default_factory=ConsensusConfig)

    def __post_init__(self) -> None:
        if not 0 <= self.simulated_share <= 1:
            raise ValueError(f"simulated_share is {self.simulated_share}; 0 to 1 was expected")
        if self.most_films is not None and self.most_films < 1:
            raise ValueError(f"most_films is {self.most_films}; at least 1 was expected")


@dataclass(frozen=True, eq=False)
class ValidationFilm:
    """One prepared film, un-augmented, and what is known of it.

    ``annotations`` are in the network frame (boxes in network pixels, within the film). ``mm_per_pixel`` is None where
    the film has no spacing: a rule in millimetres cannot be applied to it. ``simulated`` says that its nodules are not real.
    """

    key: str
    pixels: Float32[NDArray[np.float32], "height width"]
    annotations: NoduleAnnotations
    patient_key: str | None
    mm_per_pixel: float | None
    view_position: ViewPosition
    simulated: bool

    @property
    def spacing_mm(self) -> tuple[float, float] | None:
        """(row, column) of the network frame in mm, or None."""
        return None if self.mm_per_pixel is None else (self.mm_per_pixel, self.mm_per_pixel)

    @property
    def film_has_nodule(self) -> bool:
        """Whether there is a nodule on the film, real or simulated."""
        return self.annotations.state is LabelState.BOXED


class ValidationFilms:
    """A fixed choice of films to score a detector on.

    Films of unknown state are never among them, nor those on which no box is agreed by enough readers.
    """

    def __init__(
        self, cache: FilmCache, entries: Sequence[FilmEntry], *, config: ValidationConfig = ValidationConfig()
    ) -> None:
        readable = drop_unreadable(cache, entries)
        self.config = config
        self.cache = cache
        self.num_unreadable = len(entries) - len(readable)
        self.entries = _choose_entries([_agree(entry, config.consensus) for entry in readable], config)
        self._simulated = _choose_simulated(self.entries, config)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[ValidationFilm]:
        return (self.film(index) for index in range(len(self)))

    @property
    def num_simulated(self) -> int:
        """How many films were chosen to get simulated nodules."""
        return len(self._simulated)

    def film(self, index: int) -> ValidationFilm:
        """The film at ``index``: the same pixels and the same nodules at every call."""
        entry = self.entries[index]
        cached = self.cache.read(entry.key)
        pixels, annotations, simulated = cached.pixels, _annotations_in_net_frame(entry, cached), False
        if entry.key in self._simulated:
            rng = np.random.default_rng(np.random.SeedSequence([self.config.seed, int(entry.key, 16)]))
            drawn = simulate_in_film(cached, rng=rng, config=self.config.simulation, num_nodules=None)
            if drawn is not None and len(drawn.boxes):
                pixels = np.clip(drawn.pixels, -self.cache.headroom, 1 + self.cache.headroom)
                millimetres = cached.record.mm_per_net_pixel
                annotations = annotate_nodules(
                    drawn.boxes, spacing_mm=None if millimetres is None else (millimetres, millimetres)
                )
                simulated = True
        return ValidationFilm(
            key=entry.key,
            pixels=pixels,
            annotations=annotations,
            patient_key=entry.patient_key,
            mm_per_pixel=cached.record.mm_per_net_pixel,
            view_position=ViewPosition(entry.view_position),
            simulated=simulated,
        )

    def batches(
        self, *, batch_size: int, rank: int = 0, world_size: int = 1
    ) -> Iterator[tuple[Float32[Tensor, "batch 1 height width"], list[ValidationFilm]]]:
        """Every ``world_size``-th film from ``rank``, films of like size together, padded with 0 at right and bottom.

        Padding there leaves boxes where they are; 0 is what preparation pads with.
        """
        by_size = sorted(range(len(self)), key=lambda index: (self.cache.records[self.entries[index].key].net_size, index))
        mine = by_size[rank::world_size]
        for start in range(0, len(mine), batch_size):
            films = [self.film(index) for index in mine[start : start + batch_size]]
            yield pad_films([film.pixels for film in films]), films


def pad_films(films: Sequence[Float32[NDArray[np.float32], "_ _"]]) -> Float32[Tensor, "batch 1 height width"]:
    """Films of different sizes as one tensor, padded with 0 at right and bottom to the largest of them."""
    height = max((film.shape[0] for film in films), default=32)
    width = max((film.shape[1] for film in films), default=32)
    images = torch.zeros((len(films), 1, height, width), dtype=torch.float32)
    for image, film in zip(images, films, strict=True):
        image[0, : film.shape[0], : film.shape[1]] = torch.from_numpy(np.ascontiguousarray(film))
    return images


def _annotations_in_net_frame(entry: FilmEntry, cached: CachedFilm) -> NoduleAnnotations:
    marked = entry.annotations
    return NoduleAnnotations(
        boxes=cached.record.letterbox.boxes_to_net(marked.boxes),
        class_names=marked.class_names,
        readers=marked.readers,
        diameter_mm=marked.diameter_mm,
        subtlety=marked.subtlety,
        state=marked.state,
    )


def _agree(entry: FilmEntry, config: ConsensusConfig) -> FilmEntry:
    consensus = find_consensus(entry.annotations, num_readers=len(entry.readers), config=config)
    return replace(entry, annotations=consensus.agreed)


def _shuffled(entries: Sequence[FilmEntry], seed: int) -> list[FilmEntry]:
    """An order that depends on seed and keys alone: adding a film to the catalogue moves no other."""
    return sorted(entries, key=lambda entry: hashlib.sha256(f"{seed} {entry.key}".encode()).hexdigest())


def _choose_entries(entries: Sequence[FilmEntry], config: ValidationConfig) -> tuple[FilmEntry, ...]:
    boxed = _shuffled([entry for entry in entries if entry.annotations.state is LabelState.BOXED], config.seed)
    free = _shuffled([entry for entry in entries if entry.annotations.state is LabelState.FREE], config.seed)
    if config.most_films is None:
        return tuple(boxed + free)
    num_boxed = min(len(boxed), max(config.most_films // 2, config.most_films - len(free)))
    return tuple(boxed[:num_boxed] + free[: config.most_films - num_boxed])


def _choose_simulated(entries: Sequence[FilmEntry], config: ValidationConfig) -> frozenset[str]:
    free = [entry.key for entry in entries if entry.annotations.state is LabelState.FREE]
    return frozenset(free[: round(config.simulated_share * len(free))])
