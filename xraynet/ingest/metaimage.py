"""MetaImage films (``.mha``, ``.mhd``): the header read and held against the limits before any pixel is.

An ``.mhd`` names another file. Only LOCAL or a plain name in the same folder is followed: a header must not make xraynet
read what it was not given.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from xraynet.errors import FilmFailed, FilmRefused
from xraynet.ingest.limits import DecodeLimits, inflate_at_most
from xraynet.ingest.rasters import make_raster_radiograph, merge_equal_channels
from xraynet.radiograph import GreyScale, PixelSpacing, Radiograph

_DTYPES: Final = {
    "MET_UCHAR": "u1",
    "MET_CHAR": "i1",
    "MET_USHORT": "u2",
    "MET_SHORT": "i2",
    "MET_UINT": "u4",
    "MET_INT": "i4",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_LARGEST_HEADER: Final = 65536


@dataclass(frozen=True)
class MetaHeader:
    """``data_file``: "LOCAL" or a plain file name. ``data_start``: where LOCAL data begin in the file."""

    height: int
    width: int
    channels: int
    dtype: np.dtype[np.generic]
    spacing: PixelSpacing | None
    is_compressed: bool
    data_file: str
    data_start: int
    warnings: tuple[str, ...] = ()


def looks_like_metaimage(head: bytes) -> bool:
    """True where a file starts with a line that MetaImage headers start with.

    >>> looks_like_metaimage(b"ObjectType = Image\\nNDims = 2\\n"), looks_like_metaimage(b"key = value")
    (True, False)
    """
    first = head.split(b"=", 1)[0].strip()
    return b"=" in head and first in (b"ObjectType", b"NDims", b"Comment", b"BinaryData")


def find_data_file(content: bytes, path: Path) -> Path | None:
    """The other file that a MetaImage header names, or None where the pixels are in the header's own file.

    Raises FilmFailed where it names anything but a plain file of the same folder.
    """
    name = _read_fields(content)[0].get("ElementDataFile", "")
    if name in ("LOCAL", "Local", "local"):
        return None
    if name in ("", ".", "..", "LIST") or any(letter in name for letter in "/\\:%\0") or name.startswith("LIST"):
        raise FilmFailed("ElementDataFile is neither LOCAL nor a plain name in the same folder", code="damaged")
    other = path.parent / name
    if other.resolve().parent != path.parent.resolve():
        raise FilmFailed("ElementDataFile leads out of the folder; a file beside the header was expected", code="damaged")
    if not other.is_file():
        raise FilmFailed("the file that ElementDataFile names is not there", code="not-found")
    return other


def read_metaimage(content: bytes, *, pixel_content: bytes | None, limits: DecodeLimits) -> Radiograph:
    """A two-dimensional MetaImage as a film, bright where values are high.

    ``pixel_content``: the bytes of the file that the header names, None where the pixels follow the header. Raises
    FilmRefused for volumes and true colour, FilmFailed for what is cut, damaged or over the limit.
    """
    header = read_meta_header(content, limits=limits)
    stored = memoryview(content)[header.data_start :] if pixel_content is None else memoryview(pixel_content)
    num_bytes = header.height * header.width * header.channels * header.dtype.itemsize
    if header.is_compressed:
        unfolded, is_whole = inflate_at_most(stored, max_bytes=num_bytes + 1, raw=False)
        if not is_whole or len(unfolded) > num_bytes:
            raise FilmFailed(f"the compressed pixels unfold to more than the declared {num_bytes} bytes", code="damaged")
        stored = memoryview(unfolded)
    if len(stored) < num_bytes:
        raise FilmFailed(f"the pixels have {len(stored)} bytes; {num_bytes} were expected", code="truncated")
    values = np.frombuffer(stored[:num_bytes], dtype=header.dtype).astype(header.dtype.newbyteorder("="))
    warnings = list(header.warnings)
    shape = (header.height, header.width, header.channels) if header.channels > 1 else (header.height, header.width)
    if values.dtype.kind == "f":
        return _read_float(values.reshape(shape), header, warnings)
    grey = merge_equal_channels(values.reshape(shape), warnings)
    return make_raster_radiograph(
        grey,
        bits=values.dtype.itemsize * 8,
        is_signed=values.dtype.kind == "i",
        spacing=header.spacing,
        warnings=warnings,
        source_format="metaimage",
    )


def _read_float(values: NDArray[np.floating], header: MetaHeader, warnings: list[str]) -> Radiograph:
    """Floating-point pixels have no stored range; the film's own lowest and highest values become 0 and 1."""
    if values.ndim != 2:
        raise FilmRefused("the image has several floating-point channels; grey was expected", code="true-colour")
    if not np.isfinite(values).all():
        raise FilmFailed("the image holds values that are not finite", code="damaged")
    low, high = float(values.min()), float(values.max())
    span = high - low if high > low else 1.0
    pixels = ((values.astype(np.float64) - low) / span).astype(np.float32)
    grey = GreyScale(slope=span, intercept=low, bits_stored=header.dtype.itemsize * 8)
    return Radiograph(pixels=pixels, grey=grey, spacing=header.spacing, warnings=tuple(warnings), source_format="metaimage")


