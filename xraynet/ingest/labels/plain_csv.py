"""Reads a plain CSV of boxes, the format for a site's own labels: one row a box, or one row for a film without box.

Columns (only ``film`` must be there; others may be absent or empty):

=================== ==================================================================================================
film                file name, or path below the folder that is ingested; the suffix may be left out
x1, y1, x2, y2      the box in pixels, origin top left, right and bottom exclusive; empty: no box in this row
class               class name of the box, or of the film where the row has no box; "nodule" for a box without one
reader              who marked it
diameter_mm         the nodule's diameter where it was measured
subtlety            1 (extremely subtle) to 5 (obvious)
state               for a row without box: "free" (read and free of nodules; the default) or "unknown" (not read)
patient             patient identifier; hashed, never written
sex                 F, M or O
age_years           age in years
view                PA, AP, LATERAL, ...
row_spacing_mm      distance between neighbouring rows in mm, with column_spacing_mm
column_spacing_mm   distance between neighbouring columns in mm
frame_height        height of the frame in which box and spacing hold, with frame_width; empty: the stored film
frame_width         its width
=================== ==================================================================================================

**Label state.** A film with a nodule's or mass's box is boxed. A row without box and without class says that the film was
read and is free, unless its state is "unknown". A row without box but with a class is a film-level label: unknown where it
is a nodule or mass, free of both where it is another finding.
"""

from pathlib import Path
from typing import Final

from xraynet.errors import LabelError
from xraynet.ingest.labels.records import BoxRow, FilmLabels, LabelTable, gather_films
from xraynet.ingest.labels.tables import LabelRow, read_label_rows
from xraynet.ingest.labels.vocabulary import DEFAULT_TARGETS, says_nothing_found

PLAIN_CSV_COLUMNS: Final = (
    "film", "x1", "y1", "x2", "y2", "class", "reader", "diameter_mm", "subtlety", "state", "patient", "sex", "age_years",
    "view", "row_spacing_mm", "column_spacing_mm", "frame_height", "frame_width",
)  # fmt: skip
_CORNERS: Final = ("x1", "y1", "x2", "y2")


def read_plain_csv(path: Path) -> LabelTable:
    """The labels of a plain CSV. Raises LabelError where ``film`` is missing or a column is not one of the documented."""
    rows, log = read_label_rows(path, columns=("film",))
    unknown = sorted({name for row in rows for name in row.cells if name and name not in PLAIN_CSV_COLUMNS})
    if unknown:
        raise LabelError(f"{path} has the columns {', '.join(unknown)}; known are {', '.join(PLAIN_CSV_COLUMNS)}")
    return LabelTable(films=gather_films(_film_of_row(row) for row in rows), issues=tuple(log.issues))


def _film_of_row(row: LabelRow) -> FilmLabels:
    class_name, reader, state = row.text("class"), row.text("reader") or None, row.text("state").lower()
    boxes: tuple[BoxRow, ...] = ()
    if any(row.text(corner) for corner in _CORNERS):
        x1, y1, x2, y2 = (row.coordinate(corner) for corner in _CORNERS)
        boxes = (
            BoxRow(
                place=row.place,
                xyxy=(x1, y1, x2, y2),
                class_name=class_name or "nodule",
                reader=reader,
                diameter_mm=_above_zero(row, "diameter_mm"),
                subtlety=row.subtlety("subtlety"),
            ),
        )
    if state not in {"", "free", "unknown", "boxed"} or (state == "boxed" and not boxes) or (state == "free" and boxes):
        # The cell is not quoted: in a shifted row it may hold a name.
        expected = "boxed, or empty" if boxes else "free, unknown, or empty"
        row.log.add_unreadable(row.place, f"state is something else than {expected}; it counts as unknown")
        state = "unknown"
    return FilmLabels(
        film=row.text("film"),
        places=(row.place,),
        boxes=boxes,
        findings=(class_name,) if class_name and not boxes and not says_nothing_found(class_name) else (),
        read_for=() if state == "unknown" else DEFAULT_TARGETS,
        readers=(reader,) if reader else (),
        frame=row.frame("frame_height", "frame_width"),
        spacing_mm=row.positive_pair("row_spacing_mm", "column_spacing_mm"),
        patient=row.text("patient") or None,
        sex=row.sex("sex"),
        age_years=row.age_years("age_years"),
        view_position=row.view_position("view"),
    )


def _above_zero(row: LabelRow, column: str) -> float | None:
    value = row.number(column)
    if value is not None and value <= 0:
        row.log.add_unreadable(row.place, f"{column} is {value:g}; above 0 was expected; it was left out")
        return None
    return value
