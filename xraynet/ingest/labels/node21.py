"""Reads NODE21's ``metadata.csv``: boxes x, y, width, height of nodules on 1024 x 1024 films, and films without nodule.

**Label state.** Experts looked at every film of the challenge: label 1 rows are boxes, and a film with a label 0 row is
read and free of nodules. Masses over 30 mm were left out of the challenge, so its free films are free of both. A film
that has both labels is reported; its boxes are believed.

**Patients.** The table names none: films are split one by one, and the catalogue says so.
"""

from pathlib import Path
from typing import Final

from xraynet.ingest.labels.records import BoxRow, FilmLabels, LabelIssue, LabelTable, gather_films
from xraynet.ingest.labels.tables import LabelRow, read_label_rows
from xraynet.ingest.labels.vocabulary import DEFAULT_TARGETS

NODE21_FRAME: Final = (1024, 1024)


def read_node21(path: Path) -> LabelTable:
    """The labels of NODE21. ``height`` and ``width`` in the table are the box's, not the film's.

    Raises LabelError where a column is missing.
    """
    rows, log = read_label_rows(path, columns=("height", "img_name", "label", "width", "x", "y"))
    films = gather_films(_film_of_row(row) for row in rows)
    negative = {row.text("img_name"): row.place for row in rows if row.number("label") == 0}
    for name, place in negative.items():
        if films[name].boxes:
            message = "one film has both a nodule (label 1) and label 0; the nodule was believed"
            log.issues.append(LabelIssue("contradiction", (place, films[name].boxes[0].place), message))
    return LabelTable(films=films, issues=tuple(log.issues))


def _film_of_row(row: LabelRow) -> FilmLabels:
    label = row.number("label")
    if label is None or label not in (0, 1):
        row.log.add_unreadable(row.place, "label is neither 0 nor 1; the film's state is unknown")
        return FilmLabels(film=row.text("img_name"), places=(row.place,), findings=DEFAULT_TARGETS, frame=NODE21_FRAME)
    boxes: tuple[BoxRow, ...] = ()
    if label == 1:
        x, y, width, height = (row.coordinate(column) for column in ("x", "y", "width", "height"))
        boxes = (BoxRow(place=row.place, xyxy=(x, y, x + width, y + height)),)
    return FilmLabels(film=row.text("img_name"), places=(row.place,), boxes=boxes, read_for=DEFAULT_TARGETS, frame=NODE21_FRAME)
