"""The content of a DICOM structured report as plain values, within limits: whatever the bytes are, this never crashes.

PS3.3 C.17.3: a report is a tree of content items. Each has a relationship to its parent, a coded name, and a value of its
type; an item may also point to another by its place in the tree (Referenced Content Item Identifier).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from xraynet.errors import FilmFailed
from xraynet.ingest.dicom_parse import looks_like_dicom, parse_dicom
from xraynet.ingest.dicom_quiet import quiet_pydicom
from xraynet.ingest.dicom_tags import read_first_item, read_items, read_numbers, read_text
from xraynet.ingest.limits import DecodeLimits

REPORT_CLASSES: Final = frozenset(f"1.2.840.10008.5.1.4.1.1.88.{number}" for number in (22, 33, 34, 35))
"""Enhanced, Comprehensive, Comprehensive 3D and Extensible SR: the classes that can hold measured regions."""

_MOST_BYTES: Final = 16 << 20
_MOST_ITEMS: Final = 50_000
_MOST_POINTS: Final = 1_000_000
_DEEPEST: Final = 40
_LIMITS: Final = DecodeLimits(max_file_bytes=_MOST_BYTES)


@dataclass(frozen=True)
class Code:
    """A coded word: value, scheme, and meaning for a person. ``Code()`` where there is none."""

    value: str = ""
    scheme: str = ""
    meaning: str = ""

    def means(self, value: str, scheme: str = "DCM") -> bool:
        """True where it is that code, whatever its meaning is called."""
        return (self.value, self.scheme) == (value, scheme)


@dataclass(frozen=True)
class ContentItem:
    """One node of a report. ``text`` is the value of TEXT, PNAME and UIDREF, ``points`` the (column, row) pairs of SCOORD.

    ``film`` is the SOP Instance UID that an IMAGE names, ``frame`` the first frame that it names (None: the whole image).
    """

    kind: str
    relationship: str
    name: Code
    text: str = ""
    code: Code = Code()
    number: float | None = None
    unit: str = ""
    graphic: str = ""
    points: tuple[tuple[float, float], ...] = ()
    film: str = ""
    frame: int | None = None
    children: tuple["ContentItem", ...] = ()

    def walk(self) -> Iterator["ContentItem"]:
        """This item and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True)
class StructuredReport:
    """A report: its tree, whether a person answers for it, and which reports it takes the place of.

    ``verifier`` is the name of the person who verified it ("" where nobody did): a person's name, never to be shown.
    """

    uid: str
    root: ContentItem
    is_complete: bool
    is_verified: bool
    verifier: str = field(default="", repr=False)
    replaces: frozenset[str] = frozenset()


def read_report(path: Path) -> StructuredReport | None:
    """The structured report in a file; None where the file is something else.

    Raises FilmFailed where it is a report, or DICOM at least, and is damaged, cut, or beyond all measure.
    """
    with path.open("rb") as stream:
        head = stream.read(4096)
        if not looks_like_dicom(head[:144]) or _is_other_class(head):
            return None
        content = head + stream.read(_MOST_BYTES + 1 - len(head))
    with quiet_pydicom():
        try:
            _LIMITS.check_file_bytes(len(content))
            dataset = parse_dicom(content, limits=_LIMITS, defer_bytes=None).dataset
            if read_text(dataset, "SOPClassUID") not in REPORT_CLASSES:
                return None
            return _read(dataset)
        except FilmFailed:
            raise
        except Exception as error:  # hostile bytes fail on access in ways that nobody lists
            raise FilmFailed(f"the report cannot be read ({type(error).__name__})", code="damaged") from None


def _is_other_class(head: bytes) -> bool:
    """True where a Part 10 header names a class that is no report: films beside reports are not parsed."""
    at = head.find(b"\x02\x00\x02\x00UI")
    if head[128:132] != b"DICM" or at < 0:
        return False
    length = int.from_bytes(head[at + 6 : at + 8], "little")
    return head[at + 8 : at + 8 + length].rstrip(b"\0 ").decode("ascii", "replace") not in REPORT_CLASSES


