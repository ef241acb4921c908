"""The pictures of a PDF: the film with numbered boxes, and beside it the film under its heatmap, with the legend."""

from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray
from PIL import Image
from reportlab.lib.colors import Color, HexColor, black
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph

from xraynet.findings import Reading
from xraynet.reporting.colour import ColourScale
from xraynet.reporting.frame import DisplayFrame
from xraynet.reporting.language import Language
from xraynet.reporting.overlay import BOX_COLOUR, blend_heatmap
from xraynet.reporting.pdf_fonts import BOLD, PLAIN, mark_up
from xraynet.reporting.window import WindowSource
from xraynet.reporting.words import show_score

LONGEST_SIDE: Final = 1600
"""The film's longer side in a PDF: 300 dots an inch over 135 mm."""
_FILM_SHARE: Final = 0.6
_GAP: Final = 5 * mm
_TALLEST: Final = 102 * mm
_CAPTION: Final = 9 * mm
_LEGEND: Final = 20 * mm
_MARK: Final = Color(*(part / 255 for part in BOX_COLOUR))
_SMALL: Final = ParagraphStyle("small", fontName=PLAIN, fontSize=7, leading=8.6, textColor=HexColor("#4c5c6a"))


@dataclass(frozen=True, eq=False)
class PdfPicture:
    """What a PDF shows of a film: ``shown``, [0, 1], bright = dense, in ``frame``; its score map there, None without one."""

    shown: Float32[NDArray[np.float32], "height width"]
    score_map: Float32[NDArray[np.float32], "height width"] | None
    reading: Reading
    frame: DisplayFrame
    window_source: WindowSource

    def film_size(self, width: float) -> tuple[float, float]:
        """(width, height) in points of the film on a page whose text is ``width`` points wide."""
        height_px, width_px = self.frame.size
        scale = min(_FILM_SHARE * width / width_px, _TALLEST / height_px)
        return float(width_px * scale), float(height_px * scale)

    def height(self, width: float) -> float:
        """What the pictures and their captions take of a page, in points."""
        return float(self.film_size(width)[1] + _CAPTION)


def draw_pictures(
    canvas: Canvas, picture: PdfPicture, scale: ColourScale, *, language: Language, place: tuple[float, float], width: float
) -> None:
    """Draw the film at the left of ``place`` (left, top), and at its right the heatmap, where there is one, with its legend."""
    left, top = place
    film_width, film_height = picture.film_size(width)
    bottom = top - film_height
    film = np.rint(np.clip(picture.shown, 0, 1) * 255).astype(np.uint8)
    canvas.drawImage(_jpeg(Image.fromarray(film)), left, bottom, film_width, film_height)
    _draw_boxes(canvas, picture, left=left, top=top, scale=film_width / picture.frame.size[1], language=language)
    source = "pdf.window_of_film" if picture.window_source == "film range" else "pdf.window_of_file"
    _write(canvas, language.say(source), language, left=left, top=bottom - 1.5 * mm, width=film_width)
    if picture.score_map is None:
        return
    right = left + film_width + _GAP
    space = min(width - film_width - _GAP, film_width)
    _draw_heatmap(canvas, picture, picture.score_map, scale, language, place=(right, top), room=(space, film_height - _LEGEND))


