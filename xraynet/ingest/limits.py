"""Caps on what a file may ask this machine to do, checked before any codec runs.

A 1.9 KB JPEG 2000 can declare 20000 x 20000 pixels, and 408 KB of deflated DICOM can unfold to 400 MB: what a header
says and what the codestream itself says are both held against the same limit.
"""

import zlib
from dataclasses import dataclass
from typing import Final

from xraynet.errors import FilmFailed

_CHUNK = 1 << 20


@dataclass(frozen=True)
class DecodeLimits:
    """How large a film may be: ``max_pixels`` per film (samples, so a colour film counts three times).

    ``max_file_bytes`` bounds the file itself, ``max_header_bytes`` what everything but the pixels may unfold to.
    """

    max_pixels: int = 200_000_000
    max_file_bytes: int = 2 << 30
    max_header_bytes: int = 16 << 20

    def __post_init__(self) -> None:
        for name in ("max_pixels", "max_file_bytes", "max_header_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; at least 1 was expected")

    @classmethod
    def of_megapixels(cls, max_megapixels: float) -> "DecodeLimits":
        """The default limits with another size of film. Raises ValueError where that is no number above 0."""
        if not 1e-6 <= max_megapixels <= 1e6:
            raise ValueError(f"the limit is {max_megapixels} megapixels; a number above 0 and at most a million was expected")
        return cls(max_pixels=round(max_megapixels * 1e6))

    def check_size(self, *, height: int, width: int, samples: int = 1, what: str) -> None:
        """Raise FilmFailed where a film of this size is over the limit, or has no pixels; ``what`` names who says so."""
        if height < 1 or width < 1 or samples < 1:
            raise FilmFailed(
                f"{what} is {height} x {width} pixels with {samples} samples; a film needs at least 1 of each", code="damaged"
            )
        if height * width * samples > self.max_pixels:
            raise FilmFailed(
                f"{what} is {height} x {width} pixels with {samples} samples; at most {self.max_pixels} in all are read",
                code="too-large",
            )

    def check_file_bytes(self, num_bytes: int) -> None:
        """Raise FilmFailed where the file itself is over the limit."""
        if num_bytes > self.max_file_bytes:
            raise FilmFailed(f"the file has {num_bytes} bytes; at most {self.max_file_bytes} are read", code="too-large")


DEFAULT_LIMITS: Final = DecodeLimits()


def inflate_at_most(compressed: bytes | memoryview, *, max_bytes: int, raw: bool) -> tuple[bytes, bool]:
    """Unfold a deflated stream up to ``max_bytes``: (what came out, True where the stream ended within that).

    ``raw``: a bare deflate stream (DICOM), else one with zlib's header (MetaImage). Raises FilmFailed where the stream is
    damaged or ends too soon.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS if raw else zlib.MAX_WBITS)
    pieces: list[bytes] = []
    left, rest = max_bytes, bytes(compressed)
    try:
        while left > 0 and not inflater.eof:
            piece = inflater.decompress(rest, min(left, _CHUNK))
            rest = inflater.unconsumed_tail
            if not piece and not rest:
                break
            pieces.append(piece)
            left -= len(piece)
    except zlib.error:
        raise FilmFailed("the deflated data are damaged; a whole deflate stream was expected", code="damaged") from None
    if not inflater.eof and left > 0:
        raise FilmFailed("the deflated data end too soon; a whole deflate stream was expected", code="truncated")
    return b"".join(pieces), inflater.eof
