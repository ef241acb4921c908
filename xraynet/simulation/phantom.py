"""A synthetic thorax for tests, notebooks and pictures: no patient, no file, any size, one seed.

Attenuations of soft tissue, air and bone are summed along the beam, scatter is added, and the logarithm of what arrives
becomes the film.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from xraynet.findings import NoduleAnnotations
from xraynet.radiograph import GreyScale, PixelSpacing, Radiograph, ViewPosition
from xraynet.simulation.anatomy import (
    Body,
    Curve,
    clavicle_curves,
    lung_outlines,
    rib_curves,
    scapula_outlines,
    vessel_trees,
    whole_lung_outline,
)
from xraynet.simulation.canvas import FIELD_MM, Canvas
from xraynet.simulation.distractor import DistractorConfig
from xraynet.simulation.film import SimulationConfig, simulate_film
from xraynet.simulation.nodule import NoduleConfig, SimulatedNodule

PhantomVariant = Literal["standard", "portable", "white-right-lung", "white-left-lung"]

_LARGEST_GREY: Final = 4095


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic film, its lung fields, and the nodules drawn into it (none: state 'free')."""

    radiograph: Radiograph
    lung_mask: Bool[NDArray[np.bool_], "height width"]
    annotations: NoduleAnnotations


def draw_phantom(
    seed: int,
    *,
    size: tuple[int, int] = (1024, 1024),
    spacing_mm: tuple[float, float] | None = None,
    variant: PhantomVariant = "standard",
    mirrored: bool = False,
    nodules: Sequence[SimulatedNodule] = (),
    num_nodules: int = 0,
    diameter_mm: float | None = None,
) -> Phantom:
    """A synthetic chest film: the same seed gives the same body at every size.

    ``size`` is (height, width); ``spacing_mm`` (row, column) defaults to a film of 400 mm along its longer side; the body
    fills the film. ``nodules`` are drawn as they are; or ``num_nodules`` at random places in clear lung, of
    ``diameter_mm`` where given. The film without nodules is the same film. Pixels are float32 in [0, 1], bright = dense,
    in 4096 steps.
    """
    if min(size) < 32:
        raise ValueError(f"size is {size}; both sides need at least 32 pixels")
    if spacing_mm is None:
        spacing_mm = (FIELD_MM / max(size), FIELD_MM / max(size))
    rng = np.random.default_rng(seed)
    canvas = Canvas.of_film((size[0] * spacing_mm[0], size[1] * spacing_mm[1]))
    attenuation, lungs = _draw_body(canvas, rng, variant)
    resized = cv2.resize(attenuation, size[::-1], interpolation=_interpolation(canvas, size)).astype(np.float32)
    film = _expose(resized, rng, variant)
    mask = cv2.resize(lungs, size[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    if mirrored:
        film, mask = np.ascontiguousarray(film[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])
    radiograph = _to_radiograph(film, spacing_mm, variant=variant, mirrored=mirrored)
    if nodules or num_nodules:
        config = _nodule_config(diameter_mm)
        chosen = tuple(nodules) or None
        radiograph, annotations = simulate_film(
            radiograph,
            lung_mask=_inner_lung(mask, spacing_mm, diameter_mm or 24.0),
            rng=rng,
            config=config,
            num_nodules=num_nodules,
            nodules=chosen,
        )
        radiograph = _to_radiograph(radiograph.pixels, spacing_mm, variant=variant, mirrored=mirrored)
    else:
        annotations = NoduleAnnotations.of_boxes(np.zeros((0, 4), dtype=np.float32))
    return Phantom(radiograph=radiograph, lung_mask=mask, annotations=annotations)


def _inner_lung(mask: NDArray[np.bool_], spacing_mm: tuple[float, float], diameter_mm: float) -> NDArray[np.bool_]:
    rows, columns = (2 * round(0.6 * diameter_mm / side) + 1 for side in spacing_mm)
    inner = cv2.erode(mask.astype(np.uint8), np.ones((rows, columns), np.uint8)).astype(bool)
    return inner if inner.any() else mask


def _nodule_config(diameter_mm: float | None) -> SimulationConfig:
    sizes = NoduleConfig(
        median_diameter_mm=diameter_mm or 18.0,
        smallest_diameter_mm=diameter_mm or 12.0,
        largest_diameter_mm=diameter_mm or 30.0,
        diameter_log_spread=0.0 if diameter_mm else 0.3,
        density_log_spread=0.1,
        soft_tissue_path_mm=30.0,
        kind_weights=(1.0, 0.0, 0.0, 0.0, 0.0),
    )
    nothing = DistractorConfig(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return SimulationConfig(nodule=sizes, distractor=nothing, hidden_share=0.0, least_contrast=2.0)


def _to_radiograph(
    film: NDArray[np.float32], spacing_mm: tuple[float, float], *, variant: PhantomVariant, mirrored: bool
) -> Radiograph:
    steps = np.rint(np.clip(film, 0, 1) * _LARGEST_GREY)
    return Radiograph(
        pixels=(steps / _LARGEST_GREY).astype(np.float32),
        grey=GreyScale(slope=float(_LARGEST_GREY), bits_stored=12),
        spacing=PixelSpacing(row_mm=spacing_mm[0], column_mm=spacing_mm[1]),
        view_position=ViewPosition.AP if variant == "portable" else ViewPosition.PA,
        mirrored=mirrored,
        sha256=hashlib.sha256(steps.astype(np.uint16).tobytes()).hexdigest(),
        source_format="phantom",
    )


def _draw_body(
    canvas: Canvas, rng: np.random.Generator, variant: PhantomVariant
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The attenuation of the whole body (1 is about 100 mm of soft tissue), and the lung fields (0 to 1)."""
    body = Body.draw(rng, portable=variant == "portable")
    right, left = lung_outlines(body, rng)
    fields = canvas.fill([right, left], blur_mm=0.3)
    attenuation = _soft_tissue(canvas, body, rng)
    air = _lung_air(canvas, body, (right, left), rng, variant)
    attenuation -= air
    attenuation += _vessels(canvas, body, rng) * np.clip(air / np.float32(0.9), 0, 1)
    attenuation += _bones(canvas, body, rng)
    attenuation -= _airways(canvas)
    return np.maximum(attenuation, 0), fields


def _soft_tissue(canvas: Canvas, body: Body, rng: np.random.Generator) -> NDArray[np.float32]:
    x, y = canvas.grid()
    # Neck, shoulders, trunk: the half width of the body at each height.
    shoulder = 1 / (1 + np.exp(-(y + 158 * body.height) / 9))
    half = (54 + (165 + 6 * np.sin(y / 60)) * shoulder) * np.float32(body.width)
    depth = np.sqrt(np.clip(1 - (np.abs(x) / half) ** 3.0, 0, 1)) * (1.25 + 0.95 * shoulder)
    tissue = depth * (1 + 0.14 / (1 + np.exp(-(y - 105) / 25)))
    # The mediastinum is denser than fat and muscle around it, the flanks carry more of them.
    tissue = tissue + np.float32(0.25) * np.exp(-((x / 40) ** 2)) * shoulder
    for side in (-1, 1):
        away = np.hypot((x - side * 78 * body.width) / 62, (y - 62) / 58)
        tissue = tissue + np.float32(0.16 * body.breast) / (1 + np.exp((away - 1) * 14))
    tissue = tissue * (1 + np.float32(0.012) * canvas.field(rng, cell_mm=30))
    return canvas.blur(tissue.astype(np.float32), 1.0)


def _lung_air(
    canvas: Canvas, body: Body, outlines: tuple[Curve, Curve], rng: np.random.Generator, variant: PhantomVariant
) -> NDArray[np.float32]:
    """What the lungs take away: deep in their middle, nothing at the edge, a part of it behind heart and diaphragm."""
    air = np.zeros(canvas.size, np.float32)
    for side, outline in zip((-1, 1), outlines, strict=True):
        if variant == ("white-right-lung" if side < 0 else "white-left-lung"):
            continue
        front = _depth(canvas, canvas.fill([outline], blur_mm=0.3), rim_mm=30)
        back = _depth(canvas, canvas.fill([whole_lung_outline(body, side=side)], blur_mm=0.3), rim_mm=34)
        air += np.float32(1.05) * canvas.blur(front, 1.0) + np.float32(0.28) * canvas.blur(back, 4.0)
    texture = np.float32(0.012) * canvas.field(rng, cell_mm=2.5) + np.float32(0.015) * canvas.field(rng, cell_mm=6)
    return np.asarray(air * (1 + texture), dtype=np.float32)


def _depth(canvas: Canvas, shape: NDArray[np.float32], *, rim_mm: float) -> NDArray[np.float32]:
    inside = (shape > 0.5).astype(np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5) / canvas.scale
    along = np.clip(distance / np.float32(rim_mm), 0, 1).astype(np.float32)
    # The chest wall is round: the beam's path through the lung rises steeply behind its edge.
    depth: NDArray[np.float32] = np.sqrt(1 - (1 - along) ** 2).astype(np.float32) * np.float32(0.8) + np.float32(0.2) * inside
    return depth


def _vessels(canvas: Canvas, body: Body, rng: np.random.Generator) -> NDArray[np.float32]:
    trees = vessel_trees(body, rng)
    total = np.zeros(canvas.size, np.float32)
    for lower, upper in ((0.0, 1.0), (1.0, 1.6), (1.6, 2.4), (2.4, 3.4), (3.4, 4.6), (4.6, 9.0)):
        chosen = [vessel for vessel in trees if lower < vessel.width_mm <= upper]
        if chosen:
            width = float(np.mean([vessel.width_mm for vessel in chosen]))
            drawn = canvas.stroke([vessel.curve for vessel in chosen], width_mm=width, blur_mm=0.35 + 0.22 * width)
            # Where a stem becomes its branches the two strokes overlap: the thicker counts, not their sum.
            total = np.maximum(total, drawn * np.float32(0.055 * width**0.8))
    x, y = canvas.grid()
    hila = sum(
        np.exp(-(((x - side * 36) / 13) ** 2 + ((y - (4 if side < 0 else -8)) / 26) ** 2)) for side in (-1, 1)
    ) * np.float32(0.12)
    return total + np.asarray(hila, dtype=np.float32)


def _bones(canvas: Canvas, body: Body, rng: np.random.Generator) -> NDArray[np.float32]:
    posterior, anterior = rib_curves(body, rng)
    # Rib heads lie before the spine and anterior ends run out into cartilage: neither ends in a bright round knob.
    aside = np.abs(canvas.grid()[0])
    bones = _tubes(canvas, posterior, width_mm=10.0, marrow=0.13, cortex=0.13) * np.clip((aside - 16) / 14, 0, 1)
    bones += _tubes(canvas, anterior, width_mm=12.0, marrow=0.085, cortex=0.06) * np.clip((aside - 46) / 38, 0, 1)
    bones += _tubes(canvas, clavicle_curves(body, rng), width_mm=12.0, marrow=0.20, cortex=0.16)
    scapulae = scapula_outlines(body, rng)
    closed = [np.concatenate([outline, outline[:1]]) for outline in scapulae]
    bones += np.float32(0.07) * canvas.fill(scapulae, blur_mm=1.0)
    bones += np.float32(0.09) * canvas.stroke(closed, width_mm=3.0, blur_mm=0.9)
    return bones + _spine(canvas)


def _tubes(canvas: Canvas, curves: Sequence[Curve], *, width_mm: float, marrow: float, cortex: float) -> NDArray[np.float32]:
    """Hollow bones: a band with two denser edges."""
    whole = canvas.stroke(curves, width_mm=width_mm, blur_mm=0.7)
    inner = canvas.stroke(curves, width_mm=width_mm - 2.4, blur_mm=0.9)
    tubes = np.float32(marrow) * whole + np.float32(cortex) * np.maximum(whole - inner, 0)
    return np.asarray(tubes, dtype=np.float32)


def _spine(canvas: Canvas) -> NDArray[np.float32]:
    x, y = canvas.grid()
    column = 1 / (1 + np.exp(np.clip((np.abs(x) - 17 - 0.015 * y) / 1.5, -60, 60)))
    phase = np.mod(y + 200, 24.5) / 24.5
    discs = 1 - 0.4 * np.exp(-(((phase - 0.5) / 0.10) ** 2))
    pedicles = np.exp(-(((np.abs(x) - 11) / 2.6) ** 2)) * np.exp(-(((phase - 0.9) / 0.13) ** 2))
    spinous = np.exp(-((x / 2.4) ** 2)) * np.exp(-(((phase - 0.2) / 0.2) ** 2))
    spine: NDArray[np.float32] = (0.24 * column * discs + 0.10 * pedicles + 0.10 * spinous).astype(np.float32)
    return spine


def _airways(canvas: Canvas) -> NDArray[np.float32]:
    trachea = np.array([(1.0, -230.0), (0.0, -120.0), (3.0, -52.0)])
    right, left = (
        np.array([(3.0, -52.0), (-14.0, -32.0), (-28.0, -14.0)]),
        np.array([(3.0, -52.0), (20.0, -36.0), (38.0, -24.0)]),
    )
    wide = canvas.stroke([trachea], width_mm=15.0, blur_mm=1.6) * np.float32(0.26)
    bronchi = canvas.stroke([right, left], width_mm=10.0, blur_mm=1.8) * np.float32(0.16)
    return np.asarray(np.maximum(wide, bronchi), dtype=np.float32)


def _interpolation(canvas: Canvas, size: tuple[int, int]) -> int:
    return cv2.INTER_AREA if size[0] < canvas.size[0] and size[1] < canvas.size[1] else cv2.INTER_LINEAR


def _expose(attenuation: NDArray[np.float32], rng: np.random.Generator, variant: PhantomVariant) -> NDArray[np.float32]:
    """From attenuation to grey values: beam, scatter, noise, logarithm, and a black collimated border."""
    height, width = attenuation.shape
    arrived = np.exp(-np.float32(1.4) * attenuation)
    small = cv2.resize(arrived, (64, 64), interpolation=cv2.INTER_AREA)
    scatter = cv2.resize(cv2.GaussianBlur(small, (0, 0), 6.0), (width, height), interpolation=cv2.INTER_LINEAR)
    grid_share = np.float32(0.45 if variant == "portable" else 0.2)
    beam = arrived * (1 - grid_share) + scatter * grid_share
    noise = rng.standard_normal((height, width), dtype=np.float32)
    dose = np.float32(0.0045 if variant == "portable" else 0.003)
    film = -np.log(np.maximum(beam, np.float32(1e-4))) + dose * noise / np.sqrt(np.maximum(beam, np.float32(1e-3)))
    low, high = np.percentile(film[:: max(1, height // 256), :: max(1, width // 256)], [0.5, 99.5])
    film = np.float32(0.06) + np.float32(0.86) * (film - np.float32(low)) / np.float32(max(high - low, 1e-6))
    border = int(rng.integers(0, max(2, min(height, width) // 60)))
    if border:
        for edge in (film[:border], film[-border:], film[:, :border], film[:, -border:]):
            edge[...] = 0.0
    return np.asarray(film, dtype=np.float32)
