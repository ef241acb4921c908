"""The 28 kinds of film that readers get wrong: each is shown as the standard says, or refused by one family of errors.

What is expected is computed here from the formulas of PS3.3 C.7.6.3, C.11.1, C.11.2 and PS3.4 N.2, in float64 and without
xraynet's code.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from dicom_files import TagValue, write_dicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from xraynet import XraynetError, read_radiograph
from xraynet.errors import FilmError

Film = NDArray[np.integer]
Image = NDArray[np.float64]


def linear(values: Image, centre: float, width: float) -> Image:
    """C.11.2.1.2.1, literally."""
    shown = ((values - (centre - 0.5)) / (width - 1) + 0.5).clip(0, 1)
    shown[values <= centre - 0.5 - (width - 1) / 2] = 0
    shown[values > centre - 0.5 + (width - 1) / 2] = 1
    return shown


def linear_exact(values: Image, centre: float, width: float) -> Image:
    return ((values - centre) / width + 0.5).clip(0, 1)


def sigmoid(values: Image, centre: float, width: float) -> Image:
    return 1 / (1 + np.exp(-4 * (values - centre) / width))


def full(values: Image, low: float, high: float) -> Image:
    return (values - low) / (high - low)


def table_item(first: int, entries: NDArray[np.integer], bits: int) -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = entries.astype("<u2").tobytes()
    item["LUTData"].VR = "OW"
    return Sequence([item])


@dataclass(frozen=True)
class Variant:
    """``stored`` makes the file's values from the 12-bit film; ``expected`` the image from the 12-bit film in float64."""

    expected: Callable[[Image], Image]
    stored: Callable[[Film], Film] = field(default=lambda film: film.astype(np.uint16))
    tags: dict[str, TagValue] = field(default_factory=dict)
    syntax: UID = ExplicitVRLittleEndian
    part10: bool = True
    is_range_defined: bool = True
    warning: str = ""


BITS12: dict[str, TagValue] = {"BitsStored": 12}
WINDOW: dict[str, TagValue] = {"BitsStored": 12, "WindowCenter": 2000.0, "WindowWidth": 1800.0}
GAMMA = np.round(4095 * (np.arange(4096) / 4095) ** 2).astype(np.uint16)


def windowed(film: Image) -> Image:
    return linear(film, 2000, 1800)


