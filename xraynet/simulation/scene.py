"""What shadows that are not nodules are drawn with: a film's lung box and grey scale, strokes, discs and canvases."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32
from numpy.typing import NDArray

from xraynet.simulation.grey import GreyRange

Film = Float32[NDArray[np.float32], "height width"]
Box = tuple[float, float, float, float]
FINE: Final = 3
"""cv2 draws whole pixels: strokes are drawn at this many times the film's resolution and averaged."""


@dataclass(frozen=True)
class DistractorScene:
    """What a distractor needs to know of a film: lung box (x1, y1, x2, y2), spacing (row, column) in mm, grey scale."""

    lung_box: tuple[float, float, float, float]
    spacing_mm: tuple[float, float]
    grey: GreyRange

    @classmethod
    def of(
        cls, lung_mask: Bool[NDArray[np.bool_], "height width"], *, spacing_mm: tuple[float, float], grey: GreyRange
    ) -> "DistractorScene":
        """The scene of a film with these lung fields; the whole film stands in where there are none."""
        rows, columns = np.flatnonzero(lung_mask.any(axis=1)), np.flatnonzero(lung_mask.any(axis=0))
        if not len(rows):
            return cls((0.0, 0.0, float(lung_mask.shape[1]), float(lung_mask.shape[0])), spacing_mm, grey)
        box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        return cls(box, spacing_mm, grey)

    def point(self, along_x: float, along_y: float) -> tuple[float, float]:
        """The film pixel (x, y) at this part of the lung box's width and height."""
        x1, y1, x2, y2 = self.lung_box
        return (x1 + along_x * (x2 - x1), y1 + along_y * (y2 - y1))


def stroke(
    film: Film,
    points: NDArray[np.float64],
    *,
    width_mm: float,
    rise: float,
    scene: DistractorScene,
    blur_px: float = 0.6,
) -> Box:
    """Add a line of even width through ``points`` (num, 2) of (x, y)."""
    width_px = max(0.5, width_mm / float(np.sqrt(scene.spacing_mm[0] * scene.spacing_mm[1])))
    margin = width_px + 3
    x1, y1 = np.floor(points.min(axis=0) - margin)
    x2, y2 = np.ceil(points.max(axis=0) + margin)
    left, top, right, bottom = max(0, int(x1)), max(0, int(y1)), min(film.shape[1], int(x2)), min(film.shape[0], int(y2))
    box = (float(x1 + 3), float(y1 + 3), float(x2 - 3), float(y2 - 3))
    if left >= right or top >= bottom:
        return box
    canvas = np.zeros(((bottom - top) * FINE, (right - left) * FINE), np.uint8)
    fine = np.round((points - [left, top]) * FINE * 8).astype(np.int32).reshape(1, -1, 2)
    cv2.polylines(canvas, list(fine), isClosed=False, color=255, thickness=max(1, round(width_px * FINE)), shift=3)
    add_canvas(film, canvas, (left, top), rise=rise, blur_px=blur_px)
    return box


def add_canvas(film: Film, canvas: NDArray[np.uint8], corner: tuple[int, int], *, rise: float, blur_px: float) -> None:
    """Add a drawing made at ``FINE`` times the film's resolution, its upper left corner at ``corner`` (x, y)."""
    left, top = corner
    size = (canvas.shape[1] // FINE, canvas.shape[0] // FINE)
    shadow = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA).reshape(size[::-1]).astype(np.float32) / np.float32(255)
    shadow = np.asarray(cv2.GaussianBlur(shadow, (0, 0), blur_px), dtype=np.float32).reshape(size[::-1])
    film[top : top + size[1], left : left + size[0]] += np.float32(rise) * shadow


def bend(start: tuple[float, float], end: tuple[float, float], rng: np.random.Generator, *, sway: float) -> NDArray[np.float64]:
    """Points of a smooth bent line from ``start`` to ``end``; ``sway`` is its bend over its length."""
    first, last = np.asarray(start), np.asarray(end)
    aside = np.array([-(last - first)[1], (last - first)[0]]) * sway
    inner_1 = first + (last - first) * 0.33 + aside * rng.normal()
    inner_2 = first + (last - first) * 0.67 + aside * rng.normal()
    t = np.linspace(0, 1, 48)[:, None]
    curve: NDArray[np.float64] = (
        (1 - t) ** 3 * first + 3 * (1 - t) ** 2 * t * inner_1 + 3 * (1 - t) * t**2 * inner_2 + t**3 * last
    )
    return curve


def add_disc(
    film: Film, centre: tuple[float, float], *, diameter_mm: float, rise: float, scene: DistractorScene, softness: float = 0.05
) -> Box:
    """Add an even disc whose edge is ``softness`` of its radius wide (0.05 is sharp, as only artificial things are)."""
    half_y, half_x = (diameter_mm / 2 / side for side in scene.spacing_mm)
    x, y = centre
    box = (x - half_x, y - half_y, x + half_x, y + half_y)
    left, top = max(0, int(box[0] - 2)), max(0, int(box[1] - 2))
    right, bottom = min(film.shape[1], int(box[2]) + 4), min(film.shape[0], int(box[3]) + 4)
    if left < right and top < bottom:
        rows = ((np.arange(top, bottom) + 0.5 - y) / half_y).astype(np.float32)[:, None]
        columns = ((np.arange(left, right) + 0.5 - x) / half_x).astype(np.float32)[None]
        edge = np.float32(max(softness, 0.8 / max(half_x, half_y)))
        film[top:bottom, left:right] += np.float32(rise) * np.clip((1 - np.hypot(rows, columns)) / edge + 0.5, 0, 1)
    return box
