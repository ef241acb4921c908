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
from xraynet.reporting.language import Language
from xraynet.reporting.language_files import english
from xraynet.reporting.packing import PackedFilm
from xraynet.reporting.templating import new_environment
from xraynet.reporting.words import (
    OperatingFacts,
    describe_finding,
    describe_gate,
    describe_gate_state,
    describe_operating_point,
    describe_place,
    describe_sensitivity,
    describe_size,
    describe_spacing,
    describe_view,
    list_sensitivity,
    retell,
    show_score,
    title_finding,
)

_LEGEND_WIDTH: Final = 300
_KEYS: Final = (
    (("↑", "↓"), "keys.level"),
    (("←", "→"), "keys.width"),
    (("R",), "keys.start_window"),
    (("A",), "keys.full_range"),
    (("I",), "keys.invert"),
    (("+", "−"), "keys.zoom"),
    (("F",), "keys.fit"),
    (("1",), "keys.actual"),
    (("H",), "keys.heatmap"),
    (("[", "]"), "keys.opacity"),
    (("B",), "keys.boxes"),
    (("N", "P"), "keys.findings"),
    (("?",), "keys.keys"),
)
_NO_GATE: Final = Markup("<code>--no-gate</code>")


@cache
def _environment() -> jinja2.Environment:
    return new_environment({"score": _score})


@jinja2.pass_context
def _score(context: jinja2.runtime.Context, score: float) -> str:
    language = context["language"]
    assert isinstance(language, Language)
    return show_score(score, language=language)


def render_template(name: str, facts: Mapping[str, object], *, language: Language | None = None) -> str:
    """The template ``name`` filled with ``facts``, everything escaped; ``t`` in it says a message of ``language``."""
    spoken = language or english()
    return _environment().get_template(name).render({"language": spoken, "t": spoken.say_markup, **facts})


@dataclass(frozen=True)
class PagePart:
    """A style sheet or script inside a page, and the source that a Content-Security-Policy names it by."""

    text: Markup
    csp_source: str


@cache
def read_part(*names: str) -> PagePart:
    """The shipped style sheet or script ``names``, one after the other, ready to be put between its tags."""
    folder = resources.files("xraynet.reporting") / "templates"
    return _make_part("\n".join((folder / name).read_text(encoding="utf-8") for name in names))


@cache
def read_printed_style(name: str, language: Language) -> PagePart:
    """The shipped style sheet ``name`` whose printed pages say the disclaimer in ``language`` at their foot."""
    disclaimer = language.say("notice.disclaimer")
    # Letters of any kind stand for themselves; whatever else there is could end a CSS string, or the style element.
    escaped = "".join(letter if letter.isalnum() or letter == " " else f"\\{ord(letter):x} " for letter in disclaimer)
    return _make_part(str(read_part(name).text).replace(f'"{DISCLAIMER}"', f'"{escaped}"'))


