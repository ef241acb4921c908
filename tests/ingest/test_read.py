"""One way from a file to a film: outcome codes, the file's name in the message, threads, and the speed promised."""

import hashlib
import logging
import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_dicom
from numpy.typing import NDArray

import xraynet
from xraynet.errors import FilmError, FilmFailed, XraynetError
from xraynet.ingest import read as reading
from xraynet.ingest.dicom_quiet import quiet_pydicom
from xraynet.ingest.grayscale import ModalityLut, PaddingRange, Rescale, StoredFormat, keep_stored_bits, make_grey


def test_film_carries_its_path_and_hash(film12: NDArray[np.uint16], tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "film.dcm", film12)
    film = xraynet.read_radiograph(str(path))
    assert film.path == str(path)
    assert film.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert film.id == film.sha256[:16]


@pytest.mark.parametrize("name", ["absent.dcm", ".", "nul\0l"])
def test_what_is_no_file_is_not_found(name: str, tmp_path: Path) -> None:
    with pytest.raises(FilmFailed) as caught:
        xraynet.read_radiograph(tmp_path / name)
    assert caught.value.code == "not-found"


def test_unreadable_content_is_refused_with_the_file_in_the_message(tmp_path: Path) -> None:
    (tmp_path / "letter.doc").write_bytes(b"Dear colleague, " * 30)
    with pytest.raises(XraynetError, match="letter") as caught:
        xraynet.read_radiograph(tmp_path / "letter.doc")
    assert isinstance(caught.value, FilmError)
    assert "letter" not in caught.value.reason
    assert pickle.loads(pickle.dumps(caught.value)).code == "not-an-image"  # noqa: S301  our own bytes


@pytest.mark.parametrize(("error", "code"), [(MemoryError(), "too-large"), (KeyError("Seeded^Name"), "internal-error")])
def test_whatever_breaks_is_one_family(
    error: Exception, code: str, film12: NDArray[np.uint16], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(reading, "read_dicom", explode)
    with pytest.raises(FilmFailed, match=r"film\.dcm") as caught:
        xraynet.read_radiograph(write_dicom(tmp_path / "film.dcm", film12))
    assert caught.value.code == code
    assert "Seeded" not in str(caught.value)


def test_many_threads_read_the_same_and_leave_warnings_and_logs_as_they_were(
    film12: NDArray[np.uint16], tmp_path: Path
) -> None:
    path = write_dicom(tmp_path / "film.dcm", film12)
    before, level = list(warnings.filters), logging.getLogger("pydicom").level
    with ThreadPoolExecutor(8) as pool:
        films = list(pool.map(xraynet.read_radiograph, [path] * 40))
    assert all(np.array_equal(film.pixels, films[0].pixels) for film in films)
    assert list(warnings.filters) == before
    assert logging.getLogger("pydicom").level == level


def test_silence_nests_and_ends_after_an_error() -> None:
    logger = logging.getLogger("pydicom")
    with pytest.raises(KeyError), quiet_pydicom(), quiet_pydicom():
        assert not logger.isEnabledFor(logging.CRITICAL)
        raise KeyError
    assert logger.isEnabledFor(logging.CRITICAL)


def test_reading_never_loads_torch() -> None:
    code = "import sys, xraynet.ingest.read, xraynet.ingest.discover; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_stored_bits_by_hand() -> None:
    values = np.array([[0xF001, 0x0FFF]], dtype=np.uint16)
    kept, had_stray = keep_stored_bits(values, StoredFormat(12, 11))
    assert (kept.tolist(), had_stray) == ([[1, 4095]], True)
    kept, had_stray = keep_stored_bits(values, StoredFormat(12, 11, is_signed=True))
    assert kept.tolist() == [[1, -1]]
    kept, had_stray = keep_stored_bits(np.array([[0x0FFF, 5]], dtype=np.int16), StoredFormat(12, 11, is_signed=True))
    assert (kept.tolist(), had_stray) == ([[-1, 5]], False)


def test_grey_by_hand() -> None:
    values = np.array([[0, 3]], dtype=np.uint16)
    plain = make_grey(values, stored=StoredFormat(2, 1), modality=Rescale(2, 10))
    assert (plain.pixels.tolist(), plain.grey.slope, plain.grey.intercept) == ([[0, 1]], 6, 10)
    inverted = make_grey(values, stored=StoredFormat(2, 1), modality=Rescale(2, 10), low_is_dense=True)
    assert (inverted.pixels.tolist(), inverted.grey.slope, inverted.grey.intercept) == ([[1, 0]], -6, 16)
    falling = make_grey(values, stored=StoredFormat(2, 1), modality=Rescale(-2, 10))
    assert (falling.pixels.tolist(), falling.grey.slope, falling.grey.intercept) == ([[1, 0]], 6, 4)
    lut = ModalityLut(first_value=1, table=np.array([0, 15, 5], np.float32), bits=4)
    assert make_grey(values, stored=StoredFormat(2, 1), modality=lut).pixels.tolist() == [[0, pytest.approx(1 / 3)]]
    assert make_grey(values, stored=StoredFormat(2, 1), modality=lut, low_is_dense=True).pixels[0, 0] == 1


def test_padding_is_zero_unless_it_is_everything() -> None:
    values = np.array([[9, 3]], dtype=np.uint16)
    padded = make_grey(values, stored=StoredFormat(4, 3), low_is_dense=True, padding=PaddingRange(9, 9))
    assert padded.padding is not None
    assert (padded.padding.tolist(), padded.pixels[0, 0]) == ([[True, False]], 0)
    everything = make_grey(values, stored=StoredFormat(4, 3), padding=PaddingRange(0, 15))
    assert everything.padding is None
    assert "Every pixel" in everything.warnings[0]
    beyond = make_grey(np.array([[0xF000, 3]], np.uint16), stored=StoredFormat(4, 3), padding=PaddingRange(0xF000, 0xF000))
    assert beyond.padding is not None
    assert beyond.padding.tolist() == [[True, False]]


@pytest.mark.parametrize("make", [lambda: StoredFormat(0, 0), lambda: StoredFormat(12, 10), lambda: Rescale(0, 1)])
def test_impossible_grey_is_the_callers_error(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"expected|bits"):
        make()
