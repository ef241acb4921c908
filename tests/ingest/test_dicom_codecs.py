"""Every promised transfer syntax, through xraynet's choice of decoder, against the pixels that went in."""

from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from dicom_files import HTJ2K_LOSSLESS, encode_frame, write_dicom
from numpy.typing import NDArray
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from xraynet import read_radiograph
from xraynet.errors import FilmError
from xraynet.ingest.dicom_codecs import choose_plugin, install_decoders, list_codecs
from xraynet.ingest.dicom_parse import parse_dicom
from xraynet.ingest.dicom_pixels import decode_stored, read_image_header
from xraynet.ingest.grayscale import keep_stored_bits
from xraynet.ingest.limits import DEFAULT_LIMITS

LOSSLESS = [
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
    HTJ2K_LOSSLESS,
]


def stored_values(path: Path) -> NDArray[np.integer]:
    """The stored values of any DICOM image, whether or not it is a film for xraynet."""
    parsed = parse_dicom(path.read_bytes(), limits=DEFAULT_LIMITS)
    header = read_image_header(parsed, limits=DEFAULT_LIMITS)
    raw = decode_stored(parsed, header, photometric="MONOCHROME2", limits=DEFAULT_LIMITS)
    return keep_stored_bits(raw, header.stored)[0]


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.name)
def test_lossless_12_bit_film_comes_back_exactly(syntax: UID, film12: NDArray[np.uint16], tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "film.dcm", film12, syntax=syntax, BitsStored=12)
    assert np.array_equal(stored_values(path), film12)
    assert np.array_equal(np.rint(read_radiograph(path).modality_values()), film12)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.name)
def test_lossless_8_bit_film_comes_back_exactly(syntax: UID, film8: NDArray[np.uint8], tmp_path: Path) -> None:
    assert np.array_equal(stored_values(write_dicom(tmp_path / "film.dcm", film8, syntax=syntax)), film8)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.name)
def test_odd_sized_8_bit_film_comes_back_exactly(syntax: UID, film8: NDArray[np.uint8], tmp_path: Path) -> None:
    odd = np.ascontiguousarray(film8[:37, :41])
    assert np.array_equal(stored_values(write_dicom(tmp_path / "film.dcm", odd, syntax=syntax)), odd)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless], ids=lambda uid: uid.name)
def test_lossless_16_bit_film_comes_back_exactly(syntax: UID, film12: NDArray[np.uint16], tmp_path: Path) -> None:
    film16 = film12 * 16 + 7
    assert np.array_equal(stored_values(write_dicom(tmp_path / "film.dcm", film16, syntax=syntax)), film16)


def test_lossy_syntaxes_stay_close(film12: NDArray[np.uint16], film8: NDArray[np.uint8], tmp_path: Path) -> None:
    extended = write_dicom(tmp_path / "extended.dcm", film12, syntax=JPEGExtended12Bit, BitsStored=12)
    assert np.abs(stored_values(extended).astype(int) - film12).mean() < 20
    baseline = write_dicom(tmp_path / "baseline.dcm", film8, syntax=JPEGBaseline8Bit)
    assert np.abs(stored_values(baseline).astype(int) - film8).mean() < 2
    near = write_dicom(tmp_path / "near.dcm", film12, syntax=JPEGLSNearLossless, BitsStored=12)
    assert np.abs(stored_values(near).astype(int) - film12).max() <= 2
    irreversible = imagecodecs.jpeg2k_encode(film12, codecformat="j2k", reversible=False, level=80)
    wavelet = write_dicom(
        tmp_path / "wavelet.dcm", film12, syntax=UID("1.2.840.10008.1.2.4.91"), frame=irreversible, BitsStored=12
    )
    assert np.abs(stored_values(wavelet).astype(int) - film12).mean() < 20


