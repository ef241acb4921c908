"""``reading.json``: what xraynet says of one film, as a file that any program can take up.

The file is described by the JSON schema ``xraynet/schemas/reading-1.json``. Boxes are (x1, y1, x2, y2) in stored pixels.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Final

import cattrs
import cattrs.v

from xraynet.errors import PredictionsError
from xraynet.files import write_text_atomically
from xraynet.findings import READING_SCHEMA_VERSION, Reading
from xraynet.radiograph import ViewPosition
from xraynet.settings import exact_converter

DISCLAIMER: Final = "Research use, not for diagnosis."


def reading_to_dict(reading: Reading) -> dict[str, object]:
    """The reading as plain tables, in the order in which the file shows them."""
    tables = asdict(reading)
    return {
        "schema_version": READING_SCHEMA_VERSION,
        "notice": DISCLAIMER,
        "id": reading.id,
        "source": tables["source"],
        "status": reading.status,
        "image": tables["image"],
        "gate": {**tables["gate"], "enforced": reading.gate_enforced},
        "film_score": reading.film_score,
        "operating_threshold": reading.operating_threshold,
        "detections": list(tables["detections"]),
        "warnings": list(reading.warnings),
        "checkpoint": tables["checkpoint"],
        "lungs": tables["lungs"],
    }


def reading_from_dict(tables: Mapping[str, object], *, where: str) -> Reading:
    """The reading in ``tables``; ``where`` names the file in errors. Keys that this version does not know are left alone.

    Raises PredictionsError for another schema version, a missing key, a wrong type or an impossible value.
    """
    version = tables.get("schema_version")
    if version != READING_SCHEMA_VERSION:
        raise PredictionsError(f"{where}: schema_version is {version!r}; {READING_SCHEMA_VERSION} was expected")
    gate = tables.get("gate")
    enforced = gate.get("enforced", True) if isinstance(gate, Mapping) else True
    try:
        reading = _CONVERTER.structure({**tables, "gate_enforced": enforced}, Reading)
    except cattrs.BaseValidationError as error:
        raise PredictionsError(
            f"{where}: not a reading: " + "; ".join(cattrs.transform_error(error, format_exception=_say))
        ) from error
    except (ValueError, TypeError) as error:
        raise PredictionsError(f"{where}: not a reading: {error}") from error
    _check_numbers(reading, where=where)
    return reading


def write_reading(path: Path, reading: Reading) -> None:
    """Write ``reading`` to ``path``, whole or not at all."""
    write_text_atomically(path, json.dumps(reading_to_dict(reading), indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def read_reading(path: Path) -> Reading:
    """The reading in a ``reading.json``.

    Raises PredictionsError where the file is missing, damaged or not a reading.
    """
    try:
        tables = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except OSError as error:
        raise PredictionsError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise PredictionsError(f"{path}: not JSON: {error}") from error
    if not isinstance(tables, dict):
        raise PredictionsError(f"{path}: holds a JSON {type(tables).__name__}; a reading is an object")
    return reading_from_dict(tables, where=str(path))


def read_schema() -> dict[str, object]:
    """The JSON schema of the present version of ``reading.json``."""
    text = (resources.files("xraynet") / "schemas" / f"reading-{READING_SCHEMA_VERSION}.json").read_text(encoding="utf-8")
    schema: dict[str, object] = json.loads(text)
    return schema


def _check_numbers(reading: Reading, *, where: str) -> None:
    height, width = reading.image.height, reading.image.width
    if min(height, width) < 1:
        raise PredictionsError(f"{where}: the image is {height} x {width}; both sides need at least 1 pixel")
    for finding in reading.detections:
        x1, y1, x2, y2 = finding.box
        if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
            raise PredictionsError(f"{where}: box {finding.box} does not lie in the film of {width} x {height} pixels")
        if not 0 <= finding.score <= 1:
            raise PredictionsError(f"{where}: a score is {finding.score}; [0, 1] was expected")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON knows")


def _say(error: BaseException, expected: object) -> str:
    if type(error) is ValueError:
        return str(error)
    return cattrs.v.format_exception(error, expected if isinstance(expected, type) else None)


def _make_converter() -> cattrs.Converter:
    converter = exact_converter(forbid_extra_keys=False)
    converter.register_structure_hook(ViewPosition, lambda value, _: ViewPosition(value))
    return converter


_CONVERTER: Final = _make_converter()
