"""The shadow that a nodule casts, and how it comes into a film.

The shadow is the path of the beam through an irregular body, so contrast falls towards the edge. It is *added* to the
film: pixel values of a film are about logarithmic, attenuations add (Samei et al., Med Phys 1997; Litjens et al., SPIE
2010).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.simulation.grey import GreyRange
from xraynet.simulation.nodule import SimulatedNodule
from xraynet.simulation.shape import NoduleShape, warp_shape

Patch = Float32[NDArray[np.float32], "rows columns"]

_SEEN_FROM: Final = 0.3
"""The visible edge lies where the shadow has risen to this part of its peak."""


@dataclass(frozen=True, eq=False)
class NoduleShadow:
    """A nodule's shadow on a patch of the film, in units of its peak. ``top`` and ``left`` may lie outside the film.

    ``body`` leaves out the spicules, which readers do not box.
    """

    shadow: Patch
    body: Patch
    top: int
    left: int

    def box(self) -> Float32[NDArray[np.float32], " 4"]:
        """XYXY around the visible edge: where the body's shadow reaches 30 % of its peak, to a part of a pixel."""
        left, right = _edges(self.body.max(axis=0))
        top, bottom = _edges(self.body.max(axis=1))
        return np.array([left + self.left, top + self.top, right + self.left, bottom + self.top], dtype=np.float32)


def _edges(profile: NDArray[np.float32]) -> tuple[float, float]:
    seen = _SEEN_FROM * float(profile.max())
    above = np.flatnonzero(profile > seen)
    first, last = int(above[0]), int(above[-1])
    # Values stand at pixel centres; the edge lies where the line between two of them crosses the threshold.
    start, end = first + 0.5, last + 0.5
    if first > 0:
        start -= (float(profile[first]) - seen) / max(1e-9, float(profile[first] - profile[first - 1]))
    if last < len(profile) - 1:
        end += (float(profile[last]) - seen) / max(1e-9, float(profile[last] - profile[last + 1]))
    return start, end


def render_shadow(
    nodule: SimulatedNodule, *, spacing_mm: tuple[float, float], shapes: Sequence[NoduleShape] = ()
) -> NoduleShadow:
    """The shadow that ``nodule`` casts on pixels of ``spacing_mm`` (row, column): round in millimetres, not in pixels.

    ``shapes`` are the real ones that ``nodule.shape`` counts through.
    """
    if nodule.shape is not None:
        return _cast_shape(nodule, shapes[nodule.shape], spacing_mm=spacing_mm)
    row_mm, column_mm = spacing_mm
    radius = nodule.diameter_mm / 2
    reach = radius * nodule.stretch * (1.35 + nodule.warp + (0.7 if nodule.spicules else 0.0)) + 3 * nodule.blur_mm
    half_rows, half_columns = int(np.ceil(reach / row_mm)) + 2, int(np.ceil(reach / column_mm)) + 2
    top, left = int(np.floor(nodule.centre[1])) - half_rows, int(np.floor(nodule.centre[0])) - half_columns
    y = ((np.arange(top, top + 2 * half_rows + 1) + 0.5 - nodule.centre[1]) * row_mm / radius).astype(np.float32)[:, None]
    x = ((np.arange(left, left + 2 * half_columns + 1) + 0.5 - nodule.centre[0]) * column_mm / radius).astype(np.float32)[None]
    cosine, sine = np.float32(np.cos(nodule.angle)), np.float32(np.sin(nodule.angle))
    along, across = (x * cosine + y * sine) / np.float32(nodule.stretch), (y * cosine - x * sine) * np.float32(nodule.stretch)
    angle = np.arctan2(across, along)
    outline = np.ones_like(angle)
    for order, (size, phase) in enumerate(nodule.harmonics, start=2):
        outline += np.float32(size) * np.cos(np.float32(order) * angle + np.float32(phase))
    fields = np.random.default_rng(nodule.seed)
    distance = np.asarray(np.hypot(along, across) / np.maximum(outline, np.float32(0.4)), dtype=np.float32)
    if nodule.warp:
        distance *= 1 + np.float32(nodule.warp) * smooth_field(fields, distance.shape, cells=7)
    body = _chord(distance, nodule.edge_power)
    for lobe_x, lobe_y, size in nodule.lobes:
        lobe = np.asarray(np.hypot(along - np.float32(lobe_x), across - np.float32(lobe_y)) / np.float32(size), np.float32)
        body = np.maximum(body, np.float32(size) * _chord(lobe, nodule.edge_power))
    share, core_size = nodule.core
    if share:
        core = _chord(distance / np.float32(core_size), 0.5)
        body = (1 - np.float32(max(share, 0.0))) * body + np.float32(share) * core * (body if share < 0 else np.float32(1))
    if nodule.texture:
        body = body * (1 + np.float32(nodule.texture) * smooth_field(fields, body.shape, cells=9))
    shadow = body + _spicules(nodule, angle, distance) if nodule.spicules else body
    sigmas = {
        "sigmaX": float(np.hypot(nodule.blur_mm / column_mm, 0.4)),
        "sigmaY": float(np.hypot(nodule.blur_mm / row_mm, 0.4)),
    }
    body_seen = _blur(body, sigmas["sigmaX"], sigmas["sigmaY"])
    shadow_seen = _blur(shadow, sigmas["sigmaX"], sigmas["sigmaY"]) if nodule.spicules else body_seen
    return NoduleShadow(shadow=shadow_seen, body=body_seen, top=top, left=left)


