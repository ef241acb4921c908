"""Changes of grey value: each is drawn as a few numbers and then applied without chance. Pixels are float32 in 0..1."""

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

Pixels = Float32[NDArray[np.float32], "height width"]

_TABLE_LEVELS: Final = 4096
_CURVE_KNOTS: Final = 257
_EXPOSURE_KNOTS: Final = 3


@dataclass(frozen=True)
class ToneCurve:
    """A rising curve over the film's grey range: gamma, an S, small waves, and where black and white come to lie."""

    gamma: float
    contrast: float
    waves: tuple[float, float, float]
    black: float
    white: float

    def values(self, levels: NDArray[np.float64]) -> NDArray[np.float64]:
        """The curve at ``levels``; beyond 0 and 1 it goes on straight."""
        inside = np.clip(levels, 0, 1)
        curve = inside**self.gamma
        curve = curve - self.contrast * np.sin(2 * np.pi * curve) / (2 * np.pi)
        curve = curve + sum(wave / k * np.sin(k * np.pi * curve) for k, wave in zip((1, 3, 4), self.waves, strict=True))
        beyond: NDArray[np.float64] = self.black + (self.white - self.black) * (curve + (levels - inside))
        return beyond

    def apply(self, pixels: Pixels, *, headroom: float) -> Pixels:
        """The film under the curve. 0..1 of the pixels is -headroom..1 + headroom of the film's grey range."""
        span = 1 + 2 * headroom
        knots = np.linspace(0, 1, _CURVE_KNOTS)
        curved = (self.values(knots * span - headroom) + headroom) / span
        table = np.interp(np.linspace(0, 1, _TABLE_LEVELS), knots, curved).clip(0, 1).astype(np.float32)
        changed: NDArray[np.float32] = table.take((pixels * np.float32(_TABLE_LEVELS - 1) + np.float32(0.5)).astype(np.uint16))
        return changed


def draw_tone_curve(rng: np.random.Generator, *, gamma: float, contrast: float, wiggle: float, level: float) -> ToneCurve:
    """A tone curve at random: gamma between its inverse and itself, the others up to their value either way."""
    first, second, third = (float(wave) for wave in rng.uniform(-wiggle, wiggle, size=3))
    return ToneCurve(
        gamma=math.exp(rng.uniform(-1, 1) * math.log(gamma)),
        contrast=float(rng.uniform(-contrast, contrast)),
        waves=(first, second, third),
        black=float(rng.uniform(-level, level)),
        white=float(1 + rng.uniform(-level, level)),
    )


def _clip_unit(pixels: NDArray[np.float32]) -> Pixels:
    clipped: NDArray[np.float32] = np.clip(pixels, np.float32(0), np.float32(1))
    return clipped


@dataclass(frozen=True)
class ExposureField:
    """An uneven exposure: a smooth field over the film, added (grey values are about logarithmic in exposure)."""

    knots: tuple[float, ...]

    def apply(self, pixels: Pixels) -> Pixels:
        """The film under the field."""
        grid = np.array(self.knots, dtype=np.float32).reshape(_EXPOSURE_KNOTS, _EXPOSURE_KNOTS)
        field = cv2.resize(grid, pixels.shape[::-1], interpolation=cv2.INTER_CUBIC)
        return _clip_unit(pixels + field)


def draw_exposure_field(rng: np.random.Generator, *, amount: float) -> ExposureField:
    """A field at random, up to ``amount`` either way."""
    return ExposureField(knots=tuple(float(knot) for knot in rng.uniform(-amount, amount, size=_EXPOSURE_KNOTS**2).round(4)))


@dataclass(frozen=True)
class DetailChange:
    """What a CR or DX system's processing does: fine detail raised, the large shades flattened.

    ``fine`` is added of the detail below ``fine_px``; of the detail below ``coarse_px`` (the lung's vessels and
    nodules) ``coarse`` is added; the shades above that are flattened by ``flatten``.
    """

    fine: float
    fine_px: float
    coarse: float
    coarse_px: float
    flatten: float

    def apply(self, pixels: Pixels) -> Pixels:
        """The film so processed."""
        shades = _blur_widely(pixels, sigma_px=self.coarse_px)
        smooth = cv2.GaussianBlur(pixels, (0, 0), self.fine_px)
        middle = np.float32(shades.mean())
        processed = middle + np.float32(1 - self.flatten) * (shades - middle) + np.float32(1 + self.coarse) * (pixels - shades)
        processed += np.float32(self.fine) * (pixels - smooth)
        return _clip_unit(processed)


def _blur_widely(pixels: Pixels, *, sigma_px: float) -> Pixels:
    height, width = pixels.shape
    small = cv2.resize(pixels, (max(1, width // 8), max(1, height // 8)), interpolation=cv2.INTER_AREA)
    blurred: NDArray[np.float32] = cv2.resize(
        cv2.GaussianBlur(small, (0, 0), max(0.3, sigma_px / 8)), (width, height), interpolation=cv2.INTER_LINEAR
    ).astype(np.float32, copy=False)
    return blurred


def draw_detail_change(rng: np.random.Generator, *, sharpening: float, local_contrast: float) -> DetailChange:
    """A processing at random: now fine detail, now local contrast, now both; sometimes a little less than the film had."""
    return DetailChange(
        fine=float(rng.uniform(-0.2, sharpening) * (rng.random() < 0.6)),
        fine_px=float(rng.uniform(0.8, 2.5)),
        coarse=float(rng.uniform(-0.3, 1.0) * local_contrast * (rng.random() < 0.6)),
        coarse_px=float(rng.uniform(12, 48)),
        flatten=float(rng.uniform(-0.2, 0.8) * local_contrast),
    )


@dataclass(frozen=True)
class Grain:
    """Quantum mottle and film grain: noise of ``amount``, ``size_px`` wide, stronger where less radiation came through."""

    amount: float
    size_px: float
    seed: int

    def apply(self, pixels: Pixels) -> Pixels:
        """The film with the grain that ``seed`` gives."""
        height, width = pixels.shape
        rows, columns = max(1, round(height / self.size_px)), max(1, round(width / self.size_px))
        noise: NDArray[np.float32] = np.empty((rows, columns), dtype=np.float32)
        cv2.setRNGSeed(self.seed)  # OpenCV keeps one generator a thread; its normal numbers cost a quarter of NumPy's
        cv2.randn(noise, np.zeros(1), np.full(1, self.amount))
        if (rows, columns) != (height, width):
            noise = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)
        return _clip_unit(pixels + noise * (np.float32(0.5) + pixels))


def draw_grain(rng: np.random.Generator, *, amount: float) -> Grain:
    """Grain at random: from a quarter of ``amount`` to all of it, one or up to two pixels wide."""
    size_px = 1.0 if rng.random() < 0.5 else float(rng.uniform(1.2, 2.0))
    return Grain(amount=float(rng.uniform(0.25, 1) * amount), size_px=size_px, seed=int(rng.integers(2**31)))
