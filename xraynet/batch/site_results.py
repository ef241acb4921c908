"""What drawing known nodules into a site's own films showed: one record a nodule, and sensitivities by group."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Final

from xraynet.csv_text import write_csv
from xraynet.evaluation.intervals import wilson_interval
from xraynet.findings import CheckpointIdentity, Outcome, OutcomeStatus, count_by_status
from xraynet.reading_file import DISCLAIMER

SITE_SCHEMA_VERSION: Final = 1
DIAMETER_EDGES_MM: Final = (0.0, 8.0, 12.0, 16.0, 20.0, 30.0, math.inf)
CONTRAST_EDGES: Final = (-math.inf, 0.5, 1.0, 2.0, 3.0, math.inf)
UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class NoduleRecord:
    """One drawn nodule and what became of it.

    ``box``: XYXY in stored pixels. ``diameter_mm``: the box's longer side, None where the film has no spacing.
    ``contrast_to_noise``: mean inside minus mean of a ring of 1 to 1.5 diameters, over the ring's deviation; None where
    undefined. ``place``: ``clear lung``, or ``behind heart or diaphragm`` (less than half of the box in the lung fields).
    ``score``: of the mark whose centre lies inside the nodule, None where there is none. ``score_before``: the same on the
    untouched film. ``found``: the score reaches the operating point.
    """

    path: str
    film_id: str
    box: tuple[float, float, float, float]
    diameter_mm: float | None
    contrast_to_noise: float | None
    kind: str
    place: str
    score: float | None
    score_before: float | None
    found: bool
    found_before: bool


@dataclass(frozen=True)
class SiteFilm:
    """One film that was analysed: marks at the operating point before nodules were drawn, false marks after."""

    path: str
    film_id: str
    height: int
    width: int
    spacing_mm: tuple[float, float] | None
    num_nodules: int
    num_marks_before: int
    num_false_marks: int


@dataclass(frozen=True)
class Sensitivity:
    """``num_found`` of ``num_nodules`` with the Wilson 95 % interval; all None where there was no nodule."""

    group: str
    num_found: int
    num_nodules: int
    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, group: str, records: Sequence[NoduleRecord]) -> "Sensitivity":
        """The sensitivity over these nodules."""
        found, total = sum(record.found for record in records), len(records)
        low, high = wilson_interval(found, total)
        return cls(group, found, total, found / total if total else None, low, high)


@dataclass(frozen=True)
class SiteResult:
    """A whole run. ``settings`` are plain values: seed, nodules a film, the simulator's version and configuration."""

    checkpoint: CheckpointIdentity
    threshold: float
    xraynet_version: str
    settings: dict[str, object]
    nodules: tuple[NoduleRecord, ...] = ()
    films: tuple[SiteFilm, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    num_duplicates: int = 0
    warnings: tuple[str, ...] = field(default=())

    @property
    def counts(self) -> dict[OutcomeStatus, int]:
        """Input files by status."""
        return count_by_status(self.outcomes)

    @property
    def overall(self) -> Sensitivity:
        """The sensitivity over all nodules at the operating point."""
        return Sensitivity.of("all nodules", self.nodules)

    @property
    def marks_per_untouched_film(self) -> float | None:
        """Marks at the operating point per film before anything was drawn; false ones, if the films are normal."""
        return sum(film.num_marks_before for film in self.films) / len(self.films) if self.films else None

    @property
    def false_marks_per_film(self) -> float | None:
        """Marks that meet no drawn nodule, per film with nodules."""
        return sum(film.num_false_marks for film in self.films) / len(self.films) if self.films else None

    def tables(self) -> dict[str, tuple[Sensitivity, ...]]:
        """Sensitivity by diameter, contrast-to-noise, place and kind; groups without a nodule are left out."""
        return {
            "diameter": self._group(lambda nodule: name_between(nodule.diameter_mm, DIAMETER_EDGES_MM, " mm")),
            "contrast-to-noise": self._group(lambda nodule: name_between(nodule.contrast_to_noise, CONTRAST_EDGES, "")),
            "place": self._group(lambda nodule: nodule.place),
            "kind": self._group(lambda nodule: nodule.kind),
        }

    def _group(self, name: Callable[[NoduleRecord], str]) -> tuple[Sensitivity, ...]:
        names = sorted({name(nodule) for nodule in self.nodules}, key=_sort_key)
        return tuple(Sensitivity.of(group, [nodule for nodule in self.nodules if name(nodule) == group]) for group in names)

    def to_json(self) -> str:
        """``simulate.json``."""
        content: dict[str, object] = {
            "schema_version": SITE_SCHEMA_VERSION,
            "notice": DISCLAIMER,
            "xraynet_version": self.xraynet_version,
            "checkpoint": asdict(self.checkpoint),
            "operating_threshold": self.threshold,
            "settings": self.settings,
            "counts": {
                **{str(status): count for status, count in self.counts.items()},
                "duplicates": self.num_duplicates,
                "nodules": len(self.nodules),
            },
            "sensitivity": asdict(self.overall),
            "num_marked_before_drawing": sum(nodule.found_before for nodule in self.nodules),
            "marks_per_untouched_film": self.marks_per_untouched_film,
            "false_marks_per_film": self.false_marks_per_film,
            "tables": {trait: [asdict(row) for row in rows] for trait, rows in self.tables().items()},
            "warnings": list(self.warnings),
            "not_analysed": [asdict(outcome) for outcome in self.outcomes if outcome.status != "ok"],
        }
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """``simulate.csv``: one row a nodule."""
        columns = (
            "path", "id", "x1", "y1", "x2", "y2", "diameter_mm", "contrast_to_noise", "kind", "place", "score",
            "score_before", "found", "found_before",
        )  # fmt: skip
        rows = (
            (
                nodule.path, nodule.film_id, *nodule.box, nodule.diameter_mm, nodule.contrast_to_noise, nodule.kind,
                nodule.place, nodule.score, nodule.score_before, int(nodule.found), int(nodule.found_before),
            )
            for nodule in self.nodules
        )  # fmt: skip
        return write_csv(columns, rows)


def name_between(value: float | None, edges: Sequence[float], unit: str) -> str:
    """The group of ``edges`` that ``value`` lies in.

    >>> name_between(9.0, (0, 8, 12), " mm"), name_between(None, (0, 8), "")
    ('8 to 12 mm', 'unknown')
    """
    if value is None:
        return UNKNOWN
    for low, high in pairwise(edges):
        if low <= value < high:
            if math.isinf(high):
                return f"{low:g}{unit} and more"
            return f"under {high:g}{unit}" if low in (0.0, -math.inf) else f"{low:g} to {high:g}{unit}"
    return UNKNOWN


def _sort_key(name: str) -> tuple[int, float, str]:
    if name == UNKNOWN:
        return (2, 0.0, name)
    words = name.split()
    if words[0] == "under":
        return (0, -1.0, name)
    try:
        return (0, float(words[0]), name)
    except ValueError:
        return (1, 0.0, name)


def annotations_csv(result: SiteResult) -> str:
    """The drawn nodules as xraynet's plain CSV, over the saved films (``<id>.png``)."""
    columns = ("film", "x1", "y1", "x2", "y2", "class", "reader", "diameter_mm", "state", "row_spacing_mm", "column_spacing_mm")
    rows: list[tuple[str | float | int | None, ...]] = []
    for film in result.films:
        spacing = film.spacing_mm or (None, None)
        boxes = [nodule for nodule in result.nodules if nodule.film_id == film.film_id]
        rows += [
            (f"{film.film_id}.png", *nodule.box, "nodule", "simulated", nodule.diameter_mm, None, *spacing) for nodule in boxes
        ]
        if not boxes:
            rows.append((f"{film.film_id}.png", None, None, None, None, None, None, None, "free", *spacing))
    return write_csv(columns, rows)


def annotations_coco(result: SiteResult) -> str:
    """The drawn nodules as COCO JSON, over the saved films."""
    numbers = {film.film_id: number for number, film in enumerate(result.films, start=1)}
    images: list[dict[str, object]] = [
        {
            "id": numbers[film.film_id], "file_name": f"{film.film_id}.png", "height": film.height, "width": film.width,
            **({"spacing_mm": list(film.spacing_mm)} if film.spacing_mm is not None else {}),
        }
        for film in result.films
    ]  # fmt: skip
    annotations = []
    for number, nodule in enumerate(result.nodules, start=1):
        x1, y1, x2, y2 = nodule.box
        annotations.append(
            {
                "id": number, "image_id": numbers[nodule.film_id], "category_id": 1, "iscrowd": 0, "reader": "simulated",
                "bbox": [x1, y1, round(x2 - x1, 3), round(y2 - y1, 3)], "area": round((x2 - x1) * (y2 - y1), 3),
            }
        )  # fmt: skip
    content = {"images": images, "categories": [{"id": 1, "name": "nodule"}], "annotations": annotations}
    return json.dumps(content, indent=1) + "\n"