def _cast_shape(nodule: SimulatedNodule, shape: NoduleShape, *, spacing_mm: tuple[float, float]) -> NoduleShadow:
    row_mm, column_mm = spacing_mm
    # As far as the patch that the shape was cut with, turned by half a right angle.
    reach = 0.75 * nodule.diameter_mm * len(shape.shadow) / shape.side_px + 3 * nodule.blur_mm
    half_rows, half_columns = int(np.ceil(reach / row_mm)) + 2, int(np.ceil(reach / column_mm)) + 2
    top, left = int(np.floor(nodule.centre[1])) - half_rows, int(np.floor(nodule.centre[0])) - half_columns
    warped = warp_shape(
        shape,
        centre=nodule.centre,
        diameter_px=(nodule.diameter_mm / row_mm, nodule.diameter_mm / column_mm),
        angle=2 * nodule.angle,
        mirrored=bool(nodule.seed % 2),
        top=top,
        left=left,
        size=(2 * half_rows + 1, 2 * half_columns + 1),
    )
    seen = _blur(warped, float(np.hypot(nodule.blur_mm / column_mm, 0.4)), float(np.hypot(nodule.blur_mm / row_mm, 0.4)))
    return NoduleShadow(shadow=seen, body=seen, top=top, left=left)


def _blur(patch: NDArray[np.float32], sigma_x: float, sigma_y: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(patch, (0, 0), sigmaX=sigma_x, sigmaY=sigma_y), dtype=np.float32)


def _chord(distance: NDArray[np.float32], power: float) -> NDArray[np.float32]:
    chord = np.maximum(np.float32(0), 1 - distance * distance) ** np.float32(power)
    return np.asarray(chord, dtype=np.float32)


def _spicules(nodule: SimulatedNodule, angle: NDArray[np.float32], distance: NDArray[np.float32]) -> NDArray[np.float32]:
    total = np.zeros_like(distance)
    width = np.float32(0.07)
    near = np.minimum(1, distance / np.float32(0.8))
    for direction, length, strength in nodule.spicules:
        aside = np.abs(np.mod(angle - np.float32(direction) + np.float32(np.pi), np.float32(2 * np.pi)) - np.float32(np.pi))
        beam = np.exp(-((aside * distance / width) ** 2)) * (aside < np.float32(1))
        total += np.float32(strength) * beam * near * np.exp(-np.maximum(0, distance - np.float32(0.9)) / np.float32(length))
    return total


