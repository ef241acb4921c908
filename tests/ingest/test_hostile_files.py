"""Files made to harm: small ones that claim to be huge, deep ones, cut ones, and ones that carry a patient's name."""

import logging
import time
import tracemalloc
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from dicom_files import HTJ2K_LOSSLESS, encode_frame, write_dicom
from numpy.typing import NDArray
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from xraynet import read_radiograph
from xraynet.errors import FilmError, FilmFailed
from xraynet.ingest.limits import DecodeLimits

SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLosslessSV1,
    JPEGExtended12Bit,
    JPEGLSLossless,
    JPEG2000Lossless,
    HTJ2K_LOSSLESS,
]
TINY = np.zeros((8, 8), np.uint8)


def fails_with(path: Path, code: str, *, limits: DecodeLimits | None = None) -> FilmError:
    started = time.perf_counter()
    with pytest.raises(FilmError) as caught:
        read_radiograph(path) if limits is None else read_radiograph(path, limits=limits)
    assert caught.value.code == code, caught.value.reason
    assert time.perf_counter() - started < 2
    return caught.value


def huge_jpeg_2000() -> bytes:
    """A small JPEG 2000 whose SIZ marker is edited to claim 20000 x 20000 pixels."""
    stream = bytearray(imagecodecs.jpeg2k_encode(TINY, codecformat="j2k", reversible=True, level=0))
    stream[8:16] = (20000).to_bytes(4, "big") * 2
    return bytes(stream)


def huge_jpeg(frame: bytes, marker: int) -> bytes:
    stream = bytearray(frame)
    at = stream.index(bytes([0xFF, marker]))
    stream[at + 5 : at + 9] = (60000).to_bytes(2, "big") * 2
    return bytes(stream)


@pytest.mark.parametrize(
    ("syntax", "frame"),
    [
        (JPEG2000Lossless, huge_jpeg_2000()),
        (JPEGBaseline8Bit, huge_jpeg(encode_frame(TINY, JPEGBaseline8Bit), 0xC0)),
        (JPEGLosslessSV1, huge_jpeg(encode_frame(TINY, JPEGLosslessSV1), 0xC3)),
        (JPEGLSLossless, huge_jpeg(encode_frame(TINY, JPEGLSLossless), 0xF7)),
    ],
)
def test_codestream_that_claims_to_be_huge_is_refused_before_decoding(syntax: UID, frame: bytes, tmp_path: Path) -> None:
    assert "itself" in fails_with(write_dicom(tmp_path / "bomb.dcm", TINY, syntax=syntax, frame=frame), "too-large").reason


