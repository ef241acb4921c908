"""A film's grey values packed into a page: at least 12 bits, so that window and level work offline.

A page opened from ``file://`` cannot read a neighbouring image's pixels, so they travel inside it: the differences
along each row, high bytes before low bytes, deflated, in base64. Level 0 is padding; levels from 1 on are film.
"""

import base64
import zlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8, UInt16
from numpy.typing import NDArray

from xraynet.radiograph import Radiograph
from xraynet.reporting.frame import DisplayFrame
from xraynet.reporting.window import StartingWindow, choose_window


@dataclass(frozen=True, eq=False)
class PackedFilm:
    """``levels``: uint16 (height, width), square pixels. The modality value of a level is ``intercept + slope * level``.

    ``inverted``: low modality values are shown bright. ``table``: the file's own VOI, a shade 0..255 for every level, or
    None where ``start`` says all of it.
    """

    levels: UInt16[NDArray[np.uint16], "height width"]
    num_levels: int
    slope: float
    intercept: float
    inverted: bool
    start: StartingWindow
    table: UInt8[NDArray[np.uint8], " levels"] | None

    def encode_levels(self) -> str:
        """The levels as base64 text."""
        differences = self.levels.copy()
        differences[:, 1:] -= self.levels[:, :-1]
        planes = np.concatenate([(differences >> 8).astype(np.uint8).ravel(), (differences & 0xFF).astype(np.uint8).ravel()])
        return base64.b64encode(zlib.compress(planes.tobytes(), 6)).decode("ascii")

    def encode_table(self) -> str:
        """The file's own VOI as base64 text, empty where there is none."""
        return "" if self.table is None else base64.b64encode(zlib.compress(self.table.tobytes(), 9)).decode("ascii")


def unpack_levels(text: str, *, size: tuple[int, int]) -> UInt16[NDArray[np.uint16], "height width"]:
    """The levels in ``text``, as the page unpacks them."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8).reshape(2, *size).astype(np.uint16)
    differences = (planes[0] << 8) | planes[1]
    levels: NDArray[np.uint16] = np.cumsum(differences, axis=1, dtype=np.uint16)
    return levels


def pack_film(radiograph: Radiograph, frame: DisplayFrame) -> PackedFilm:
    """The film in ``frame``, at 12 bits or as many as the file stores, up to 16, spread over the values that it uses."""
    film = ~radiograph.padding if radiograph.padding is not None else np.ones(radiograph.size, dtype=np.bool_)
    used = radiograph.pixels[film]
    low, high = (float(used.min()), float(used.max())) if used.size else (0.0, 1.0)
    if not high > low:
        high = low + 1.0
    num_levels = 1 << min(16, max(12, radiograph.grey.bits_stored))
    step = (high - low) / (num_levels - 2)
    shown = frame.show(radiograph.pixels)
    levels = np.clip(np.rint((shown - low) / step), 0, num_levels - 2).astype(np.uint16) + np.uint16(1)
    if radiograph.padding is not None:
        levels[frame.show(radiograph.padding.astype(np.float32)) > 0.5] = 0
    grey = radiograph.grey
    return PackedFilm(
        levels=levels,
        num_levels=num_levels,
        slope=step * grey.slope,
        intercept=(low - step) * grey.slope + grey.intercept,
        inverted=grey.is_inverted,
        start=choose_window(radiograph),
        table=_voi_table(radiograph, num_levels=num_levels, low=low, step=step),
    )


def _voi_table(radiograph: Radiograph, *, num_levels: int, low: float, step: float) -> NDArray[np.uint8] | None:
    grey = radiograph.grey
    if grey.voi is None:
        return None
    pixels = (low + (np.arange(num_levels) - 1) * step).astype(np.float32)
    shown = grey.voi.apply(pixels * np.float32(grey.slope) + np.float32(grey.intercept))
    table = np.rint((1 - shown if grey.is_inverted else shown) * 255).astype(np.uint8)
    table[0] = 0
    return table
