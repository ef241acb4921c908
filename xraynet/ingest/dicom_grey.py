"""The grey-scale tags of a DICOM film: modality transform, padding, window and lookup tables, each checked."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from xraynet.ingest.dicom_tags import has_value, read_bytes, read_first_item, read_integer, read_number, read_numbers, read_text
from xraynet.ingest.grayscale import ModalityLut, PaddingRange, Rescale, StoredFormat
from xraynet.radiograph import VoiLut, Window

_LARGEST_TABLE: Final = 65536


def read_modality(dataset: Dataset, stored: StoredFormat, warnings: list[str]) -> Rescale | ModalityLut | None:
    """The modality LUT or rescale (PS3.3 C.11.1); None where there is none. Garbage is warned about and ignored."""
    item = read_first_item(dataset, "ModalityLUTSequence")
    if item is not None:
        table = _read_table(item, lowest_value=stored.value_range[0])
        if table is not None:
            first, values, bits = table
            return ModalityLut(first_value=first, table=values, bits=bits)
        warnings.append("The Modality LUT cannot be read; it was ignored.")
    if not has_value(dataset, "RescaleSlope") and not has_value(dataset, "RescaleIntercept"):
        return None
    slope = read_number(dataset, "RescaleSlope") if has_value(dataset, "RescaleSlope") else 1.0
    intercept = read_number(dataset, "RescaleIntercept") if has_value(dataset, "RescaleIntercept") else 0.0
    if slope is None or intercept is None or slope == 0 or max(abs(slope), abs(intercept)) > 1e9:
        warnings.append("Rescale Slope and Intercept are not a usable line; they were ignored.")
        return None
    return Rescale(slope=slope, intercept=intercept)


def read_padding(dataset: Dataset, stored: StoredFormat, warnings: list[str]) -> PaddingRange | None:
    """Pixel Padding Value, up to Pixel Padding Range Limit (PS3.3 C.7.5.1.1.2)."""
    value = read_integer(dataset, "PixelPaddingValue")
    if value is None:
        if has_value(dataset, "PixelPaddingValue"):
            warnings.append("Pixel Padding Value cannot be read; it was ignored.")
        return None
    limit = read_integer(dataset, "PixelPaddingRangeLimit")
    ends = sorted(_restore_sign(end, stored) for end in (value, value if limit is None else limit))
    return PaddingRange(low=ends[0], high=ends[1])


def _restore_sign(value: int, stored: StoredFormat) -> int:
    """Many writers code a negative padding value as unsigned."""
    return value - 0x10000 if stored.is_signed and 0x8000 <= value <= 0xFFFF and value > stored.value_range[1] else value


def read_voi(dataset: Dataset, *, lowest_value: float, warnings: list[str]) -> Window | VoiLut | None:
    """How the file asks to be shown (PS3.3 C.11.2): its VOI LUT, else its first window; None where neither is usable.

    ``lowest_value`` is the smallest modality value: where it is negative, an unsigned first value may be a signed one.
    """
    item = read_first_item(dataset, "VOILUTSequence")
    if item is not None:
        table = _read_table(item, lowest_value=lowest_value)
        if table is not None:
            first, values, bits = table
            return VoiLut(first_value=first, table=values / np.float32((1 << bits) - 1))
        warnings.append("The VOI LUT cannot be read; it was ignored.")
    return _read_window(dataset, warnings)


def _read_window(dataset: Dataset, warnings: list[str]) -> Window | None:
    if not has_value(dataset, "WindowCenter") and not has_value(dataset, "WindowWidth"):
        return None
    centres, widths = read_numbers(dataset, "WindowCenter"), read_numbers(dataset, "WindowWidth")
    function = read_text(dataset, "VOILUTFunction").upper() or "LINEAR"
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        warnings.append("VOI LUT Function is not LINEAR, LINEAR_EXACT or SIGMOID; LINEAR was used.")
        function = "LINEAR"
    if not centres or not widths:
        warnings.append("Window Center or Window Width is missing or not a number; the window was ignored.")
        return None
    try:
        if function == "SIGMOID":
            return Window(centre=centres[0], width=widths[0], function="SIGMOID")
        return Window(centre=centres[0], width=widths[0], function="LINEAR" if function == "LINEAR" else "LINEAR_EXACT")
    except ValueError:
        warnings.append(f"Window Width is {widths[0]:g}; the window was ignored.")
        return None


def _read_table(item: Dataset, *, lowest_value: float) -> tuple[int, NDArray[np.float32], int] | None:
    """(first value mapped, entries, bits per entry) of a LUT item (PS3.3 C.11.1.1.1); None where it is garbage."""
    descriptor = read_numbers(item, "LUTDescriptor")
    if len(descriptor) != 3:
        return None
    num_entries, first, bits = (int(number) for number in descriptor)
    num_entries = num_entries % _LARGEST_TABLE or _LARGEST_TABLE
    if first > 0x7FFF and lowest_value < 0:
        first -= 0x10000
    entries = _read_entries(item, num_entries, bits)
    if entries is None or entries.size < num_entries or not 1 <= bits <= 16:
        return None
    entries = entries[:num_entries]
    # Some writers understate the depth of their table; the entries themselves are believed.
    bits = max(bits, int(entries.max()).bit_length())
    return first, entries.astype(np.float32), bits


def _read_entries(item: Dataset, num_entries: int, bits: int) -> NDArray[np.uint16] | None:
    raw = read_bytes(item, "LUTData")
    if raw is None:
        numbers = read_numbers(item, "LUTData")
        return np.array([int(number) & 0xFFFF for number in numbers], dtype=np.uint16) if numbers else None
    if bits <= 8 and len(raw) < 2 * num_entries:
        return np.frombuffer(raw, dtype=np.uint8).astype(np.uint16)
    dtype = "<u2" if item.original_encoding[1] is not False else ">u2"
    return np.frombuffer(raw[: len(raw) // 2 * 2], dtype=dtype).astype(np.uint16)