SHOWN = {
    "monochrome2": Variant(lambda film: full(film, 0, 4095), tags=BITS12),
    "monochrome1": Variant(lambda film: 1 - windowed(film), tags=WINDOW | {"PhotometricInterpretation": "MONOCHROME1"}),
    "monochrome2 with INVERSE": Variant(windowed, tags=WINDOW | {"PresentationLUTShape": "INVERSE"}, warning="contradicts"),
    "monochrome1 with INVERSE": Variant(
        lambda film: 1 - windowed(film),
        tags=WINDOW | {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
    ),
    "monochrome1 with IDENTITY": Variant(
        lambda film: 1 - windowed(film),
        tags=WINDOW | {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "IDENTITY"},
        warning="contradicts",
    ),
    "signed pixels": Variant(
        lambda film: linear(film - 2048, -48, 1800),
        stored=lambda film: (film.astype(np.int16) - 2048).astype(np.int16),
        tags={"BitsStored": 12, "WindowCenter": -48.0, "WindowWidth": 1800.0},
    ),
    "signed pixels without sign extension": Variant(
        lambda film: linear(film - 2048, -48, 1800),
        stored=lambda film: ((film.astype(np.int16) - 2048) & 0x0FFF).astype(np.int16),
        tags={"BitsStored": 12, "WindowCenter": -48.0, "WindowWidth": 1800.0},
    ),
    "negative slope": Variant(
        lambda film: linear(-1.0 * film + 4095, 2000, 1800), tags=WINDOW | {"RescaleSlope": "-1", "RescaleIntercept": "4095"}
    ),
    "negative slope without window": Variant(
        lambda film: 1 - full(film, 0, 4095), tags=BITS12 | {"RescaleSlope": "-2", "RescaleIntercept": "0"}
    ),
    "fractional slope": Variant(
        lambda film: linear(film * 0.25 - 100, 400, 450),
        tags={
            "BitsStored": 12,
            "RescaleSlope": "0.25",
            "RescaleIntercept": "-100",
            "WindowCenter": 400.0,
            "WindowWidth": 450.0,
        },
    ),
    "window": Variant(windowed, tags=WINDOW),
    "several windows": Variant(
        windowed, tags={"BitsStored": 12, "WindowCenter": [2000.0, 10.0], "WindowWidth": [1800.0, 20.0]}
    ),
    "exact window": Variant(lambda film: linear_exact(film, 2000, 1800), tags=WINDOW | {"VOILUTFunction": "LINEAR_EXACT"}),
    "sigmoid window": Variant(lambda film: sigmoid(film, 2000, 1800), tags=WINDOW | {"VOILUTFunction": "SIGMOID"}),
    "window of width 0": Variant(
        lambda film: full(film, 0, 4095),
        tags={"BitsStored": 12, "WindowCenter": 2000.0, "WindowWidth": 0.0},
        warning="Window Width is 0",
    ),
    "VOI LUT": Variant(lambda film: GAMMA[film.astype(int)] / 4095, tags=BITS12 | {"VOILUTSequence": table_item(0, GAMMA, 12)}),
    "VOI LUT that starts late": Variant(
        lambda film: GAMMA[np.clip(film.astype(int) - 500, 0, 2999)] / 4095,
        tags=BITS12 | {"VOILUTSequence": table_item(500, GAMMA[:3000], 12)},
    ),
    "modality LUT": Variant(
        lambda film: GAMMA[film.astype(int)] / 4095, tags=BITS12 | {"ModalityLUTSequence": table_item(0, GAMMA, 12)}
    ),
    "padding": Variant(
        lambda film: np.where(film == 0, 0.0, 1 - windowed(film)),
        tags=WINDOW | {"PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": 0},
    ),
    "padding range": Variant(
        lambda film: np.where(film <= 400, 0.0, 1 - windowed(film)),
        tags=WINDOW | {"PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": 0, "PixelPaddingRangeLimit": 400},
    ),
    "garbage high bits": Variant(
        windowed, stored=lambda film: (film | 0xA000).astype(np.uint16), tags=WINDOW, warning="bits above Bits Stored"
    ),
    "8 bit": Variant(
        lambda film: np.floor(film / 16) / 255,
        stored=lambda film: (film >> 4).astype(np.uint8),
    ),
    "12 bits used of 16 declared": Variant(lambda film: full(film, 0, 65535), tags={"BitsStored": 16}, is_range_defined=False),
    "values above BitsStored": Variant(
        lambda film: full(np.mod(film, 1024), 0, 1023), tags={"BitsStored": 10}, warning="bits above Bits Stored"
    ),
    "RGB with equal channels": Variant(
        lambda film: np.floor(film / 16) / 255,
        stored=lambda film: np.repeat((film >> 4).astype(np.uint8)[..., None], 3, axis=-1),
        tags={"PhotometricInterpretation": "RGB"},
        warning="three equal channels",
    ),
    "NumberOfFrames 1": Variant(windowed, tags=WINDOW | {"NumberOfFrames": 1}),
    "high bit above": Variant(windowed, stored=lambda film: (film << 4).astype(np.uint16), tags=WINDOW | {"HighBit": 15}),
    "no Part 10 header": Variant(windowed, tags=WINDOW, part10=False),
    "no Part 10 header, implicit": Variant(windowed, tags=WINDOW, syntax=ImplicitVRLittleEndian, part10=False),
    "implicit": Variant(windowed, tags=WINDOW, syntax=ImplicitVRLittleEndian),
    "big endian": Variant(windowed, tags=WINDOW, syntax=ExplicitVRBigEndian),
    "deflated": Variant(windowed, tags=WINDOW, syntax=DeflatedExplicitVRLittleEndian),
    "RLE": Variant(windowed, tags=WINDOW, syntax=RLELossless),
    "JPEG lossless": Variant(windowed, tags=WINDOW, syntax=JPEGLosslessSV1),
    "JPEG-LS": Variant(windowed, tags=WINDOW, syntax=JPEGLSLossless),
    "JPEG 2000": Variant(windowed, tags=WINDOW, syntax=JPEG2000Lossless),
}


@pytest.mark.parametrize("name", SHOWN)
def test_variant_is_shown_as_the_standard_says(name: str, film12: Film, tmp_path: Path) -> None:
    variant = SHOWN[name]
    path = write_dicom(
        tmp_path / "film.dcm", variant.stored(film12), syntax=variant.syntax, part10=variant.part10, **variant.tags
    )
    radiograph = read_radiograph(path)
    shown, expected = radiograph.display().astype(np.float64), variant.expected(film12.astype(np.float64))
    assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.9995
    if variant.is_range_defined:
        assert np.abs(shown - expected).max() < 1 / 255
    assert any(variant.warning in warning for warning in radiograph.warnings) or not variant.warning


@pytest.mark.parametrize("name", SHOWN)
def test_pixels_are_a_linear_map_of_the_modality_values(name: str, film12: Film, tmp_path: Path) -> None:
    variant = SHOWN[name]
    path = write_dicom(
        tmp_path / "film.dcm", variant.stored(film12), syntax=variant.syntax, part10=variant.part10, **variant.tags
    )
    radiograph = read_radiograph(path)
    assert radiograph.pixels.min() >= 0
    assert radiograph.pixels.max() <= 1
    slope, intercept = (
        float(str(variant.tags.get(key, start))) for key, start in (("RescaleSlope", 1), ("RescaleIntercept", 0))
    )
    if name in ("negative slope", "fractional slope", "window", "monochrome1", "JPEG-LS", "high bit above"):
        expected = film12.astype(np.float64) * slope + intercept
        assert np.abs(radiograph.modality_values() - expected).max() < 1e-3 * abs(slope) + 1e-3


REFUSED: dict[str, tuple[Callable[[Film], Film], dict[str, TagValue], str]] = {
    "RGB capture": (
        lambda film: np.stack([film >> 4, film >> 5, film >> 6], axis=-1).astype(np.uint8),
        {"PhotometricInterpretation": "RGB", "SOPClassUID": SecondaryCaptureImageStorage, "Modality": "OT"},
        "true-colour",
    ),
    "RGB film with unequal channels": (
        lambda film: np.stack([film >> 4, film >> 5, film >> 6], axis=-1).astype(np.uint8),
        {"PhotometricInterpretation": "RGB"},
        "true-colour",
    ),
    "NumberOfFrames 2": (lambda film: film, {"NumberOfFrames": 2}, "multi-frame"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_one_grey_film_is_refused(name: str, film12: Film, tmp_path: Path) -> None:
    stored, tags, code = REFUSED[name]
    path = write_dicom(tmp_path / "film.dcm", stored(film12), **tags)
    with pytest.raises(FilmError) as caught:
        read_radiograph(path)
    assert caught.value.code == code
    assert "film.dcm" in str(caught.value)


def test_not_dicom_no_pixels_and_cut_files_are_one_family(film12: Film, tmp_path: Path) -> None:
    whole = write_dicom(tmp_path / "whole.dcm", film12, **WINDOW).read_bytes()
    for name, content in {
        "text": b"a letter, not a film\n" * 40,
        "cut": whole[: len(whole) // 2],
        "stub": whole[:200],
        "empty": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(XraynetError, match=name):
            read_radiograph(tmp_path / name)
    without = write_dicom(tmp_path / "without.dcm", film12, PixelData=None)
    with pytest.raises(FilmError) as caught:
        read_radiograph(without)
    assert caught.value.code == "truncated"
