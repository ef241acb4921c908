"""Films without a medical header: PNG, JPEG, and the JSRT database's bare ``.IMG``."""

import zlib
from typing import Final

import cv2
import imagecodecs
import numpy as np
from jaxtyping import Integer
from numpy.typing import NDArray

from xraynet.errors import FilmFailed, FilmRefused
from xraynet.ingest.codestream import Codestream, ends_whole, read_codestream
from xraynet.ingest.grayscale import StoredFormat, make_grey
from xraynet.ingest.limits import DecodeLimits
from xraynet.radiograph import PixelSpacing, Radiograph, Window

JSRT_BYTES: Final = 8_388_608
JSRT_SIDE: Final = 2048
JSRT_SPACING: Final = PixelSpacing(row_mm=0.175, column_mm=0.175, plane="detector")
_JSRT_STORED: Final = StoredFormat(bits_stored=12, high_bit=11)
_PNG_HEAD: Final = 8


def read_raster(content: bytes, *, limits: DecodeLimits) -> Radiograph:
    """A PNG or JPEG of 8 to 16 bits: grey, or grey stored as RGB (with a warning). It is shown bright where values are high.

    Raises FilmRefused for true colour, FilmFailed for what is cut, damaged or over the limit.
    """
    header = read_codestream(content)
    limits.check_size(height=header.height, width=header.width, samples=header.samples, what=f"the {_name(header)} image")
    if header.kind != "png" and header.samples == 4:
        raise FilmRefused("the JPEG has four inks (CMYK); grey was expected", code="true-colour")
    values = _decode_png(content) if header.kind == "png" else _decode_jpeg(content, header)
    if values.shape[:2] != (header.height, header.width):
        raise FilmFailed(f"the image decodes to {values.shape}; {header.height} x {header.width} was expected", code="damaged")
    warnings: list[str] = []
    grey = merge_equal_channels(values, warnings)
    bits = _depth(grey, header)
    return make_raster_radiograph(grey, bits=bits, warnings=warnings, source_format="png" if header.kind == "png" else "jpeg")


def read_jsrt(content: bytes) -> Radiograph:
    """A JSRT ``.IMG``: 2048 x 2048 big-endian 16-bit words, 12 bits used, low values dense; 0.175 mm on the film.

    Raises FilmRefused where a value needs more than 12 bits: then it only has JSRT's size.
    """
    values = np.frombuffer(content, dtype=">u2").reshape(JSRT_SIDE, JSRT_SIDE).astype(np.uint16)
    if int(values.max()) > _JSRT_STORED.value_range[1]:
        raise FilmRefused("the file has the size of a JSRT film, but values above 12 bits", code="not-an-image")
    grey = make_grey(values, stored=_JSRT_STORED, low_is_dense=True)
    return Radiograph(pixels=grey.pixels, grey=grey.grey, spacing=JSRT_SPACING, source_format="jsrt")


def make_raster_radiograph(
    values: Integer[NDArray[np.integer], "height width"],
    *,
    bits: int,
    is_signed: bool = False,
    spacing: PixelSpacing | None = None,
    warnings: list[str],
    source_format: str,
) -> Radiograph:
    """A film from whole numbers without any DICOM header: bright where they are high.

    Above 8 bits, where files seldom use their whole range, people are shown the range that is in use.
    """
    low, high = int(values.min()), int(values.max())
    voi = Window(centre=(low + high) / 2, width=float(high - low), function="LINEAR_EXACT") if bits > 8 and high > low else None
    grey = make_grey(values, stored=StoredFormat(bits, bits - 1, is_signed), voi=voi)
    return Radiograph(
        pixels=grey.pixels, grey=grey.grey, spacing=spacing, warnings=(*warnings, *grey.warnings), source_format=source_format
    )


def merge_equal_channels(values: NDArray[np.integer], warnings: list[str]) -> NDArray[np.integer]:
    """Grey from (height, width) or (height, width, channels); an alpha channel is dropped.

    Raises FilmRefused where the colour channels differ.
    """
    if values.ndim == 2:
        return values
    num_channels = values.shape[-1]
    if num_channels in (2, 4):
        if values[..., -1].min() < values[..., -1].max():
            warnings.append("The image has a transparency channel; it was ignored.")
        num_channels -= 1
    first = values[..., 0]
    for channel in range(1, num_channels):
        if not np.array_equal(first, values[..., channel]):
            raise FilmRefused("the image is true colour; grey was expected", code="true-colour")
    if num_channels > 1:
        warnings.append("The image stores grey as colour; one channel was read.")
    return np.ascontiguousarray(first)


def _depth(values: NDArray[np.integer], header: Codestream) -> int:
    """Bits per value as decoded: OpenCV widens 1, 2 and 4 bits to 8; a JPEG keeps its own precision."""
    if header.kind == "png":
        return values.dtype.itemsize * 8
    return max(8, min(header.bits, values.dtype.itemsize * 8))


def _decode_png(content: bytes) -> NDArray[np.integer]:
    _check_png_chunks(content)
    decoded = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise FilmFailed("the PNG cannot be decoded", code="damaged")
    values: NDArray[np.integer] = decoded.astype(decoded.dtype, copy=False)
    return values


def _check_png_chunks(content: bytes) -> None:
    """Every chunk there, and its checksum right, up to IEND: OpenCV answers a cut PNG with half a film."""
    at = _PNG_HEAD
    while True:
        length = int.from_bytes(content[at : at + 4], "big")
        end = at + 12 + length
        if end > len(content):
            raise FilmFailed("the PNG ends inside a chunk; a whole file was expected", code="truncated")
        if zlib.crc32(memoryview(content)[at + 4 : end - 4]) != int.from_bytes(content[end - 4 : end], "big"):
            raise FilmFailed("a chunk of the PNG has a wrong checksum", code="damaged")
        if content[at + 4 : at + 8] == b"IEND":
            return
        at = end


def _decode_jpeg(content: bytes, header: Codestream) -> NDArray[np.integer]:
    if b"\xff\xd9" not in content[-4096:] and not ends_whole(content):
        raise FilmFailed("the JPEG has no end marker; a whole file was expected", code="truncated")
    try:
        if header.kind in ("jpeg", "jpeg-lossless"):
            decoded: NDArray[np.integer] = imagecodecs.jpeg8_decode(content)
        elif header.kind == "jpeg-ls":
            decoded = imagecodecs.jpegls_decode(content)
        else:
            raise FilmRefused(
                "the image is JPEG 2000; PNG, JPEG, MetaImage, JSRT .IMG or DICOM was expected", code="not-an-image"
            )
    except (RuntimeError, ValueError) as error:
        raise FilmFailed(f"the JPEG cannot be decoded ({type(error).__name__})", code="damaged") from None
    return decoded


def _name(header: Codestream) -> str:
    return header.kind.upper().replace("JPEG-", "JPEG ")
