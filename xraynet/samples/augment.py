"""Grey augmentation: the differences between film, CR and DX, portable and upright, that a film's anatomy does not know.

The one module that imports albumentations, so that it can be replaced. Its Compose keeps a generator of its own, which
forked workers and epochs would repeat: every sample is seeded by its caller.
"""

import os
import random
import threading
from dataclasses import dataclass
from typing import Final

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would ask the internet for a newer version at import

import albumentations as A  # noqa: N812
import cv2
import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.samples.tone import (
    DetailChange,
    ExposureField,
    Grain,
    ToneCurve,
    draw_detail_change,
    draw_exposure_field,
    draw_grain,
    draw_tone_curve,
)

Pixels = Float32[NDArray[np.float32], "height width"]
_LARGEST_SEED: Final = 2**32


@dataclass(frozen=True)
class AugmentConfig:
    """How often each change of grey values happens, and how far it goes. Amounts are parts of the film's grey range.

    ``coarsest`` is the smallest factor by which a film is made coarser and brought back: 0.4 of 0.8 mm is a film of
    224 pixels, as small as films come. ``gamma`` and ``contrast`` bound the tone curve, ``level`` its end points.
    """

    tone_rate: float = 0.9
    gamma: float = 1.6
    contrast: float = 0.5
    wiggle: float = 0.05
    level: float = 0.1
    exposure_rate: float = 0.3
    exposure: float = 0.08
    processing_rate: float = 0.45
    sharpening: float = 1.2
    local_contrast: float = 0.5
    coarse_rate: float = 0.35
    coarsest: float = 0.4
    blur_rate: float = 0.15
    blur_px: float = 1.2
    grain_rate: float = 0.5
    grain: float = 0.02
    jpeg_rate: float = 0.15
    lowest_jpeg_quality: int = 40

    def __post_init__(self) -> None:
        rates = (self.tone_rate, self.exposure_rate, self.processing_rate, self.coarse_rate, self.blur_rate)
        if not all(0 <= rate <= 1 for rate in (*rates, self.grain_rate, self.jpeg_rate)):
            raise ValueError("a rate is outside 0 to 1")
        if self.gamma < 1 or not 0 <= self.contrast < 1 or not 0 <= self.wiggle <= 0.07:
            raise ValueError(
                f"gamma {self.gamma}, contrast {self.contrast}, wiggle {self.wiggle}: at least 1, under 1 and at most "
                "0.07 keep the tone curve rising"
            )
        if not 0.05 <= self.coarsest <= 1 or not 1 <= self.lowest_jpeg_quality <= 95:
            raise ValueError(f"coarsest {self.coarsest}, JPEG quality {self.lowest_jpeg_quality}: 0.05-1 and 1-95 expected")

    @classmethod
    def none(cls) -> "AugmentConfig":
        """No change at all."""
        return cls(tone_rate=0, exposure_rate=0, processing_rate=0, coarse_rate=0, blur_rate=0, grain_rate=0, jpeg_rate=0)


@dataclass(frozen=True)
class AppliedGrey:
    """What happened to one film's grey values: the seed, which replays it, and the parameters of each change in order."""

    seed: int
    changes: tuple[tuple[str, str], ...]


class GreyAugmenter:
    """Changes the grey values of prepared films, each by its own seed; the same seed gives the same film."""

    def __init__(self, config: AugmentConfig, *, headroom: float) -> None:
        self._config = config
        self._headroom = headroom
        self._compose = _compose(config, headroom)
        # Compose holds its generator: two threads would draw each other's numbers.
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[object, tuple[AugmentConfig, float]]:
        return (_rebuild, (self._config, self._headroom))

    def apply(self, pixels: Pixels, *, seed: int) -> tuple[Pixels, AppliedGrey]:
        """The film under the change that ``seed`` draws, in the range it came in: -headroom to 1 + headroom."""
        if not 0 <= seed < _LARGEST_SEED:
            raise ValueError(f"the seed is {seed}; 0 to 2**32 - 1 was expected")
        span = np.float32(1 + 2 * self._headroom)
        unit = np.clip((pixels + np.float32(self._headroom)) / span, 0, 1)
        with self._lock:
            # set_random_seed would give every change the same numbers, so that all of them happen or none; one shared
            # generator does not.
            self._compose.set_random_state(np.random.default_rng(seed), random.Random(seed))  # noqa: S311
            done = self._compose(image=unit)
        changed = np.clip(done["image"].astype(np.float32, copy=False), 0, 1) * span - np.float32(self._headroom)
        changes = tuple((str(name), _describe(drawn)) for name, drawn in done["applied_transforms"])
        return changed.astype(np.float32, copy=False), AppliedGrey(seed=seed, changes=changes)


