"""Reads ChestX-Det and ChestX-Det10: radiologists' boxes on films of NIH ChestX-ray14, as a JSON list.

Each entry has ``file_name``, ``syms`` (one class name a box) and ``boxes`` ([x1, y1, x2, y2], right and bottom exclusive)
in the 1024 frame; ChestX-Det adds ``polygons``, which are not read.

**Label state.** Three radiologists marked every film for all classes: a film with a Nodule or Mass box is boxed, one with
other boxes or none is read and free of them, and one with a "Diffuse Nodule" is unknown.

**Patients** are known where films bear ChestX-ray14's names (they then share its patient keys). The published archives
number their films instead (``36199.png``): those are divided film by film, and may show patients of ChestX-ray14.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from xraynet.errors import LabelError
from xraynet.ingest.labels.nih import NIH_FRAME, NIH_ISSUER, patient_of_nih_film
from xraynet.ingest.labels.records import BoxRow, FilmLabels, LabelTable, Place, gather_films
from xraynet.ingest.labels.tables import IssueLog, read_label_json
from xraynet.ingest.labels.vocabulary import DEFAULT_TARGETS

_EXPECTED: Final = 'a list of {"file_name": ..., "syms": [...], "boxes": [[x1, y1, x2, y2], ...]} was expected'


def read_chestxdet(path: Path) -> LabelTable:
    """The labels of ChestX-Det. Raises LabelError where the file is not such a list."""
    content = read_label_json(path)
    if not isinstance(content, list):
        raise LabelError(f"{path} holds a {type(content).__name__}; {_EXPECTED}")
    log, films = IssueLog(), []
    for number, entry in enumerate(content, start=1):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("file_name"), str):
            raise LabelError(f"{path} entry {number} has no file_name; {_EXPECTED}")
        films.append(_film_of_entry(entry, Place(path.name, number, "entry"), log))
    return LabelTable(films=gather_films(films), issues=tuple(log.issues))


def _film_of_entry(entry: Mapping[str, object], place: Place, log: IssueLog) -> FilmLabels:
    film = str(entry["file_name"])
    names, corners = _as_list(entry.get("syms")), _as_list(entry.get("boxes"))
    if len(names) != len(corners):
        log.add_unreadable(
            place, f"there are {len(names)} syms and {len(corners)} boxes; the unmatched were kept as film-level labels"
        )
    boxes = tuple(
        BoxRow(place=place, xyxy=box_corners(corner), class_name=str(name))
        for name, corner in zip(names, corners, strict=False)
    )
    unmatched = tuple(str(name) for name in names[len(corners) :]) + ("nodule",) * max(0, len(corners) - len(names))
    return FilmLabels(
        film=film,
        places=(place,),
        boxes=boxes,
        findings=unmatched,
        read_for=DEFAULT_TARGETS,
        frame=NIH_FRAME,
        patient=patient_of_nih_film(film),
        patient_issuer=NIH_ISSUER,
    )


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def box_corners(value: object) -> tuple[float, float, float, float]:
    """Four numbers of a JSON list, NaN for what is no number.

    >>> box_corners([1, 2, 3, 4]), box_corners([1, 2])
    ((1.0, 2.0, 3.0, 4.0), (nan, nan, nan, nan))
    """
    numbers = _as_list(value)
    if len(numbers) != 4 or not all(isinstance(number, int | float) for number in numbers):
        return (math.nan, math.nan, math.nan, math.nan)
    x1, y1, x2, y2 = (float(str(number)) for number in numbers)
    return (x1, y1, x2, y2)