def test_codestream_of_another_size_than_the_header_is_damaged(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    frame = encode_frame(film8, JPEGLSLossless)
    path = write_dicom(tmp_path / "liar.dcm", film8, syntax=JPEGLSLossless, frame=frame, Rows=48)
    assert "its header says 48" in fails_with(path, "damaged").reason


def test_header_that_declares_too_much_is_refused(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    fails_with(write_dicom(tmp_path / "wide.dcm", film8, Rows=60000, Columns=60000), "too-large")
    small = write_dicom(tmp_path / "small.dcm", film8)
    fails_with(small, "too-large", limits=DecodeLimits(max_pixels=1000))
    fails_with(small, "too-large", limits=DecodeLimits(max_file_bytes=100))
    with pytest.raises(ValueError, match="max_pixels is 0"):
        DecodeLimits(max_pixels=0)


def deflated(path: Path, body: bytes) -> Path:
    """A Part 10 file whose dataset is ``body``, deflated."""
    whole = write_dicom(path, TINY, syntax=DeflatedExplicitVRLittleEndian).read_bytes()
    meta_end = 144 + int.from_bytes(whole[140:144], "little")
    packer = zlib.compressobj(4, zlib.DEFLATED, -15)
    path.write_bytes(whole[:meta_end] + packer.compress(body) + packer.flush())
    return path


def test_deflated_bomb_costs_no_memory(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    plain = write_dicom(tmp_path / "plain.dcm", film8).read_bytes()
    body = plain[144 + int.from_bytes(plain[140:144], "little") :]
    bomb = deflated(
        tmp_path / "bomb.dcm", body + b"\xe0\x7f\x00\x7fOB\0\0" + (100 << 20).to_bytes(4, "little") + b"\0" * (100 << 20)
    )
    assert bomb.stat().st_size < 1 << 20
    tracemalloc.start()
    fails_with(bomb, "too-large")
    assert tracemalloc.get_traced_memory()[1] < 60 << 20
    tracemalloc.stop()
    fails_with(deflated(tmp_path / "padded.dcm", b"\x08\x00\x05\x00CS\xfe\x7f" + b" " * (8 << 20)), "damaged")


def test_deflated_film_cut_short_is_truncated(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "film.dcm", film8, syntax=DeflatedExplicitVRLittleEndian)
    path.write_bytes(path.read_bytes()[:-200])
    fails_with(path, "truncated")
    path.write_bytes(path.read_bytes()[:400] + b"\xff" * 400)
    assert fails_with(path, "damaged").code == "damaged"


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.99])
def test_cut_file_fails_in_every_syntax(syntax: UID, share: float, film12: NDArray[np.uint16], tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "film.dcm", film12, syntax=syntax, BitsStored=12)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(FilmFailed) as caught:
        read_radiograph(path)
    assert caught.value.code in ("truncated", "damaged")


@pytest.mark.parametrize("syntax", SYNTAXES[5:], ids=lambda uid: uid.name)
def test_codestream_cut_inside_a_whole_file_fails(syntax: UID, film12: NDArray[np.uint16], tmp_path: Path) -> None:
    frame = encode_frame(film12, syntax)
    path = write_dicom(tmp_path / "film.dcm", film12, syntax=syntax, frame=frame[: len(frame) // 2], BitsStored=12)
    assert fails_with(path, "truncated")


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
def test_flipped_bytes_never_escape_the_family(syntax: UID, film12: NDArray[np.uint16], tmp_path: Path) -> None:
    content = write_dicom(tmp_path / "film.dcm", film12, syntax=syntax, BitsStored=12).read_bytes()
    rng = np.random.default_rng(3)
    codes = set()
    for trial in range(25):
        broken = bytearray(content)
        for at in rng.integers(132, len(broken), size=1 + trial):
            broken[at] = rng.integers(256)
        (tmp_path / "broken.dcm").write_bytes(broken)
        try:
            read_radiograph(tmp_path / "broken.dcm")
        except FilmError as error:
            codes.add(error.code)
    assert "internal-error" not in codes


def test_deeply_nested_sequences_are_damaged(tmp_path: Path) -> None:
    item, sequence = b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff"
    plain = write_dicom(tmp_path / "plain.dcm", TINY).read_bytes()
    meta_end = 144 + int.from_bytes(plain[140:144], "little")
    (tmp_path / "deep.dcm").write_bytes(plain[:meta_end] + (sequence + item) * 20_000)
    assert "RecursionError" in fails_with(tmp_path / "deep.dcm", "damaged").reason


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"Rows": 0}, "damaged"),
        ({"Columns": None}, "damaged"),
        ({"BitsStored": 0, "HighBit": 0}, "damaged"),
        ({"BitsStored": 40, "HighBit": 39}, "damaged"),
        ({"BitsAllocated": 12}, "damaged"),
        ({"BitsAllocated": 16}, "truncated"),
    ],
)
def test_impossible_header_is_said_to_be_damaged(
    tags: dict[str, int | None], code: str, film8: NDArray[np.uint8], tmp_path: Path
) -> None:
    fails_with(write_dicom(tmp_path / "film.dcm", film8, **tags), code)


def test_odd_high_bit_and_missing_bits_stored_are_mended(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    film = read_radiograph(write_dicom(tmp_path / "film.dcm", film8, HighBit=77))
    assert np.array_equal(np.rint(film.modality_values()), film8)


def test_compressed_syntax_around_bare_pixels_is_damaged(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "film.dcm", film8)
    named = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0", 1)
    path.write_bytes(named)
    fails_with(path, "damaged")


def test_empty_encapsulation_is_truncated(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    frame = encode_frame(film8, JPEGLSLossless)
    frame += b"\0" * (len(frame) % 2)
    path = write_dicom(tmp_path / "film.dcm", film8, syntax=JPEGLSLossless, frame=frame)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(frame) - 8] + b"\xfe\xff\xdd\xe0\0\0\0\0")
    fails_with(path, "truncated")


def test_patient_is_in_no_message_and_no_log(
    film8: NDArray[np.uint8], tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    caplog.set_level(logging.DEBUG)
    seeded = {
        "PatientName": "Seeded<img onerror=x>^Name",
        "PatientID": "=HYPERLINK(seeded)",
        "PatientBirthDate": "seeded-date",
        "AccessionNumber": "seeded-accession-number-far-too-long",
        "Modality": "seeded<b>",
        "BodyPartExamined": "<script>seeded",
        "SOPInstanceUID": "../../../../seeded",
    }
    with pytest.raises(FilmError) as caught:
        read_radiograph(write_dicom(tmp_path / "film.dcm", film8, **seeded))
    said = str(caught.value) + caplog.text + "".join(str(item.message) for item in recwarn)
    assert "Name" not in said
    assert "HYPERLINK" not in said
    assert "<" not in str(caught.value)
    film = read_radiograph(write_dicom(tmp_path / "film.dcm", film8, **(seeded | {"Modality": "DX"})))
    assert not any("<" in warning for warning in film.warnings)
    assert caught.value.__cause__ is None
