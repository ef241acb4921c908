"""The stored values of a DICOM film: native or compressed, checked for size and wholeness before any codec runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from jaxtyping import Integer
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import DecodeOptions, get_decoder
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from xraynet.errors import FilmFailed
from xraynet.ingest.codestream import ends_whole, read_codestream
from xraynet.ingest.dicom_codecs import choose_plugin, syntax_of
from xraynet.ingest.dicom_parse import ParsedDicom
from xraynet.ingest.dicom_quiet import quiet_pydicom
from xraynet.ingest.dicom_tags import read_integer
from xraynet.ingest.grayscale import StoredFormat
from xraynet.ingest.limits import DecodeLimits

PIXEL_DATA: Final = 0x7FE00010
_UNDEFINED: Final = 0xFFFFFFFF
_NATIVE: Final = frozenset({ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian})
_ITEM, _SEQUENCE_END = 0xE000, 0xE0DD


@dataclass(frozen=True)
class ImageHeader:
    """What the dataset declares about its pixels (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    stored: StoredFormat


def read_image_header(parsed: ParsedDicom, *, limits: DecodeLimits) -> ImageHeader:
    """The declared size and depth. Raises FilmFailed where they are impossible or over the limit."""
    dataset = parsed.dataset
    rows, columns = read_integer(dataset, "Rows"), read_integer(dataset, "Columns")
    samples = read_integer(dataset, "SamplesPerPixel") or 1
    limits.check_size(height=rows or 0, width=columns or 0, samples=samples, what="the image in the DICOM header")
    allocated = read_integer(dataset, "BitsAllocated")
    stored = read_integer(dataset, "BitsStored")
    stored = allocated if stored is None else stored
    high = read_integer(dataset, "HighBit")
    if allocated not in (8, 16, 32) or stored is None or not 1 <= stored <= allocated:
        raise FilmFailed(
            f"Bits Allocated is {allocated} and Bits Stored {stored}; 8, 16 or 32 and at most as many were expected",
            code="damaged",
        )
    high = stored - 1 if high is None or not stored - 1 <= high < allocated else high
    is_signed = read_integer(dataset, "PixelRepresentation") == 1
    assert rows is not None
    assert columns is not None
    return ImageHeader(rows, columns, samples, allocated, StoredFormat(stored, high, is_signed))


def decode_stored(
    parsed: ParsedDicom, header: ImageHeader, *, photometric: str, limits: DecodeLimits
) -> Integer[NDArray[np.integer], "height width *samples"]:
    """The stored values as they lie in the file: (height, width), or (height, width, samples) for colour.

    Raises FilmFailed: ``truncated``, ``damaged``, ``too-large`` or ``unsupported-codec``.
    """
    element: object = parsed.dataset.get_item(PIXEL_DATA, keep_deferred=True)
    if not isinstance(element, RawDataElement):
        raise FilmFailed("Pixel Data is not plain bytes; one image was expected", code="damaged")
    if element.length == _UNDEFINED:
        return _decode_compressed(parsed, element.value_tell, header, photometric=photometric, limits=limits)
    if parsed.transfer_syntax not in _NATIVE:
        raise FilmFailed(
            f"Pixel Data is not encapsulated, but the transfer syntax is {_name(parsed.transfer_syntax)}", code="damaged"
        )
    return _read_native(parsed, element, header)


def _read_native(parsed: ParsedDicom, element: RawDataElement, header: ImageHeader) -> NDArray[np.integer]:
    count = header.rows * header.columns * header.samples
    num_bytes = count * header.bits_allocated // 8
    found = min(element.length, len(parsed.content) - element.value_tell)
    if found < num_bytes:
        raise FilmFailed(f"Pixel Data has {found} bytes; {num_bytes} were expected", code="truncated")
    is_big = parsed.transfer_syntax == ExplicitVRBigEndian
    kind = "i" if header.stored.is_signed else "u"
    dtype = np.dtype(f"{'>' if is_big else '<'}{kind}{header.bits_allocated // 8}")
    if is_big and header.bits_allocated == 8 and element.VR == "OW":
        # 8-bit samples in 16-bit big-endian words lie in swapped pairs (PS3.5 8.1.1, D.1).
        words = parsed.content[element.value_tell : element.value_tell + num_bytes + num_bytes % 2]
        values = np.frombuffer(words, dtype=">u2").astype("<u2").view(dtype)[:count]
    else:
        values = np.frombuffer(parsed.content, dtype=dtype, count=count, offset=element.value_tell)
    if is_big:
        values = values.astype(dtype.newbyteorder("="))
    if header.samples == 1:
        return values.reshape(header.rows, header.columns)
    if read_integer(parsed.dataset, "PlanarConfiguration") == 1:
        return np.moveaxis(values.reshape(header.samples, header.rows, header.columns), 0, -1)
    return values.reshape(header.rows, header.columns, header.samples)


def _decode_compressed(
    parsed: ParsedDicom, start: int, header: ImageHeader, *, photometric: str, limits: DecodeLimits
) -> NDArray[np.integer]:
    fragments = list(iterate_fragments(memoryview(parsed.content)[start:]))[1:]
    frame = b"".join(fragments)
    if not frame:
        raise FilmFailed("Pixel Data holds no fragment; one compressed image was expected", code="truncated")
    syntax = parsed.transfer_syntax
    if syntax != RLELossless:
        actual = _check_codestream(frame, header, limits)
        # Compressed pixels under a native syntax: the file states none, or a wrong one; the codestream knows.
        syntax = actual if syntax in _NATIVE and actual is not None else syntax
    plugin = choose_plugin(syntax, is_colour=header.samples > 1)
    if plugin is None:
        raise FilmFailed(f"no decoder for the transfer syntax {_name(syntax)}", code="unsupported-codec")
    options = {
        "rows": header.rows,
        "columns": header.columns,
        "samples_per_pixel": header.samples,
        "photometric_interpretation": photometric,
        "number_of_frames": 1,
        "bits_allocated": header.bits_allocated,
        "bits_stored": header.stored.bits_stored,
        "pixel_representation": int(header.stored.is_signed),
        "planar_configuration": read_integer(parsed.dataset, "PlanarConfiguration") or 0,
        "correct_unused_bits": False,
    }
    encapsulated = encapsulate([frame], has_bot=False)
    try:
        with quiet_pydicom():
            # pydicom annotates each keyword with the type of all of them together.
            values, _ = get_decoder(syntax).as_array(
                encapsulated,
                index=0,
                validate=True,
                raw=True,
                decoding_plugin=plugin,
                **cast(dict[str, DecodeOptions], options),
            )
    except Exception as error:  # codecs fail in ways that nobody lists
        raise FilmFailed(
            f"the compressed image cannot be decoded as {_name(syntax)} ({type(error).__name__})", code="damaged"
        ) from None
    decoded: NDArray[np.integer] = values
    return decoded


def _check_codestream(frame: bytes, header: ImageHeader, limits: DecodeLimits) -> UID | None:
    actual = read_codestream(frame)
    limits.check_size(height=actual.height, width=actual.width, samples=actual.samples, what="the compressed image itself")
    if (actual.height, actual.width, actual.samples) != (header.rows, header.columns, header.samples):
        raise FilmFailed(
            f"the compressed image is {actual.height} x {actual.width} with {actual.samples} samples; its header says "
            f"{header.rows} x {header.columns} with {header.samples}",
            code="damaged",
        )
    if not ends_whole(frame):
        raise FilmFailed("the compressed image has no end marker; a whole image was expected", code="truncated")
    return syntax_of(actual.kind)


def iterate_fragments(encapsulated: memoryview) -> Iterator[memoryview]:
    """The items of encapsulated Pixel Data, the Basic Offset Table first (PS3.5 A.4).

    Raises FilmFailed where an item is cut or the closing delimiter is missing.
    """
    at = 0
    while True:
        head = encapsulated[at : at + 8]
        if len(head) < 8:
            raise FilmFailed("Pixel Data has no closing delimiter; a whole file was expected", code="truncated")
        group, element = (int.from_bytes(head[i : i + 2], "little") for i in (0, 2))
        length = int.from_bytes(head[4:8], "little")
        if group != 0xFFFE or element not in (_ITEM, _SEQUENCE_END) or length == _UNDEFINED:
            raise FilmFailed("Pixel Data is not a sequence of fragments; encapsulated data were expected", code="damaged")
        if element == _SEQUENCE_END:
            return
        at += 8 + length
        if at > len(encapsulated):
            raise FilmFailed("a fragment of Pixel Data ends too soon; a whole file was expected", code="truncated")
        yield encapsulated[at - length : at]


def _name(syntax: UID) -> str:
    return syntax.name if syntax.is_transfer_syntax else "(unknown or private)"
