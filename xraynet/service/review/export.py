"""What readers said, taken out of a store for other programs: as COCO, and as a table."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from xraynet import __version__
from xraynet.csv_text import write_csv
from xraynet.findings import Reading
from xraynet.reading_file import DISCLAIMER
from xraynet.service.review.history import Mode
from xraynet.service.review.look import Look, Mark, looks_of
from xraynet.service.review.measure import locate_mark, measure_mark, score_mark
from xraynet.service.review.store import ReviewStore

LookName = Literal["first", "final"]
CATEGORY: Final = "nodule/mass"
"""What readers were asked to mark, in the words of ``xraynet.ingest.labels.vocabulary``."""


@dataclass(frozen=True)
class ExportedLook:
    """One look of one reader at one film, with what the detector had said of the film."""

    reader: str
    name: LookName
    look: Look
    mode: Mode
    revision: int
    started_at: str
    reading: Reading

    @property
    def file_name(self) -> str:
        """The film's path as the run was given it, or its id where the run left paths out."""
        return self.reading.source.path or self.reading.id


def select_looks(
    store: ReviewStore, *, reader: str | None = None, look: LookName | None = None, finished: bool = False
) -> list[ExportedLook]:
    """The looks in a store, by film name and reader: of one reader or of all, first or final or both, finished or all."""
    found = [
        ExportedLook(
            reader=film.reader,
            name="first" if name == "first" else "final",
            look=one,
            mode=film.mode,
            revision=film.history.revision,
            started_at=film.history.started_at or "",
            reading=film.results.reading,
        )
        for film in store.read_every()
        if reader in (None, film.reader)
        for name, one in looks_of(film.history.look)
        if look in (None, name) and (one.verdict is not None or not finished)
    ]
    return sorted(found, key=lambda item: (item.file_name, item.reading.id, item.reader, item.name))


def render_coco(looks: Sequence[ExportedLook]) -> str:
    """Finished looks as COCO JSON: every film that somebody could read, every finding with its reader.

    A film read as normal is an image without annotations; one that nobody could read is left out, for it is no negative.
    """
    readable = [look for look in looks if look.look.verdict in ("findings", "normal")]
    films = list({look.reading.id: look for look in readable}.values())
    numbers = {look.reading.id: number for number, look in enumerate(films, start=1)}
    said = {look.reading.id: [other for other in looks if other.reading.id == look.reading.id] for look in films}
    marks = [(look, mark) for look in readable for mark in look.look.findings]
    tables = {
        "info": {
            "description": f"Readings of chest films. {DISCLAIMER}",
            "version": __version__,
            "contributor": "xraynet review",
        },
        "licenses": [],
        "images": [_coco_image(numbers[look.reading.id], look, said[look.reading.id]) for look in films],
        "categories": [{"id": 1, "name": CATEGORY, "supercategory": "finding"}],
        "annotations": [
            _coco_annotation(number, numbers[look.reading.id], look, mark) for number, (look, mark) in enumerate(marks, start=1)
        ],
    }
    return json.dumps(tables, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _coco_image(number: int, look: ExportedLook, said: Iterable[ExportedLook]) -> dict[str, object]:
    reading = look.reading
    return {
        "id": number,
        "file_name": look.file_name,
        "height": reading.image.height,
        "width": reading.image.width,
        "sha256": reading.source.sha256,
        "view": reading.image.view_position.value,
        **({"spacing_mm": list(reading.image.spacing_mm)} if reading.image.spacing_mm is not None else {}),
        "spacing_plane": reading.image.spacing_plane,
        "readings": [
            {
                "reader": other.reader,
                "look": other.name,
                "verdict": other.look.verdict,
                "started_at": other.started_at,
                "finished_at": other.look.finished_at,
                "note": other.look.note,
            }
            for other in said
        ],
    }


def _coco_annotation(number: int, image: int, look: ExportedLook, mark: Mark) -> dict[str, object]:
    x1, y1, x2, y2 = mark.box
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": 0,
        "reader": look.reader,
        "look": look.name,
        "state": mark.state,
        "moved": mark.moved,
        "diameter_mm": measure_mark(mark, look.reading),
        "detector_score": score_mark(mark, look.reading),
        "note": mark.note,
    }


_COLUMNS: Final = (
    *("path", "id", "sha256", "reader", "mode", "look", "verdict", "started_at", "finished_at", "film_note"),
    *("mark", "state", "moved", "x1", "y1", "x2", "y2", "diameter_mm", "spacing_plane", "side", "zone"),
    *("detector_score", "note", "checkpoint", "fingerprint"),
)


def render_csv(looks: Iterable[ExportedLook]) -> str:
    """Looks as a table: a line a mark, the rejected ones too; a look without mark has one line. Boxes in stored pixels."""
    lines: list[tuple[str | float | int | None, ...]] = []
    for look in looks:
        marks: list[Mark | None] = list(look.look.marks) or [None]
        lines += [(*_cells_of_look(look), *_cells_of_mark(look, mark), *_cells_of_model(look)) for mark in marks]
    return write_csv(_COLUMNS, lines)


def _cells_of_look(look: ExportedLook) -> tuple[str | None, ...]:
    return (
        *(look.reading.source.path, look.reading.id, look.reading.source.sha256, look.reader, look.mode, look.name),
        *(look.look.verdict, look.started_at, look.look.finished_at, look.look.note),
    )


def _cells_of_mark(look: ExportedLook, mark: Mark | None) -> tuple[str | float | int | None, ...]:
    if mark is None:
        return (None,) * 13
    reading = look.reading
    return (
        *(mark.id, mark.state, str(mark.moved).lower(), *mark.box, measure_mark(mark, reading)),
        *(reading.image.spacing_plane, *locate_mark(mark, reading), score_mark(mark, reading), mark.note),
    )


def _cells_of_model(look: ExportedLook) -> tuple[str, str]:
    return (look.reading.checkpoint.name, look.reading.checkpoint.fingerprint)
