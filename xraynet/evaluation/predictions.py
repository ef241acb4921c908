"""Reads what a detector proposed: a folder of readings, a COCO results file, or a table in NODE21's columns.

Each gives detections by film name; ``joining`` puts them to the films of a catalogue. Boxes are in stored pixels.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from xraynet.errors import PredictionsError
from xraynet.findings import NoduleDetections, Reading
from xraynet.lung_frame import LungBoxes
from xraynet.reading_file import read_reading

PredictionsFormat = Literal["readings", "coco", "node21"]
ScoredBox = tuple[tuple[float, float, float, float], float]


@dataclass(frozen=True)
class Predictions:
    """Detections by film name. ``not_analysed``: films that the detector declined.

    ``reasons``: for some of them, the code of why. ``lungs``: where the lung fields of a film lie, for those that say so.
    A name is the film's key, its SHA-256, its file name or its file name without the suffix: whatever the file says.
    ``aliases`` are further names of the same films. ``source`` names the detector, for the report.
    """

    by_name: Mapping[str, NoduleDetections]
    not_analysed: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)
    source: str = "predictions"
    operating_threshold: float | None = None
    checkpoint_fingerprint: str | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    lungs: Mapping[str, LungBoxes] = field(default_factory=dict)


def reasons_of(readings: Mapping[str, Reading]) -> dict[str, str]:
    """By name, why the gate held back the films that were not analysed: ``gate.lateral``, for example."""
    return {
        name: f"gate.{reading.gate.reasons[0]}"
        for name, reading in readings.items()
        if reading.film_score is None and reading.gate.reasons
    }


def lungs_of(readings: Mapping[str, Reading]) -> dict[str, LungBoxes]:
    """By name, the lung fields of the films whose readings keep them."""
    return {name: reading.lungs for name, reading in readings.items() if reading.lungs is not None}


def guess_format(path: Path) -> PredictionsFormat:
    """The format of predictions at ``path``: a folder holds readings, .json is COCO, .csv is NODE21's."""
    if path.is_dir():
        return "readings"
    known: dict[str, PredictionsFormat] = {".json": "coco", ".csv": "node21"}
    if path.suffix.lower() not in known:
        raise PredictionsError(f"{path.name}: a folder of readings, a .json (COCO) or a .csv (NODE21) file was expected")
    return known[path.suffix.lower()]


def read_predictions(
    path: Path, *, form: PredictionsFormat, target_classes: Sequence[str] = ("nodule", "mass"), images: Path | None = None
) -> Predictions:
    """The predictions at ``path``. ``images``: for COCO results with numbers for films, the file whose ``images`` name them.

    Raises PredictionsError where the file is damaged or does not say what is needed.
    """
    if not path.exists():
        raise PredictionsError(f"{path.name} does not exist; a {form} file or folder was expected")
    if form == "readings":
        return _read_readings(path)
    if form == "coco":
        return _read_coco(path, target_classes=target_classes, images=images)
    return _read_node21(path)


def _read_readings(folder: Path) -> Predictions:
    files = sorted(folder.rglob("reading.json"))
    if not files:
        raise PredictionsError(f"{folder.name} holds no reading.json; the folder that `xraynet predict` wrote was expected")
    readings = [read_reading(path) for path in files]
    fingerprints = {reading.checkpoint.fingerprint for reading in readings}
    thresholds = {reading.operating_threshold for reading in readings}
    if len(fingerprints) > 1 or len(thresholds) > 1:
        raise PredictionsError(
            f"{folder.name} holds readings of {len(fingerprints)} checkpoints at {len(thresholds)} operating points; "
            "one of each was expected"
        )
    checkpoint = readings[0].checkpoint
    by_name = {reading.source.sha256: reading for reading in readings}
    return Predictions(
        by_name={name: reading.to_detections() for name, reading in by_name.items()},
        not_analysed=frozenset(reading.source.sha256 for reading in readings if reading.film_score is None),
        aliases=_file_names((reading.source.path, reading.source.sha256) for reading in readings)
        | {r.id: r.source.sha256 for r in readings},
        source=f"{checkpoint.name} {checkpoint.version}",
        operating_threshold=thresholds.pop(),
        checkpoint_fingerprint=checkpoint.fingerprint,
        reasons=reasons_of(by_name),
        lungs=lungs_of(by_name),
    )


def _file_names(paths: Iterable[tuple[str | None, str]]) -> dict[str, str]:
    """Full path, file name and file name without suffix of each film, where only one film goes by it."""
    found: dict[str, str | None] = {}
    for text, name in paths:
        if text is None:
            continue
        path = Path(text.replace("\\", "/"))
        for alias in {path.as_posix(), path.name, path.stem}:
            found[alias] = name if found.get(alias, name) == name else None
    return {alias: name for alias, name in found.items() if name is not None}