def _read(dataset: Dataset) -> StructuredReport:
    if not read_items(dataset, "ContentSequence"):
        raise FilmFailed("the report has no content; a tree of content items was expected", code="truncated")
    verifier = read_first_item(dataset, "VerifyingObserverSequence")
    is_verified = read_text(dataset, "VerificationFlag").upper() == "VERIFIED" and verifier is not None
    replaced = {
        read_text(one, "ReferencedSOPInstanceUID")
        for study in read_items(dataset, "PredecessorDocumentsSequence")
        for series in read_items(study, "ReferencedSeriesSequence")
        for one in read_items(series, "ReferencedSOPSequence")
    }
    return StructuredReport(
        uid=read_text(dataset, "SOPInstanceUID"),
        root=_Reader(dataset).read(),
        is_complete=read_text(dataset, "CompletionFlag").upper() == "COMPLETE",
        is_verified=is_verified,
        verifier=read_text(verifier, "VerifyingObserverName") if is_verified and verifier is not None else "",
        replaces=frozenset(replaced - {""}),
    )


class _Reader:
    """Walks one tree, counts as it goes, and follows references by position."""

    def __init__(self, root: Dataset) -> None:
        self._root = root
        self._num_items = 0
        self._num_points = 0

    def read(self) -> ContentItem:
        return self._item(self._root, depth=0)

    def _item(self, item: Dataset, *, depth: int, follow: bool = True) -> ContentItem:
        self._num_items += 1
        if self._num_items > _MOST_ITEMS or depth > _DEEPEST:
            raise FilmFailed(
                f"the report has more than {_MOST_ITEMS} items or {_DEEPEST} levels; no more are read", code="too-large"
            )
        position = read_numbers(item, "ReferencedContentItemIdentifier")
        if position:
            return self._referred(item, [int(number) for number in position], depth=depth, follow=follow)
        measured = read_first_item(item, "MeasuredValueSequence") or Dataset()
        unit = read_first_item(measured, "MeasurementUnitsCodeSequence") or Dataset()
        numbers = read_numbers(item, "GraphicData")
        self._num_points += len(numbers) // 2
        if self._num_points > _MOST_POINTS:  # references count, too: one outline can be pointed at thousands of times
            raise FilmFailed(f"the report's regions have more than {_MOST_POINTS} points; no more are read", code="too-large")
        film = read_first_item(item, "ReferencedSOPSequence") or Dataset()
        frames = read_numbers(film, "ReferencedFrameNumber")
        return ContentItem(
            kind=read_text(item, "ValueType").upper(),
            relationship=read_text(item, "RelationshipType").upper(),
            name=_read_code(read_first_item(item, "ConceptNameCodeSequence")),
            text=read_text(item, "TextValue") or read_text(item, "PersonName") or read_text(item, "UID"),
            code=_read_code(read_first_item(item, "ConceptCodeSequence")),
            number=next(iter(read_numbers(measured, "NumericValue")), None),
            unit=read_text(unit, "CodeValue"),
            graphic=read_text(item, "GraphicType").upper(),
            points=tuple(zip(numbers[::2], numbers[1::2], strict=True)) if len(numbers) % 2 == 0 else (),
            film=read_text(film, "ReferencedSOPInstanceUID"),
            frame=int(frames[0]) if frames else None,
            children=tuple(self._item(child, depth=depth + 1, follow=follow) for child in read_items(item, "ContentSequence")),
        )

    def _referred(self, item: Dataset, position: list[int], *, depth: int, follow: bool) -> ContentItem:
        """The item at ``position`` (1, then the place of each child), in the relationship of the reference.

        A container is not repeated where it is only pointed at. Inside the item no further reference is followed: two that
        point at each other would never end.
        """
        target = self._root
        nothing = ContentItem(kind="", relationship="", name=Code())
        if not follow:
            return nothing
        for place in position[1:]:
            children = read_items(target, "ContentSequence")
            if not 1 <= place <= len(children):
                return nothing
            target = children[place - 1]
        if read_text(target, "ValueType").upper() == "CONTAINER":
            return nothing
        found = self._item(target, depth=depth + 1, follow=False)
        return replace(found, relationship=read_text(item, "RelationshipType").upper())


def _read_code(item: Dataset | None) -> Code:
    if item is None:
        return Code()
    value = read_text(item, "CodeValue") or read_text(item, "LongCodeValue") or read_text(item, "URNCodeValue")
    return Code(value, read_text(item, "CodingSchemeDesignator"), read_text(item, "CodeMeaning"))


def is_finite(points: tuple[tuple[float, float], ...]) -> bool:
    """True where there is a point and every coordinate is a number."""
    return bool(points) and all(math.isfinite(side) for point in points for side in point)
