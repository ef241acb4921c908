"""DICOM bytes into a dataset: with or without a Part 10 header, deflated within limits, pixels left where they lie."""

from dataclasses import dataclass
from io import BytesIO
from typing import Final, Literal

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from xraynet.errors import FilmFailed
from xraynet.ingest.dicom_quiet import quiet_pydicom
from xraynet.ingest.dicom_tags import read_integer, read_text
from xraynet.ingest.limits import DecodeLimits, inflate_at_most

_DEFER_BYTES: Final = 1 << 20
_DEFLATED_HEAD_BYTES: Final = 4 << 20
_EXPLICIT_VRS: Final = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
)


@dataclass(frozen=True, eq=False)
class ParsedDicom:
    """``content``: the bytes that the dataset was read from (unfolded, if it was deflated).

    Elements above 1 MiB are not in the dataset: their place in ``content`` is. ``transfer_syntax`` is the syntax of the
    pixels, as the file says or as its first bytes show.
    """

    dataset: Dataset
    content: bytes
    transfer_syntax: UID


def looks_like_dicom(head: bytes) -> bool:
    """True where the first 144 bytes are a Part 10 header, or a bare dataset starting in group 0002 or 0008.

    A bare dataset is believed only where a second thing fits too: a value representation or a sensible length.

    >>> looks_like_dicom(b"\\0" * 128 + b"DICM"), looks_like_dicom(b"%PDF-1.7 and so on")
    (True, False)
    """
    if head[128:132] == b"DICM":
        return True
    if len(head) < 8 or head[:2] not in (b"\x08\x00", b"\x00\x08", b"\x02\x00"):
        return False
    byte_order = _byte_order(head)
    element = int.from_bytes(head[2:4], byte_order)
    length = int.from_bytes(head[4:8], "little")
    return element <= 0x2300 and (head[4:6] in _EXPLICIT_VRS or (head[0] != 0 and length < 1024 and length % 2 == 0))


def _byte_order(head: bytes) -> Literal["little", "big"]:
    return "big" if head[0] == 0 else "little"


def parse_dicom(content: bytes, *, limits: DecodeLimits, defer_bytes: int | None = _DEFER_BYTES) -> ParsedDicom:
    """The dataset in ``content``. Raises FilmFailed where it is damaged, cut, or unfolds beyond ``limits``.

    Elements above ``defer_bytes`` stay where they are; None: none does.
    """
    try:
        with quiet_pydicom():
            return _parse(content, limits, defer_bytes)
    except FilmFailed:
        raise
    except EOFError:
        raise FilmFailed("the DICOM file ends inside an element; a whole file was expected", code="truncated") from None
    except Exception as error:  # a parser fed with hostile bytes fails in ways that nobody lists (RecursionError among them)
        raise FilmFailed(f"the DICOM file cannot be parsed ({type(error).__name__})", code="damaged") from None


def _parse(content: bytes, limits: DecodeLimits, defer_bytes: int | None) -> ParsedDicom:
    # Not dcmread: it unfolds a deflated file whole before anyone can ask how large it is.
    stream = BytesIO(content)
    stream.seek(132 if content[128:132] == b"DICM" else 0)
    stated = ""
    if content[stream.tell() : stream.tell() + 2] == b"\x02\x00":
        meta = read_dataset(
            stream, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, _vr, _len: tag >> 16 != 2
        )
        stated = read_text(meta, "TransferSyntaxUID")
    start = stream.tell()
    if stated == DeflatedExplicitVRLittleEndian:
        unfolded = _inflate(memoryview(content)[start:], limits)
        whole = _read(unfolded, 0, ExplicitVRLittleEndian, defer_bytes=defer_bytes)
        return ParsedDicom(whole, unfolded, ExplicitVRLittleEndian)
    syntax = UID(stated) if stated else _guess_syntax(content[start : start + 8])
    return ParsedDicom(_read(content, start, syntax, defer_bytes=defer_bytes), content, syntax)


def _read(
    content: bytes, start: int, syntax: UID, *, before_pixels: bool = False, defer_bytes: int | None = _DEFER_BYTES
) -> Dataset:
    stream = BytesIO(content)
    stream.seek(start)
    return read_dataset(
        stream,
        is_implicit_VR=syntax == ImplicitVRLittleEndian,
        is_little_endian=syntax != ExplicitVRBigEndian,
        stop_when=(lambda tag, _vr, _length: tag >> 16 >= 0x7FE0) if before_pixels else None,
        defer_size=defer_bytes,
    )


def _guess_syntax(head: bytes) -> UID:
    if head[4:6] not in _EXPLICIT_VRS:
        return ImplicitVRLittleEndian
    return ExplicitVRBigEndian if _byte_order(head) == "big" else ExplicitVRLittleEndian


def _inflate(compressed: memoryview, limits: DecodeLimits) -> bytes:
    """The whole stream, up to what its own header declares: a lie about the size ends here, before it costs memory."""
    head, is_whole = inflate_at_most(compressed, max_bytes=_DEFLATED_HEAD_BYTES, raw=True)
    if is_whole:
        return head
    declared = _read(head, 0, ExplicitVRLittleEndian, before_pixels=True)
    rows, columns = read_integer(declared, "Rows") or 0, read_integer(declared, "Columns") or 0
    samples = (read_integer(declared, "SamplesPerPixel") or 1) * (read_integer(declared, "NumberOfFrames") or 1)
    limits.check_size(height=rows, width=columns, samples=samples, what="the image in the deflated DICOM header")
    pixel_bytes = rows * columns * samples * ((read_integer(declared, "BitsAllocated") or 8) + 7) // 8
    largest = pixel_bytes + limits.max_header_bytes
    whole, is_whole = inflate_at_most(compressed, max_bytes=largest, raw=True)
    if not is_whole:
        raise FilmFailed(
            f"the deflated DICOM unfolds to more than {largest} bytes; its header declares {pixel_bytes} bytes of pixels",
            code="too-large",
        )
    return whole
