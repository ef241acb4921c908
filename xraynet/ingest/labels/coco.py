"""Reads COCO JSON: images, categories, and annotations with ``bbox`` [x, y, width, height] in the image's own frame.

Optional keys of an image are read where present: ``patient``, ``sex``, ``age_years``, ``view``, ``spacing_mm`` ([row,
column] in mm); of an annotation: ``reader``.

**Label state.** The categories say what was looked for. An image with a box of a target category is boxed; an image without
one is read and free of those targets that are among the categories, so a file without any nodule category leaves its
films unknown. A target annotation marked ``iscrowd``, or without ``bbox``, is no box: it is reported, and the film unknown.
"""

from collections.abc import Mapping
from pathlib import Path

from xraynet.errors import LabelError
from xraynet.ingest.labels.chestxdet import box_corners
from xraynet.ingest.labels.records import BoxRow, FilmLabels, LabelIssue, LabelTable, Place, gather_films
from xraynet.ingest.labels.tables import IssueLog, parse_age_years, parse_sex, parse_view_position, read_label_json
from xraynet.ingest.labels.vocabulary import meanings_of


def read_coco(path: Path) -> LabelTable:
    """The labels of a COCO file. Raises LabelError where images or categories are missing or malformed."""
    content = read_label_json(path)
    if not isinstance(content, Mapping):
        raise LabelError(f"{path} holds a {type(content).__name__}; COCO's images, categories and annotations were expected")
    images, categories = _entries(content, "images", path), _entries(content, "categories", path)
    names = {_identifier(category, path): str(category.get("name", "")) for category in categories}
    for kind, entries in (("image", images), ("category", categories)):
        if len({_identifier(entry, path) for entry in entries}) < len(entries):
            raise LabelError(f"{path} gives one id to two entries ({kind}); every one needs an id of its own")
    read_for = tuple(sorted({meaning for name in names.values() for meaning in meanings_of(name)}))
    films = {_identifier(image, path): _film_of_image(image, number, path, read_for) for number, image in enumerate(images, 1)}
    log, rows = IssueLog(), list(films.values())
    for number, annotation in enumerate(_entries(content, "annotations", path), start=1):
        place = Place(path.name, number, "entry")
        film = films.get(str(annotation.get("image_id")))
        if film is None:
            log.issues.append(LabelIssue("film-not-there", (place,), "the annotation's image_id is not among the images"))
            continue
        class_name = names.get(str(annotation.get("category_id")))
        if class_name is None:
            log.add_unreadable(place, "the annotation's category_id is not among the categories; taken as 'unknown category'")
            class_name = "unknown category"
        rows.append(_row_of_annotation(annotation, film, class_name, place, log))
    return LabelTable(films=gather_films(rows), issues=tuple(log.issues))


def _entries(content: Mapping[str, object], key: str, path: Path) -> list[Mapping[str, object]]:
    entries = content.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise LabelError(
            f"{path} has no list of objects under '{key}'; COCO's images, categories and annotations were expected"
        )
    return entries


def _identifier(entry: Mapping[str, object], path: Path) -> str:
    if entry.get("id") is None:
        raise LabelError(f"{path}: an image or category has no id; COCO gives every one an id")
    return str(entry["id"])


def _film_of_image(image: Mapping[str, object], number: int, path: Path, read_for: tuple[str, ...]) -> FilmLabels:
    film, height, width = image.get("file_name"), image.get("height"), image.get("width")
    if not isinstance(film, str) or not film:
        raise LabelError(f"{path}: image {number} has no file_name")
    spacing = image.get("spacing_mm")
    row_column = None
    if isinstance(spacing, list) and len(spacing) == 2 and all(isinstance(side, int | float) and side > 0 for side in spacing):
        row_column = (float(spacing[0]), float(spacing[1]))
    return FilmLabels(
        film=film,
        places=(Place(path.name, number, "entry"),),
        read_for=read_for,
        frame=_frame_of(height, width),
        spacing_mm=row_column,
        patient=str(image["patient"]) if image.get("patient") else None,
        sex=parse_sex(str(image.get("sex", ""))),
        age_years=parse_age_years(str(image.get("age_years", ""))),
        view_position=parse_view_position(str(image.get("view", ""))),
    )


def _frame_of(height: object, width: object) -> tuple[int, int] | None:
    # Some writers give whole numbers as 1024.0.
    if (
        not isinstance(height, int | float)
        or not isinstance(width, int | float)
        or not (1 <= height < 1e6 and 1 <= width < 1e6)
    ):
        return None
    return (round(height), round(width))


def _row_of_annotation(
    annotation: Mapping[str, object], image: FilmLabels, class_name: str, place: Place, log: IssueLog
) -> FilmLabels:
    reader = str(annotation["reader"]) if annotation.get("reader") else None
    readers = (reader,) if reader else ()
    if annotation.get("iscrowd") or "bbox" not in annotation:
        why = "marks a crowd region" if annotation.get("iscrowd") else "has no bbox"
        message = f"the annotation {why}; kept as a film-level label, not as a box"
        log.issues.append(LabelIssue("box-not-usable", (place,), message))
        return FilmLabels(film=image.film, places=(place,), findings=(class_name,), readers=readers, frame=image.frame)
    x, y, width, height = box_corners(annotation["bbox"])
    box = BoxRow(place=place, xyxy=(x, y, x + width, y + height), class_name=class_name, reader=reader)
    return FilmLabels(film=image.film, places=(place,), boxes=(box,), readers=readers, frame=image.frame)
