"""Reads DICOM structured reports: the planar regions of TID 1500 (Measurement Report), ours or another system's.

One report, or every report under a folder (other files are passed over). Films are named by SOP Instance UID, which is used
to find the film and then forgotten. Coordinates are DICOM's, which are xraynet's: the film's top left corner is 0\\0.

**Regions.** A closed POLYLINE, a CIRCLE and an ELLIPSE become the box around them. A POINT, a MULTIPOINT and a region in
space have no box: they are reported, and their film is unknown, not negative.

**Readers.** Each region keeps the observer of its group, else of the report. A person becomes a pseudonym that only the
site's salt explains (``reader-…``); a device is called by its name and eight digits of its UID.

**Label state.** What a device says on its own is no truth. Its regions come as ``detected nodule``, ``detected mass`` and so
on: nothing is trained or tested on them unless ``--classes`` asks for those very words, and a device that found nothing says
nothing about the film. Regions count as nodules where a person drew them, or verified the report (VERIFIED, with a
verifying observer). A report without regions makes a film free only where it says so in code and a person stands for it: a
complete and verified report whose CAD Processing and Findings Summary is "without findings", or a person's own verdict from
xraynet's review page ("No nodule or mass seen"); and only where the report names one film, for of several some may be there
for comparison. A list of measurements that names no nodule does not say that there is none.
A report whose observer is not stated counts as a device's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xraynet.errors import FilmFailed, LabelError
from xraynet.ingest.labels.records import BoxRow, FilmLabels, LabelIssue, LabelTable, Place, gather_films
from xraynet.ingest.labels.sr_observer import NamePerson, Observer, find_observer, withhold_person
from xraynet.ingest.labels.vocabulary import DEFAULT_TARGETS
from xraynet.ingest.sr_tree import Code, ContentItem, StructuredReport, is_finite, read_report

DETECTED: Final = "detected"
"""The word before the class of what a device marked and no person confirmed."""

_GROUP: Final = ("125007", "DCM")
_FINDING: Final = ("121071", "DCM")
_OUTCOME: Final = ("111017", "DCM")
_WITHOUT_FINDINGS: Final = ("111241", "DCM")
_VERDICT: Final = ("VERDICT", "99XRAYNET")
_NOTHING_SEEN: Final = ("NONE", "99XRAYNET")
_SIZES: Final = frozenset({("81827009", "SCT"), ("103339001", "SCT"), ("410668003", "SCT"), ("M-02550", "SRT")})
_CLASSES: Final = {
    **dict.fromkeys(
        (("27925004", "SCT"), ("427359005", "SCT"), ("M-03010", "SRT"), ("RID3875", "RADLEX"), ("C0028259", "UMLS")), "nodule"
    ),
    **dict.fromkeys(
        (("4147007", "SCT"), ("309529002", "SCT"), ("M-03000", "SRT"), ("RID3874", "RADLEX"), ("C0577559", "UMLS")), "mass"
    ),
}
_LONGEST_NAME: Final = 64


def read_sr(path: Path, *, name_person: NamePerson = withhold_person) -> LabelTable:
    """The labels in one structured report, or in all below a folder.

    ``name_person`` makes a pseudonym of a person's name; without one, all persons are one. Raises LabelError where there
    is no report at all, or the one that was named cannot be read; what is wrong in one of many is an issue.
    """
    files = _list_files(path) if path.is_dir() else [path]
    rows: list[FilmLabels] = []
    issues: list[LabelIssue] = []
    reports: list[tuple[Place, StructuredReport]] = []
    for file in files:
        place = Place(path.name if path.is_dir() else "report", 0, "entry", _member(file, path))
        try:
            report = read_report(file)
        except (FilmFailed, OSError) as error:
            reason = error.reason if isinstance(error, FilmFailed) else type(error).__name__
            if not path.is_dir():
                raise LabelError(f"the labels {path} cannot be read: {reason}") from error
            issues.append(LabelIssue("report-not-used", (place,), reason))
            continue
        if report is not None:
            reports.append((place, report))
    if not reports and not issues:
        raise LabelError(
            f"{path} holds no DICOM structured report with measurements (Enhanced, Comprehensive or Extensible SR)"
        )
    for place, report in _keep_latest(reports, issues):
        rows += _films_of(report, place, name_person, issues)
    return LabelTable(films=gather_films(rows), issues=tuple(issues))


def _list_files(folder: Path) -> list[Path]:
    """The files below a folder, in order; no link out of it is followed."""
    root = folder.resolve()
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.resolve().is_relative_to(root))


def _member(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if root.is_dir() else file.name


def _keep_latest(
    reports: Sequence[tuple[Place, StructuredReport]], issues: list[LabelIssue]
) -> list[tuple[Place, StructuredReport]]:
    """Each report once, and none that a later one takes the place of (Predecessor Documents)."""
    replaced = {uid for _, report in reports for uid in report.replaces if uid != report.uid}
    kept, seen = [], set()
    for place, report in reports:
        if report.uid in replaced:
            issues.append(LabelIssue("report-not-used", (place,), "a later version of this report takes its place"))
        elif report.uid and report.uid in seen:
            issues.append(LabelIssue("report-not-used", (place,), "the same report stands here twice; it was used once"))
        else:
            kept.append((place, report))
            seen.add(report.uid)
    return kept


def _films_of(report: StructuredReport, place: Place, name_person: NamePerson, issues: list[LabelIssue]) -> list[FilmLabels]:
    groups = [item for item in report.root.walk() if item.kind == "CONTAINER" and item.name.means(*_GROUP)]
    general = find_observer(report.root, report=report, name_person=name_person)
    rows = []
    for number, group in enumerate(groups, start=1):
        observer = find_observer(group, report=report, name_person=name_person, otherwise=general)
        here = Place(place.table, number, "entry", place.member)
        rows += _read_group(group, here, observer, issues)
    films = list(dict.fromkeys(item.film for item in report.root.walk() if item.film))
    if not groups and not films:
        issues.append(LabelIssue("report-not-used", (place,), "the report names no film and holds no measurement group"))
    is_free = not rows and len(films) == 1 and _says_free(report, general)
    named = {row.film for row in rows}
    for film in films:
        if film not in named:
            reader = (general.reader,) if general.reader else ()
            rows.append(
                FilmLabels(
                    film=film,
                    identity=("sop-instance-uid", film),
                    places=(place,),
                    readers=reader,
                    read_for=DEFAULT_TARGETS if is_free else (),
                )
            )
    return rows


def _says_free(report: StructuredReport, observer: Observer) -> bool:
    if not report.is_complete:
        return False
    if observer.is_person and _codes_of(report, _VERDICT) == [_NOTHING_SEEN]:
        return True
    outcomes = _codes_of(report, _OUTCOME)
    return report.is_verified and bool(outcomes) and set(outcomes) == {_WITHOUT_FINDINGS}


def _codes_of(report: StructuredReport, name: tuple[str, str]) -> list[tuple[str, str]]:
    found = (item for item in report.root.walk() if item.kind == "CODE" and item.name.means(*name))
    return [(item.code.value, item.code.scheme) for item in found]


@dataclass(frozen=True)
class _Region:
    item: ContentItem
    film: str
    frame: int | None


def _read_group(group: ContentItem, place: Place, observer: Observer, issues: list[LabelIssue]) -> list[FilmLabels]:
    class_name = _name_class(group, observer)
    regions = _find_regions(group)
    rows = []
    for region in regions:
        box, problem = _box_of(region)
        if problem:
            issues.append(LabelIssue("box-not-usable", (place,), f"{class_name}: {problem}"))
        if not region.film:
            continue
        boxes: tuple[BoxRow, ...] = ()
        if box is not None:
            row = BoxRow(
                place=place,
                xyxy=box,
                class_name=class_name,
                reader=observer.reader,
                diameter_mm=_find_diameter(group) if len(regions) == 1 else None,
            )
            boxes = (row,)
        rows.append(
            FilmLabels(
                film=region.film,
                identity=("sop-instance-uid", region.film),
                places=(place,),
                boxes=boxes,
                findings=() if boxes else (class_name,),
                readers=(observer.reader,) if observer.reader else (),
            )
        )
    return rows


def _name_class(group: ContentItem, observer: Observer) -> str:
    """The class of a group's finding: nodule and mass by their codes, else the code's meaning in its own words."""
    finding = next((item.code for item in group.children if item.kind == "CODE" and item.name.means(*_FINDING)), Code())
    meaning = "".join(letter for letter in finding.meaning if letter.isprintable())[:_LONGEST_NAME].strip()
    name = _CLASSES.get((finding.value, finding.scheme), meaning or "finding")
    return name if observer.is_trusted else f"{DETECTED} {name}"


def _find_regions(group: ContentItem) -> list[_Region]:
    """The regions of a group; where it has none of its own, those that its measurements were inferred from."""
    kinds = {"SCOORD", "SCOORD3D"}
    own = [item for item in group.children if item.kind in kinds]
    if not own:
        own = [item for child in group.children for item in child.children if item.kind in kinds]
    shared = next((item for item in group.children if item.kind == "IMAGE"), None)
    regions = []
    for item in own:
        image = next((child for child in item.children if child.kind == "IMAGE"), shared)
        regions.append(_Region(item, image.film if image is not None else "", image.frame if image is not None else None))
    return regions


def _box_of(region: _Region) -> tuple[tuple[float, float, float, float] | None, str]:
    """The box around a region, or what is wrong with it."""
    item = region.item
    if item.kind == "SCOORD3D":
        return None, "the region lies in space (SCOORD3D), not on a film; not used"
    if not region.film:
        return None, "the region does not say on which film it lies; not used"
    if region.frame not in (None, 1):
        return None, f"the region lies on frame {region.frame}; a film has one; not used"
    if not is_finite(item.points):
        return None, "the coordinates cannot be read; not used"
    draw = _SHAPES.get(item.graphic)
    box = draw(item.points) if draw is not None else None
    if box is None:
        kind = item.graphic if item.graphic in {"POINT", "MULTIPOINT", *_SHAPES} else "something else"
        return None, f"the region is {kind} of {len(item.points)} points; an outline, a circle or an ellipse was expected"
    return box, ""


Points = tuple[tuple[float, float], ...]


def _box_of_outline(points: Points) -> tuple[float, float, float, float] | None:
    """Two points are a line: a measured length, not a region."""
    if len(set(points)) < 3:
        return None
    columns, rows = zip(*points, strict=True)
    return (min(columns), min(rows), max(columns), max(rows))


def _box_of_circle(points: Points) -> tuple[float, float, float, float] | None:
    """PS3.3 C.18.6.1.2: the centre, then a point on the circle."""
    if len(points) != 2:
        return None
    (x, y), edge = points
    radius = math.dist((x, y), edge)
    return (x - radius, y - radius, x + radius, y + radius)


def _box_of_ellipse(points: Points) -> tuple[float, float, float, float] | None:
    """The ends of the major axis, then those of the minor one; the ellipse may be turned."""
    if len(points) != 4:
        return None
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = points
    x, y = (ax + bx) / 2, (ay + by) / 2
    half_width = math.hypot((bx - ax) / 2, (dx - cx) / 2)
    half_height = math.hypot((by - ay) / 2, (dy - cy) / 2)
    return (x - half_width, y - half_height, x + half_width, y + half_height)


_SHAPES: Final[dict[str, Callable[[Points], tuple[float, float, float, float] | None]]] = {
    "POLYLINE": _box_of_outline,
    "CIRCLE": _box_of_circle,
    "ELLIPSE": _box_of_ellipse,
}


def _find_diameter(group: ContentItem) -> float | None:
    """The group's diameter, long axis or length in mm, the largest of them."""
    sizes = [
        item.number
        for item in group.children
        if item.kind == "NUM" and (item.name.value, item.name.scheme) in _SIZES and item.unit == "mm"
    ]
    known = [size for size in sizes if size is not None and 0 < size < 1000]
    return max(known, default=None)