def read_meta_header(content: bytes, *, limits: DecodeLimits) -> MetaHeader:
    """The header's fields, checked. Raises FilmRefused for volumes, FilmFailed for nonsense or what is over the limit."""
    fields, data_start = _read_fields(content)
    try:
        sides = [int(side) for side in fields["DimSize"].split()]
        channels = int(fields.get("ElementNumberOfChannels", "1"))
        data_start += max(0, int(fields.get("HeaderSize", "0")))
    except (KeyError, ValueError):
        raise FilmFailed("DimSize, ElementNumberOfChannels or HeaderSize is missing or no number", code="damaged") from None
    if len(sides) < 2 or any(side != 1 for side in sides[2:]):
        raise FilmRefused(f"the MetaImage has {len(sides)} dimensions; a flat image was expected", code="multi-frame")
    width, height = sides[:2]
    limits.check_size(height=height, width=width, samples=channels, what="the MetaImage (DimSize)")
    kind = _DTYPES.get(fields.get("ElementType", ""))
    if kind is None or fields.get("BinaryData", "True").lower() != "true":
        raise FilmFailed(f"ElementType is not one of {', '.join(_DTYPES)} in binary", code="unsupported-codec")
    order = ">" if fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")).lower() == "true" else "<"
    warnings: list[str] = []
    return MetaHeader(
        height=height,
        width=width,
        channels=channels,
        dtype=np.dtype(order + kind),
        spacing=_read_spacing(fields, warnings),
        is_compressed=fields.get("CompressedData", "False").lower() == "true",
        data_file=fields.get("ElementDataFile", ""),
        data_start=data_start,
        warnings=tuple(warnings),
    )


def _read_fields(content: bytes) -> tuple[dict[str, str], int]:
    fields: dict[str, str] = {}
    at = 0
    while at < min(len(content), _LARGEST_HEADER):
        end = content.find(b"\n", at, _LARGEST_HEADER)
        end = len(content) if end < 0 else end
        key, found, value = content[at:end].decode("latin-1").partition("=")
        at = end + 1
        if found:
            fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            return fields, at
    raise FilmFailed("the MetaImage header has no ElementDataFile; a whole header was expected", code="truncated")


def _read_spacing(fields: dict[str, str], warnings: list[str]) -> PixelSpacing | None:
    """ElementSpacing is (x, y). Exactly 1 1 is what writers put where they know nothing."""
    stated = fields.get("ElementSpacing", "").split()
    if not stated:
        return None
    try:
        column_mm, row_mm = (float(number) for number in stated[:2])
        if (column_mm, row_mm) == (1.0, 1.0):
            warnings.append("ElementSpacing is 1 1, which writers use for unknown; no spacing was taken from it.")
            return None
        return PixelSpacing(row_mm=row_mm, column_mm=column_mm, plane="detector")
    except ValueError:
        warnings.append("ElementSpacing is not two lengths above 0 and below 100 mm; it was ignored.")
        return None
