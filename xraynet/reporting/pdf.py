"""One film's report as a PDF to file or print: film, heatmap, findings in words, and what they are worth.

The text can be selected and searched, fonts are embedded, and the same film gives the same bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate, Paragraph, Spacer, Table, TableStyle
from reportlab.platypus.flowables import Flowable

import xraynet
from xraynet.findings import Reading
from xraynet.radiograph import PatientIdentity
from xraynet.reporting.colour import ColourScale
from xraynet.reporting.html import identity_lines
from xraynet.reporting.language import Language, Paper
from xraynet.reporting.language_files import english
from xraynet.reporting.pdf_fonts import (
    BOLD,
    PLAIN,
    can_set,
    has_east_asian,
    lacks_letters,
    mark_up,
    needs_east_asian,
    prepare_reportlab,
)
from xraynet.reporting.pdf_pictures import PdfPicture, draw_pictures
from xraynet.reporting.words import (
    OperatingFacts,
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

PAPERS: Final[dict[Paper, tuple[float, float]]] = {"a4": A4, "letter": LETTER}
_MARGIN: Final = 14 * mm
_HEAD: Final = 11 * mm
_FOOT: Final = 9 * mm
_QUIET: Final = HexColor("#4c5c6a")
_CAUTION: Final = HexColor("#8a3208")
_EDGE: Final = HexColor("#c6d0d8")

_TEXT: Final = ParagraphStyle("text", fontName=PLAIN, fontSize=8.6, leading=11.4, splitLongWords=1)
_QUIET_TEXT: Final = ParagraphStyle("quiet", parent=_TEXT, textColor=_QUIET, fontSize=7.6, leading=10, spaceBefore=2.5)
_HEADING: Final = ParagraphStyle("heading", parent=_TEXT, fontName=BOLD, fontSize=13, leading=16, spaceBefore=2, spaceAfter=4)
_SECTION: Final = ParagraphStyle("section", parent=_TEXT, fontName=BOLD, fontSize=9, leading=12, spaceBefore=6, spaceAfter=1.5)
_STRONG: Final = ParagraphStyle("strong", parent=_TEXT, fontName=BOLD)
_NAME: Final = ParagraphStyle("name", parent=_STRONG, fontSize=11)
_NOTICE: Final = ParagraphStyle("notice", parent=_STRONG, textColor=_CAUTION, alignment=2)
_LABEL: Final = ParagraphStyle("label", parent=_QUIET_TEXT, fontSize=6.8, leading=8.5)
_FACT: Final = ParagraphStyle("fact", parent=_QUIET_TEXT, textColor=HexColor("#000000"), fontSize=7.2, leading=9.2)
_NUMBER: Final = ParagraphStyle("number", parent=_TEXT, fontName=BOLD, fontSize=10)


@dataclass(frozen=True, eq=False)
class _Sheet:
    """What every part of the document needs: the reading, its facts, the language, and what the page can say of itself."""

    reading: Reading
    facts: OperatingFacts
    language: Language
    identity: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def say(self, key: str, **facts: str | int) -> str:
        return self.language.say(key, **facts)

    def paragraph(self, text: str, style: ParagraphStyle = _TEXT) -> Flowable:
        return Paragraph(mark_up(text, language=self.language), style)


def render_pdf(
    reading: Reading,
    picture: PdfPicture,
    *,
    facts: OperatingFacts,
    scale: ColourScale,
    identity: PatientIdentity | None = None,
    language: Language | None = None,
    paper: Paper | None = None,
) -> bytes:
    """The report of one film as a PDF on ``paper`` (by default the language's own). ``identity`` only under ``--identify``.

    Words are English where the PDF cannot set the language's script, and the document says so.
    """
    prepare_reportlab()
    sheet = _make_sheet(reading, facts, identity, language or english())
    size = PAPERS[paper or (language or english()).paper]
    num_pages = _build(sheet, picture, scale, size, num_pages=None)[1]
    return _build(sheet, picture, scale, size, num_pages=num_pages)[0]


def _make_sheet(reading: Reading, facts: OperatingFacts, identity: PatientIdentity | None, asked: Language) -> _Sheet:
    language = asked if can_set(asked) else english()
    notes = [] if language is asked else [language.say("pdf.other_language", name=asked.code)]
    lines = identity_lines(identity, language=language) if identity is not None else []
    shown = [*(value for _, value in lines), reading.source.path or "", *reading.warnings]
    if any(lacks_letters(text) for text in shown):
        notes.append(language.say("pdf.missing_letters"))
    if needs_east_asian(language) or any(has_east_asian(text) for text in shown):
        notes.append(language.say("pdf.east_asian"))
    return _Sheet(reading, facts, language, identity=tuple(lines), notes=tuple(notes))


def _build(
    sheet: _Sheet, picture: PdfPicture, scale: ColourScale, size: tuple[float, float], *, num_pages: int | None
) -> tuple[bytes, int]:
    """The document and its number of pages. Without ``num_pages``, which every foot states, it is one to count them."""
    stream = BytesIO()
    width, height = size
    top, text_width = height - _MARGIN - _HEAD, width - 2 * _MARGIN
    identity = _identity_table(sheet, text_width)
    below_identity = top - (identity.wrap(text_width, height)[1] + 4 * mm if identity is not None else 0)

    def draw_sheet(canvas: Canvas, document: BaseDocTemplate) -> None:
        _draw_head_and_foot(canvas, sheet, size, number=document.page, num_pages=num_pages)

    def draw_first(canvas: Canvas, document: BaseDocTemplate) -> None:
        draw_sheet(canvas, document)
        if identity is not None:
            identity.drawOn(canvas, _MARGIN, below_identity + 4 * mm)
        if num_pages is not None:
            draw_pictures(canvas, picture, scale, language=sheet.language, place=(_MARGIN, below_identity), width=text_width)

    used = picture.height(text_width)
    document = BaseDocTemplate(
        stream,
        pagesize=size,
        invariant=1,
        initialFontName=PLAIN,
        lang=sheet.language.code,
        displayDocTitle=True,
        title=sheet.say("report.title", id=sheet.reading.id),
        author="xraynet",
        subject=sheet.say("notice.disclaimer"),
        creator=f"xraynet {xraynet.__version__}",
        producer=f"xraynet {xraynet.__version__}",
    )
    document.addPageTemplates(
        [
            _template("first", size, top=below_identity - used - 3 * mm, draw=draw_first, then="later"),
            _template("later", size, top=top, draw=draw_sheet, then="later"),
        ]
    )
    document.build(_story(sheet, text_width))
    return stream.getvalue(), document.page


def _template(
    name: str, size: tuple[float, float], *, top: float, draw: Callable[[Canvas, BaseDocTemplate], None], then: str
) -> PageTemplate:
    bottom = _MARGIN + _FOOT
    width, none = size[0] - 2 * _MARGIN, {"leftPadding": 0, "rightPadding": 0, "topPadding": 0, "bottomPadding": 0}
    frame = Frame(_MARGIN, bottom, width, top - bottom, **none)
    return PageTemplate(name, frames=[frame], onPage=draw, autoNextPageTemplate=then)


def _draw_head_and_foot(
    canvas: Canvas, sheet: _Sheet, size: tuple[float, float], *, number: int, num_pages: int | None
) -> None:
    width, height = size
    name = sheet.paragraph(f"xraynet  {sheet.say('report.name')}", _NAME)
    notice = sheet.paragraph(sheet.say("notice.disclaimer"), _NOTICE)
    for part, share, x in ((name, 0.42, _MARGIN), (notice, 0.58, _MARGIN + 0.42 * (width - 2 * _MARGIN))):
        part.wrap(share * (width - 2 * _MARGIN), _HEAD)
        part.drawOn(canvas, x, height - _MARGIN - 5 * mm)
    canvas.setStrokeColor(_EDGE)
    canvas.line(_MARGIN, height - _MARGIN - 7 * mm, width - _MARGIN, height - _MARGIN - 7 * mm)
    canvas.line(_MARGIN, _MARGIN + _FOOT - 3 * mm, width - _MARGIN, _MARGIN + _FOOT - 3 * mm)
    model = sheet.reading.checkpoint
    page = sheet.say("pdf.page", number=number, total=num_pages or number)
    foot = f"{sheet.say('notice.disclaimer')}  ·  {sheet.reading.id}  ·  {model.name} {model.version}  ·  {page}"
    line = sheet.paragraph(foot, _QUIET_TEXT)
    taken = line.wrap(width - 2 * _MARGIN, _FOOT)[1]
    line.drawOn(canvas, _MARGIN, _MARGIN + _FOOT - 4.5 * mm - taken)


def _identity_table(sheet: _Sheet, width: float) -> Flowable | None:
    if not sheet.identity:
        return None
    cells = [[sheet.paragraph(name, _LABEL), sheet.paragraph(text, _STRONG)] for name, text in sheet.identity]
    # Names are longer than numbers and dates, but none may take the whole line.
    weights = [min(max(len(text), len(name), 10), 28) for name, text in sheet.identity]
    columns = [width * weight / sum(weights) for weight in weights]
    return Table([cells], colWidths=columns, style=_plain_style(("RIGHTPADDING", 6)))


def _plain_style(*paddings: tuple[str, float]) -> TableStyle:
    sides = {"LEFTPADDING": 0.0, "RIGHTPADDING": 0.0, "TOPPADDING": 0.0, "BOTTOMPADDING": 0.0, **dict(paddings)}
    everywhere = ((0, 0), (-1, -1))
    # Without a font of ours, empty cells bring in one that is not embedded.
    return TableStyle(
        [("VALIGN", *everywhere, "TOP"), ("FONT", *everywhere, PLAIN), *((side, *everywhere, by) for side, by in sides.items())]
    )


def _story(sheet: _Sheet, width: float) -> list[Flowable]:
    reading = sheet.reading
    parts = _withheld(sheet) if reading.film_score is None else _findings(sheet, width)
    warnings = retell(reading.warnings, language=sheet.language)
    if reading.film_score is not None and not reading.gate.passed:
        why = sheet.say(
            "report.against_gate_why", reasons=describe_gate(reading.gate.reasons, language=sheet.language), option="--no-gate"
        )
        parts += [sheet.paragraph(sheet.say("report.against_gate"), _SECTION), sheet.paragraph(why)]
    if warnings or sheet.notes:
        parts.append(sheet.paragraph(sheet.say("report.warnings"), _SECTION))
        parts += [sheet.paragraph(f"–  {text}") for text in (*(warning.text for warning in warnings), *sheet.notes)]
    if reading.film_score is not None:
        parts.append(sheet.paragraph(sheet.say("report.not_looked_for"), _SECTION))
        parts.append(sheet.paragraph(sheet.say("notice.not_looked_for")))
    parts += [Spacer(1, 2.5 * mm), _facts_table(sheet, width), Spacer(1, 2 * mm)]
    parts.append(sheet.paragraph(f"{sheet.say('notice.disclaimer')} {sheet.say('report.reader_counts')}", _QUIET_TEXT))
    return parts


def _withheld(sheet: _Sheet) -> list[Flowable]:
    reasons = sheet.reading.gate.reasons
    codes = ", ".join(f"gate.{reason}" for reason in reasons)
    return [
        sheet.paragraph(sheet.say("report.not_analysed"), _HEADING),
        sheet.paragraph(sheet.say("report.not_analysed_why", reasons=describe_gate(reasons, language=sheet.language))),
        sheet.paragraph(sheet.say("report.not_analysed_codes", codes=codes, option="--no-gate"), _QUIET_TEXT),
    ]


def _findings(sheet: _Sheet, width: float) -> list[Flowable]:
    reading, language = sheet.reading, sheet.language
    if reading.reported:
        title = f"{sheet.say('report.findings', count=len(reading.reported))} {sheet.say('report.above_operating_point')}"
        parts = [sheet.paragraph(title, _HEADING), _findings_table(sheet, width)]
    else:
        sentence = f"{describe_sensitivity(sheet.facts, language=language)} {sheet.say('report.not_ruled_out')}"
        parts = [sheet.paragraph(sheet.say("report.no_finding"), _HEADING), sheet.paragraph(sentence)]
    score = sheet.say("report.highest_score", score=show_score(reading.film_score or 0.0, language=language))
    below = len(reading.detections) - len(reading.reported)
    further = f" {sheet.say('report.below', count=below)}" if below else ""
    return [*parts, sheet.paragraph(f"{score} {sheet.say('report.scores_rank')}{further}", _QUIET_TEXT)]


def _findings_table(sheet: _Sheet, width: float) -> Flowable:
    language, plane = sheet.language, sheet.reading.image.spacing_plane
    rows = [
        [
            sheet.paragraph(str(number), _NUMBER),
            [
                sheet.paragraph(title_finding(finding, language=language), _STRONG),
                sheet.paragraph(
                    f"{describe_place(finding, language=language)}, {describe_size(finding, plane=plane, language=language)}"
                ),
            ],
            sheet.paragraph(sheet.say("finding.score", score=show_score(finding.score, language=language)), _TEXT),
        ]
        for number, finding in enumerate(sheet.reading.detections, start=1)
        if finding.reported
    ]
    columns = [9 * mm, width - 39 * mm, 30 * mm]
    table = Table(rows, colWidths=columns, style=_plain_style(("BOTTOMPADDING", 3), ("TOPPADDING", 2)))
    table.setStyle(TableStyle([("LINEBELOW", (0, 0), (-1, -1), 0.4, _EDGE)]))
    return table


def _facts_table(sheet: _Sheet, width: float) -> Flowable:
    """What is known of the film at the left, of the model at the right."""
    reading, language = sheet.reading, sheet.language
    image, model = reading.image, reading.checkpoint
    film = [
        ("file", reading.source.path or ""),
        ("reading", reading.id),
        ("view", describe_view(image.view_position, language=language)),
        ("pixels", sheet.say("facts.rows_columns", rows=image.height, columns=image.width)),
        ("spacing", describe_spacing(image, language=language)),
        ("gate", describe_gate_state(reading.gate, enforced=reading.gate_enforced, language=language)),
    ]
    detector = [
        ("name", model.name),
        ("version", model.version),
        ("fingerprint", model.fingerprint[:16]),
        ("operating_point", describe_operating_point(sheet.facts, language=language)),
        ("sensitivity", list_sensitivity(sheet.facts, language=language) or ""),
    ]
    gap = 6 * mm
    halves = [_facts_half(sheet, title, lines, (width - gap) / 2) for title, lines in (("film", film), ("model", detector))]
    return Table([[halves[0], "", halves[1]]], colWidths=[(width - gap) / 2, gap, (width - gap) / 2], style=_plain_style())


def _facts_half(sheet: _Sheet, title: str, lines: Sequence[tuple[str, str]], width: float) -> list[Flowable]:
    rows = [
        [sheet.paragraph(sheet.say(f"facts.{label}"), _QUIET_TEXT), sheet.paragraph(value, _FACT)]
        for label, value in lines
        if value
    ]
    table = Table(rows, colWidths=[0.32 * width, 0.68 * width], style=_plain_style(("RIGHTPADDING", 4), ("BOTTOMPADDING", 1)))
    return [sheet.paragraph(sheet.say(f"report.{title}"), _SECTION), table]
