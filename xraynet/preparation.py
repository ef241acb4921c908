"""From a Radiograph to the array a network sees: the one road, for training and for inference.

Pixels become isotropic wherever row and column spacing differ, the film comes to a known scale, and grey values are
normalised robustly, so that a collimated border or a marker does not move them.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32
from numpy.typing import NDArray

from xraynet.geometry import Boxes, Letterbox
from xraynet.radiograph import Radiograph

ScaleSource = Literal["spacing", "lungs", "film"]


@dataclass(frozen=True)
class GreyConfig:
    """Which percentiles of the film become 0 and 1, and how far beyond them values are kept."""

    low_percentile: float = 1.0
    high_percentile: float = 99.0
    headroom: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.low_percentile < self.high_percentile <= 100:
            raise ValueError(
                f"percentiles are {self.low_percentile} and {self.high_percentile}; 0 <= low < high <= 100 was expected"
            )


@dataclass(frozen=True)
class PreparationConfig:
    """How films come to the detector.

    Where the spacing is known, ``mm_per_pixel`` sets the scale. Where it is not, the lung fields' size does (their
    bounding box comes to a geometric mean side of ``lung_side_px``), and where no lungs were found the film's long side
    becomes ``film_long_side_px``. A frame side never exceeds ``largest_side_px``.
    """

    mm_per_pixel: float = 0.8
    lung_side_px: float = 320.0
    film_long_side_px: int = 512
    largest_side_px: int = 1024
    multiple: int = 32
    grey: GreyConfig = GreyConfig()

    def __post_init__(self) -> None:
        if not 0.05 <= self.mm_per_pixel <= 10:
            raise ValueError(f"mm_per_pixel is {self.mm_per_pixel}; a value between 0.05 and 10 was expected")
        if min(self.film_long_side_px, self.largest_side_px) < self.multiple:
            raise ValueError(f"frame sides must be at least {self.multiple} pixels")


@dataclass(frozen=True, eq=False)
class PreparedFilm:
    """``pixels``: float32 (net_height, net_width), 0..1 between the percentiles, and where they came from."""

    pixels: Float32[NDArray[np.float32], "net_height net_width"]
    letterbox: Letterbox
    scale_source: ScaleSource


def measure_grey(
    pixels: Float32[NDArray[np.float32], "height width"],
    *,
    padding: Bool[NDArray[np.bool_], "height width"] | None,
    config: GreyConfig,
) -> tuple[float, float]:
    """The robust (low, high) values of a film, its padding left out: measured on about 40,000 pixels.

    A film of one single value gives (value, value + 1), so that it normalises to 0.
    """
    step = max(1, int((pixels.size / 40_000) ** 0.5))
    sample = pixels[::step, ::step]
    if padding is not None:
        sample = sample[~padding[::step, ::step]]
    if sample.size == 0:
        return (0.0, 1.0)
    low, high = np.percentile(sample, [config.low_percentile, config.high_percentile])
    if not high > low:
        return (float(low), float(low) + 1.0)
    return (float(low), float(high))


def choose_scales(
    radiograph: Radiograph, config: PreparationConfig, *, lung_box: Boxes | None = None
) -> tuple[float, float, ScaleSource]:
    """Network pixels per stored pixel, (along rows' axis y, along x), and where that scale came from.

    ``lung_box``: (1, 4) around both lung fields in stored pixels, or None or (0, 4) where none were found.
    """
    height, width = radiograph.size
    spacing = radiograph.spacing
    row_ratio, column_ratio = (spacing.row_mm, spacing.column_mm) if spacing is not None else (1.0, 1.0)
    source: ScaleSource
    if spacing is not None:
        per_unit, source = 1.0 / config.mm_per_pixel, "spacing"
    elif lung_box is not None and len(lung_box):
        x1, y1, x2, y2 = (float(side) for side in lung_box[0])
        per_unit, source = config.lung_side_px / max(1.0, ((x2 - x1) * (y2 - y1)) ** 0.5), "lungs"
    else:
        per_unit, source = config.film_long_side_px / max(height, width), "film"
    longest = max(height * row_ratio, width * column_ratio) * per_unit
    shrink = min(1.0, config.largest_side_px / longest)
    return per_unit * row_ratio * shrink, per_unit * column_ratio * shrink, source


def prepare_film(radiograph: Radiograph, config: PreparationConfig, *, lung_box: Boxes | None = None) -> PreparedFilm:
    """The film as the detector sees it: isotropic pixels at a known scale, robust grey values, sides of whole strides.

    ``lung_box`` is only used where the film has no spacing: see ``choose_scales``.
    """
    scale_y, scale_x, source = choose_scales(radiograph, config, lung_box=lung_box)
    letterbox = Letterbox.around(stored_size=radiograph.size, scale_y=scale_y, scale_x=scale_x, multiple=config.multiple)
    return PreparedFilm(pixels=_apply_grey(radiograph, config.grey, letterbox), letterbox=letterbox, scale_source=source)


def prepare_thumbnail(radiograph: Radiograph, *, side_px: int, grey: GreyConfig) -> PreparedFilm:
    """The whole film in a square of ``side_px``, isotropic, centred: what the lung-field segmenter and the gate see."""
    height, width = radiograph.size
    row_ratio, column_ratio = radiograph.spacing.row_column_mm if radiograph.spacing is not None else (1.0, 1.0)
    per_unit = side_px / max(height * row_ratio, width * column_ratio)
    tight = Letterbox.of(
        stored_size=radiograph.size, scale_y=per_unit * row_ratio, scale_x=per_unit * column_ratio, net_size=(side_px, side_px)
    )
    rows, columns = tight.resized_size
    letterbox = Letterbox(
        stored_size=radiograph.size,
        resized_size=tight.resized_size,
        net_size=(side_px, side_px),
        offset=((side_px - rows) // 2, (side_px - columns) // 2),
    )
    return PreparedFilm(pixels=_apply_grey(radiograph, grey, letterbox), letterbox=letterbox, scale_source="film")


def _apply_grey(radiograph: Radiograph, grey: GreyConfig, letterbox: Letterbox) -> NDArray[np.float32]:
    low, high = measure_grey(radiograph.pixels, padding=radiograph.padding, config=grey)
    net = letterbox.pixels_to_net(radiograph.pixels, fill=low)
    normalised: NDArray[np.float32] = np.clip((net - low) / (high - low), -grey.headroom, 1 + grey.headroom).astype(np.float32)
    return normalised
