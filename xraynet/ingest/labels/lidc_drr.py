"""Reads ``boxes.csv`` of projections of LIDC-IDRI chest CTs: the projected outlines of nodules as boxes.

Columns: image, patient, width, height (of the projection), xmin, ymin, xmax, ymax (right and bottom exclusive), area_px.

**Label state.** Four radiologists outlined every nodule of 3 mm and more in the CT: a projection with a box is boxed, one
without a row has an empty mask and is free. Many boxes are tiny or hidden behind heart and diaphragm: what is boxed here is
not always visible.
"""

import re
from pathlib import Path
from typing import Final

from xraynet.ingest.labels.records import BoxRow, FilmLabels, LabelTable, UnlistedFilms, gather_films
from xraynet.ingest.labels.tables import LabelRow, read_label_rows
from xraynet.ingest.labels.vocabulary import DEFAULT_TARGETS

LIDC_ISSUER: Final = "lidc-idri"
_FREE: Final = FilmLabels(film="", read_for=DEFAULT_TARGETS, patient_issuer=LIDC_ISSUER)


def read_lidc_drr(path: Path) -> LabelTable:
    """The boxes of LIDC-IDRI projections. Raises LabelError where a column is missing."""
    rows, log = read_label_rows(path, columns=("image", "patient", "xmin", "ymin", "xmax", "ymax"))
    unlisted = UnlistedFilms(re.compile(r"(?P<patient>LIDC-IDRI-\d{4})_.*_drr"), _FREE)
    films = gather_films(_film_of_row(row) for row in rows)
    return LabelTable(films=films, issues=tuple(log.issues), unlisted=(unlisted,))


def _film_of_row(row: LabelRow) -> FilmLabels:
    x1, y1, x2, y2 = (row.coordinate(corner) for corner in ("xmin", "ymin", "xmax", "ymax"))
    return FilmLabels(
        film=row.text("image"),
        places=(row.place,),
        boxes=(BoxRow(place=row.place, xyxy=(x1, y1, x2, y2)),),
        read_for=DEFAULT_TARGETS,
        frame=row.frame("height", "width"),
        patient=row.text("patient") or None,
        patient_issuer=LIDC_ISSUER,
    )
