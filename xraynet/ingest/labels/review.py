"""Reads ``review.sqlite``, what radiologists said on the review page, as annotations for training.

Films are found by the SHA-256 of their file, whatever they are called now; boxes are in stored pixels. Every reader is kept
apart. A second reader's *final* look counts, after the detector's marks were shown; ``review-first`` takes the looks at the
film alone instead (readings that were never unaided have none).

**Label state.** Findings: boxed with the detections accepted (as moved) and the findings added; rejected detections are no
annotations. Normal: read, and free of nodules and masses. A film that nobody could read, or finished, is unknown.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from xraynet.errors import LabelError, ReviewError
from xraynet.ingest.labels.records import BoxRow, FilmLabels, LabelTable, Place, gather_films
from xraynet.ingest.labels.vocabulary import DEFAULT_TARGETS
from xraynet.review_file import open_review_to_read

_CLASS: Final = "nodule/mass"
_READINGS: Final = """
SELECT film, sha256, height, width, row_mm, column_mm, reader, verdict FROM readings
WHERE look = ? AND verdict IN ('findings', 'normal') ORDER BY film, reader
"""
_ANNOTATIONS: Final = """
SELECT film, reader, x1, y1, x2, y2, diameter_mm FROM annotations WHERE look = ? ORDER BY film, reader, position
"""


def read_review(path: Path, *, look: Literal["first", "final"]) -> LabelTable:
    """The readings in a store. Raises LabelError where it is none, or cannot be read."""
    try:
        connection = open_review_to_read(path)
    except ReviewError as error:
        raise LabelError(f"the labels cannot be read: {error}") from error
    try:
        boxes = _read_boxes(connection, path, look)
        films = gather_films(_read_films(connection, path, look, boxes))
    except (sqlite3.Error, TypeError) as error:
        raise LabelError(f"the labels {path} cannot be read: {error}") from error
    finally:
        connection.close()
    return LabelTable(films=films)


def _read_boxes(connection: sqlite3.Connection, path: Path, look: str) -> dict[tuple[str, str], list[BoxRow]]:
    boxes: dict[tuple[str, str], list[BoxRow]] = {}
    for number, (film, reader, *corners, diameter_mm) in enumerate(connection.execute(_ANNOTATIONS, (look,)), start=1):
        x1, y1, x2, y2 = corners
        row = BoxRow(
            place=Place(path.name, number, "entry"),
            xyxy=(x1, y1, x2, y2),
            class_name=_CLASS,
            reader=reader,
            diameter_mm=diameter_mm,
        )
        boxes.setdefault((film, reader), []).append(row)
    return boxes


def _read_films(
    connection: sqlite3.Connection, path: Path, look: str, boxes: dict[tuple[str, str], list[BoxRow]]
) -> Iterator[FilmLabels]:
    for number, row in enumerate(connection.execute(_READINGS, (look,)), start=1):
        film, sha256, height, width, row_mm, column_mm, reader, _ = row
        yield FilmLabels(
            film=film,
            identity=("sha256", sha256),
            places=(Place(path.name, number, "entry"),),
            boxes=tuple(boxes.get((film, reader), ())),
            read_for=DEFAULT_TARGETS,
            readers=(reader,),
            frame=(height, width),
            spacing_mm=(row_mm, column_mm) if row_mm is not None else None,
        )
