"""Nodules and distractors drawn into a whole film: a stored Radiograph, or an array as the network sees it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32
from numpy.typing import NDArray

from xraynet.findings import LabelState, NoduleAnnotations
from xraynet.geometry import Boxes, clip_boxes, diameters_mm, empty_boxes
from xraynet.radiograph import Radiograph
from xraynet.simulation.distractor import DistractorConfig, draw_distractors
from xraynet.simulation.grey import GreyRange, lung_side_px, measure_grey_range
from xraynet.simulation.nodule import NoduleConfig, SimulatedNodule, draw_diameter, draw_nodule
from xraynet.simulation.place import PlaceMap, choose_place, map_places
from xraynet.simulation.scene import DistractorScene
from xraynet.simulation.shadow import add_nodule
from xraynet.simulation.shape import NoduleShape

SIMULATOR_VERSION: Final = 1
"""Raised by every change after which a seed draws another film: figures on simulated nodules name it."""

_STRONGEST_BOOSTED: Final = 0.55

LUNG_SIDE_MM: Final = 272.0
"""The geometric mean side of the box around an adult's lung fields: the scale where a film has no spacing."""


@dataclass(frozen=True)
class SimulationConfig:
    """What is drawn into a film. ``num_nodules_weights``: the chances of 1, 2, 3, ... nodules in a film that gets any.

    ``hidden_share`` of the nodules lie behind heart and diaphragm. A nodule that is drawn fainter than
    ``least_contrast`` times the deviation of its surroundings is made that strong, up to ``most_boost`` times.
    ``real_shapes_share``: the part of the nodules that take a real nodule's shape, where shapes are given.
    """

    nodule: NoduleConfig = field(default_factory=NoduleConfig)
    distractor: DistractorConfig = field(default_factory=DistractorConfig)
    num_nodules_weights: tuple[float, ...] = (0.70, 0.18, 0.08, 0.04)
    hidden_share: float = 0.2
    least_contrast: float = 1.5
    most_boost: float = 2.5
    real_shapes_share: float = 0.0

    def __post_init__(self) -> None:
        if not self.num_nodules_weights or min(self.num_nodules_weights) < 0 or sum(self.num_nodules_weights) <= 0:
            raise ValueError("num_nodules_weights needs at least one weight above 0 and none below")
        if not 0 <= self.hidden_share <= 1:
            raise ValueError(f"hidden_share is {self.hidden_share}; 0 to 1 was expected")
        if not 0 <= self.real_shapes_share <= 1:
            raise ValueError(f"real_shapes_share is {self.real_shapes_share}; 0 to 1 was expected")


@dataclass(frozen=True, eq=False)
class SimulatedFilm:
    """A film with what was drawn into it: boxes around the nodules' visible edges and around the distractors."""

    pixels: Float32[NDArray[np.float32], "height width"]
    boxes: Boxes
    nodules: tuple[SimulatedNodule, ...]
    distractor_boxes: Float32[NDArray[np.float32], "distractors 4"]


def simulate_array(
    pixels: Float32[NDArray[np.float32], "height width"],
    *,
    lung_mask: Bool[NDArray[np.bool_], "height width"],
    mm_per_pixel: float | tuple[float, float],
    rng: np.random.Generator,
    config: SimulationConfig,
    num_nodules: int | None = None,
    shapes: Sequence[NoduleShape] = (),
) -> SimulatedFilm:
    """New pixels with distractors and nodules added; ``pixels`` (any scale, bright = dense) are left alone.

    ``mm_per_pixel``: one number for square pixels, or (row, column). ``num_nodules``: how many are wanted (0: only
    distractors); None draws at least one. Fewer are drawn where there is no lung or no room. Nothing is clipped.
    ``shapes``: real ones, of which ``config.real_shapes_share`` of the nodules take one.
    """
    spacing = (mm_per_pixel, mm_per_pixel) if isinstance(mm_per_pixel, int | float) else mm_per_pixel
    grey = measure_grey_range(pixels, lung_mask)
    drawn = pixels.copy()
    distractors = draw_distractors(
        drawn, rng, scene=DistractorScene.of(lung_mask, spacing_mm=spacing, grey=grey), config=config.distractor
    )
    wanted = draw_num_nodules(rng, config=config) if num_nodules is None else num_nodules
    nodules, boxes = _add_nodules(
        drawn, rng, map_places(lung_mask), spacing=spacing, grey=grey, config=config, wanted=wanted, shapes=shapes
    )
    away = np.array([item.box for item in distractors], dtype=np.float32).reshape(-1, 4)
    return SimulatedFilm(pixels=drawn, boxes=boxes, nodules=nodules, distractor_boxes=clip_boxes(away, size=pixels.shape))