def smooth_field(rng: np.random.Generator, shape: tuple[int, ...], *, cells: int) -> NDArray[np.float32]:
    """Smooth noise of about unit deviation over a patch: ``cells`` random values a side, joined by cubic interpolation."""
    coarse = rng.standard_normal((cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def apply_nodule(
    pixels: Float32[NDArray[np.float32], "height width"],
    nodule: SimulatedNodule,
    *,
    spacing_mm: tuple[float, float],
    grey: GreyRange,
) -> tuple[Float32[NDArray[np.float32], "height width"], Float32[NDArray[np.float32], " 4"]]:
    """A film with ``nodule`` added to it, and the box around the nodule's visible edge (XYXY, not clipped).

    ``grey`` is the film's own scale (``measure_grey_range``). Only pixels of the nodule's patch change; nothing is clipped.
    """
    drawn = pixels.copy()
    box = add_nodule(drawn, nodule, spacing_mm=spacing_mm, grey=grey)
    return drawn, box


def add_nodule(
    pixels: Float32[NDArray[np.float32], "height width"],
    nodule: SimulatedNodule,
    *,
    spacing_mm: tuple[float, float],
    grey: GreyRange,
    shapes: Sequence[NoduleShape] = (),
) -> Float32[NDArray[np.float32], " 4"]:
    """``apply_nodule`` in place: ``pixels`` change, the box is returned. ``shapes``: see ``render_shadow``."""
    cast = render_shadow(nodule, spacing_mm=spacing_mm, shapes=shapes)
    rows, columns = cast.shadow.shape
    y1, y2 = max(cast.top, 0), min(cast.top + rows, pixels.shape[0])
    x1, x2 = max(cast.left, 0), min(cast.left + columns, pixels.shape[1])
    if y1 < y2 and x1 < x2:
        shadow = cast.shadow[y1 - cast.top : y2 - cast.top, x1 - cast.left : x2 - cast.left]
        film = pixels[y1:y2, x1:x2]
        rise = np.float32(nodule.contrast * grey.width) * shadow * _penetration(film, nodule, spacing_mm, grey)
        if nodule.grain:
            rise = rise + _grain(film, nodule, shadow)
        film += rise
    return cast.box()


def _penetration(
    film: NDArray[np.float32], nodule: SimulatedNodule, spacing_mm: tuple[float, float], grey: GreyRange
) -> NDArray[np.float32]:
    """What is left of the contrast over denser parts, where scatter fills in and the film's curve is flat: 1 over lung."""
    if not nodule.overlap_loss:
        return np.ones((1, 1), dtype=np.float32)
    sigma_mm = max(2.0, 0.2 * nodule.diameter_mm)
    level = (_blur(film, sigma_mm / spacing_mm[1], sigma_mm / spacing_mm[0]) - np.float32(grey.lung)) / np.float32(grey.width)
    kept: NDArray[np.float32] = 1 - np.float32(nodule.overlap_loss) * np.clip(level, 0, np.float32(1.4))
    return np.maximum(kept, np.float32(0.1))


def _grain(film: NDArray[np.float32], nodule: SimulatedNodule, shadow: NDArray[np.float32]) -> NDArray[np.float32]:
    """Noise like the film's own: fewer photons behind the nodule leave more of it."""
    if min(film.shape) < 3:
        return np.zeros((1, 1), dtype=np.float32)
    fine = film - cv2.blur(film, (3, 3))
    deviation = np.float32(1.4826 * np.median(np.abs(fine)))
    noise = np.random.default_rng(nodule.seed + 1).standard_normal(film.shape, dtype=np.float32)
    grain: NDArray[np.float32] = np.float32(nodule.grain) * deviation * np.minimum(1, shadow) * noise
    return grain
