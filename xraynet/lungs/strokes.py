"""Strokes for synthetic pictures: soft-edged ellipses, rods, bones and clouds on a square float32 canvas."""

from functools import cache

import cv2
import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

Canvas = Float32[NDArray[np.float32], "side side"]


@cache
def pixel_grid(side: int) -> tuple[Canvas, Canvas]:
    """The y and the x of every pixel's centre; shared, never to be written to."""
    y, x = np.mgrid[:side, :side].astype(np.float32) + np.float32(0.5)
    return y, x


def _window(side: int, centre: tuple[float, float], reach: tuple[float, float]) -> tuple[slice, slice]:
    """The rows and columns within ``reach`` (x, y) of a centre, so that small strokes cost little."""
    (x, y), (wide, high) = centre, reach
    rows = slice(max(0, int(y - high)), max(0, min(side, int(y + high) + 2)))
    return rows, slice(max(0, int(x - wide)), max(0, min(side, int(x + wide) + 2)))


def draw_clouds(rng: np.random.Generator, side: int, scale_px: float) -> Canvas:
    """Smooth noise of zero mean and unit spread."""
    coarse = max(2, int(side / max(scale_px, 1)))
    noise = cv2.resize(rng.normal(0, 1, (coarse, coarse)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    clouds: Canvas = noise / np.float32(max(float(noise.std()), 1e-3))
    return clouds


def draw_empty(rng: np.random.Generator, side: int) -> Canvas:
    """A canvas of unexposed film, nearly black."""
    return np.full((side, side), rng.uniform(0, 0.1), dtype=np.float32)


def draw_blob(
    rng: np.random.Generator, side: int, centre: tuple[float, float], radii: tuple[float, float], *, rough: float
) -> Canvas:
    """A filled ellipse with a slightly uneven, soft edge; ``centre`` and ``radii`` are (x, y) in pixels."""
    blob = np.zeros((side, side), dtype=np.float32)
    stretch = 1.1 + 6 * rough
    window = _window(side, centre, (radii[0] * stretch + 2, radii[1] * stretch + 2))
    y, x = (grid[window] for grid in pixel_grid(side))
    dx, dy = (x - centre[0]) / np.float32(max(radii[0], 0.5)), (y - centre[1]) / np.float32(max(radii[1], 0.5))
    angle = np.arctan2(dy, dx)
    waves = sum(np.float32(rng.normal(0, rough)) * np.sin(k * angle + np.float32(rng.uniform(0, 6.3))) for k in range(2, 5))
    distance = (1 + waves - np.hypot(dx, dy)) * np.float32(min(radii))
    blob[window] = np.clip(distance * 0.7 + 0.5, 0, 1)
    return blob


def draw_rod(side: int, start: tuple[float, float], end: tuple[float, float], *, width: float, flare: float = 0.0) -> Canvas:
    """A rod of ``width`` (radius) between two points, its ends wider by ``flare``: a long bone."""
    y, x = pixel_grid(side)
    along = np.array(end) - np.array(start)
    length = max(float(np.hypot(*along)), 1e-3)
    t = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / length**2, 0, 1)
    distance = np.hypot(x - start[0] - t * along[0], y - start[1] - t * along[1])
    radius = width * (1 + flare * np.abs(2 * t - 1) ** 4)
    rod: Canvas = np.clip((radius - distance) * 0.8 + 0.5, 0, 1).astype(np.float32)
    return rod


def draw_limb_tissue(side: int, start: tuple[float, float], end: tuple[float, float], *, width: float) -> Canvas:
    """Soft tissue around a bone: as bright as the beam's way through a cylinder of radius ``width`` is long."""
    y, x = pixel_grid(side)
    along = np.array(end) - np.array(start)
    length = max(float(np.hypot(*along)), 1e-3)
    t = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / length**2, 0, 1)
    distance = np.hypot(x - start[0] - t * along[0], y - start[1] - t * along[1]) / width
    tissue: Canvas = np.sqrt(np.clip(1 - distance**2, 0, 1)).astype(np.float32)
    return tissue


def draw_bone(
    rng: np.random.Generator, side: int, start: tuple[float, float], end: tuple[float, float], width: float
) -> Canvas:
    """A long bone: bright cortex, darker marrow."""
    flare = float(rng.uniform(0.1, 1.0))
    shaft = draw_rod(side, start, end, width=width, flare=flare)
    marrow = draw_rod(side, start, end, width=width * 0.6, flare=flare)
    bone: Canvas = shaft - np.float32(rng.uniform(0.1, 0.5)) * marrow
    return bone