def _draw_heatmap(
    canvas: Canvas,
    picture: PdfPicture,
    score_map: Float32[NDArray[np.float32], "height width"],
    scale: ColourScale,
    language: Language,
    *,
    place: tuple[float, float],
    room: tuple[float, float],
) -> None:
    """The film under its heatmap in ``room`` (width, height) from ``place`` (left, top), and the legend below."""
    (left, top), (width, height) = place, room
    rows, columns = picture.frame.size
    size = min(width / columns, height / rows)
    blended = Image.fromarray(blend_heatmap(picture.shown, score_map, scale, opacity=0.7))
    blended.thumbnail((LONGEST_SIDE // 2, LONGEST_SIDE // 2), Image.Resampling.LANCZOS)
    bottom = top - rows * size
    canvas.drawImage(_jpeg(blended), left, bottom, columns * size, rows * size)
    _draw_boxes(canvas, picture, left=left, top=top, scale=size)
    taken = _write(canvas, language.say("report.heatmap"), language, left=left, top=bottom - 1.5 * mm, width=width)
    _draw_legend(canvas, scale, language, left=left, top=bottom - 1.5 * mm - taken, width=width)


def _draw_boxes(
    canvas: Canvas, picture: PdfPicture, *, left: float, top: float, scale: float, language: Language | None = None
) -> None:
    """The boxes of the reported findings. With a ``language``: bold, with their scores; else thin, so that heat shows."""
    gap = 1.5 if language is not None else 2.5
    boxes = picture.frame.boxes(picture.reading.to_detections().boxes)
    for number, (finding, box) in enumerate(zip(picture.reading.detections, boxes, strict=True), start=1):
        if not finding.reported:
            continue
        x1, y1, x2, y2 = (float(side) * scale for side in box)
        for colour, line in ((black, 2.2), (_MARK, 0.9)) if language is not None else ((_MARK, 0.5),):
            canvas.setStrokeColor(colour)
            canvas.setLineWidth(line)
            canvas.rect(left + x1 - gap, top - y2 - gap, x2 - x1 + 2 * gap, y2 - y1 + 2 * gap, stroke=1, fill=0)
        label = str(number) if language is None else f"{number}  {show_score(finding.score, language=language)}"
        _draw_label(canvas, label, x=left + x1 - gap, y=top - y1 + gap + 2 if y1 > 11 else top - y2 - gap - 8)


def _draw_label(canvas: Canvas, text: str, *, x: float, y: float) -> None:
    canvas.setFont(BOLD, 7.5)
    width = canvas.stringWidth(text, BOLD, 7.5)
    canvas.setFillColor(black)
    canvas.rect(x - 1, y - 1.8, width + 2, 8.8, stroke=0, fill=1)
    canvas.setFillColor(_MARK)
    canvas.drawString(x, y, text)


def _draw_legend(canvas: Canvas, scale: ColourScale, language: Language, *, left: float, top: float, width: float) -> None:
    """The colour scale, its scores, the operating point above it, and where it is transparent."""
    stops = scale.stops(num=64)
    bar, y = 3 * mm, top - 7 * mm
    for place, colour in stops:
        canvas.setFillColor(HexColor(colour))
        canvas.rect(left + place * width * 63 / 64, y, width / 64 + 0.6 * (place < 1), bar, stroke=0, fill=1)
    operating = left + scale.position(scale.operating) * width
    canvas.setFillColor(black)
    canvas.setStrokeColor(black)
    canvas.setLineWidth(0.8)
    canvas.line(operating, y - 1, operating, y + bar + 2)
    label = language.say("legend.operating_point", score=show_score(scale.operating, language=language))
    _write(canvas, label, language, left=left, top=y + bar + 4 * mm, width=width)
    canvas.setFont(PLAIN, 6.5)
    ends = [(show_score(end, language=language), place) for end, place in ((scale.lowest, 0.0), (scale.highest, 1.0))]
    ticks = [(language.plain(score), place) for score, place in scale.ticks() if 0.14 < place < 0.86]
    for text, place in (*ends, *ticks):
        # Flush at the ends of the scale, centred between them.
        offset = (place if place in (0.0, 1.0) else 0.5) * canvas.stringWidth(text, PLAIN, 6.5)
        canvas.drawString(left + place * width - offset, y - 7.5, text)
    note = language.say("pdf.transparent", score=show_score(scale.lowest, language=language))
    _write(canvas, note, language, left=left, top=y - 4 * mm, width=width)


def _write(canvas: Canvas, text: str, language: Language, *, left: float, top: float, width: float) -> float:
    """Write a small paragraph below ``top``; returns how high it is."""
    paragraph = Paragraph(mark_up(text, language=language), _SMALL)
    height = float(paragraph.wrap(width, 40 * mm)[1])
    paragraph.drawOn(canvas, left, top - height)
    return height


def _jpeg(image: Image.Image) -> ImageReader:
    stream = BytesIO()
    image.save(stream, format="JPEG", quality=88, optimize=True)
    stream.seek(0)
    return ImageReader(stream)
