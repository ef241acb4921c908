"""Holds boxes against their film: moves them into the stored frame, and reports those that cannot be."""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from xraynet.ingest.labels.records import STORED_FRAME, BoxRow, FilmLabels, IssueKind, LabelIssue, Place
from xraynet.ingest.labels.vocabulary import normalise_class_name
from xraynet.radiograph import PixelSpacing

_ROUNDING_PX: Final = 0.5
"""A box that leaves its film by no more than this left it by rounding: clipped without a word."""

_ASPECT_TOLERANCE: Final = 0.02
"""A film whose sides relate otherwise than its frame's was cropped or padded: its boxes cannot be scaled."""


@dataclass(frozen=True)
class CheckedLabels:
    """A film's labels in its stored frame, without the boxes that cannot be; those became film-level findings."""

    labels: FilmLabels
    issues: tuple[LabelIssue, ...] = ()


def check_labels(labels: FilmLabels, *, size: tuple[int, int], key: str) -> CheckedLabels:
    """The labels of a film of ``size`` (height, width): boxes and spacing in stored pixels, frame None, issues told.

    A box that is not used leaves its class as a film-level finding, so that its film never counts as free of nodules.
    """
    issues: list[LabelIssue] = []
    boxes: list[BoxRow] = []
    lost: list[str] = []
    first_places: dict[tuple[object, ...], Place] = {}
    stored, misfits = _boxes_to_stored(labels, size=size)
    spacing = _spacing_to_stored(labels, size=size, issues=issues)
    for frame, rows in misfits.items():
        issues.append(_issue_of_misfit(frame, rows, labels, size=size, key=key))
        lost += [row.class_name for row in rows]
    for row in stored:
        kept, issue = _check_box(row, size=size, key=key)
        if issue is not None:
            issues.append(issue)
        if kept is None:
            lost.append(row.class_name)
            continue
        identity = (normalise_class_name(kept.class_name), kept.reader, *(round(side, 2) for side in kept.xyxy))
        if identity in first_places:
            message = "the same box, class and reader stand twice; the second was left out"
            issues.append(LabelIssue("box-duplicate", (first_places[identity], row.place), message, key))
            continue
        first_places[identity] = row.place
        boxes.append(kept)
    return CheckedLabels(
        labels=replace(
            labels,
            boxes=tuple(boxes),
            findings=tuple(dict.fromkeys((*labels.findings, *lost))),
            frame=None,
            spacing_mm=spacing,
        ),
        issues=tuple(issues),
    )


def _boxes_to_stored(labels: FilmLabels, *, size: tuple[int, int]) -> tuple[list[BoxRow], dict[tuple[int, int], list[BoxRow]]]:
    """The boxes in stored pixels, and, by frame, those whose frame cannot be scaled to the film."""
    stored: list[BoxRow] = []
    misfits: dict[tuple[int, int], list[BoxRow]] = {}
    if labels.frame is not None and _scales_to_stored(labels.frame, size=size) is None:
        misfits[labels.frame] = []
    for row in labels.boxes:
        frame = labels.frame if row.frame is None else None if row.frame == STORED_FRAME else row.frame
        scales = _scales_to_stored(frame, size=size)
        if scales is None:
            assert frame is not None
            misfits.setdefault(frame, []).append(row)
            continue
        scale_y, scale_x = scales
        x1, y1, x2, y2 = row.xyxy
        stored.append(replace(row, xyxy=(x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y), frame=None))
    return stored, misfits


def _spacing_to_stored(labels: FilmLabels, *, size: tuple[int, int], issues: list[LabelIssue]) -> tuple[float, float] | None:
    """(row, column) in mm of stored pixels; None where the table states none, or none that can be used."""
    scales = _scales_to_stored(labels.frame, size=size)
    if labels.spacing_mm is None or scales is None:
        return None
    row_mm, column_mm = labels.spacing_mm[0] / scales[0], labels.spacing_mm[1] / scales[1]
    try:
        return PixelSpacing(row_mm, column_mm).row_column_mm
    except ValueError:
        message = f"the spacing is {row_mm:g}, {column_mm:g} mm; above 0 and below 100 was expected; left out"
        issues.append(LabelIssue("unreadable-value", labels.places, message))
        return None


def _scales_to_stored(frame: tuple[int, int] | None, *, size: tuple[int, int]) -> tuple[float, float] | None:
    if frame is None:
        return (1.0, 1.0)
    scale_y, scale_x = size[0] / frame[0], size[1] / frame[1]
    # Rounding to whole pixels moves the aspect of a small film by up to one pixel a side.
    slack = _ASPECT_TOLERANCE + 1 / min(size)
    return (scale_y, scale_x) if abs(math.log(scale_y / scale_x)) <= slack else None


def _issue_of_misfit(
    frame: tuple[int, int], rows: list[BoxRow], labels: FilmLabels, *, size: tuple[int, int], key: str
) -> LabelIssue:
    unused = f"{len(rows)} boxes" + (" and the spacing" if frame == labels.frame else "")
    message = (
        f"the film is {size[0]} x {size[1]} pixels, its labels are for {frame[0]} x {frame[1]}: it was cropped or padded, "
        f"so {unused} were not used"
    )
    return LabelIssue("film-frame-differs", tuple(row.place for row in rows) or labels.places, message, key)


def _check_box(row: BoxRow, *, size: tuple[int, int], key: str) -> tuple[BoxRow | None, LabelIssue | None]:
    """The box as it can be used (None: not at all), and what is to be said of it."""
    x1, y1, x2, y2 = row.xyxy
    height, width = size

    def issue(kind: IssueKind, message: str) -> LabelIssue:
        return LabelIssue(kind, (row.place,), f"{row.class_name}: {message}", key)

    shown = f"({x1:.1f}, {y1:.1f}, {x2:.1f}, {y2:.1f}) on a film {width} wide and {height} high"
    if not all(math.isfinite(side) for side in row.xyxy):
        return None, issue("box-not-a-number", "a side of the box is not a number; not used")
    if x2 <= x1 or y2 <= y1:
        return None, issue("box-zero-sized", f"the box {shown} has no area; not used")
    clipped = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        return None, issue("box-outside", f"the box {shown} lies outside; not used")
    if not all(np.float32(low) < np.float32(high) for low, high in (clipped[::2], clipped[1::2])):
        return None, issue("box-zero-sized", f"the box {shown} is too small to have an area; not used")
    overshoot = max(abs(one - other) for one, other in zip(clipped, row.xyxy, strict=True))
    note = issue("box-clipped", f"the box {shown} reaches {overshoot:.1f} pixels outside; cut at the border")
    return replace(row, xyxy=clipped), note if overshoot > _ROUNDING_PX else None
