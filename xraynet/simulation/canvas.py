"""The drawing sheet of the synthetic thorax: shapes and strokes in millimetres, on one fixed grid for all film sizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from xraynet.simulation.anatomy import Curve

FIELD_MM: Final = 400.0
"""The film's shorter side in adult millimetres: the body is scaled to fill it."""

_CANVAS_MM: Final = 0.5
"""Anatomy is drawn on pixels of this size (in adult millimetres), whatever the film's size: one seed, one body."""


@dataclass(frozen=True)
class Canvas:
    """A drawing of ``size`` pixels; ``scale`` pixels an adult millimetre down and across, the origin in its middle."""

    size: tuple[int, int]
    scale: float

    @classmethod
    def of_film(cls, film_mm: tuple[float, float]) -> "Canvas":
        """A sheet for a film of this height and width in mm."""
        adult = FIELD_MM / min(film_mm)
        height, width = (max(32, round(side * adult / _CANVAS_MM)) for side in film_mm)
        return cls(size=(height, width), scale=1.0 / _CANVAS_MM)

    def grid(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """x (1, width) and y (height, 1) of the pixels' centres in adult mm."""
        height, width = self.size
        x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / self.scale
        y = (np.arange(height, dtype=np.float32) + 0.5 - height / 2) / self.scale
        return x.astype(np.float32)[None], y.astype(np.float32)[:, None]

    def _points(self, curve: Curve) -> NDArray[np.int32]:
        middle = np.array([self.size[1] / 2, self.size[0] / 2])
        fixed: NDArray[np.int32] = np.rint((curve * self.scale + middle) * 16).astype(np.int32)
        return fixed

    def fill(self, outlines: Sequence[Curve], *, blur_mm: float) -> NDArray[np.float32]:
        """1 inside the outlines, 0 outside, with an edge of ``blur_mm``."""
        shape = np.zeros(self.size, np.uint8)
        for outline in outlines:
            cv2.fillPoly(shape, [self._points(outline)], 255, lineType=cv2.LINE_AA, shift=4)
        return self.blur(shape.astype(np.float32) / np.float32(255), blur_mm)

    def stroke(self, curves: Sequence[Curve], *, width_mm: float, blur_mm: float) -> NDArray[np.float32]:
        """1 along the curves, ``width_mm`` wide; where curves of one call cross, 1 as well."""
        shape = np.zeros(self.size, np.uint8)
        thickness = max(1, round(width_mm * self.scale))
        cv2.polylines(shape, [self._points(curve) for curve in curves], False, 255, thickness, cv2.LINE_AA, 4)
        return self.blur(shape.astype(np.float32) / np.float32(255), blur_mm)

    def blur(self, image: NDArray[np.float32], sigma_mm: float) -> NDArray[np.float32]:
        """Gaussian blur of ``sigma_mm``."""
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_mm * self.scale), dtype=np.float32)

    def field(self, rng: np.random.Generator, *, cell_mm: float) -> NDArray[np.float32]:
        """Smooth noise of about unit deviation, its grains ``cell_mm`` wide."""
        cells = (max(4, int(self.size[0] / self.scale / cell_mm)), max(4, int(self.size[1] / self.scale / cell_mm)))
        coarse = rng.standard_normal(cells).astype(np.float32)
        return np.asarray(cv2.resize(coarse, self.size[::-1], interpolation=cv2.INTER_CUBIC), dtype=np.float32)
