"""From stored values to a Radiograph's pixels: mask, sign, modality transform, polarity, padding. No DICOM in here.

The order is the standard's (DICOM PS3.4 N.2): stored values, modality transform (rescale or LUT), then, for people only,
VOI and presentation. ``Radiograph.pixels`` stop after the modality transform and are inverted where low values are dense.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Integer
from numpy.typing import NDArray

from xraynet.radiograph import GreyScale, VoiLut, Window

StoredArray = Integer[NDArray[np.integer], "height width"]


@dataclass(frozen=True)
class StoredFormat:
    """Which bits of a stored value count: ``bits_stored`` bits, the highest of them ``high_bit``, signed or not."""

    bits_stored: int
    high_bit: int
    is_signed: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.bits_stored <= self.high_bit + 1 <= 32:
            raise ValueError(f"{self.bits_stored} bits stored with high bit {self.high_bit}; 1 <= bits <= high bit + 1 <= 32")

    @property
    def value_range(self) -> tuple[int, int]:
        """The smallest and the largest value that the stored bits can hold.

        >>> StoredFormat(12, 11).value_range, StoredFormat(12, 11, is_signed=True).value_range
        ((0, 4095), (-2048, 2047))
        """
        if self.is_signed:
            return (-(1 << (self.bits_stored - 1)), (1 << (self.bits_stored - 1)) - 1)
        return (0, (1 << self.bits_stored) - 1)


@dataclass(frozen=True)
class Rescale:
    """Modality value = stored value * slope + intercept (PS3.3 C.11.1)."""

    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        if self.slope == 0 or not np.isfinite([self.slope, self.intercept]).all():
            raise ValueError(f"rescale slope is {self.slope}, intercept {self.intercept}; finite and not 0 was expected")


@dataclass(frozen=True, eq=False)
class ModalityLut:
    """A modality lookup table: ``table[i]`` is the modality value of stored value ``first_value + i``; ``bits`` wide."""

    first_value: int
    table: Float32[NDArray[np.float32], " entries"]
    bits: int


@dataclass(frozen=True)
class PaddingRange:
    """Stored values from ``low`` to ``high`` are padding, not film (PS3.3 C.7.5.1.1.2)."""

    low: int
    high: int


@dataclass(frozen=True, eq=False)
class GreyPixels:
    """What ``Radiograph`` needs of the grey values, and what a person should hear about them."""

    pixels: Float32[NDArray[np.float32], "height width"]
    padding: Bool[NDArray[np.bool_], "height width"] | None
    grey: GreyScale
    warnings: tuple[str, ...] = ()


def keep_stored_bits(values: StoredArray, stored: StoredFormat) -> tuple[StoredArray, bool]:
    """Values with the bits outside Bits Stored removed and the sign restored; True where such bits were in use."""
    low, high = stored.value_range
    if stored.high_bit + 1 == stored.bits_stored and low <= int(values.min()) and int(values.max()) <= high:
        return values, False
    shift = stored.high_bit + 1 - stored.bits_stored
    kept = (values.astype(np.int64) >> shift) & ((1 << stored.bits_stored) - 1)
    if stored.is_signed:
        kept = np.where(kept > high, kept - (1 << stored.bits_stored), kept)
    above = values.astype(np.int64) >> (stored.high_bit + 1)
    # An unextended sign (zeros above a set sign bit) is not a stray bit.
    return kept, bool(((above != 0) & ((above != -1) | (not stored.is_signed))).any()) and shift == 0


def find_padding(
    raw: StoredArray, kept: StoredArray, *, padding: PaddingRange, stored: StoredFormat
) -> NDArray[np.bool_] | None:
    """True where a pixel holds padding; None where no pixel does.

    Some writers pad with a value that Bits Stored cannot hold: such a value is looked for before the bits are masked.
    """
    low, high = stored.value_range
    values = kept if low <= padding.low and padding.high <= high else raw
    mask: NDArray[np.bool_] = (values >= padding.low) & (values <= padding.high)
    return mask if mask.any() else None


def make_grey(
    raw: StoredArray,
    *,
    stored: StoredFormat,
    modality: Rescale | ModalityLut | None = None,
    low_is_dense: bool = False,
    padding: PaddingRange | None = None,
    voi: Window | VoiLut | None = None,
) -> GreyPixels:
    """Stored values as pixels in [0, 1], bright where the film is dense, a linear map of the modality's whole range.

    ``low_is_dense``: MONOCHROME1. Nothing is clipped: the range is what the stored bits can hold, not what they do hold.
    """
    warnings: list[str] = []
    kept, had_stray_bits = keep_stored_bits(raw, stored)
    if had_stray_bits:
        warnings.append(f"Some values use bits above Bits Stored ({stored.bits_stored}); those bits were ignored.")
    mask = None if padding is None else find_padding(raw, kept, padding=padding, stored=stored)
    if mask is not None and mask.all():
        warnings.append("Every pixel holds the Pixel Padding Value; the padding was ignored.")
        mask = None
    if isinstance(modality, ModalityLut):
        low, high = 0.0, float((1 << modality.bits) - 1)
        index = np.clip(kept.astype(np.int64) - modality.first_value, 0, modality.table.size - 1)
        values = modality.table[index] / np.float32(high)
        if low_is_dense:
            np.subtract(np.float32(1.0), values, out=values)
    else:
        rescale = modality or Rescale()
        first, last = (bound * rescale.slope + rescale.intercept for bound in stored.value_range)
        low, high = min(first, last), max(first, last)
        values = _spread(kept, stored, falls=(rescale.slope > 0) == low_is_dense)
    if mask is not None:
        values[mask] = 0.0
    span, start = (low - high, high) if low_is_dense else (high - low, low)
    grey = GreyScale(slope=span, intercept=start, voi=voi, bits_stored=stored.bits_stored)
    return GreyPixels(pixels=values, padding=mask, grey=grey, warnings=tuple(warnings))


def _spread(kept: NDArray[np.integer], stored: StoredFormat, *, falls: bool) -> NDArray[np.float32]:
    """The stored range as [0, 1] (or [1, 0] where ``falls``): the rescale only names this line, it does not bend it."""
    low, high = stored.value_range
    if kept.dtype == np.uint16:
        # One pass in 16 bits, one into float32: on a 7.5-megapixel film, memory traffic is all the cost there is.
        steps = np.subtract(np.uint16(high), kept) if falls else kept
    else:
        steps = np.subtract(high, kept, dtype=np.int64) if falls else np.subtract(kept, low, dtype=np.int64)
    spread: NDArray[np.float32] = steps.astype(np.float32)
    spread /= np.float32(high - low)
    return spread