def _read_coco(path: Path, *, target_classes: Sequence[str], images: Path | None) -> Predictions:
    content = _load_json(path)
    described = _load_json(images) if images is not None else content
    names = _coco_table(described, "images", "file_name")
    categories = _coco_table(described, "categories", "name")
    rows = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise PredictionsError(f"{path.name}: a list of COCO results, or an object with 'annotations', was expected")
    wanted = {name.casefold() for name in target_classes}
    boxes: dict[str, list[ScoredBox]] = {name: [] for name in names.values()}
    seen_categories: set[str] = set()
    for number, row in enumerate(rows, start=1):
        image, category, scored = _coco_row(row, where=f"{path.name}, result {number}")
        seen_categories.add(category)
        if categories and categories.get(category, "").casefold() not in wanted:
            continue
        if image.isdigit() and image not in names:
            raise PredictionsError(
                f"{path.name}, result {number}: image_id {image} is a number that no 'images' entry names; give the file "
                "with the images, or use file names as image_id"
            )
        boxes.setdefault(names.get(image, image), []).append(scored)
    if not categories and len(seen_categories) > 1:
        raise PredictionsError(
            f"{path.name} has results of {len(seen_categories)} categories and no 'categories' that name them; "
            "give the file that does"
        )
    return Predictions(
        {name: _detections(found, where=f"{path.name}, film {name}") for name, found in boxes.items()}, source=path.name
    )


def _load_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PredictionsError(f"{path.name} is not JSON: {error}") from error


def _coco_table(content: object, table: str, column: str) -> dict[str, str]:
    """``column`` by id of one of COCO's tables; empty where the file has no such table."""
    rows = content.get(table) if isinstance(content, dict) else None
    if rows is None:
        return {}
    if not isinstance(rows, list) or not all(isinstance(row, dict) and {"id", column} <= row.keys() for row in rows):
        raise PredictionsError(f"every entry of '{table}' needs 'id' and '{column}'")
    return {str(row["id"]): str(row[column]) for row in rows}


def _coco_row(row: object, *, where: str) -> tuple[str, str, ScoredBox]:
    try:
        assert isinstance(row, dict)
        x, y, width, height = (float(side) for side in row["bbox"])
        return str(row["image_id"]), str(row.get("category_id", 1)), ((x, y, x + width, y + height), float(row["score"]))
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise PredictionsError(f"{where}: image_id, bbox [x, y, width, height] and score were expected") from error


def _read_node21(path: Path) -> Predictions:
    boxes: dict[str, list[ScoredBox]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            columns = set(rows.fieldnames or ())
            score = next((name for name in ("score", "probability") if name in columns), None)
            if score is None or not {"img_name", "x", "y", "width", "height"} <= columns:
                raise PredictionsError(
                    f"{path.name} has columns {', '.join(sorted(columns)) or 'none'}; "
                    "img_name, x, y, width, height and score were expected"
                )
            for row in rows:
                found = boxes.setdefault(str(row["img_name"]), [])
                if row[score] in ("", None):
                    continue  # a film without a detection, listed so that it is known to have been read
                found.append(_node21_box(row, score, where=f"{path.name}, line {rows.line_num}"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PredictionsError(f"{path.name} cannot be read as a table: {error}") from error
    return Predictions(
        {name: _detections(found, where=f"{path.name}, film {name}") for name, found in boxes.items()}, source=path.name
    )


def _node21_box(row: Mapping[str, str | None], score: str, *, where: str) -> ScoredBox:
    try:
        x, y, width, height, value = (float(row[name] or "missing") for name in ("x", "y", "width", "height", score))
    except ValueError as error:
        raise PredictionsError(f"{where}: x, y, width, height and {score} must be numbers") from error
    return (x, y, x + width, y + height), value


def _detections(found: Sequence[ScoredBox], *, where: str) -> NoduleDetections:
    boxes = np.array([box for box, _ in found], dtype=np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in found], dtype=np.float32)
    if not np.isfinite(boxes).all() or (boxes[:, 2:] < boxes[:, :2]).any():
        raise PredictionsError(f"{where}: a box has a side that is negative or not finite")
    if not (np.isfinite(scores).all() and ((scores >= 0) & (scores <= 1)).all()):
        raise PredictionsError(f"{where}: a score lies outside 0..1; rescale the scores, keeping their order")
    return NoduleDetections(boxes=boxes, scores=scores)
