"""What every annotation format yields: films as their table names them, with boxes, readings and line numbers."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from xraynet.findings import LabelState
from xraynet.ingest.labels.vocabulary import is_target, may_be_target, meanings_of, says_nothing_found
from xraynet.radiograph import ViewPosition

Sex = Literal["F", "M", "O"]

IssueKind = Literal[
    "box-outside",
    "box-clipped",
    "box-zero-sized",
    "box-not-a-number",
    "box-duplicate",
    "box-not-usable",
    "film-not-there",
    "film-not-read",
    "film-ambiguous",
    "film-without-label",
    "film-frame-differs",
    "contradiction",
    "unreadable-value",
    "report-not-used",
]
"""What can be wrong with a label. Each is reported with its line; none is passed over in silence."""


@dataclass(frozen=True, order=True)
class Place:
    """Where a label stands: the table's file name, the line (or, in JSON, the entry), and the file inside a folder."""

    table: str
    line: int
    unit: Literal["line", "entry"] = "line"
    member: str = ""

    def __str__(self) -> str:
        return f"{self.table}{'/' + self.member if self.member else ''} {self.unit} {self.line}"


@dataclass(frozen=True)
class LabelIssue:
    """Something wrong with a label, in words that a person can act on; ``key`` is the film's catalogue id where known."""

    kind: IssueKind
    places: tuple[Place, ...]
    message: str
    key: str | None = None


STORED_FRAME: Final = (0, 0)
"""The ``BoxRow.frame`` of a box in stored pixels whose film has labels in another frame too."""


@dataclass(frozen=True)
class BoxRow:
    """One box as its source drew it: (x1, y1, x2, y2), NaN where it could not be read.

    ``frame`` is the (height, width) in which it holds; None: that of its FilmLabels.
    """

    place: Place
    xyxy: tuple[float, float, float, float]
    class_name: str = "nodule"
    reader: str | None = None
    diameter_mm: float | None = None
    subtlety: int | None = None
    frame: tuple[int, int] | None = None


IdentityKind = Literal["sha256", "sop-instance-uid"]
"""By what a source may know a film besides its name: the SHA-256 of its file, or its SOP Instance UID (never kept)."""


@dataclass(frozen=True)
class FilmLabels:
    """All that a source says of one film.

    ``film`` is the source's own name for it, with or without suffix. ``identity`` is what the film itself is known by,
    where the source says it: then it is found by that alone, whatever it is called now. ``frame`` is the (height, width)
    in which boxes and ``spacing_mm`` (row, column) hold; None: the stored film's. ``findings`` are class names said of the
    whole film. ``read_for`` are the classes that a reading of this film looked for: it is free of those not found.
    ``readers`` are all who read it, also those who marked nothing. ``patient`` is the source's identifier: it is hashed
    with ``patient_issuer`` before anything is written; ``other_patients`` are further ones that sources give to this film.
    """

    film: str
    identity: tuple[IdentityKind, str] | None = None
    places: tuple[Place, ...] = ()
    boxes: tuple[BoxRow, ...] = ()
    findings: tuple[str, ...] = ()
    read_for: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    frame: tuple[int, int] | None = None
    spacing_mm: tuple[float, float] | None = None
    patient: str | None = None
    patient_issuer: str = ""
    other_patients: tuple[str, ...] = ()
    sex: Sex | None = None
    age_years: float | None = None
    view_position: ViewPosition = ViewPosition.UNKNOWN


@dataclass(frozen=True)
class UnlistedFilms:
    """The films that a format may leave out of its table, and what their absence means.

    A film whose stem matches ``pattern`` (whole) takes ``labels``; the pattern's group ``patient`` is its patient.
    """

    pattern: re.Pattern[str]
    labels: FilmLabels

    def labels_for(self, stem: str) -> FilmLabels | None:
        """The labels of an unlisted film of that stem, or None where its absence means nothing."""
        match = self.pattern.fullmatch(stem)
        if match is None:
            return None
        return replace(self.labels, film=stem, patient=match.groupdict().get("patient"))


@dataclass(frozen=True)
class LabelTable:
    """A table of annotations, read: films in the order of the table, what was unreadable, and what absence means."""

    films: Mapping[str, FilmLabels]
    issues: tuple[LabelIssue, ...] = ()
    unlisted: tuple[UnlistedFilms, ...] = field(default=())


