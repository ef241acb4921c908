"""Reads a film back out of its ``report.html``: the packed grey values, how to show them, and the heatmap.

The report is the one output that carries the film's pixels; whoever shows a film again (the review page) takes them from
there instead of asking for a second copy on disk.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cattrs

from xraynet.errors import PredictionsError
from xraynet.reporting.words import OperatingFacts
from xraynet.settings import exact_converter

_MOST_BYTES: Final = 512 << 20
_CANVAS: Final = re.compile(rb'<canvas id="film" width="(\d{1,5})" height="(\d{1,5})"')
_HEAT: Final = b'<img id="heat" src="data:image/png;base64,'


@dataclass(frozen=True, eq=False)
class ReportedFilm:
    """A film as its report carries it.

    ``size`` is (height, width) in square display pixels; ``facts`` are the report's own (number of levels, slope, window);
    ``levels`` and ``table`` are deflated as ``PackedFilm`` encodes them, ``table`` empty where the file has no VOI table;
    ``heatmap`` is a PNG. ``heatmap`` and ``operating`` are None where the report has none.
    """

    size: tuple[int, int]
    facts: Mapping[str, object]
    levels: bytes
    table: bytes
    heatmap: bytes | None
    operating: OperatingFacts | None


def read_reported_film(path: Path) -> ReportedFilm:
    """The film in a ``report.html``.

    Raises PredictionsError where the file is missing, or is no report of a film.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise PredictionsError(f"{path}: has {path.stat().st_size} bytes; a report has at most {_MOST_BYTES}")
        page = path.read_bytes()
    except OSError as error:
        raise PredictionsError(f"{path}: cannot be read: {error.strerror}") from error
    canvas = _CANVAS.search(page)
    if canvas is None:
        raise PredictionsError(f"{path}: is no report of a film; one that xraynet predict wrote was expected")
    try:
        facts = json.loads(_script(page, "film-facts"))
        return ReportedFilm(
            size=(int(canvas[2]), int(canvas[1])),
            facts=_table(facts),
            levels=base64.b64decode(_script(page, "film-levels"), validate=True),
            table=base64.b64decode(_script(page, "film-table"), validate=True),
            heatmap=_heatmap(page),
            operating=_operating(page),
        )
    except (ValueError, TypeError, cattrs.BaseValidationError) as error:
        raise PredictionsError(f"{path}: its film cannot be read: {error}; the report may have been cut off") from error


def _script(page: bytes, name: str) -> bytes:
    """The content of the data element ``name``; ValueError where it is not there."""
    start = page.find(f'id="{name}">'.encode())
    end = page.find(b"</script>", start)
    if start < 0 or end < 0:
        raise ValueError(f"there is no element {name}")
    return page[start + len(name) + 6 : end]


def _heatmap(page: bytes) -> bytes | None:
    start = page.find(_HEAT)
    if start < 0:
        return None
    start += len(_HEAT)
    return base64.b64decode(page[start : page.index(b'"', start)], validate=True)


def _operating(page: bytes) -> OperatingFacts | None:
    if b'id="model-facts">' not in page:  # a report of the first release
        return None
    return exact_converter(forbid_extra_keys=False).structure(json.loads(_script(page, "model-facts")), OperatingFacts)


def _table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"a JSON {type(value).__name__} was found; an object was expected")
    return value
