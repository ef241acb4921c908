"""One film's report as one page that needs nothing else: film, heatmap, boxes, words, window and level.

The page works from ``file://``: nothing is fetched, its script and style are named by hash in its own
Content-Security-Policy, and what a file says of itself is escaped.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Final

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from xraynet.findings import Finding, Reading
from xraynet.radiograph import PatientIdentity
from xraynet.reading_file import DISCLAIMER
from xraynet.reporting.colour import ColourScale
from xraynet.reporting.frame import DisplayFrame
from xraynet.reporting.packing import PackedFilm
from xraynet.reporting.templating import new_environment
from xraynet.reporting.words import (
    NOT_LOOKED_FOR,
    OperatingFacts,
    describe_finding,
    describe_gate,
    describe_place,
    describe_sensitivity,
    describe_size,
    name_finding,
    show_score,
)

_LEGEND_WIDTH: Final = 300


@cache
def _environment() -> jinja2.Environment:
    return new_environment({"score": show_score})


def render_template(name: str, facts: Mapping[str, object]) -> str:
    """The template ``name`` filled with ``facts``, everything escaped."""
    return _environment().get_template(name).render(facts)


@dataclass(frozen=True)
class PagePart:
    """A style sheet or script inside a page, and the source that a Content-Security-Policy names it by."""

    text: Markup
    csp_source: str


@cache
def read_part(*names: str) -> PagePart:
    """The shipped style sheet or script ``names``, one after the other, ready to be put between its tags."""
    folder = resources.files("xraynet.reporting") / "templates"
    text = "\n".join((folder / name).read_text(encoding="utf-8") for name in names)
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return PagePart(text=Markup(text), csp_source=f"'sha256-{digest}'")  # noqa: S704 - our own file, not input


def content_policy(*, style: PagePart, script: PagePart | None) -> str:
    """A policy under which a page can run these two parts, show pictures it carries, and reach nothing."""
    scripts = script.csp_source if script is not None else "'none'"
    return (
        f"default-src 'none'; img-src data:; style-src {style.csp_source}; script-src {scripts}; "
        "base-uri 'none'; form-action 'none'"
    )


@dataclass(frozen=True)
class Tick:
    """A mark of the legend: where it stands, in pixels from the left, and what is written there."""

    x: float
    label: str


@dataclass(frozen=True)
class Label:
    """Where a box's label stands, in display pixels: above its left corner, or turned inwards at a border of the film."""

    x: float
    y: float
    dy: str
    anchor: str


@dataclass(frozen=True)
class FindingRow:
    """One reported finding as the page lists it; the box is (x, y, width, height) in display pixels."""

    number: int
    name: str
    place: str
    size: str
    score: float
    sentence: str
    box: tuple[float, float, float, float]
    label: Label


@dataclass(frozen=True, eq=False)
class ReportPicture:
    """What the page shows of the film: its packed grey values, their frame, and the heatmap as PNG (None: no map)."""

    film: PackedFilm
    frame: DisplayFrame
    heatmap: bytes | None


def render_report(
    reading: Reading,
    picture: ReportPicture,
    *,
    facts: OperatingFacts,
    scale: ColourScale,
    identity: PatientIdentity | None = None,
    worklist: str | None = None,
) -> str:
    """The report of one film as HTML. ``identity`` only under ``--identify``; ``worklist``: a relative link to it."""
    style, script = read_part("report.css"), read_part("film.js", "report.js")
    page = {
        "reading": reading,
        "identity": identity_lines(identity) if identity is not None else [],
        "rows": _finding_rows(reading, picture.frame),
        "sensitivity": describe_sensitivity(facts),
        "num_below": len(reading.detections) - len(reading.reported),
        "gate_words": describe_gate(reading.gate.reasons),
        "not_looked_for": NOT_LOOKED_FOR,
        "facts": facts,
        "disclaimer": DISCLAIMER,
        "size": picture.frame.size,
        "heatmap": data_uri(picture.heatmap, "image/png") if picture.heatmap is not None else None,
        "levels": picture.film.encode_levels(),
        "table": picture.film.encode_table(),
        "film_facts": _film_json(picture.film),
        "model_facts": _page_json(asdict(facts)),
        "window_source": picture.film.start.source,
        "scale": scale,
        "legend_width": _LEGEND_WIDTH,
        "stops": scale.stops(),
        "ticks": [Tick(x=place * _LEGEND_WIDTH, label=f"{score:g}") for score, place in scale.ticks()],
        "operating_tick": Tick(x=scale.position(scale.operating) * _LEGEND_WIDTH, label=show_score(scale.operating)),
        "worklist": worklist,
        "style": style,
        "script": script,
        "policy": content_policy(style=style, script=script),
    }
    return render_template("report.html.j2", page)


def _finding_rows(reading: Reading, frame: DisplayFrame) -> list[FindingRow]:
    boxes = frame.boxes(reading.to_detections().boxes)
    return [
        _finding_row(number, finding, boxes[number - 1], reading=reading, frame=frame)
        for number, finding in enumerate(reading.detections, start=1)
        if finding.reported
    ]


def _finding_row(
    number: int, finding: Finding, box: NDArray[np.float32], *, reading: Reading, frame: DisplayFrame
) -> FindingRow:
    x1, y1, x2, y2 = (round(float(side), 2) for side in box)
    plane = reading.image.spacing_plane
    return FindingRow(
        number=number,
        name=name_finding(finding),
        place=describe_place(finding),
        size=describe_size(finding, plane=plane),
        score=finding.score,
        sentence=describe_finding(finding, plane=plane),
        box=(x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)),
        label=_place_label(x1, y1, x2, y2, frame=frame),
    )


def _place_label(x1: float, y1: float, x2: float, y2: float, *, frame: DisplayFrame) -> Label:
    height, width = frame.size
    x, anchor = (x2, "end") if x1 > 0.85 * width else (x1, "start")
    return Label(x=x, y=y2, dy="1.15em", anchor=anchor) if y1 < 0.04 * height else Label(x=x, y=y1, dy="-0.45em", anchor=anchor)


def identity_lines(identity: PatientIdentity) -> list[tuple[str, str]]:
    """(label, value) of what ``--identify`` prints, empty values left out.

    >>> identity_lines(PatientIdentity(name="Doe^Jane", birth_date="19500131"))
    [('Name', 'Doe, Jane'), ('Birth date', '1950-01-31')]
    """
    lines = [
        ("Name", ", ".join(part for part in identity.name.split("^") if part)),
        ("ID", identity.patient_id),
        ("Birth date", _iso_date(identity.birth_date)),
        ("Accession number", identity.accession_number),
        ("Study date", _iso_date(identity.study_date)),
    ]
    return [(label, value) for label, value in lines if value]


def _iso_date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdigit() else text


def data_uri(content: bytes, kind: str) -> str:
    """A picture inside a page."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _film_json(film: PackedFilm) -> Markup:
    window = film.start.window
    facts = {
        "numLevels": film.num_levels,
        "slope": film.slope,
        "intercept": film.intercept,
        "inverted": film.inverted,
        "centre": window.centre,
        "width": window.width,
        "shape": window.function,
        "windowSource": film.start.source,
    }
    return _page_json(facts)


def _page_json(facts: Mapping[str, object]) -> Markup:
    # "<" cannot end the script element early: inside JSON it may be written as an escape.
    return Markup(json.dumps(facts, allow_nan=False).replace("<", "\\u003c"))  # noqa: S704 - JSON, its "<" escaped