def draw_num_nodules(rng: np.random.Generator, *, config: SimulationConfig) -> int:
    """How many nodules a film gets that gets any."""
    weights = np.asarray(config.num_nodules_weights, dtype=np.float64)
    return 1 + int(rng.choice(len(weights), p=weights / weights.sum()))


def _add_nodules(
    drawn: NDArray[np.float32],
    rng: np.random.Generator,
    places: PlaceMap,
    *,
    spacing: tuple[float, float],
    grey: GreyRange,
    config: SimulationConfig,
    wanted: int,
    shapes: Sequence[NoduleShape],
) -> tuple[tuple[SimulatedNodule, ...], Boxes]:
    nodules: list[SimulatedNodule] = []
    boxes: list[NDArray[np.float32]] = []
    for _ in range(wanted):
        diameter = draw_diameter(rng, config=config.nodule)
        taken = [(float(x1), float(y1), float(x2), float(y2)) for x1, y1, x2, y2 in boxes]
        radius = (0.7 * diameter / spacing[0], 0.7 * diameter / spacing[1])
        centre = choose_place(rng, places, hidden_share=config.hidden_share, radius_px=radius, taken=taken)
        if centre is None or drawn[int(centre[1]), int(centre[0])] < grey.lung - grey.width:
            continue  # no room, or on the collimated border, where there is no patient
        nodule = draw_nodule(rng, centre=centre, config=config.nodule, diameter_mm=diameter)
        if shapes and config.real_shapes_share and rng.random() < config.real_shapes_share:
            nodule = replace(nodule, shape=int(rng.integers(len(shapes))))
        nodule = _make_visible(nodule, drawn, spacing=spacing, grey=grey, config=config)
        box = add_nodule(drawn, nodule, spacing_mm=spacing, grey=grey, shapes=shapes)
        nodules.append(nodule)
        boxes.append(clip_boxes(box[None], size=(drawn.shape[0], drawn.shape[1]))[0])
    return tuple(nodules), np.stack(boxes).astype(np.float32) if boxes else empty_boxes()


def _make_visible(
    nodule: SimulatedNodule,
    film: NDArray[np.float32],
    *,
    spacing: tuple[float, float],
    grey: GreyRange,
    config: SimulationConfig,
) -> SimulatedNodule:
    """Readers mark what they can see: a nodule that its surroundings would drown is made stronger, within reason."""
    x, y = nodule.centre
    half_y, half_x = 0.75 * nodule.diameter_mm / spacing[0], 0.75 * nodule.diameter_mm / spacing[1]
    patch = film[max(0, int(y - half_y)) : int(y + half_y) + 1, max(0, int(x - half_x)) : int(x + half_x) + 1]
    # The mean of a ball's shadow is two thirds of its peak.
    seen = 0.6 * nodule.contrast * grey.width
    least = config.least_contrast * _deviation_about_plane(patch)
    if seen >= least or seen <= 0:
        return nodule
    # No soft tissue of a nodule's size is as dense as the whole mediastinum.
    strongest = max(nodule.contrast, _STRONGEST_BOOSTED)
    return replace(nodule, contrast=min(nodule.contrast * min(config.most_boost, least / seen), strongest))


