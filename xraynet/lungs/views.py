"""Training views of a film: drawn as parameters, then applied, so that what happened to a film can be logged and replayed.

A view imitates what other departments' films look like: another crop, tilt, grey curve, sharpness and noise, collimated or
framed borders, letters and lines on the film, and lungs that disease has made white.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.lungs.config import ViewConfig
from xraynet.preparation import GreyConfig, prepare_thumbnail
from xraynet.radiograph import Radiograph

Thumbnail = Float32[NDArray[np.float32], "side side"]


@dataclass(frozen=True, eq=False)
class TrainingFilm:
    """A film held in memory for training: isotropic, its long side a few hundred pixels, grey values as prepared.

    ``lung_mask`` is the share of lung in each pixel, 0..1, or None where nobody outlined the lungs.
    """

    pixels: Float32[NDArray[np.float32], "height width"]
    lung_mask: Float32[NDArray[np.float32], "height width"] | None = None

    def __post_init__(self) -> None:
        if self.lung_mask is not None and self.lung_mask.shape != self.pixels.shape:
            raise ValueError(f"the lung mask is {self.lung_mask.shape}; the film is {self.pixels.shape}")


def make_training_film(
    radiograph: Radiograph,
    *,
    side_px: int,
    grey: GreyConfig,
    lung_mask: Float32[NDArray[np.float32], "height width"] | None = None,
) -> TrainingFilm:
    """A film, with the lungs outlined on it (stored frame, 0..1) if they were, brought to a long side of ``side_px``."""
    prepared = prepare_thumbnail(radiograph, side_px=side_px, grey=grey)
    (top, left), (height, width) = prepared.letterbox.offset, prepared.letterbox.resized_size
    within = (slice(top, top + height), slice(left, left + width))
    small_mask = None if lung_mask is None else prepared.letterbox.pixels_to_net(lung_mask)[within]
    return TrainingFilm(pixels=prepared.pixels[within], lung_mask=small_mask)


@dataclass(frozen=True)
class FilmView:
    """How one film is shown once. Lengths are parts of a side; ``quarter_turns`` are clockwise; ``seed`` feeds noise and
    clutter."""

    seed: int
    angle_degrees: float = 0.0
    stretch: float = 1.0
    cut: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    outside: float | None = 0.0
    white: tuple[tuple[int, float, float], ...] = ()
    gamma: float = 1.0
    curve: tuple[float, ...] = ()
    shading: tuple[float, float] = (0.0, 0.0)
    sharpening: float = 0.0
    blur_px: float = 0.0
    noise: float = 0.0
    borders: tuple[tuple[int, float, float], ...] = ()
    num_overlays: int = 0
    inverted: bool = False
    mirrored: bool = False
    quarter_turns: int = 0


def draw_view(rng: np.random.Generator, config: ViewConfig) -> FilmView:
    """A random view, head up and of right polarity; ``dataclasses.replace`` turns, inverts or mirrors it."""
    cut = [float(rng.uniform(-config.margin, 0) if rng.random() < 0.3 else rng.uniform(0, config.crop)) for _ in range(4)]
    white: tuple[tuple[int, float, float], ...] = ()
    if rng.random() < config.white_lung_rate:
        lungs = (0, 1) if rng.random() < 0.4 else (int(rng.integers(2)),)
        white = tuple((lung, float(rng.uniform(0, 1)), float(rng.uniform(0.4, 1.0))) for lung in lungs)
    borders: tuple[tuple[int, float, float], ...] = ()
    if rng.random() < config.border_rate:
        value = float(rng.choice([0.0, 0.0, 1.0, 1.2]))
        edges = rng.choice(4, size=int(rng.integers(1, 5)), replace=False)
        borders = tuple((int(edge), float(rng.uniform(0.01, 0.09)), value) for edge in edges)
    curve: tuple[float, ...] = ()
    if rng.random() < config.curve_rate:
        steps = rng.uniform(0.3, 1.7, size=5)
        curve = tuple(float(value) for value in np.concatenate([[0.0], np.cumsum(steps) / steps.sum()]))
    return FilmView(
        seed=int(rng.integers(2**31)),
        angle_degrees=float(rng.uniform(-config.rotation_degrees, config.rotation_degrees)) if rng.random() < 0.7 else 0.0,
        stretch=float(np.exp(rng.uniform(-config.stretch, config.stretch))),
        cut=(cut[0], cut[1], cut[2], cut[3]),
        outside=None if rng.random() < 0.3 else float(rng.choice([0.0, 0.0, 1.0, rng.uniform(0, 1)])),
        white=white,
        gamma=float(np.exp(rng.uniform(-config.gamma, config.gamma))),
        curve=curve,
        shading=(float(rng.uniform(-config.shading, config.shading)), float(rng.uniform(-config.shading, config.shading))),
        sharpening=float(rng.uniform(0, config.sharpening)) if rng.random() < 0.3 else 0.0,
        blur_px=float(rng.uniform(0, config.blur_px)) if rng.random() < 0.4 else 0.0,
        noise=float(rng.uniform(0, config.noise)) if rng.random() < 0.5 else 0.0,
        borders=borders,
        num_overlays=int(rng.integers(1, 6)) if rng.random() < config.overlay_rate else 0,
    )


def apply_view(film: TrainingFilm, view: FilmView, *, side_px: int) -> tuple[Thumbnail, Thumbnail]:
    """The view of a film as the networks would see it, and the lung mask under it (all 0 where the film has none)."""
    rng = np.random.default_rng(view.seed)
    matrix, (top, left, bottom, right) = _place(film.pixels.shape, view, side_px=side_px)
    within = (slice(top, bottom), slice(left, right))
    size = (side_px, side_px)
    border = cv2.BORDER_REPLICATE if view.outside is None else cv2.BORDER_CONSTANT
    warped = cv2.warpAffine(
        film.pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border, borderValue=view.outside or 0.0
    )
    mask = np.zeros(size, dtype=np.float32)
    if film.lung_mask is not None:
        mask[within] = cv2.warpAffine(film.lung_mask, matrix, size, flags=cv2.INTER_LINEAR)[within]
    shown = _apply_grey_view(warped.astype(np.float32)[within], mask[within], view, rng)
    shown = add_clutter(shown, rng, borders=view.borders, num_overlays=view.num_overlays)
    thumbnail = np.zeros(size, dtype=np.float32)
    thumbnail[within] = normalise_grey(1 - shown if view.inverted else shown)
    if view.mirrored:
        thumbnail, mask = thumbnail[:, ::-1], mask[:, ::-1]
    return (
        np.ascontiguousarray(np.rot90(thumbnail, -view.quarter_turns)),
        np.ascontiguousarray(np.rot90(mask, -view.quarter_turns)),
    )


def normalise_grey(shown: Float32[NDArray[np.float32], "height width"]) -> Float32[NDArray[np.float32], "height width"]:
    """Grey values between the 1st and the 99th percentile to 0..1, as preparation does with a film."""
    low, high = np.percentile(shown, [1, 99])
    normalised: NDArray[np.float32] = np.clip((shown - low) / max(float(high - low), 1e-6), -0.25, 1.25).astype(np.float32)
    return normalised


def _place(size: tuple[int, ...], view: FilmView, *, side_px: int) -> tuple[NDArray[np.float64], tuple[int, int, int, int]]:
    """The affine way from film to view, and the rectangle (top, left, bottom, right) that the view's film fills."""
    height, width = size
    left, top, right, bottom = view.cut
    shown_width, shown_height = width * (1 - left - right) * view.stretch, height * (1 - top - bottom)
    scale = side_px / max(shown_width, shown_height)
    centre_x, centre_y = width * (1 + left - right) / 2, height * (1 + top - bottom) / 2
    cosine, sine = np.cos(np.deg2rad(view.angle_degrees)) * scale, np.sin(np.deg2rad(view.angle_degrees)) * scale
    turn = np.array([[cosine * view.stretch, sine], [-sine * view.stretch, cosine]])
    rows, columns = max(8, round(shown_height * scale)), max(8, round(shown_width * scale))
    y, x = (side_px - rows) // 2, (side_px - columns) // 2
    # OpenCV counts from the first pixel's centre, the film from its corner: half a pixel on either side.
    target = np.array([x + columns / 2 - 0.5, y + rows / 2 - 0.5])
    shift = target - turn @ np.array([centre_x - 0.5, centre_y - 0.5])
    return np.concatenate([turn, shift[:, None]], axis=1), (y, x, y + rows, x + columns)