def _rebuild(config: AugmentConfig, headroom: float) -> GreyAugmenter:
    return GreyAugmenter(config, headroom=headroom)


def _describe(drawn: dict[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in drawn.items() if name not in ("shape", "cols", "rows"))


def _compose(config: AugmentConfig, headroom: float) -> A.Compose:
    """The changes in the order in which a film meets them: the exposure, the film or detector, processing, storage."""
    processing = [
        _Detail(config.sharpening, config.local_contrast, p=1.0),
        A.CLAHE(clip_limit=(1.0, 1.0 + 4 * config.local_contrast), tile_grid_size=(8, 8), p=0.4),
    ]
    coarser = {"downscale": cv2.INTER_AREA, "upscale": cv2.INTER_LINEAR}
    changes = [
        _Exposure(config.exposure, p=config.exposure_rate),
        _Tone(config, headroom, p=config.tone_rate),
        A.OneOf(processing, p=config.processing_rate),
        A.GaussianBlur(blur_limit=0, sigma_limit=(0.3, max(0.3, config.blur_px)), p=config.blur_rate),
        A.Downscale(scale_range=(config.coarsest, 0.95), interpolation_pair=coarser, p=config.coarse_rate),
        _Grain(config.grain, p=config.grain_rate),
        A.ImageCompression(quality_range=(config.lowest_jpeg_quality, 95), p=config.jpeg_rate),
    ]
    return A.Compose(changes, save_applied_params=True)


class _Exposure(A.ImageOnlyTransform):  # type: ignore[misc]
    def __init__(self, amount: float, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.amount = amount

    def get_params(self) -> dict[str, object]:
        return {"field": draw_exposure_field(self.random_generator, amount=self.amount)}

    def apply(self, img: Pixels, field: ExposureField, **_: object) -> Pixels:
        return field.apply(img)


class _Tone(A.ImageOnlyTransform):  # type: ignore[misc]
    def __init__(self, config: AugmentConfig, headroom: float, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.config = config
        self.headroom = headroom

    def get_params(self) -> dict[str, object]:
        config = self.config
        curve = draw_tone_curve(
            self.random_generator, gamma=config.gamma, contrast=config.contrast, wiggle=config.wiggle, level=config.level
        )
        return {"curve": curve}

    def apply(self, img: Pixels, curve: ToneCurve, **_: object) -> Pixels:
        return curve.apply(img, headroom=self.headroom)


class _Detail(A.ImageOnlyTransform):  # type: ignore[misc]
    def __init__(self, sharpening: float, local_contrast: float, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.sharpening = sharpening
        self.local_contrast = local_contrast

    def get_params(self) -> dict[str, object]:
        generator = self.random_generator
        return {"change": draw_detail_change(generator, sharpening=self.sharpening, local_contrast=self.local_contrast)}

    def apply(self, img: Pixels, change: DetailChange, **_: object) -> Pixels:
        return change.apply(img)


class _Grain(A.ImageOnlyTransform):  # type: ignore[misc]
    def __init__(self, amount: float, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.amount = amount

    def get_params(self) -> dict[str, object]:
        return {"grain": draw_grain(self.random_generator, amount=self.amount)}

    def apply(self, img: Pixels, grain: Grain, **_: object) -> Pixels:
        return grain.apply(img)
