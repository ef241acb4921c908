"""The window with which a film is first shown: the file's own VOI, or, without one, nearly its whole range."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.radiograph import Radiograph, VoiLut, Window

WindowSource = Literal["file window", "file table", "film range"]


@dataclass(frozen=True)
class StartingWindow:
    """A window in modality units and where it came from. For a table it is the window nearest to it."""

    window: Window
    source: WindowSource


def choose_window(radiograph: Radiograph) -> StartingWindow:
    """The window to begin with: the VOI of the file, else from the 0.1th to the 99.9th percentile of the film."""
    voi = radiograph.grey.voi
    if isinstance(voi, Window):
        return StartingWindow(window=voi, source="file window")
    if isinstance(voi, VoiLut):
        return StartingWindow(window=_nearest_window(voi), source="file table")
    step = max(1, int((radiograph.pixels.size / 40_000) ** 0.5))
    sample = radiograph.modality_values()[::step, ::step]
    if radiograph.padding is not None:
        sample = sample[~radiograph.padding[::step, ::step]]
    low, high = (float(value) for value in np.percentile(sample, [0.1, 99.9])) if sample.size else (0.0, 1.0)
    width = max(high - low, abs(radiograph.grey.slope) * 1e-3)
    return StartingWindow(window=Window(centre=(low + high) / 2, width=width, function="LINEAR_EXACT"), source="film range")


def _nearest_window(voi: VoiLut) -> Window:
    low, high = float(voi.table.min()), float(voi.table.max())
    inside = np.flatnonzero((voi.table > low + 0.02 * (high - low)) & (voi.table < high - 0.02 * (high - low)))
    first, last = (int(inside[0]), int(inside[-1])) if inside.size else (0, voi.table.size - 1)
    return Window(centre=voi.first_value + (first + last) / 2, width=float(max(1, last - first)), function="LINEAR_EXACT")


def show_film(radiograph: Radiograph) -> Float32[NDArray[np.float32], "height width"]:
    """The film as it is first shown: [0, 1], bright = dense, padding black. With a VOI, ``radiograph.display()``."""
    if radiograph.grey.voi is not None:
        return radiograph.display()
    shown = choose_window(radiograph).window.apply(radiograph.modality_values())
    if radiograph.grey.is_inverted:
        shown = np.float32(1.0) - shown
    if radiograph.padding is not None:
        shown = np.where(radiograph.padding, np.float32(0.0), shown)
    return shown
