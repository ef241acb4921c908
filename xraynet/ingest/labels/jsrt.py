"""Reads the labels of the JSRT database: one nodule, a centre and a diameter, on each JPCLN film, none on JPCNN films.

Known: ``CLNDAT_EN.txt`` (tab-separated, no header: film, subtlety, diameter in mm, age, sex, x, y, malignant or benign,
position, diagnosis), ``CNNDAT_EN.txt`` (film, age, sex, "non-nodule"), and a CSV with the columns id, subtlety, size_mm,
age, sex, x_2048, y_2048. Coordinates are in the 2048 x 2048 frame at 0.175 mm (Shiraishi, AJR 2000) and are scaled to the
film that is stored, whatever its size.

**Label state.** Nodules are confirmed by CT: a film with a row is boxed (the square around the circle). A JPCNN film is
read and free of nodules, with or without a row. A JPCLN film without a row has a nodule somewhere: unknown.
"""

import math
import re
from pathlib import Path
from typing import Final

from xraynet.errors import LabelError
from xraynet.ingest.labels.records import BoxRow, FilmLabels, LabelTable, Place, UnlistedFilms, gather_films
from xraynet.ingest.labels.tables import IssueLog, LabelRow, iterate_csv, read_label_rows, read_label_text
from xraynet.ingest.labels.vocabulary import DEFAULT_TARGETS
from xraynet.radiograph import ViewPosition

JSRT_FRAME: Final = (2048, 2048)
JSRT_SPACING_MM: Final = (0.175, 0.175)
JSRT_ISSUER: Final = "jsrt"

_NODULE_COLUMNS: Final = ("id", "subtlety", "size_mm", "age", "sex", "x_2048", "y_2048", "state", "position", "diagnosis")
_FREE_COLUMNS: Final = ("id", "age", "sex", "state")
_FILM_NAME: Final = re.compile(r"JPC(LN|NN)\d{3}(\.IMG)?", re.IGNORECASE)

_FREE: Final = FilmLabels(
    film="",
    read_for=DEFAULT_TARGETS,
    frame=JSRT_FRAME,
    spacing_mm=JSRT_SPACING_MM,
    patient_issuer=JSRT_ISSUER,
    view_position=ViewPosition.PA,
)
_NODULE_SOMEWHERE: Final = FilmLabels(
    film="",
    findings=("nodule",),
    frame=JSRT_FRAME,
    spacing_mm=JSRT_SPACING_MM,
    patient_issuer=JSRT_ISSUER,
    view_position=ViewPosition.PA,
)
_UNLISTED: Final = (
    UnlistedFilms(re.compile(r"(?P<patient>JPCNN\d{3})", re.IGNORECASE), _FREE),
    UnlistedFilms(re.compile(r"(?P<patient>JPCLN\d{3})", re.IGNORECASE), _NODULE_SOMEWHERE),
)


def read_jsrt(path: Path) -> LabelTable:
    """The labels of JSRT from its own text file or from a CSV with a header.

    Raises LabelError where the file is neither.
    """
    text = read_label_text(path)
    if text.splitlines()[:1] and "x_2048" in text.splitlines()[0]:
        rows, log = read_label_rows(path, columns=("id", "size_mm", "x_2048", "y_2048"))
    else:
        rows, log = _read_text_rows(text, path)
    films = gather_films(_film_of_row(row) for row in rows)
    return LabelTable(films=films, issues=tuple(log.issues), unlisted=_UNLISTED)


def _read_text_rows(text: str, path: Path) -> tuple[list[LabelRow], IssueLog]:
    log, rows = IssueLog(), []
    for line, cells in iterate_csv(text, path=path, delimiter="\t"):
        # Copies of the file circulate with runs of blanks in place of tabs.
        parts = cells if len(cells) > 1 else re.split(r"\s{2,}|\t", cells[0].strip()) if cells else []
        if not any(part.strip() for part in parts):
            continue
        name = parts[0].strip()
        if not _FILM_NAME.fullmatch(name):
            raise LabelError(f"{path} line {line} does not begin with a JSRT film; a name such as JPCLN001.IMG was expected")
        columns = _NODULE_COLUMNS if name.upper().startswith("JPCLN") else _FREE_COLUMNS
        rows.append(LabelRow(Place(path.name, line), dict(zip(columns, parts, strict=False)), log))
    if not rows:
        raise LabelError(f"{path} holds no JSRT film; rows such as JPCLN001.IMG, subtlety, diameter, ... were expected")
    return rows, log


def _film_of_row(row: LabelRow) -> FilmLabels:
    film = row.text("id")
    stem = film[:8].upper()
    if not _FILM_NAME.match(film):
        row.log.add_unreadable(row.place, "the row names no film of JSRT (JPCLN001, JPCNN001, ...); its film is unknown")
        return FilmLabels(film=film, places=(row.place,), findings=DEFAULT_TARGETS)
    # A row with a centre is a nodule, whatever its film is called.
    has_centre = bool(row.text("x_2048") or row.text("y_2048"))
    boxes: tuple[BoxRow, ...] = (_box_of_row(row),) if has_centre or stem.startswith("JPCLN") else ()
    return FilmLabels(
        film=film,
        places=(row.place,),
        boxes=boxes,
        findings=("nodule",) if boxes else (),
        read_for=DEFAULT_TARGETS,
        frame=JSRT_FRAME,
        spacing_mm=JSRT_SPACING_MM,
        patient=stem,
        patient_issuer=JSRT_ISSUER,
        sex=row.sex("sex"),
        age_years=row.age_years("age"),
        view_position=ViewPosition.PA,
    )


def _box_of_row(row: LabelRow) -> BoxRow:
    diameter_mm = row.number("size_mm")
    half = math.nan if diameter_mm is None else diameter_mm / JSRT_SPACING_MM[0] / 2
    x, y = row.coordinate("x_2048"), row.coordinate("y_2048")
    corners = (x - half, y - half, x + half, y + half)
    return BoxRow(place=row.place, xyxy=corners, diameter_mm=diameter_mm, subtlety=row.subtlety("subtlety"))
