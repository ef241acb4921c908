"""One film of a catalogue as training and evaluation see it: where it lies, what is marked on it, what is known of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from xraynet.errors import CatalogueError
from xraynet.findings import LabelState, NoduleAnnotations
from xraynet.geometry import empty_boxes
from xraynet.ingest.consensus import fuse_readers
from xraynet.ingest.labels.records import Sex, decide_label_state
from xraynet.ingest.labels.vocabulary import is_target, may_be_target
from xraynet.ingest.read import read_radiograph
from xraynet.radiograph import PixelSpacing, Radiograph, ViewPosition


@dataclass(frozen=True, eq=False)
class FilmEntry:
    """One film of a catalogue, with its annotations of the target classes.

    ``film_has_nodule`` is the film-level label: True also where a report names a nodule that no box shows (the state is
    then unknown), None where nothing is known. ``readers`` are all who read the film, ``findings`` the class names said of
    it as a whole. ``spacing`` is the catalogue's, which for rasters comes from a table.
    """

    key: str
    path: Path
    patient_key: str | None
    annotations: NoduleAnnotations
    size: tuple[int, int]
    view_position: ViewPosition
    sex: Sex | None
    age_years: float | None
    spacing: PixelSpacing | None
    split: str | None
    fold: int | None
    film_has_nodule: bool | None
    pixel_hash: str
    readers: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    source_format: str = ""
    study_key: str | None = None
    day: int | None = None


def read_entry(entry: FilmEntry) -> Radiograph:
    """The film of an entry, with the catalogue's spacing, view, sex and age where the file itself says nothing.

    Raises FilmFailed or FilmRefused where it can no longer be read, and CatalogueError where the file has changed since.
    """
    return complete_film(read_radiograph(entry.path), entry)


def complete_film(radiograph: Radiograph, entry: FilmEntry) -> Radiograph:
    """A film that was read from an entry's file, with what the catalogue knows and the file does not say.

    Raises CatalogueError where the file is another film than the one that was catalogued.
    """
    if radiograph.sha256 and radiograph.id != entry.key:
        raise CatalogueError(f"film {entry.key} has changed since it was catalogued; ingest its source again")
    unknown_view = radiograph.view_position is ViewPosition.UNKNOWN
    return replace(
        radiograph,
        spacing=radiograph.spacing or entry.spacing,
        view_position=entry.view_position if unknown_view else radiograph.view_position,
        sex=radiograph.sex or entry.sex,
        age_years=radiograph.age_years if radiograph.age_years is not None else entry.age_years,
    )


def with_consensus(entry: FilmEntry, *, at_least: int) -> FilmEntry:
    """The entry with one set of boxes, those on which ``at_least`` readers agree.

    Where they agree on none of several marks, whether the film shows a nodule is unknown too.
    """
    fused = fuse_readers(entry.annotations, at_least=at_least)
    undecided = len(entry.annotations.boxes) > 0 and not len(fused.boxes)
    return replace(entry, annotations=fused, film_has_nodule=None if undecided else entry.film_has_nodule)


def rows_of(table: pd.DataFrame) -> list[dict[str, object]]:
    """The rows of a table by column name."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def entry_of_row(
    row: dict[str, object], boxes: Sequence[dict[str, object]], *, path: Path, targets: tuple[str, ...]
) -> FilmEntry:
    """The entry of a row of the films table, with its rows of the annotations table, for these target classes."""
    findings, read_for, readers = (_words(row[name]) for name in ("findings", "read_for", "readers"))
    classes = [str(box["class_name"]) for box in boxes]
    state = decide_label_state(box_classes=classes, findings=findings, read_for=read_for, targets=targets)
    wanted = [box for box, name in zip(boxes, classes, strict=True) if is_target(name, targets=targets)]
    said = any(may_be_target(name, targets=targets) for name in findings) or len(wanted) > 0
    return FilmEntry(
        key=str(row["key"]),
        path=path,
        patient_key=_text(row["patient_key"]),
        annotations=_annotations_of(wanted, state=state),
        size=(int(str(row["height"])), int(str(row["width"]))),
        view_position=ViewPosition(str(row["view_position"])),
        sex=_sex(row["sex"]),
        age_years=_number(row["age_years"]),
        spacing=_spacing(row),
        split=_text(row["split"]),
        fold=_whole(row["fold"]),
        film_has_nodule=True if said else (False if state is LabelState.FREE else None),
        pixel_hash=str(row["pixel_hash"]),
        readers=readers,
        findings=findings,
        source_format=_text(row["source_format"]) or "",
        study_key=_text(row["study_key"]),
        day=_whole(row["day"]),
    )


def _annotations_of(boxes: Sequence[dict[str, object]], *, state: LabelState) -> NoduleAnnotations:
    corners = [[float(str(box[side])) for side in ("x1", "y1", "x2", "y2")] for box in boxes]
    return NoduleAnnotations(
        boxes=np.array(corners, dtype=np.float32) if corners else empty_boxes(),
        class_names=tuple(str(box["class_name"]) for box in boxes),
        readers=tuple(_text(box["reader"]) for box in boxes),
        diameter_mm=tuple(_number(box["diameter_mm"]) for box in boxes),
        subtlety=tuple(_whole(box["subtlety"]) for box in boxes),
        state=state,
    )


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _spacing(row: dict[str, object]) -> PixelSpacing | None:
    row_mm, column_mm = _number(row["spacing_row_mm"]), _number(row["spacing_column_mm"])
    if row_mm is None or column_mm is None:
        return None
    return PixelSpacing(row_mm, column_mm, "calibrated" if row["spacing_plane"] == "calibrated" else "detector")


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(word) for word in value) if isinstance(value, Iterable) and not isinstance(value, str) else ()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _sex(value: object) -> Sex | None:
    return value if value == "F" or value == "M" or value == "O" else None


def _number(value: object) -> float | None:
    return None if value is None or value is pd.NA or not np.isfinite(float(str(value))) else float(str(value))
