"""TrainingSamples: what the detector is shown of a film, as a function of the run's seed, the epoch and the film alone.

A film comes out of the cache, nodules are drawn into it where it is known to be free of them, it is placed into the
frame, and its grey values are changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32
from numpy.typing import NDArray

from xraynet.errors import CatalogueError
from xraynet.findings import LabelState
from xraynet.geometry import Boxes
from xraynet.ingest.catalogue import FilmEntry
from xraynet.ingest.consensus import ConsensusConfig, find_consensus
from xraynet.ingest.labels.vocabulary import says_nothing_found
from xraynet.samples.augment import AppliedGrey, AugmentConfig, GreyAugmenter
from xraynet.samples.cache import CachedFilm, FilmCache
from xraynet.samples.order import SampleRef, draw_order
from xraynet.samples.placement import Placement, PlacementConfig, centre_placement, draw_placement
from xraynet.samples.shapes import collect_shapes
from xraynet.simulation import SimulatedFilm, SimulatedNodule, SimulationConfig, simulate_array
from xraynet.simulation.film import LUNG_SIDE_MM
from xraynet.simulation.grey import contrast_to_noise, lung_side_px
from xraynet.simulation.shape import NoduleShape

_SAMPLE_STREAM: Final = 2
_LEAST_LUNG: Final = 0.02


@dataclass(frozen=True)
class KindWeights:
    """How often films of each kind come, relative to their number. ``boxed``: with a real nodule; the others are free.

    ``other_findings`` further weighs a free film that shows something else (pneumonia, say): opacities that must not be
    marked, beside faint drawn ones that must. Two thirds of NIH's normal films are AP, most films a detector is asked about
    are PA: the default evens that out.
    """

    boxed: float = 1.0
    free_pa: float = 1.6
    free_ap: float = 0.7
    free_other: float = 1.0
    other_findings: float = 1.0

    def __post_init__(self) -> None:
        if min(self.boxed, self.free_pa, self.free_ap, self.free_other, self.other_findings) < 0:
            raise ValueError("a weight is below 0")


@dataclass(frozen=True)
class SamplesConfig:
    """What training samples look like. ``frame_size`` is (height, width) in network pixels.

    ``simulation_rate``: the part of free films that get simulated nodules. ``smallest_part``: with less of its box in
    the frame a nodule is ignored, not learnt; so is one whose longer side is under ``smallest_side_px``, and one whose
    contrast-to-noise on the film is under ``least_visible`` (None: every one is learnt): what nobody can see teaches a
    detector to mark at random.
    ``films_per_epoch``: None shows as many films as there are.
    """

    frame_size: tuple[int, int] = (448, 448)
    simulation_rate: float = 0.6
    smallest_part: float = 0.5
    smallest_side_px: float = 3.0
    least_visible: float | None = None
    films_per_epoch: int | None = None
    weights: KindWeights = field(default_factory=KindWeights)
    consensus: ConsensusConfig = field(default_factory=ConsensusConfig)
    placement: PlacementConfig = field(default_factory=PlacementConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    simulation: SimulationConfig = field(default_factory=SimulationConfig)
    augmented: bool = True

    def __post_init__(self) -> None:
        if min(self.frame_size) < 32 or any(side % 32 for side in self.frame_size):
            raise ValueError(f"frame size is {self.frame_size}; sides of at least 32, in steps of 32, were expected")
        if not (0 <= self.simulation_rate <= 1 and 0 < self.smallest_part <= 1):
            raise ValueError(
                f"simulation rate {self.simulation_rate}, smallest part {self.smallest_part}: 0-1 and above 0-1 were expected"
            )
        if self.films_per_epoch is not None and self.films_per_epoch < 1:
            raise ValueError(f"films_per_epoch is {self.films_per_epoch}; at least 1 was expected")


@dataclass(frozen=True)
class SampleRecord:
    """What happened to a sample, to be logged and replayed: the nodules drawn in, the placement, the grey changes."""

    nodules: tuple[SimulatedNodule, ...]
    placement: Placement
    grey: AppliedGrey | None


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """One film as the detector is shown it, with the boxes to learn and those to leave alone (frame pixels)."""

    key: str
    pixels: Float32[NDArray[np.float32], "height width"]
    boxes: Float32[NDArray[np.float32], "learnt 4"]
    ignore: Float32[NDArray[np.float32], "ignored 4"]
    record: SampleRecord


class TrainingSamples:
    """The training films of a cache, sample by sample: ``draw(ref)`` is the same whenever and wherever it is called.

    ``entries``: boxed and free films; those of unknown state are left out (``num_unknown``), and so are those that the
    cache reported as unreadable (``num_unreadable``). ``shapes``: of the real nodules among them, where they are drawn into
    others. Raises CatalogueError where nothing is left, or where a film is
    neither in the cache nor among its failures.
    """

    def __init__(self, cache: FilmCache, entries: Sequence[FilmEntry], *, config: SamplesConfig, seed: int) -> None:
        readable = drop_unreadable(cache, entries)
        known = tuple(entry for entry in readable if entry.annotations.state is not LabelState.UNKNOWN)
        if not known:
            raise CatalogueError(
                f"none of {len(entries)} films can be trained on: "
                f"{len(readable)} are readable, of which 0 are boxed or read and free of nodules"
            )
        if not any(weigh_film(entry, config.weights) for entry in known):
            raise CatalogueError(f"all {len(known)} films have the weight 0; at least one kind above 0 was expected")
        self.cache = cache
        self.entries = known
        self.config = config
        self.seed = seed
        self.num_unknown = len(readable) - len(known)
        self.num_unreadable = len(entries) - len(readable)
        self._labels = [
            find_consensus(entry.annotations, num_readers=len(entry.readers), config=config.consensus) for entry in known
        ]
        self._augmenter = GreyAugmenter(config.augment, headroom=cache.headroom)
        self.shapes = collect_shapes(cache, known) if config.simulation.real_shapes_share else ()

    def __len__(self) -> int:
        return self.config.films_per_epoch or len(self.entries)

    def order(self, epoch: int) -> list[SampleRef]:
        """The samples of an epoch, in order."""
        kinds = [_kind_of(entry) for entry in self.entries]
        weights = [weigh_film(entry, self.config.weights) for entry in self.entries]
        return draw_order(kinds, weights, seed=self.seed, epoch=epoch, num_samples=len(self))

    def draw(self, ref: SampleRef) -> TrainingSample:
        """The sample of ``ref``."""
        entry = self.entries[ref.film]
        film = self.cache.read(entry.key)
        seeds = np.random.SeedSequence([self.seed, ref.epoch, int(entry.key, 16), ref.occurrence, _SAMPLE_STREAM])
        for_nodules, for_placement, for_grey = seeds.spawn(3)
        simulated = self._simulate(film, entry, np.random.default_rng(for_nodules))
        label = self._labels[ref.film]
        boxes = film.record.letterbox.boxes_to_net(label.agreed.boxes)
        disputed = film.record.letterbox.boxes_to_net(label.disputed)
        pixels = film.pixels
        nodules: tuple[SimulatedNodule, ...] = ()
        if simulated is not None:
            pixels, nodules = simulated.pixels, simulated.nodules
            boxes = np.concatenate([boxes, simulated.boxes])
        placement = self._place(film, boxes, np.random.default_rng(for_placement))
        placed = placement.apply(pixels)
        applied = None
        if self.config.augmented:
            placed, applied = self._augmenter.apply(placed, seed=int(for_grey.generate_state(1)[0]))
        seen = self._are_visible(pixels, boxes)
        learnt, ignored = self._sort_boxes(placement, boxes[seen], np.concatenate([disputed, boxes[~seen]]))
        record = SampleRecord(nodules=nodules, placement=placement, grey=applied)
        return TrainingSample(key=entry.key, pixels=placed, boxes=learnt, ignore=ignored, record=record)

    def _simulate(self, film: CachedFilm, entry: FilmEntry, rng: np.random.Generator) -> SimulatedFilm | None:
        wanted = entry.annotations.state is LabelState.FREE and rng.random() < self.config.simulation_rate
        # Nodules go into films known to be free of them, and never where nobody knows the lungs to be.
        num_nodules = None if wanted else 0
        return simulate_in_film(film, rng=rng, config=self.config.simulation, num_nodules=num_nodules, shapes=self.shapes)

    def _place(self, film: CachedFilm, boxes: Boxes, rng: np.random.Generator) -> Placement:
        size, frame = film.record.net_size, self.config.frame_size
        if not self.config.augmented:
            return centre_placement(size, frame)
        return draw_placement(rng, config=self.config.placement, film_size=size, frame_size=frame, boxes=boxes)

    def _are_visible(
        self, pixels: Float32[NDArray[np.float32], "height width"], boxes: Boxes
    ) -> Bool[NDArray[np.bool_], " num"]:
        """Which nodules stand out from their surroundings enough to be learnt."""
        least = self.config.least_visible
        if least is None:
            return np.ones(len(boxes), dtype=np.bool_)
        contrasts = [contrast_to_noise(pixels, box) for box in boxes]
        return np.array([contrast is None or contrast >= least for contrast in contrasts], dtype=np.bool_)

    def _sort_boxes(
        self, placement: Placement, boxes: Boxes, doubtful: Float32[NDArray[np.float32], "doubtful 4"]
    ) -> tuple[Float32[NDArray[np.float32], "learnt 4"], Float32[NDArray[np.float32], "ignored 4"]]:
        learnt, ignored = placement.visible_boxes(boxes, smallest_part=self.config.smallest_part)
        sides = np.maximum(learnt[:, 2] - learnt[:, 0], learnt[:, 3] - learnt[:, 1])
        large = sides >= self.config.smallest_side_px
        left_alone = placement.visible_boxes(doubtful, smallest_part=self.config.smallest_part)
        return learnt[large], np.concatenate([ignored, learnt[~large], *left_alone])


def simulate_in_film(
    film: CachedFilm,
    *,
    rng: np.random.Generator,
    config: SimulationConfig,
    num_nodules: int | None,
    shapes: Sequence[NoduleShape] = (),
) -> SimulatedFilm | None:
    """Distractors and nodules in a prepared film (``num_nodules`` 0: distractors only); None where its lungs are unknown.

    Where the film has no spacing, sizes follow its lung fields; such a size is never stated in millimetres.
    """
    if film.record.lung_fraction < _LEAST_LUNG:
        return None
    mask: Bool[NDArray[np.bool_], "height width"] = film.lung_mask.view(np.bool_)
    millimetres = film.record.mm_per_net_pixel
    if millimetres is None:
        side_px = lung_side_px(mask)
        assert side_px is not None, "a film with lung has a lung box"
        millimetres = LUNG_SIDE_MM / side_px
    return simulate_array(
        film.pixels,
        lung_mask=mask,
        mm_per_pixel=millimetres,
        rng=rng,
        config=config,
        num_nodules=num_nodules,
        shapes=shapes,
    )


def drop_unreadable(cache: FilmCache, entries: Sequence[FilmEntry]) -> list[FilmEntry]:
    """The entries that the cache holds. Raises CatalogueError for one that it neither holds nor reports as a failure."""
    failed = {failure.key for failure in cache.failures}
    unknown = [entry.key for entry in entries if entry.key not in cache and entry.key not in failed]
    if unknown:
        raise CatalogueError(
            f"{len(unknown)} of {len(entries)} films are not in the cache at {cache.folder} "
            f"(the first is {unknown[0]}): build it again"
        )
    return [entry for entry in entries if entry.key in cache]


def without_augmentation(config: SamplesConfig) -> SamplesConfig:
    """The same samples unmoved and with their own grey values: for tests and for learning by heart."""
    return replace(config, augmented=False)


def weigh_film(entry: FilmEntry, weights: KindWeights) -> float:
    """How often a film comes, relative to others."""
    kind = _kind_of(entry)
    weight = {"boxed": weights.boxed, "PA": weights.free_pa, "AP": weights.free_ap}.get(kind, weights.free_other)
    shows_more = kind != "boxed" and not all(says_nothing_found(name) for name in entry.findings)
    return float(weight * weights.other_findings) if shows_more else float(weight)


def _kind_of(entry: FilmEntry) -> str:
    return "boxed" if entry.annotations.state is LabelState.BOXED else str(entry.view_position)