def _make_part(text: str) -> PagePart:
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
    title: str
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
    pdf: str | None = None,
    visit: str | None = None,
    language: Language | None = None,
) -> str:
    """The report of one film as HTML. ``identity`` only under ``--identify``; ``worklist``, ``pdf`` and ``visit``: links."""
    spoken = language or english()
    style, script = read_part("report.css"), read_part("film.js", "report.js")
    page = {
        "reading": reading,
        "identity": identity_lines(identity, language=spoken) if identity is not None else [],
        "rows": _finding_rows(reading, picture.frame, spoken),
        "sensitivity": describe_sensitivity(facts, language=spoken),
        "num_below": len(reading.detections) - len(reading.reported),
        "gate_words": describe_gate(reading.gate.reasons, language=spoken),
        "gate_codes": ", ".join(f"gate.{reason}" for reason in reading.gate.reasons),
        "gate_state": describe_gate_state(reading.gate, enforced=reading.gate_enforced, language=spoken),
        "no_gate": _NO_GATE,
        "warnings": retell(reading.warnings, language=spoken),
        "view": describe_view(reading.image.view_position, language=spoken),
        "spacing": describe_spacing(reading.image, language=spoken),
        "operating_point": describe_operating_point(facts, language=spoken),
        "sensitivity_fact": list_sensitivity(facts, language=spoken),
        "not_looked_for": spoken.say("notice.not_looked_for"),
        "disclaimer": spoken.say("notice.disclaimer"),
        "key_list": _KEYS,
        "size": picture.frame.size,
        "heatmap": data_uri(picture.heatmap, "image/png") if picture.heatmap is not None else None,
        "levels": picture.film.encode_levels(),
        "table": picture.film.encode_table(),
        "film_facts": _film_json(picture.film),
        "page_words": _page_words(spoken),
        "model_facts": _page_json(asdict(facts)),
        "window_source": picture.film.start.source,
        "scale": scale,
        "legend_width": _LEGEND_WIDTH,
        "stops": scale.stops(),
        "ticks": [Tick(x=place * _LEGEND_WIDTH, label=spoken.plain(score)) for score, place in scale.ticks()],
        "operating_tick": Tick(
            x=scale.position(scale.operating) * _LEGEND_WIDTH, label=show_score(scale.operating, language=spoken)
        ),
        "worklist": worklist,
        "pdf": pdf,
        "visit": visit,
        "style": style,
        "script": script,
        "policy": content_policy(style=style, script=script),
    }
    return render_template("report.html.j2", page, language=spoken)


def _finding_rows(reading: Reading, frame: DisplayFrame, language: Language) -> list[FindingRow]:
    boxes = frame.boxes(reading.to_detections().boxes)
    return [
        _finding_row(number, finding, boxes[number - 1], reading=reading, frame=frame, language=language)
        for number, finding in enumerate(reading.detections, start=1)
        if finding.reported
    ]


def _finding_row(
    number: int, finding: Finding, box: NDArray[np.float32], *, reading: Reading, frame: DisplayFrame, language: Language
) -> FindingRow:
    x1, y1, x2, y2 = (round(float(side), 2) for side in box)
    plane = reading.image.spacing_plane
    return FindingRow(
        number=number,
        title=title_finding(finding, language=language),
        place=describe_place(finding, language=language),
        size=describe_size(finding, plane=plane, language=language),
        score=finding.score,
        sentence=describe_finding(finding, plane=plane, language=language),
        box=(x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)),
        label=_place_label(x1, y1, x2, y2, frame=frame),
    )


def _place_label(x1: float, y1: float, x2: float, y2: float, *, frame: DisplayFrame) -> Label:
    height, width = frame.size
    x, anchor = (x2, "end") if x1 > 0.85 * width else (x1, "start")
    return Label(x=x, y=y2, dy="1.15em", anchor=anchor) if y1 < 0.04 * height else Label(x=x, y=y1, dy="-0.45em", anchor=anchor)


def identity_lines(identity: PatientIdentity, *, language: Language | None = None) -> list[tuple[str, str]]:
    """(label, value) of what ``--identify`` prints, empty values left out.

    >>> identity_lines(PatientIdentity(name="Doe^Jane", birth_date="19500131"))
    [('Name', 'Doe, Jane'), ('Birth date', '1950-01-31')]
    """
    spoken = language or english()
    lines = [
        ("name", ", ".join(part for part in identity.name.split("^") if part)),
        ("patient_id", identity.patient_id),
        ("birth_date", spoken.date(identity.birth_date)),
        ("accession_number", identity.accession_number),
        ("study_date", spoken.date(identity.study_date)),
    ]
    return [(spoken.say(f"identity.{label}"), value) for label, value in lines if value]


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


def _page_words(language: Language) -> Markup:
    """What the page's script says."""
    return _page_json(
        {
            "level": language.say("report.level"),
            "width": language.say("report.width"),
            "inverted": language.say("report.inverted"),
            "percent": language.say("number.percent", value="{value}"),
            "failure": language.say("report.failure"),
        }
    )


def _page_json(facts: Mapping[str, object]) -> Markup:
    # "<" cannot end the script element early: inside JSON it may be written as an escape.
    return Markup(json.dumps(facts, allow_nan=False).replace("<", "\\u003c"))  # noqa: S704 - JSON, its "<" escaped
