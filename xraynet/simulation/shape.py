"""Shapes of real nodules, cut out of films and drawn into others (Litjens et al., SPIE 2010; NODE21's generation track).

What lies around a nodule is carried on smoothly through it, like a soap film over a wire; what stands above that is the
nodule's own shadow. Its edges and its inside are a real nodule's; size, contrast and place are drawn as for any other.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32
from numpy.typing import NDArray

Patch = Float32[NDArray[np.float32], "rows columns"]

_MARGIN: Final = 1.25
"""The nodule is looked for within its box grown by this: an outline cuts off the soft edge."""
_SOFT_PART: Final = 0.25
"""The outer part of the region in which the shape fades, so that no rim is left of a background that did not fit."""
_RELAXATIONS: Final = 200
_MOST_OFF_CENTRE: Final = 0.35


@dataclass(frozen=True, eq=False)
class NoduleShape:
    """A real nodule's shadow, 1 at its peak, on a square patch; its box has its longer side and its ``centre`` (x, y) there."""

    shadow: Patch
    side_px: float
    centre: tuple[float, float]

    def __post_init__(self) -> None:
        if self.shadow.shape[0] != self.shadow.shape[1] or not self.side_px > 0:
            raise ValueError(f"a square patch and a side above 0 were expected, not {self.shadow.shape} and {self.side_px}")


def cut_shape(
    pixels: Float32[NDArray[np.float32], "height width"], box: Float32[NDArray[np.float32], " 4"]
) -> NoduleShape | None:
    """The shape of the nodule in ``box`` (XYXY), or None where nothing stands out of the film in its middle."""
    x1, y1, x2, y2 = (float(side) for side in box)
    centre_x, centre_y = (x1 + x2) / 2, (y1 + y2) / 2
    half_x, half_y = _MARGIN * (x2 - x1) / 2 + 1, _MARGIN * (y2 - y1) / 2 + 1
    reach = int(np.ceil(1.5 * max(half_x, half_y))) + 2
    left, top, side = int(centre_x) - reach, int(centre_y) - reach, 2 * reach + 1
    if left < 0 or top < 0 or left + side > pixels.shape[1] or top + side > pixels.shape[0]:
        return None
    patch = pixels[top : top + side, left : left + side]
    x = ((np.arange(side) + 0.5 + left - centre_x) / half_x).astype(np.float32)[None]
    y = ((np.arange(side) + 0.5 + top - centre_y) / half_y).astype(np.float32)[:, None]
    radius = np.asarray(np.hypot(x, y), dtype=np.float32)
    above = np.maximum(patch - _carry_on(patch, inside=radius < 1), np.float32(0))
    shadow = above * np.clip((1 - radius) / np.float32(_SOFT_PART), 0, 1)
    peak = float(cv2.GaussianBlur(shadow, (0, 0), 1.0).max())
    if not peak > 1e-3 or _is_off_centre(shadow, half_px=min(half_x, half_y)):
        return None
    return NoduleShape(
        shadow=np.asarray(shadow / np.float32(peak), dtype=np.float32),
        side_px=max(x2 - x1, y2 - y1),
        centre=(centre_x - left, centre_y - top),
    )


def _carry_on(patch: Patch, *, inside: Bool[NDArray[np.bool_], "rows columns"]) -> Patch:
    """The patch with ``inside`` filled from its rim: each value the mean of its four neighbours (Laplace's equation)."""
    kernel = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=np.float32) / np.float32(4)
    filled: NDArray[np.float32] = patch.copy()
    filled[inside] = patch[~inside].mean()
    for _ in range(_RELAXATIONS):
        filled[inside] = cv2.filter2D(filled, -1, kernel, borderType=cv2.BORDER_REPLICATE)[inside]
    return filled


def _is_off_centre(shadow: Patch, *, half_px: float) -> bool:
    total = float(shadow.sum())
    if total <= 0:
        return True
    middle = (np.arange(len(shadow)) + 0.5 - len(shadow) / 2).astype(np.float32)
    x, y = float((shadow * middle[None]).sum()) / total, float((shadow * middle[:, None]).sum()) / total
    return float(np.hypot(x, y)) > _MOST_OFF_CENTRE * half_px


def warp_shape(
    shape: NoduleShape,
    *,
    centre: tuple[float, float],
    diameter_px: tuple[float, float],
    angle: float,
    mirrored: bool,
    top: int,
    left: int,
    size: tuple[int, int],
) -> Patch:
    """The shape over a patch of ``size`` whose first pixel is (``top``, ``left``): turned by ``angle`` about ``centre`` (x, y).

    ``diameter_px`` (rows, columns) is what its box's longer side comes to; unlike numbers mean pixels that are not square.
    """
    cosine, sine = np.cos(angle), np.sin(angle)
    # From the patch's pixels to the shape's: into units of the diameter, turned back, into the shape's own pixels.
    to_units = np.diag([1 / diameter_px[1], 1 / diameter_px[0]])
    turn = np.array([[cosine, sine], [-sine, cosine]]) @ to_units
    matrix = shape.side_px * (np.diag([-1.0, 1.0]) if mirrored else np.eye(2)) @ turn
    offset = np.array([left + 0.5 - centre[0], top + 0.5 - centre[1]])
    middle = np.array(shape.centre) - 0.5
    affine = np.hstack([matrix, (matrix @ offset + middle)[:, None]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(shape.shadow, affine, (size[1], size[0]), flags=flags, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(warped, dtype=np.float32)