def _deviation_about_plane(patch: NDArray[np.float32]) -> float:
    """How uneven a patch is about its own slope (from its quartiles: one bright rim does not count as unevenness)."""
    if min(patch.shape) < 3:
        return float(patch.std())
    rows = np.linspace(-1, 1, patch.shape[0], dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, patch.shape[1], dtype=np.float32)[None]
    flat = patch - patch.mean()
    flat = flat - rows * (flat * rows).mean() / (rows**2).mean() - columns * (flat * columns).mean() / (columns**2).mean()
    low, high = np.percentile(flat, [25.0, 75.0])
    return float(high - low) / 1.349


def simulate_film(
    radiograph: Radiograph,
    *,
    lung_mask: Bool[NDArray[np.bool_], "height width"],
    rng: np.random.Generator,
    config: SimulationConfig = SimulationConfig(),
    num_nodules: int | None = None,
    nodules: Sequence[SimulatedNodule] | None = None,
) -> tuple[Radiograph, NoduleAnnotations]:
    """A stored film with nodules drawn into it, and their annotations; ``nodules`` are drawn as they are where given.

    Without a spacing, sizes follow the lung fields, and no diameter in millimetres is stated. Pixels stay within [0, 1].
    """
    drawn, film = simulate_stored(
        radiograph, lung_mask=lung_mask, rng=rng, config=config, num_nodules=num_nodules, nodules=nodules
    )
    spacing = radiograph.spacing.row_column_mm if radiograph.spacing is not None else None
    return drawn, annotate_nodules(film.boxes, spacing_mm=spacing)


def simulate_stored(
    radiograph: Radiograph,
    *,
    lung_mask: Bool[NDArray[np.bool_], "height width"],
    rng: np.random.Generator,
    config: SimulationConfig,
    num_nodules: int | None = None,
    nodules: Sequence[SimulatedNodule] | None = None,
) -> tuple[Radiograph, SimulatedFilm]:
    """``simulate_film`` with all that was drawn: parameters and boxes of nodules and distractors."""
    if radiograph.spacing is not None:
        spacing = radiograph.spacing.row_column_mm
    else:
        side = lung_side_px(lung_mask)
        unit = LUNG_SIDE_MM / side if side else 350.0 / max(radiograph.size)
        spacing = (unit, unit)
    if nodules is None:
        film = simulate_array(
            radiograph.pixels, lung_mask=lung_mask, mm_per_pixel=spacing, rng=rng, config=config, num_nodules=num_nodules
        )
    else:
        film = draw_given_nodules(radiograph.pixels, nodules, lung_mask=lung_mask, spacing_mm=spacing)
    return radiograph.with_pixels(np.clip(film.pixels, 0, 1)), film


def draw_given_nodules(
    pixels: Float32[NDArray[np.float32], "height width"],
    nodules: Sequence[SimulatedNodule],
    *,
    lung_mask: Bool[NDArray[np.bool_], "height width"],
    spacing_mm: tuple[float, float],
) -> SimulatedFilm:
    """New pixels with exactly these nodules added, at the film's own grey scale."""
    grey = measure_grey_range(pixels, lung_mask)
    drawn = pixels.copy()
    boxes = [add_nodule(drawn, nodule, spacing_mm=spacing_mm, grey=grey) for nodule in nodules]
    stacked = clip_boxes(np.stack(boxes).astype(np.float32), size=pixels.shape) if boxes else empty_boxes()
    return SimulatedFilm(pixels=drawn, boxes=stacked, nodules=tuple(nodules), distractor_boxes=empty_boxes())


def annotate_nodules(boxes: Boxes, *, spacing_mm: tuple[float, float] | None) -> NoduleAnnotations:
    """Annotations of simulated nodules, with diameters in mm where the spacing is known."""
    num = len(boxes)
    sizes: tuple[float | None, ...] = (None,) * num
    if spacing_mm is not None:
        sizes = tuple(float(size) for size in diameters_mm(boxes, spacing_mm=spacing_mm))
    return NoduleAnnotations(
        boxes=boxes,
        class_names=("nodule",) * num,
        readers=("simulated",) * num,
        diameter_mm=sizes,
        subtlety=(None,) * num,
        state=LabelState.BOXED if num else LabelState.FREE,
    )
