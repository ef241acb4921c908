"""Lookup tables and windows as real files write them: packed, swapped, understated, signed, cut, or garbage."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import TagValue, write_dicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, JPEGLSLossless

from xraynet import Radiograph, read_radiograph
from xraynet.errors import FilmError
from xraynet.ingest.dicom_tags import has_value, read_bytes, read_first_item, read_integer, read_number, read_numbers, read_text
from xraynet.radiograph import VoiLut

RAMP = np.arange(256, dtype=np.uint16)


def item(descriptor: list[int], values: bytes | list[int], *, vr: str = "OW") -> Sequence:
    table = Dataset()
    table.LUTDescriptor = descriptor
    table["LUTDescriptor"].VR = "US"
    table.LUTData = values
    table["LUTData"].VR = vr
    return Sequence([table])


@pytest.fixture
def read_with(film8: NDArray[np.uint8], tmp_path: Path):  # type: ignore[no-untyped-def]
    def read(**tags: TagValue) -> Radiograph:
        return read_radiograph(write_dicom(tmp_path / "film.dcm", film8, **tags))

    return read


def test_table_of_packed_bytes(read_with, film8) -> None:  # type: ignore[no-untyped-def]
    film = read_with(VOILUTSequence=item([256, 0, 8], bytes(255 - RAMP.astype(np.uint8))))
    assert np.allclose(film.display(), (255 - film8.astype(float)) / 255, atol=1e-6)


def test_table_of_words_and_of_numbers(read_with, film8) -> None:  # type: ignore[no-untyped-def]
    words = read_with(VOILUTSequence=item([256, 0, 8], (255 - RAMP).astype("<u2").tobytes()))
    numbers = read_with(VOILUTSequence=item([256, 0, 8], (255 - RAMP).tolist(), vr="US"))
    assert np.array_equal(words.display(), numbers.display())


def test_table_in_a_big_endian_file(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    table = item([256, 0, 8], (255 - RAMP).astype(">u2").tobytes())
    film = read_radiograph(write_dicom(tmp_path / "film.dcm", film8, syntax=ExplicitVRBigEndian, VOILUTSequence=table))
    assert np.allclose(film.display(), (255 - film8.astype(float)) / 255, atol=1e-6)


def test_table_that_understates_its_depth_is_believed_by_its_entries(read_with) -> None:  # type: ignore[no-untyped-def]
    film = read_with(VOILUTSequence=item([256, 0, 8], (RAMP * 16).astype("<u2").tobytes()))
    assert isinstance(film.grey.voi, VoiLut)
    assert film.grey.voi.table.max() <= 1


def test_signed_first_value_of_a_modality_table_written_as_unsigned(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    signed = film8.astype(np.int16) - 128
    tags: dict[str, TagValue] = {"PixelRepresentation": 1, "BitsStored": 8, "ModalityLUTType": "US"}
    table = item([256, 0x10000 - 128, 8], (255 - RAMP).astype("<u2").tobytes())
    film = read_radiograph(write_dicom(tmp_path / "film.dcm", signed, ModalityLUTSequence=table, **tags))
    assert np.allclose(film.modality_values(), 255 - film8.astype(float), atol=1e-3)


def test_signed_first_value_written_as_unsigned(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    table = item([256, 65536 - 128, 8], RAMP.astype("<u2").tobytes())
    path = write_dicom(tmp_path / "film.dcm", film8, RescaleSlope="1", RescaleIntercept="-128", VOILUTSequence=table)
    assert np.allclose(read_radiograph(path).display(), film8 / 255, atol=1e-6)
    signed = write_dicom(tmp_path / "signed.dcm", (film8.astype(np.int16) - 128).astype(np.int16), VOILUTSequence=table)
    assert np.allclose(read_radiograph(signed).display(), film8 / 255, atol=1e-6)


@pytest.mark.parametrize(
    "garbage",
    [
        item([256, 0, 8], b"short!"),
        item([256, 0, 40], bytes(512)),
        item([256, 0], bytes(512)),
        item([256, 0, 8], []),
    ],
)
def test_garbage_table_is_warned_about_and_ignored(read_with, film8, garbage: Sequence) -> None:  # type: ignore[no-untyped-def]
    film = read_with(VOILUTSequence=garbage, ModalityLUTSequence=garbage, WindowCenter=100.0, WindowWidth=50.0)
    assert np.allclose(film.pixels, film8 / 255, atol=1e-6)
    assert film.warnings == ("The Modality LUT cannot be read; it was ignored.", "The VOI LUT cannot be read; it was ignored.")


def test_table_wins_over_a_window_beside_it(read_with) -> None:  # type: ignore[no-untyped-def]
    film = read_with(VOILUTSequence=item([256, 0, 8], RAMP.astype("<u2").tobytes()), WindowCenter=1.0, WindowWidth=2.0)
    assert isinstance(film.grey.voi, VoiLut)


@pytest.mark.parametrize(
    ("tags", "voi"),
    [
        ({"WindowCenter": 100.0, "WindowWidth": -5.0}, None),
        ({"WindowCenter": 100.0, "WindowWidth": 0.5}, None),
        ({"WindowCenter": 100.0, "WindowWidth": 0.5, "VOILUTFunction": "LINEAR_EXACT"}, "LINEAR_EXACT"),
        ({"WindowWidth": 100.0}, None),
    ],
)
def test_only_possible_windows_are_kept(read_with, tags, voi) -> None:  # type: ignore[no-untyped-def]
    film = read_with(**tags)
    assert (None if film.grey.voi is None else film.grey.voi.function) == voi
    assert (film.warnings == ()) == (voi is not None)


def test_negative_padding_written_as_unsigned(tmp_path: Path) -> None:
    values = np.full((4, 4), 100, np.int16)
    values[0] = -2000
    film = read_radiograph(write_dicom(tmp_path / "film.dcm", values, BitsStored=12))
    assert film.padding is None
    path = write_dicom(tmp_path / "padded.dcm", values, BitsStored=12, PixelPaddingValue=-2000)
    content = path.read_bytes().replace(b"\x28\x00\x20\x01SS", b"\x28\x00\x20\x01US")
    path.write_bytes(content)
    padded = read_radiograph(path)
    assert padded.padding is not None
    assert padded.padding[0].all()
    assert not padded.padding[1:].any()


def test_unreadable_numbers_are_absent(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "film.dcm", film8, RescaleSlope="1.5", RescaleIntercept="0", PixelPaddingValue=3)
    content = (
        path.read_bytes()
        .replace(b"DS\x04\x001.5 ", b"DS\x04\x00a.5 ")
        .replace(b"\x28\x00\x20\x01US\x02\x00\x03\x00", b"\x28\x00\x20\x01LO\x02\x00ab")
    )
    path.write_bytes(content)
    film = read_radiograph(path)
    assert film.warnings == (
        "Rescale Slope and Intercept are not a usable line; they were ignored.",
        "Pixel Padding Value cannot be read; it was ignored.",
    )


def test_planar_colour_is_merged_like_interleaved(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    triple = np.repeat(film8[..., None], 3, axis=-1)
    planar = write_dicom(
        tmp_path / "film.dcm",
        triple,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=1,
        PixelData=np.moveaxis(triple, -1, 0).tobytes(),
    )
    assert np.allclose(read_radiograph(planar).pixels, film8 / 255, atol=1e-6)


def test_compressed_colour_goes_to_pydicoms_own_plugins(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    import imagecodecs
    from pydicom.uid import RLELossless

    triple = np.repeat(film8[..., None], 3, axis=-1)
    frame = imagecodecs.jpegls_encode(triple)
    path = write_dicom(tmp_path / "film.dcm", triple, syntax=JPEGLSLossless, frame=frame, PhotometricInterpretation="RGB")
    assert np.allclose(read_radiograph(path).pixels, film8 / 255, atol=1e-6)
    dataset = pydicom.dcmread(write_dicom(tmp_path / "raw.dcm", triple, PhotometricInterpretation="RGB"))
    dataset.compress(RLELossless, encoding_plugin="pydicom")
    dataset.save_as(tmp_path / "rle.dcm")
    assert np.allclose(read_radiograph(tmp_path / "rle.dcm").pixels, film8 / 255, atol=1e-6)


def test_tags_answer_with_nothing_instead_of_an_exception() -> None:
    dataset = Dataset()
    dataset.Rows = 5
    dataset.ViewPosition = ""
    dataset.PatientComments = "12"
    assert read_text(dataset, "Modality") == ""
    assert read_numbers(dataset, "ViewPosition") == ()
    assert (read_integer(dataset, "Rows"), read_number(dataset, "PatientComments")) == (5, 12.0)
    assert read_integer(dataset, "RescaleSlope") is None
    assert read_first_item(dataset, "Rows") is None
    assert read_bytes(dataset, "Rows") is None
    assert (has_value(dataset, "Rows"), has_value(dataset, "ViewPosition"), has_value(dataset, "Columns")) == (
        True,
        False,
        False,
    )
    dataset.DopplerCorrectionAngle = float("inf")
    assert read_numbers(dataset, "DopplerCorrectionAngle") == ()

    class Broken(Dataset):
        def get(self, *_: object) -> object:  # type: ignore[override]
            raise RecursionError

    assert read_text(Broken(), "Rows") == ""


def test_pixel_data_that_is_a_sequence_is_damaged(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "film.dcm", film8)
    content = path.read_bytes()
    at = content.index(b"\xe0\x7f\x10\x00")
    path.write_bytes(content[:at] + b"\xe0\x7f\x10\x00SQ\0\0\xff\xff\xff\xff\xfe\xff\xdd\xe0\0\0\0\0")
    with pytest.raises(FilmError) as caught:
        read_radiograph(path)
    assert caught.value.code == "damaged"
