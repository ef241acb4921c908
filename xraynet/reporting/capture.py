"""One picture that says it all, for viewers that show pictures only: the film with boxes, and beside it map, legend, words.

The film is whole, and nothing but thin boxes and their labels lies over it: the heatmap stands beside it, on a small copy.
"""

import textwrap
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from xraynet.findings import Reading
from xraynet.reading_file import DISCLAIMER
from xraynet.reporting.colour import ColourScale, colour_table
from xraynet.reporting.frame import DisplayFrame
from xraynet.reporting.overlay import BOX_COLOUR, blend_heatmap, draw_overlay
from xraynet.reporting.words import (
    NOT_LOOKED_FOR,
    OperatingFacts,
    describe_absence,
    describe_finding,
    describe_operating_point,
    describe_sensitivity,
    show_score,
)

_PANEL_SHARE: Final = 0.36
_WHITE: Final = (235, 235, 235)
_GREY: Final = (165, 165, 165)
_MOST_FINDINGS: Final = 12
"""More are counted, not listed: the boxes on the film are numbered all the same."""


@dataclass(frozen=True)
class _Style:
    """Sizes in display pixels, all in proportion to the picture's height."""

    margin: int
    text: ImageFont.FreeTypeFont | ImageFont.ImageFont
    heading: ImageFont.FreeTypeFont | ImageFont.ImageFont
    line: int
    columns: int

    @classmethod
    def of(cls, *, height: int, width: int) -> "_Style":
        size = max(10, round(min(height / 62, width / 24)))
        return cls(
            margin=max(6, width // 24),
            text=ImageFont.load_default(size=size),
            heading=ImageFont.load_default(size=round(size * 1.25)),
            line=round(size * 1.4),
            columns=max(16, int((width - 2 * max(6, width // 24)) / (0.53 * size))),
        )


def draw_capture(
    shown: Float32[NDArray[np.float32], "height width"],
    score_map: Float32[NDArray[np.float32], "height width"],
    *,
    reading: Reading,
    frame: DisplayFrame,
    scale: ColourScale,
    facts: OperatingFacts,
) -> UInt8[NDArray[np.uint8], "rows columns 3"]:
    """The picture as RGB: the film as ``shown`` in ``frame`` at the left, the panel at the right.

    ``score_map`` is the map over the same frame. "Research use, not for diagnosis." stands on film and panel.
    """
    film = draw_overlay(shown, None, reading=reading, frame=frame, scale=scale)
    width = max(320, round(_PANEL_SHARE * film.height))
    picture = Image.new("RGB", (film.width + width, film.height))
    picture.paste(film, (0, 0))
    panel = _draw_panel(
        Image.fromarray(blend_heatmap(shown, score_map, scale, opacity=0.75)),
        size=(width, film.height),
        reading=reading,
        scale=scale,
        facts=facts,
    )
    picture.paste(panel, (film.width, 0))
    return np.asarray(picture)


def _draw_panel(
    blended: Image.Image, *, size: tuple[int, int], reading: Reading, scale: ColourScale, facts: OperatingFacts
) -> Image.Image:
    width, height = size
    style = _Style.of(height=height, width=width)
    panel = Image.new("RGB", size)
    pen = ImageDraw.Draw(panel)
    y = style.margin
    y = _write(pen, y, "xraynet: nodules and masses", style, font=style.heading)
    y = _write(pen, y, DISCLAIMER, style, colour=BOX_COLOUR)
    inset = blended.copy()
    inset.thumbnail((width - 2 * style.margin, max(1, height // 3)), Image.Resampling.LANCZOS)
    panel.paste(inset, (style.margin, y + style.line // 2))
    y = _draw_legend(pen, y + style.line + inset.height, inset.width, scale, style)
    for paragraph in _say(reading, facts):
        y = _write(pen, y + style.line // 3, paragraph, style)
    model = reading.checkpoint
    foot = f"Detector {model.name} {model.version}, {model.fingerprint[:12]}."
    _write(pen, max(y + style.line, height - style.margin - 3 * style.line), foot, style, colour=_GREY)
    return panel


def _say(reading: Reading, facts: OperatingFacts) -> list[str]:
    plane = reading.image.spacing_plane
    numbered = [(number, one) for number, one in enumerate(reading.detections, start=1) if one.reported]
    if not numbered:
        return [describe_absence(facts), NOT_LOOKED_FOR]
    said = [f"{number}: {describe_finding(one, plane=plane)}" for number, one in numbered[:_MOST_FINDINGS]]
    if len(numbered) > _MOST_FINDINGS:
        said.append(f"and {len(numbered) - _MOST_FINDINGS} more")
    operating = f"Operating point: {describe_operating_point(facts)}. {describe_sensitivity(facts)}"
    return [*said, operating, NOT_LOOKED_FOR]


def _draw_legend(pen: ImageDraw.ImageDraw, y: int, width: int, scale: ColourScale, style: _Style) -> int:
    """The colour scale with its scores, the operating point among them; returns where the panel goes on."""
    bar = max(6, style.line // 2)
    table = colour_table()
    for step in range(width):
        red, green, blue = (int(value) for value in table[step * (len(table) - 1) // max(1, width - 1)])
        pen.line((style.margin + step, y, style.margin + step, y + bar), fill=(red, green, blue))
    ticks = [*scale.ticks(), (scale.operating, scale.position(scale.operating))]
    for score, position in ticks:
        x = style.margin + round(position * (width - 1))
        pen.line((x, y, x, y + bar + 4), fill=_WHITE)
        _put(pen, (x, y + bar + 5), show_score(score), font=style.text, colour=_WHITE, centred=True)
    words = f"score (operating point {show_score(scale.operating)})"
    return _write(pen, y + bar + 5 + style.line, words, style, colour=_GREY)


def _write(
    pen: ImageDraw.ImageDraw,
    y: int,
    text: str,
    style: _Style,
    *,
    colour: tuple[int, int, int] = _WHITE,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont | None = None,
) -> int:
    """Text in lines from ``y`` on; returns where the next line begins."""
    columns = style.columns if font is None else round(style.columns / 1.25)
    for line in textwrap.wrap(text, columns):
        _put(pen, (style.margin, y), line, font=font or style.text, colour=colour)
        y += style.line if font is None else round(style.line * 1.3)
    return y


def _put(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    *,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    colour: tuple[int, int, int],
    centred: bool = False,
) -> None:
    anchor = ("ma" if centred else "la") if isinstance(font, ImageFont.FreeTypeFont) else None
    pen.text(place, text, font=font, fill=colour, anchor=anchor)
