"""One reader's look at one film: the marks, the verdict, and, where the film was first read unaided, that first look."""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from xraynet.errors import ActionRefused

Box = tuple[float, float, float, float]
Phase = Literal["first", "second", "final"]
Verdict = Literal["findings", "normal", "unreadable"]
MarkState = Literal["accepted", "rejected", "added"]

VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)
_STEPS_PER_PIXEL: Final = 64
"""Corners lie on 64ths of a pixel: exact as JSON and in single precision, so that a box comes back as it was drawn."""
_SMALLEST_SIDE_PX: Final = 1.0
_ROUNDING_PX: Final = 0.5


@dataclass(frozen=True)
class Mark:
    """What a reader says of one place: a detection accepted or rejected, or a finding added.

    ``id`` is the detection's (``d1``), or the one that the page gave to an added mark. ``box`` is (x1, y1, x2, y2) in stored
    pixels; ``moved``: the reader drew the detection's box anew.
    """

    id: str
    detection: str | None
    state: MarkState
    box: Box
    moved: bool = False
    note: str = ""

    @property
    def is_finding(self) -> bool:
        """True where the reader says that something is there."""
        return self.state != "rejected"


@dataclass(frozen=True)
class Look:
    """A reader's look at a film.

    ``phase``: ``first`` without the detector's marks and ``second`` with them (second-reader mode), else ``final``.
    ``finished_at`` is set together with ``verdict``. ``first`` is the first look, kept as it was.
    """

    phase: Phase
    verdict: Verdict | None = None
    finished_at: str | None = None
    marks: tuple[Mark, ...] = ()
    note: str = ""
    first: "Look | None" = None

    def __post_init__(self) -> None:
        if (self.verdict is None) != (self.finished_at is None):
            raise ValueError(f"the verdict is {self.verdict}, finished at {self.finished_at}; both or none were expected")
        if (self.first is not None) != (self.phase == "second"):
            raise ValueError(f"phase is '{self.phase}' with first look {self.first}; a second look has a first one")

    @property
    def is_complete(self) -> bool:
        """True where nothing is left to do: a verdict on the film, with the detector's marks seen."""
        return self.verdict is not None and self.phase != "first"

    @property
    def findings(self) -> tuple[Mark, ...]:
        """The marks that say that something is there."""
        return tuple(mark for mark in self.marks if mark.is_finding)

    def find(self, mark_id: str) -> Mark | None:
        """The mark of that id; None where there is none."""
        return next((mark for mark in self.marks if mark.id == mark_id), None)

    def with_mark(self, mark: Mark) -> "Look":
        """The look with this mark in the place of the one of the same id, or behind the others."""
        if self.find(mark.id) is None:
            return replace(self, marks=(*self.marks, mark))
        return replace(self, marks=tuple(mark if other.id == mark.id else other for other in self.marks))

    def without_mark(self, mark_id: str) -> "Look":
        """The look without the mark of that id."""
        return replace(self, marks=tuple(mark for mark in self.marks if mark.id != mark_id))


def looks_of(look: Look) -> list[tuple[str, Look]]:
    """A look by the name that the tables give it: the first one, kept, before the final one."""
    if look.phase == "first":
        return [("first", look)]
    return [*([("first", look.first)] if look.first is not None else []), ("final", look)]


def snap_box(box: Box, *, size: tuple[int, int]) -> Box:
    """A drawn box on 64ths of a pixel, inside a film of ``size`` (height, width).

    Raises ActionRefused where it is no box, is smaller than a pixel, or leaves the film by more than rounding.

    >>> snap_box((-0.1, 2.01, 9.0, 8.0), size=(10, 10))
    (0.0, 2.015625, 9.0, 8.0)
    """
    height, width = size
    x1, y1, x2, y2 = box
    if not all(math.isfinite(side) for side in box):
        raise ActionRefused("a side of the box is not a number")
    if min(x1, y1) < -_ROUNDING_PX or x2 > width + _ROUNDING_PX or y2 > height + _ROUNDING_PX:
        raise ActionRefused(f"the box ({x1:.1f}, {y1:.1f}, {x2:.1f}, {y2:.1f}) leaves the film of {width} x {height} pixels")
    left, top, right, bottom = (_snap(side, most=most) for side, most in zip(box, (width, height, width, height), strict=True))
    if right - left < _SMALLEST_SIDE_PX or bottom - top < _SMALLEST_SIDE_PX:
        raise ActionRefused(f"the box ({x1:.1f}, {y1:.1f}, {x2:.1f}, {y2:.1f}) is smaller than a pixel")
    return (left, top, right, bottom)


def _snap(side: float, *, most: int) -> float:
    return min(float(most), max(0.0, round(side * _STEPS_PER_PIXEL) / _STEPS_PER_PIXEL))