def _apply_grey_view(
    shown: NDArray[np.float32], mask: NDArray[np.float32], view: FilmView, rng: np.random.Generator
) -> NDArray[np.float32]:
    for lung, down_to, opacity in view.white:
        shown = _whiten_lung(shown, mask, lung=lung, down_to=down_to, opacity=opacity, rng=rng)
    shown = np.clip(shown, 0, 1) ** np.float32(view.gamma)
    if view.curve:
        shown = np.interp(shown, np.linspace(0, 1, len(view.curve)), view.curve).astype(np.float32)
    height, width = shown.shape
    down, across = view.shading
    shown = shown + (down * np.linspace(-1, 1, height, dtype=np.float32))[:, None]
    shown = shown + (across * np.linspace(-1, 1, width, dtype=np.float32))[None, :]
    if view.sharpening:
        shown = shown + np.float32(view.sharpening) * (shown - cv2.GaussianBlur(shown, (0, 0), 6))
    if view.blur_px > 0.2:
        shown = cv2.GaussianBlur(shown, (0, 0), view.blur_px).astype(np.float32)
    if view.noise:
        shown = shown + rng.normal(0, view.noise, shown.shape).astype(np.float32)
    return shown.astype(np.float32)


def _whiten_lung(
    shown: NDArray[np.float32],
    mask: NDArray[np.float32],
    *,
    lung: int,
    down_to: float,
    opacity: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """One lung opaque from its base up (effusion) or whole (``down_to`` below 0.3): as bright as the mediastinum."""
    columns = np.flatnonzero((mask > 0.5).any(axis=0))
    rows = np.flatnonzero((mask > 0.5).any(axis=1))
    if not len(columns) or not len(rows):
        return shown
    region = mask.copy()
    middle = round(float(columns[0] + columns[-1]) / 2)
    if lung == 0:
        region[:, middle:] = 0
    else:
        region[:, :middle] = 0
    if down_to > 0.3:
        region[: int(rows[0] + (rows[-1] - rows[0]) * down_to)] = 0
    region = cv2.GaussianBlur(region, (0, 0), float(rng.uniform(1.0, 5.0))) * np.float32(opacity)
    clouds = cv2.GaussianBlur(rng.normal(0, 1, shown.shape).astype(np.float32), (0, 0), 5) * np.float32(0.3)
    tissue = float(np.percentile(shown, rng.uniform(60, 92))) + clouds
    whitened: NDArray[np.float32] = (shown * (1 - region) + tissue * region).astype(np.float32)
    return whitened


def add_clutter(
    shown: Float32[NDArray[np.float32], "height width"],
    rng: np.random.Generator,
    *,
    borders: tuple[tuple[int, float, float], ...],
    num_overlays: int,
) -> Float32[NDArray[np.float32], "height width"]:
    """Film with frames along its edges (edge 0 top, 1 bottom, 2 left, 3 right; depth as a part; value) and markers on it."""
    shown = np.ascontiguousarray(shown)
    height, width = shown.shape
    for _ in range(num_overlays):
        value = float(rng.uniform(0.8, 1.3))
        x, y = int(rng.integers(width)), int(rng.integers(height))
        match int(rng.integers(4)):
            case 0:
                letters = str(rng.choice(["L", "R", "AP", "PORTABLE", "ERECT", "12:40"]))
                # OpenCV writes letters on 8 bits only.
                ink = np.zeros(shown.shape, dtype=np.uint8)
                cv2.putText(ink, letters, (x, y), cv2.FONT_HERSHEY_SIMPLEX, float(rng.uniform(0.2, 0.5)), 255)
                shown = np.where(ink > 127, np.float32(value), shown)
            case 1:
                ends = rng.integers(0, [width, height], size=(3, 2)).astype(np.int32)
                cv2.polylines(shown, [ends], isClosed=False, color=value, thickness=1)
            case 2:
                cv2.circle(shown, (x, y), int(rng.integers(1, 4)), value, -1)
            case _:
                box = (x + int(rng.integers(3, 14)), y + int(rng.integers(2, 10)))
                cv2.rectangle(shown, (x, y), box, float(rng.choice([0.0, value])), -1)
    for edge, depth, value in borders:
        rows, columns = max(1, round(height * depth)), max(1, round(width * depth))
        part = [(slice(rows), slice(None)), (slice(height - rows, None), slice(None))]
        part += [(slice(None), slice(columns)), (slice(None), slice(width - columns, None))]
        shown[part[edge]] = value
    return shown
