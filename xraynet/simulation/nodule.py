"""One simulated nodule: everything that decides its shadow, and how that is drawn at random.

Contrast is stated in units of the film's own lung-to-mediastinum range. ``shadow`` makes the shadow, without chance.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

NoduleKind = Literal["solid", "part-solid", "ground-glass", "calcified", "cavity"]

_KINDS: Final[tuple[NoduleKind, ...]] = ("solid", "part-solid", "ground-glass", "calcified", "cavity")


@dataclass(frozen=True)
class NoduleConfig:
    """How simulated nodules vary. Diameters are log-normal, cut at both ends.

    ``soft_tissue_path_mm`` is how much soft tissue in place of lung makes the film's whole lung-to-mediastinum range: a
    solid nodule's peak contrast is its thickness over it, times a density drawn with a log-normal spread.
    """

    median_diameter_mm: float = 15.0
    diameter_log_spread: float = 0.5
    smallest_diameter_mm: float = 4.0
    largest_diameter_mm: float = 50.0
    soft_tissue_path_mm: float = 45.0
    density_log_spread: float = 0.3
    kind_weights: tuple[float, float, float, float, float] = (0.70, 0.08, 0.09, 0.09, 0.04)
    lobulated_share: float = 0.35
    spiculated_share: float = 0.2
    outline_irregularity: float = 0.10
    texture: float = 0.06
    smallest_blur_mm: float = 0.3
    largest_blur_mm: float = 1.3
    overlap_loss: float = 0.45

    def __post_init__(self) -> None:
        if not 0 < self.smallest_diameter_mm <= self.median_diameter_mm <= self.largest_diameter_mm:
            raise ValueError(
                f"diameters are {self.smallest_diameter_mm}, {self.median_diameter_mm}, {self.largest_diameter_mm} mm; "
                "0 < smallest <= median <= largest was expected"
            )
        if self.soft_tissue_path_mm <= 0 or min(self.kind_weights) < 0 or sum(self.kind_weights) <= 0:
            raise ValueError("soft_tissue_path_mm and the sum of kind_weights must be above 0, no weight below 0")
        if not 0 <= self.overlap_loss <= 1:
            raise ValueError(f"overlap_loss is {self.overlap_loss}; 0 to 1 was expected")


@dataclass(frozen=True)
class SimulatedNodule:
    """Everything that decides a nodule's shadow.

    ``centre``: (x, y) in pixels of the array it is drawn into. ``contrast``: rise at the peak over clear lung, in units
    of the film's grey range. ``stretch``: long over mean diameter, and mean over short, along ``angle`` (radians).
    ``harmonics``: (amplitude, phase) of the outline from order 2 on. ``lobes``: (x, y, diameter) of further bodies grown
    together with the first, in units of its radius. ``edge_power``: 0.5 is a ball; larger falls off more softly.
    ``core``: (share, size) of a denser middle; a negative share is a cavity. ``spicules``: (angle, length, strength).
    ``warp`` and ``texture``: how uneven outline and inside are. ``blur_mm``: unsharpness of the edge. ``overlap_loss``:
    how much contrast is lost where the film is as dense as its mediastinum. ``grain``: added noise, in units of the
    film's own. ``seed``: of the smooth fields that make outline and inside uneven.
    """

    centre: tuple[float, float]
    diameter_mm: float
    contrast: float
    kind: NoduleKind = "solid"
    stretch: float = 1.0
    angle: float = 0.0
    harmonics: tuple[tuple[float, float], ...] = ()
    lobes: tuple[tuple[float, float, float], ...] = ()
    edge_power: float = 0.6
    core: tuple[float, float] = (0.0, 0.5)
    spicules: tuple[tuple[float, float, float], ...] = ()
    warp: float = 0.0
    texture: float = 0.0
    blur_mm: float = 0.5
    overlap_loss: float = 0.0
    grain: float = 0.0
    seed: int = 0
    shape: int | None = None

    def __post_init__(self) -> None:
        if not (self.diameter_mm > 0 and self.stretch > 0 and self.edge_power > 0):
            raise ValueError(
                f"diameter {self.diameter_mm} mm, stretch {self.stretch} and edge power {self.edge_power} must be above 0"
            )
        if not np.isfinite([*self.centre, self.contrast]).all():
            raise ValueError(f"centre {self.centre} and contrast {self.contrast} must be finite")


def draw_diameter(rng: np.random.Generator, *, config: NoduleConfig) -> float:
    """A diameter in mm: log-normal around the median, drawn again until it lies between smallest and largest."""
    for _ in range(100):
        diameter = float(config.median_diameter_mm * np.exp(config.diameter_log_spread * rng.standard_normal()))
        if config.smallest_diameter_mm <= diameter <= config.largest_diameter_mm:
            return diameter
    return config.median_diameter_mm


def draw_nodule(
    rng: np.random.Generator,
    *,
    centre: tuple[float, float],
    config: NoduleConfig,
    diameter_mm: float | None = None,
) -> SimulatedNodule:
    """A nodule of random make at ``centre`` (x, y); its diameter is drawn too where none is asked for."""
    diameter = draw_diameter(rng, config=config) if diameter_mm is None else diameter_mm
    weights = np.asarray(config.kind_weights, dtype=np.float64)
    kind = _KINDS[int(rng.choice(len(_KINDS), p=weights / weights.sum()))]
    if kind == "cavity" and diameter < 15:
        kind = "solid"
    # A mass is seldom a ball: its depth grows more slowly than what the film shows of its width.
    thickness = diameter * rng.uniform(0.75, 1.1) * min(1.0, (18.0 / diameter) ** 0.4)
    density = float(np.exp(config.density_log_spread * rng.standard_normal()))
    density *= {"solid": 1.0, "part-solid": 0.75, "ground-glass": 0.6, "calcified": 1.7, "cavity": 0.9}[kind]
    orders = 2.0 + np.arange(5)
    amplitudes = config.outline_irregularity * rng.standard_normal(5) / np.maximum(orders - 1.0, 2.0) ** 0.8
    return SimulatedNodule(
        centre=centre,
        diameter_mm=diameter,
        contrast=float(density * thickness / config.soft_tissue_path_mm),
        kind=kind,
        stretch=float(np.exp(abs(0.07 * rng.standard_normal()))),
        angle=float(rng.uniform(0, np.pi)),
        harmonics=tuple((float(size), float(rng.uniform(0, 2 * np.pi))) for size in amplitudes),
        lobes=_draw_lobes(rng) if rng.random() < config.lobulated_share else (),
        edge_power=float(rng.uniform(0.9, 1.6) if kind == "ground-glass" else rng.uniform(0.5, 1.1)),
        core=_draw_core(rng, kind),
        spicules=_draw_spicules(rng) if rng.random() < config.spiculated_share and diameter > 8 else (),
        warp=float(rng.uniform(0.03, 0.13)),
        texture=float(config.texture * rng.uniform(0.3, 2.0) * (2.0 if kind == "ground-glass" else 1.0)),
        blur_mm=float(rng.uniform(config.smallest_blur_mm, config.largest_blur_mm)),
        overlap_loss=config.overlap_loss,
        grain=float(rng.uniform(0.0, 0.5)),
        seed=int(rng.integers(2**31)),
    )


def _draw_lobes(rng: np.random.Generator) -> tuple[tuple[float, float, float], ...]:
    lobes = []
    for _ in range(int(rng.integers(1, 4))):
        angle, away, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 0.75), rng.uniform(0.4, 0.7)
        lobes.append((float(away * np.cos(angle)), float(away * np.sin(angle)), float(size)))
    return tuple(lobes)


def _draw_core(rng: np.random.Generator, kind: NoduleKind) -> tuple[float, float]:
    if kind == "part-solid":
        return (float(rng.uniform(0.35, 0.6)), float(rng.uniform(0.3, 0.6)))
    if kind == "calcified":
        return (float(rng.uniform(0.2, 0.6)), float(rng.uniform(0.4, 0.9)))
    if kind == "cavity":
        return (-float(rng.uniform(0.3, 0.8)), float(rng.uniform(0.4, 0.7)))
    return (0.0, 0.5)


def _draw_spicules(rng: np.random.Generator) -> tuple[tuple[float, float, float], ...]:
    count = int(rng.integers(6, 17))
    angles = rng.uniform(0, 2 * np.pi, count)
    return tuple((float(angle), float(rng.uniform(0.1, 0.4)), float(rng.uniform(0.06, 0.25))) for angle in angles)