def test_8_bit_pixels_in_big_endian_words_are_not_swapped(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    swapped = film8.reshape(-1, 2)[:, ::-1].tobytes()
    path = write_dicom(tmp_path / "film.dcm", film8, syntax=ExplicitVRBigEndian, PixelData=swapped)
    found = stored_values(path)
    dataset = pydicom.dcmread(path)
    assert dataset["PixelData"].VR in ("OW", "OB")
    assert np.array_equal(
        found, film8 if dataset["PixelData"].VR == "OW" else np.frombuffer(swapped, "u1").reshape(film8.shape)
    )


def test_syntax_is_told_from_the_codestream_where_the_header_is_missing(film12: NDArray[np.uint16], tmp_path: Path) -> None:
    for syntax in (JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless):
        path = write_dicom(tmp_path / "bare.dcm", film12, syntax=syntax, part10=False, BitsStored=12)
        assert np.array_equal(stored_values(path), film12)
        named = write_dicom(tmp_path / "named.dcm", film12, syntax=syntax, BitsStored=12)
        stated = syntax.encode() + b"\0" * (len(syntax) % 2)
        wrong = b"1.2.840.10008.1.2.1".ljust(len(stated), b"\0")
        named.write_bytes(named.read_bytes().replace(stated, wrong, 1))
        assert np.array_equal(stored_values(named), film12)


def test_fragments_of_one_frame_are_joined(film12: NDArray[np.uint16], tmp_path: Path) -> None:
    frame = encode_frame(film12, JPEGLSLossless)
    frame += b"\0" * (len(frame) % 2)
    half = len(frame) // 4 * 2
    whole = write_dicom(tmp_path / "whole.dcm", film12, syntax=JPEGLSLossless, frame=frame, BitsStored=12).read_bytes()
    start = whole.index(frame)

    def item(piece: bytes) -> bytes:
        return b"\xfe\xff\x00\xe0" + len(piece).to_bytes(4, "little") + piece

    split = tmp_path / "split.dcm"
    split.write_bytes(whole[: start - 8] + item(frame[:half]) + item(frame[half:]) + b"\xfe\xff\xdd\xe0\0\0\0\0")
    assert np.array_equal(stored_values(split), film12)


def test_pydicoms_bone_scans_agree_across_codecs(pydicom_files: Path, data_store: Path) -> None:
    original = stored_values(data_store / "JPEG-LL.dcm").astype(float)
    for name in ("JPGExtended.dcm", "JPEG-lossy.dcm"):
        found = stored_values(pydicom_files / name).astype(float)
        assert np.corrcoef(found.ravel(), original.ravel())[0, 1] > 0.98
    assert np.array_equal(stored_values(pydicom_files / "JPEG2000.dcm"), stored_values(data_store / "JPEG2000_UNC.dcm"))


@pytest.mark.parametrize(
    ("compressed", "original"),
    [
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("MR_small_implicit.dcm", "MR_small.dcm"),
        ("MR_small_padded.dcm", "MR_small.dcm"),
    ],
)
def test_pydicoms_lossless_files_equal_their_original(compressed: str, original: str, pydicom_files: Path) -> None:
    assert np.array_equal(stored_values(pydicom_files / compressed), stored_values(pydicom_files / original))


def test_pydicom_datas_lossless_files_equal_their_original(data_store: Path) -> None:
    assert np.array_equal(stored_values(data_store / "RG3_J2KR.dcm"), stored_values(data_store / "RG3_UNCR.dcm"))
    assert stored_values(data_store / "JPGLosslessP14SV1_1s_1f_8b.dcm").shape == (768, 1024)
    assert stored_values(data_store / "bad_sequence.dcm").shape == (512, 512)


def test_signedness_of_header_and_jpeg_2000_may_disagree(pydicom_files: Path) -> None:
    found = stored_values(pydicom_files / "J2K_pixelrep_mismatch.dcm")
    assert found.min() == -2000
    assert found.shape == (512, 512)


def test_unknown_syntax_is_an_unsupported_codec(film12: NDArray[np.uint16], tmp_path: Path) -> None:
    frame = encode_frame(film12, JPEG2000Lossless)
    path = write_dicom(tmp_path / "film.dcm", film12, syntax=UID("1.2.840.10008.1.2.4.95"), frame=frame, BitsStored=12)
    with pytest.raises(FilmError) as caught:
        read_radiograph(path)
    assert caught.value.code == "unsupported-codec"


def test_every_promised_codec_is_there_and_installing_twice_is_harmless() -> None:
    install_decoders()
    install_decoders()
    assert all(list_codecs().values())
    assert len(list_codecs()) >= 11
    assert choose_plugin(JPEGLossless) == "xraynet-imagecodecs"
    assert choose_plugin(UID("1.2.3")) is None
