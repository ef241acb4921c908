"""How bright a film's lungs and its mediastinum are: the scale in which a nodule's contrast is stated and measured."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32
from numpy.typing import NDArray

from xraynet.geometry import Boxes

_SAMPLES = 20_000


@dataclass(frozen=True)
class GreyRange:
    """The film's own grey scale: the value of its aerated lung and of the dense structures around it."""

    lung: float
    dense: float

    def __post_init__(self) -> None:
        if not self.dense > self.lung:
            raise ValueError(f"dense is {self.dense} and lung {self.lung}; dense must be above lung (bright = dense)")

    @property
    def width(self) -> float:
        """Grey values between lung and mediastinum."""
        return self.dense - self.lung


def measure_grey_range(
    pixels: Float32[NDArray[np.float32], "height width"], lung_mask: Bool[NDArray[np.bool_], "height width"]
) -> GreyRange:
    """The film's lung-to-mediastinum grey range, measured on about 20,000 pixels.

    Lung is the 25th percentile inside ``lung_mask`` (lung between the ribs); dense is the 65th of what lies inside the
    mask's bounding box but not in the mask (mediastinum, heart, diaphragm). Where the mask is empty, or a white lung
    turns the two round, percentiles of the whole film stand in. The range is never narrower than a quarter of the
    film's 5th to 95th percentile.
    """
    step = max(1, int((pixels.size / _SAMPLES) ** 0.5))
    sample, mask = pixels[::step, ::step], lung_mask[::step, ::step]
    low, dark, bright, high = (float(value) for value in np.percentile(sample, [5.0, 25.0, 80.0, 95.0]))
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) > 1 and len(columns) > 1:
        inside = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        lung, around = sample[mask], sample[inside][~mask[inside]]
        if around.size:
            dark, bright = float(np.percentile(lung, 25)), float(np.percentile(around, 65))
    least = max(0.25 * (high - low), 1e-3)
    return GreyRange(lung=dark, dense=max(bright, dark + least))


def contrast_to_noise(
    pixels: Float32[NDArray[np.float32], "height width"], box: Float32[NDArray[np.float32], " 4"]
) -> float | None:
    """How far a nodule stands out: mean inside minus mean of the ring around it, over the ring's standard deviation.

    Inside is the ellipse that fills ``box``; the ring reaches from 1 to 1.5 of its diameters. None where the ring holds
    fewer than 8 pixels of film, or is perfectly flat.
    """
    x1, y1, x2, y2 = (float(side) for side in box)
    centre_x, centre_y, half_x, half_y = (x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2, (y2 - y1) / 2
    height, width = pixels.shape
    top, bottom = max(0, int(centre_y - 1.5 * half_y)), min(height, int(np.ceil(centre_y + 1.5 * half_y)))
    left, right = max(0, int(centre_x - 1.5 * half_x)), min(width, int(np.ceil(centre_x + 1.5 * half_x)))
    if top >= bottom or left >= right or min(half_x, half_y) <= 0:
        return None
    y = (np.arange(top, bottom) + 0.5 - centre_y) / half_y
    x = (np.arange(left, right) + 0.5 - centre_x) / half_x
    radius = np.hypot(y[:, None], x[None, :])
    patch = pixels[top:bottom, left:right]
    inside, ring = patch[radius <= 1.0], patch[(radius > 1.0) & (radius <= 1.5)]
    if inside.size == 0 or ring.size < 8:
        return None
    noise = float(ring.std(dtype=np.float64))
    if noise <= 1e-9:
        return None
    return float((inside.mean(dtype=np.float64) - ring.mean(dtype=np.float64)) / noise)


def lung_side_px(lung_mask: Bool[NDArray[np.bool_], "height width"]) -> float | None:
    """The geometric mean side, in pixels, of the box around both lung fields; None where there is no lung."""
    rows, columns = np.flatnonzero(lung_mask.any(axis=1)), np.flatnonzero(lung_mask.any(axis=0))
    if not len(rows):
        return None
    return float(((rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)) ** 0.5)


def inside_share(boxes: Boxes, region: Bool[NDArray[np.bool_], "height width"]) -> Float32[NDArray[np.float32], " num"]:
    """Which share of each box's pixels lies in ``region``; 0 for a box without a pixel."""
    shares = np.zeros(len(boxes), dtype=np.float32)
    for index, (x1, y1, x2, y2) in enumerate(boxes):
        patch = region[max(0, int(y1)) : int(np.ceil(y2)), max(0, int(x1)) : int(np.ceil(x2))]
        shares[index] = patch.mean() if patch.size else 0.0
    return shares