def decide_label_state(
    *, box_classes: Iterable[str], findings: Iterable[str], read_for: Iterable[str], targets: Iterable[str]
) -> LabelState:
    """Whether a film is boxed, read and free of nodules, or unknown, for these target classes.

    Unknown wins over boxed where a film-level target has no box of its class, or a class only may be a target: somewhere
    on that film may be a nodule that no box shows. Free needs a reading that looked for every target.
    """
    wanted = tuple(targets)
    boxed = [name for name in box_classes if may_be_target(name, targets=wanted)]
    said = [name for name in findings if may_be_target(name, targets=wanted) and not says_nothing_found(name)]
    unboxed = [name for name in said if not any(meanings_of(name) & meanings_of(box) for box in boxed)]
    if unboxed or not all(is_target(name, targets=wanted) for name in boxed):
        return LabelState.UNKNOWN
    if boxed:
        return LabelState.BOXED
    return LabelState.FREE if set(wanted) <= set(read_for) else LabelState.UNKNOWN


def merge_film_labels(first: FilmLabels, second: FilmLabels) -> FilmLabels:
    """What two tables, or two rows, say of one film, together. The first one's facts win where both state one.

    Boxes and spacing stay in the frames in which they were given, also where the two differ.
    """
    if first.frame != second.frame:
        first, second = _with_one_frame(first, second)
    return replace(
        first,
        places=first.places + second.places,
        boxes=first.boxes + second.boxes,
        findings=_union(first.findings, second.findings),
        read_for=_union(first.read_for, second.read_for),
        readers=_union(first.readers, second.readers),
        frame=first.frame,
        spacing_mm=first.spacing_mm if first.spacing_mm is not None else second.spacing_mm,
        patient=first.patient if first.patient is not None else second.patient,
        patient_issuer=first.patient_issuer if first.patient is not None else second.patient_issuer,
        other_patients=_other_patients(first, second),
        sex=first.sex or second.sex,
        age_years=first.age_years if first.age_years is not None else second.age_years,
        view_position=first.view_position if first.view_position is not ViewPosition.UNKNOWN else second.view_position,
    )


def _with_one_frame(first: FilmLabels, second: FilmLabels) -> tuple[FilmLabels, FilmLabels]:
    """Both labels with one ``frame``: that of the spacing that will be kept, or of whichever has boxes at all."""
    owner = next((one for one in (first, second) if one.spacing_mm is not None), None)
    owner = owner or next((one for one in (first, second) if one.boxes), first if first.frame is not None else second)
    return _in_frame(first, owner.frame), _in_frame(second, owner.frame)


def _in_frame(labels: FilmLabels, frame: tuple[int, int] | None) -> FilmLabels:
    if labels.frame == frame:
        return labels
    own = labels.frame or STORED_FRAME
    return replace(labels, frame=frame, boxes=tuple(replace(box, frame=box.frame or own) for box in labels.boxes))


def _other_patients(first: FilmLabels, second: FilmLabels) -> tuple[str, ...]:
    main = first.patient if first.patient is not None else second.patient
    also = (*first.other_patients, *(() if second.patient is None else (second.patient,)), *second.other_patients)
    return tuple(patient for patient in dict.fromkeys(also) if patient != main)


def _union(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return first + tuple(name for name in dict.fromkeys(second) if name not in first)


def gather_films(rows: Iterable[FilmLabels]) -> dict[str, FilmLabels]:
    """Rows of one table, one FilmLabels a film, in the order in which films first appear."""
    films: dict[str, list[FilmLabels]] = {}
    for row in rows:
        films.setdefault(row.film, []).append(row)
    return {film: _gather(parts) for film, parts in films.items()}


def _gather(parts: list[FilmLabels]) -> FilmLabels:
    gathered = parts[0]
    for part in parts[1:]:
        gathered = merge_film_labels(gathered, part)
    return gathered


def merge_tables(tables: Iterable[LabelTable]) -> LabelTable:
    """Several tables about the same films (the boxes in one, the film-level labels in another), as one."""
    kept = list(tables)
    films = gather_films(labels for table in kept for labels in table.films.values())
    issues = tuple(issue for table in kept for issue in table.issues)
    unlisted: dict[str, UnlistedFilms] = {}
    for table in kept:
        for rule in table.unlisted:
            unlisted.setdefault(rule.pattern.pattern, rule)
    return LabelTable(films=films, issues=issues, unlisted=tuple(unlisted.values()))


def rename_readers(table: LabelTable, rename: Callable[[str], str]) -> LabelTable:
    """The table with every reader called as ``rename`` says."""
    films = {
        name: replace(
            film,
            readers=tuple(map(rename, film.readers)),
            boxes=tuple(replace(box, reader=None if box.reader is None else rename(box.reader)) for box in film.boxes),
        )
        for name, film in table.films.items()
    }
    return replace(table, films=films)
