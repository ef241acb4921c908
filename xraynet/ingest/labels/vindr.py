"""Reads the labels of VinDr-CXR and of the VinBigData challenge, every reader kept apart.

Known by their columns: box tables (``train.csv`` of VinBigData; ``annotations_train.csv`` with three readers a film and
``annotations_test.csv``, a consensus, of VinDr-CXR) and film-level tables (``image_labels_*.csv``, one column a class).
Coordinates are pixels of the DICOM film; where a resized edition of ``train.csv`` has ``width`` and ``height`` columns,
they name the film's original size and boxes are scaled from it.

**Label state.** Readers looked for every class of the study: a film on which some reader drew a "Nodule/Mass" is boxed
(who drew what is kept: consensus is chosen later); a film with other boxes, or with "No finding" only, is read and free.
A film-level "Nodule/Mass" or "Lung tumor" without a box is unknown. A reader with both a box and "No finding" on one film
is reported, and the box believed.
"""

from pathlib import Path
from typing import Final

from xraynet.ingest.labels.records import BoxRow, FilmLabels, LabelIssue, LabelTable, gather_films
from xraynet.ingest.labels.tables import IssueLog, LabelRow, iterate_csv, read_label_rows, read_label_text
from xraynet.ingest.labels.vocabulary import DEFAULT_TARGETS, may_be_target, says_nothing_found

_FILM_LEVEL_COLUMN: Final = "Nodule/Mass"


def read_vindr(path: Path) -> LabelTable:
    """The labels in a table of VinDr-CXR or VinBigData. Raises LabelError where its columns are of neither kind."""
    _, header = next(iterate_csv(read_label_text(path), path=path), (0, []))
    if _FILM_LEVEL_COLUMN in header:
        rows, log = read_label_rows(path, columns=("image_id",))
        return LabelTable(films=gather_films(_film_level(row) for row in rows), issues=tuple(log.issues))
    rows, log = read_label_rows(path, columns=("image_id", "class_name", "x_min", "y_min", "x_max", "y_max"))
    films = gather_films(_film_of_row(row) for row in rows)
    _note_contradictions(rows, log)
    return LabelTable(films=films, issues=tuple(log.issues))


def _film_of_row(row: LabelRow) -> FilmLabels:
    class_name, reader = row.text("class_name"), row.text("rad_id") or None
    nothing = says_nothing_found(class_name)
    has_box = any(row.text(column) for column in ("x_min", "y_min", "x_max", "y_max"))
    boxes: tuple[BoxRow, ...] = ()
    # The 1.0 x 1.0 box that some editions give to "No finding" is a filler, not a mark.
    if has_box and not nothing:
        x1, y1, x2, y2 = (row.coordinate(column) for column in ("x_min", "y_min", "x_max", "y_max"))
        boxes = (BoxRow(place=row.place, xyxy=(x1, y1, x2, y2), class_name=class_name, reader=reader),)
    return FilmLabels(
        film=row.text("image_id"),
        places=(row.place,),
        boxes=boxes,
        findings=() if boxes or nothing else (class_name,),
        read_for=DEFAULT_TARGETS,
        readers=(reader,) if reader else (),
        frame=row.frame("height", "width"),
        sex=row.sex("sex"),
        age_years=row.age_years("age"),
    )


def _film_level(row: LabelRow) -> FilmLabels:
    said = [
        name
        for name, cell in row.cells.items()
        if name not in {"image_id", "rad_id"} and cell.strip() in {"1", "1.0"} and not says_nothing_found(name)
    ]
    reader = row.text("rad_id")
    return FilmLabels(
        film=row.text("image_id"),
        places=(row.place,),
        findings=tuple(said),
        read_for=DEFAULT_TARGETS,
        readers=(reader,) if reader else (),
    )


def _note_contradictions(rows: list[LabelRow], log: IssueLog) -> None:
    nothing = {
        (row.text("image_id"), row.text("rad_id")): row.place for row in rows if says_nothing_found(row.text("class_name"))
    }
    for row in rows:
        name, who = row.text("class_name"), (row.text("image_id"), row.text("rad_id"))
        if who in nothing and may_be_target(name, targets=DEFAULT_TARGETS):
            message = f"one reader says both 'No finding' and {name} of one film; the box was believed"
            log.issues.append(LabelIssue("contradiction", (nothing[who], row.place), message))
