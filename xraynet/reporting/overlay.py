"""Pictures of a reading: the heatmap alone, and the film with heatmap and boxes, at the film's own proportions."""

from io import BytesIO

import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from xraynet.findings import Reading
from xraynet.reading_file import DISCLAIMER
from xraynet.reporting.colour import ColourScale
from xraynet.reporting.fonts import find_font, font_letters, needs_shaping
from xraynet.reporting.frame import DisplayFrame
from xraynet.reporting.language import Language
from xraynet.reporting.language_files import english
from xraynet.reporting.words import show_score

BOX_COLOUR = (120, 225, 255)
_HALO = (0, 0, 0)
_HEAT_OPACITY = 0.45


def render_heatmap(score_map: Float32[NDArray[np.float32], "height width"], scale: ColourScale) -> bytes:
    """A display-frame score map as a PNG with transparency: nothing at all where there is no evidence."""
    return _encode(Image.fromarray(scale.colours(score_map), mode="RGBA"))


def blend_heatmap(
    shown: Float32[NDArray[np.float32], "height width"],
    score_map: Float32[NDArray[np.float32], "height width"] | None,
    scale: ColourScale,
    *,
    opacity: float = _HEAT_OPACITY,
) -> UInt8[NDArray[np.uint8], "height width 3"]:
    """The film, [0, 1] as shown, with the heatmap laid over it."""
    grey = np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)
    picture = np.repeat(grey[..., None], 3, axis=2)
    if score_map is None:
        return picture
    rgba = scale.colours(score_map)
    seen = rgba[..., 3] > 0
    alpha = rgba[seen, 3:].astype(np.float32) / 255 * opacity
    picture[seen] = np.rint(picture[seen] * (1 - alpha) + rgba[seen, :3] * alpha).astype(np.uint8)
    return picture


def draw_overlay(
    shown: Float32[NDArray[np.float32], "height width"],
    score_map: Float32[NDArray[np.float32], "height width"] | None,
    *,
    reading: Reading,
    frame: DisplayFrame,
    scale: ColourScale,
    language: Language | None = None,
) -> Image.Image:
    """The film in ``frame`` with heatmap, numbered boxes of the reported findings, and what it is not for.

    Words are English where the picture's font lacks letters of ``language``.
    """
    spoken = language or english()
    picture = Image.fromarray(blend_heatmap(shown, score_map, scale))
    pen = ImageDraw.Draw(picture)
    unit = max(picture.size) / 1024
    font = _load_font(max(9, round(17 * unit)))
    boxes = frame.boxes(reading.to_detections().boxes)
    for number, (finding, box) in enumerate(zip(reading.detections, boxes, strict=True), start=1):
        if finding.reported:
            x1, y1, x2, y2 = (float(side) for side in box)
            gap = 4 * unit
            corners = (x1 - gap, y1 - gap, x2 + gap, y2 + gap)
            line = max(1, round(1.6 * unit))
            pen.rectangle(corners, outline=_HALO, width=line * 3)
            pen.rectangle(tuple(np.array(corners) + np.array([line, line, -line, -line])), outline=BOX_COLOUR, width=line)
            _write(
                pen,
                (x1 - gap, y1 - 6 * unit),
                f"{number}  {show_score(finding.score, language=spoken)}",
                font=font,
                anchor="ls",
            )
    small = _load_font(max(8, round(13 * unit)))
    note = _note(reading, spoken if _can_write(_note(reading, spoken)) else english())
    _write(pen, (8 * unit, picture.height - 8 * unit), note, font=small, anchor="ls")
    return picture


def render_overlay(picture: Image.Image) -> bytes:
    """A drawn overlay as PNG."""
    return _encode(picture)


def render_thumbnail(picture: Image.Image, *, side: int = 112) -> bytes:
    """A drawn overlay as a small JPEG for the worklist."""
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = BytesIO()
    small.save(stream, format="JPEG", quality=82)
    return stream.getvalue()


def _note(reading: Reading, language: Language) -> str:
    withheld = "" if reading.film_score is not None else f"{language.say('overlay.not_analysed')} "
    return f"xraynet {reading.checkpoint.version} · {withheld}{language.say('notice.disclaimer')}"


def _load_font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(find_font("DejaVuSans"), size=size)


def _can_write(text: str) -> bool:
    """Whether the font has every letter of a text, and Pillow needs not shape it (Arabic, Devanagari)."""
    return set(map(ord, text)) <= font_letters("DejaVuSans") and not needs_shaping(text)


def _write(
    pen: ImageDraw.ImageDraw, place: tuple[float, float], text: str, *, font: ImageFont.FreeTypeFont, anchor: str
) -> None:
    pen.text(place, text, font=font, fill=BOX_COLOUR, anchor=anchor, stroke_width=2, stroke_fill=_HALO)


def _encode(image: Image.Image) -> bytes:
    notes = PngInfo()
    notes.add_text("Description", f"xraynet: {DISCLAIMER}")
    stream = BytesIO()
    image.save(stream, format="PNG", pnginfo=notes, compress_level=4)
    return stream.getvalue()
