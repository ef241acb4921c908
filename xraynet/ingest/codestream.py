"""What a compressed image says about itself: kind, size and depth, read from its markers without decoding it."""

from dataclasses import dataclass
from typing import Final, Literal

from xraynet.errors import FilmFailed

CodestreamKind = Literal["jpeg", "jpeg-lossless", "jpeg-ls", "jpeg-2000", "htj2k", "png"]

_NO_PAYLOAD: Final = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})
_NOT_FRAMES: Final = frozenset({0xC4, 0xC8, 0xCC})
_LOSSLESS_FRAMES: Final = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_JP2_SIGNATURE: Final = b"\x00\x00\x00\x0cjP  "
_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Codestream:
    """``bits``: per sample. ``samples``: per pixel. ``frame_marker``: JPEG's SOF byte (0xC0 baseline), else 0."""

    kind: CodestreamKind
    height: int
    width: int
    samples: int
    bits: int
    frame_marker: int = 0


def read_codestream(stream: bytes | memoryview) -> Codestream:
    """The header of a JPEG, JPEG lossless, JPEG-LS, JPEG 2000, HTJ2K or PNG stream.

    Raises FilmFailed where it is none of these or its header is cut or nonsense.
    """
    head = bytes(stream[:16])
    try:
        if head.startswith(b"\xff\xd8"):
            return _read_jpeg(stream)
        if head.startswith(b"\xff\x4f\xff\x51"):
            return _read_jpeg_2000(stream, 0)
        if head.startswith(_JP2_SIGNATURE):
            return _read_jpeg_2000(stream, _find_jp2_codestream(stream))
        if head.startswith(_PNG_SIGNATURE):
            return _read_png(stream)
    except IndexError:
        raise FilmFailed("the compressed image ends inside its header; a whole image was expected", code="truncated") from None
    raise FilmFailed(
        f"the compressed image starts with {head[:4].hex() or 'nothing'}; a known codec was expected", code="damaged"
    )


def ends_whole(stream: bytes | memoryview) -> bool:
    """True where a JPEG, JPEG-LS or JPEG 2000 stream still has its end marker (FF D9), apart from padding.

    libjpeg fills what is missing with grey and says nothing; a film cut in half must not pass for a film.
    """
    return b"\xff\xd9" in bytes(stream[-64:])


def _read_jpeg(stream: bytes | memoryview) -> Codestream:
    at = 2
    while True:
        while stream[at] != 0xFF:
            at += 1
        while stream[at] == 0xFF:
            at += 1
        marker = stream[at]
        at += 1
        if marker in _NO_PAYLOAD:
            continue
        if marker in (0xD9, 0xDA):
            raise FilmFailed("the JPEG has no frame header before its data; a whole image was expected", code="damaged")
        length = _number(stream, at, 2)
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES):
            kind: CodestreamKind = "jpeg-ls" if marker == 0xF7 else "jpeg-lossless" if marker in _LOSSLESS_FRAMES else "jpeg"
            bits, height, width = stream[at + 2], _number(stream, at + 3, 2), _number(stream, at + 5, 2)
            return Codestream(kind, height=height, width=width, samples=stream[at + 7], bits=bits, frame_marker=marker)
        at += max(2, length)


def _read_jpeg_2000(stream: bytes | memoryview, at: int) -> Codestream:
    if bytes(stream[at : at + 4]) != b"\xff\x4f\xff\x51":
        raise FilmFailed("the JPEG 2000 has no SIZ marker after SOC; a whole image was expected", code="damaged")
    capabilities = _number(stream, at + 6, 2)
    x_size, y_size, x_offset, y_offset = (_number(stream, at + 8 + 4 * i, 4) for i in range(4))
    samples = _number(stream, at + 40, 2)
    bits = (stream[at + 42] & 0x7F) + 1
    # Part 15 (HTJ2K) sets bit 14 of Rsiz: PS3.5 8.2.14, ISO/IEC 15444-15 A.2.
    kind: CodestreamKind = "htj2k" if capabilities & 0x4000 else "jpeg-2000"
    return Codestream(kind, height=y_size - y_offset, width=x_size - x_offset, samples=samples, bits=bits)


def _find_jp2_codestream(stream: bytes | memoryview) -> int:
    at = 0
    while True:
        length, box = _number(stream, at, 4), bytes(stream[at + 4 : at + 8])
        header = 8
        if length == 1:
            length, header = _number(stream, at + 8, 8), 16
        if box == b"jp2c":
            return at + header
        if length < header:
            raise FilmFailed("the JP2 file has no codestream; a whole image was expected", code="damaged")
        at += length


def _read_png(stream: bytes | memoryview) -> Codestream:
    if bytes(stream[12:16]) != b"IHDR":
        raise FilmFailed("the PNG does not start with IHDR; a whole image was expected", code="damaged")
    samples = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(stream[25], 0)
    return Codestream("png", height=_number(stream, 20, 4), width=_number(stream, 16, 4), samples=samples, bits=stream[24])


def _number(stream: bytes | memoryview, at: int, num_bytes: int) -> int:
    """An unsigned big-endian number; IndexError where the stream is too short for it."""
    _ = stream[at + num_bytes - 1]
    return int.from_bytes(stream[at : at + num_bytes], "big")
