"""The one way from a file to a Radiograph: what the bytes say decides how they are read, never the file's name."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from xraynet.errors import FailureCode, FilmError, FilmFailed, FilmRefused
from xraynet.files import sha256_of_file
from xraynet.ingest.dicom import read_dicom
from xraynet.ingest.dicom_parse import looks_like_dicom
from xraynet.ingest.limits import DEFAULT_LIMITS, DecodeLimits
from xraynet.ingest.metaimage import find_data_file, looks_like_metaimage, read_metaimage
from xraynet.ingest.rasters import JSRT_BYTES, read_jsrt, read_raster
from xraynet.radiograph import PixelSpacing, Radiograph

FILM_SUFFIXES: Final = frozenset({"", ".dcm", ".dicom", ".dic", ".png", ".jpg", ".jpeg", ".jls", ".img", ".mha", ".mhd"})
"""Suffixes that films usually have. Reading does not look at them; listings and messages may."""

_HEAD_BYTES: Final = 144
_RASTER_SIGNATURES: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")


def read_radiograph(
    path: str | Path, *, limits: DecodeLimits = DEFAULT_LIMITS, spacing_mm: tuple[float, float] | None = None
) -> Radiograph:
    """Read one film: DICOM, PNG, JPEG, MetaImage or JSRT ``.IMG``.

    ``spacing_mm``: (row, column) at the detector, for a file that states none itself; ValueError where it is not two
    lengths above 0. Raises FilmRefused for what is not a film for xraynet, FilmFailed for what cannot be read; both name
    the file, and neither repeats anything that identifies a patient.
    """
    given = None if spacing_mm is None else PixelSpacing(row_mm=spacing_mm[0], column_mm=spacing_mm[1], plane="detector")
    path = Path(path)
    try:
        radiograph = _read(path, limits)
    except FilmError as error:
        # ``reason`` stays without the name, for outcomes that hash paths; the message names the file.
        error.args = (f"{path}: {error.reason}",)
        raise
    except MemoryError:
        raise _fail("there is not enough memory to read the film", path, code="too-large") from None
    except Exception as error:  # the boundary of one file: whatever hostile bytes do, the answer is one family of errors
        raise _fail(f"reading broke with {type(error).__name__}", path, code="internal-error") from None
    if radiograph.spacing is None and given is not None:
        radiograph = replace(radiograph, spacing=given)
    return radiograph


def _fail(reason: str, path: Path, *, code: FailureCode) -> FilmFailed:
    error = FilmFailed(reason, code=code)
    error.args = (f"{path}: {reason}",)
    return error


def sha256_of_film(path: Path) -> str:
    """The SHA-256 that identifies a film: of its file, and of the pixel file too where an ``.mhd`` names one."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if not looks_like_metaimage(head):
        return sha256_of_file(path)
    content = path.read_bytes()
    data_file = find_data_file(content, path)
    return hashlib.sha256(content + (data_file.read_bytes() if data_file else b"")).hexdigest()


def _read(path: Path, limits: DecodeLimits) -> Radiograph:
    content = _read_file(path, limits)
    data_file = find_data_file(content, path) if looks_like_metaimage(content[:_HEAD_BYTES]) else None
    pixel_content = _read_file(data_file, limits) if data_file else None
    # Hashing and decoding both leave the interpreter lock alone, and each takes about as long as the other.
    with ThreadPoolExecutor(max_workers=1) as pool:
        digest = pool.submit(_hash, content, pixel_content)
        radiograph = _read_content(content, pixel_content, limits)
        return replace(radiograph, path=str(path), sha256=digest.result())


def _hash(content: bytes, pixel_content: bytes | None) -> str:
    digest = hashlib.sha256(content)
    if pixel_content is not None:
        digest.update(pixel_content)
    return digest.hexdigest()


def _read_file(path: Path, limits: DecodeLimits) -> bytes:
    try:
        if not path.is_file():
            raise FilmFailed("there is no such file", code="not-found")
        limits.check_file_bytes(path.stat().st_size)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise FilmFailed(f"the file cannot be opened ({type(error).__name__})", code="not-found") from None


def _read_content(content: bytes, pixel_content: bytes | None, limits: DecodeLimits) -> Radiograph:
    head = content[:_HEAD_BYTES]
    if not content:
        raise FilmFailed("the file is empty", code="truncated")
    if head.startswith(_RASTER_SIGNATURES):
        return read_raster(content, limits=limits)
    if looks_like_metaimage(head):
        return read_metaimage(content, pixel_content=pixel_content, limits=limits)
    if looks_like_dicom(head):
        return read_dicom(content, limits=limits)
    if len(content) == JSRT_BYTES:
        return read_jsrt(content)
    raise FilmRefused("the file is no film; DICOM, PNG, JPEG, MetaImage or JSRT .IMG was expected", code="not-an-image")
