"""Reads the labels of NIH ChestX-ray14: text-mined findings of films, and the boxes drawn on 880 of them.

Three files are known by their columns: ``Data_Entry_2017*.csv`` (every film; the 2017 and the 2020 edition),
``BBox_List_2017.csv`` (boxes x, y, w, h in the 1024 frame; its header is malformed: one quoted-looking
``Bbox [x,y,w,h]`` stretches over four columns), and a reduced ``films.csv`` (image, finding_labels, patient_id, ...).

**Label state.** Findings are text-mined from reports (Wang et al., CVPR 2017), not read from films. A film whose findings
name neither nodule nor mass counts as read and free of them, with that reservation. A film with "Nodule" or "Mass" among
its findings is boxed where the box list holds a box of that class, else unknown. A film that stands in the box list alone
(for a pneumonia, say) was not read for nodules: unknown, unless the box is a nodule's or a mass's.

**Spacing.** The published 1024 x 1024 film is the original squeezed to a square: row spacing is the original's times
original height / 1024, column spacing the original's times original width / 1024.
"""

import math
import re
from pathlib import Path
from typing import Final

from xraynet.errors import LabelError
from xraynet.ingest.labels.records import BoxRow, FilmLabels, LabelTable, gather_films
from xraynet.ingest.labels.tables import LabelRow, iterate_csv, read_label_rows, read_label_text
from xraynet.ingest.labels.vocabulary import DEFAULT_TARGETS

NIH_FRAME: Final = (1024, 1024)
NIH_ISSUER: Final = "nih-chestx-ray14"
_FILM_NAME: Final = re.compile(r"(\d{8})_\d{3}\.(?:png|jpe?g)")


def read_nih(path: Path) -> LabelTable:
    """The labels in one of ChestX-ray14's tables, gzipped or not.

    Raises LabelError where the columns are none of the three known kinds.
    """
    _, header = next(iterate_csv(read_label_text(path), path=path), (0, []))
    names = [name.strip() for name in header]
    if "Bbox [x" in names or "Bbox [x,y,w,h]" in names:
        return _read_box_list(path)
    if "Finding Labels" in names:
        return _read_data_entry(path)
    if "finding_labels" in names:
        return _read_films_csv(path)
    raise LabelError(
        f"{path} is none of ChestX-ray14's tables: its columns are {', '.join(names) or 'none'}; expected "
        "'Finding Labels' (Data_Entry_2017.csv), 'Bbox [x,y,w,h]' (BBox_List_2017.csv) or 'finding_labels' (films.csv)"
    )


def patient_of_nih_film(film: str) -> str | None:
    """The patient number inside a film's published name, as Data_Entry_2017.csv writes it.

    >>> patient_of_nih_film("00000061_012.png"), patient_of_nih_film("other.png")
    ('61', None)
    """
    match = _FILM_NAME.fullmatch(film)
    return str(int(match.group(1))) if match else None


def _read_box_list(path: Path) -> LabelTable:
    # The header names six columns and shows that "Bbox [x,y,w,h]" was split at its commas: cells go by position.
    films = []
    rows, log = read_label_rows(path)
    lines = {line: cells for line, cells in iterate_csv(read_label_text(path), path=path) if any(cells)}
    for row in rows:
        cells = [cell.strip() for cell in lines[row.place.line]]
        if len(cells) < 6:
            log.add_unreadable(row.place, f"the row has {len(cells)} cells; film, finding, x, y, w, h were expected; not used")
            continue
        x, y, width, height = (_to_float(cell) for cell in cells[2:6])
        box = BoxRow(place=row.place, xyxy=(x, y, x + width, y + height), class_name=cells[1])
        films.append(
            FilmLabels(
                film=cells[0],
                places=(row.place,),
                boxes=(box,),
                frame=NIH_FRAME,
                patient=patient_of_nih_film(cells[0]),
                patient_issuer=NIH_ISSUER,
            )
        )
    return LabelTable(films=gather_films(films), issues=tuple(log.issues))


def _to_float(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _read_data_entry(path: Path) -> LabelTable:
    # "OriginalImage[Width,Height]" and "OriginalImagePixelSpacing[x,y]" are split at their commas, like the boxes' header.
    rows, log = read_label_rows(path, columns=("Image Index", "Finding Labels", "Patient ID"))
    films = [
        _film_of_row(
            row,
            film=row.text("Image Index"),
            findings=row.text("Finding Labels"),
            patient=row.text("Patient ID"),
            age="Patient Age",
            sex="Patient Gender",
            view="View Position",
            original_size=("Height]", "OriginalImage[Width"),
            original_spacing=("y]", "OriginalImagePixelSpacing[x"),
        )
        for row in rows
    ]
    return LabelTable(films=gather_films(films), issues=tuple(log.issues))


def _read_films_csv(path: Path) -> LabelTable:
    rows, log = read_label_rows(path, columns=("image", "finding_labels", "patient_id"))
    films = [
        _film_of_row(
            row,
            film=row.text("image"),
            findings=row.text("finding_labels"),
            patient=row.text("patient_id"),
            age="age",
            sex="sex",
            view="view",
            original_size=("original_height", "original_width"),
            original_spacing=("original_spacing_y_mm", "original_spacing_x_mm"),
        )
        for row in rows
    ]
    return LabelTable(films=gather_films(films), issues=tuple(log.issues))


def _film_of_row(
    row: LabelRow,
    *,
    film: str,
    findings: str,
    patient: str,
    age: str,
    sex: str,
    view: str,
    original_size: tuple[str, str],
    original_spacing: tuple[str, str],
) -> FilmLabels:
    size, spacing = row.positive_pair(*original_size), row.positive_pair(*original_spacing)
    squeezed = None
    if size is not None and spacing is not None:
        squeezed = (spacing[0] * size[0] / NIH_FRAME[0], spacing[1] * size[1] / NIH_FRAME[1])
    named = tuple(name.strip() for name in findings.split("|") if name.strip())
    if not named:
        row.log.add_unreadable(row.place, "the film has no finding, not even 'No Finding'; its state is unknown")
    return FilmLabels(
        film=film,
        places=(row.place,),
        findings=named,
        read_for=DEFAULT_TARGETS if named else (),
        frame=NIH_FRAME,
        spacing_mm=squeezed,
        patient=str(int(patient)) if patient.isdigit() else patient or None,
        patient_issuer=NIH_ISSUER,
        sex=row.sex(sex),
        age_years=row.age_years(age),
        view_position=row.view_position(view),
    )
