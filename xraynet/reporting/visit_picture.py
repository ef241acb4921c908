"""A film as the page of a visit shows it: a small plain picture, and the boxes that the page lays over it."""

from dataclasses import dataclass
from io import BytesIO
from typing import Final, Literal

import numpy as np
from PIL import Image

from xraynet.findings import FilmFacts
from xraynet.lung_frame import BoxEdges
from xraynet.radiograph import Radiograph
from xraynet.reporting.frame import DisplayFrame
from xraynet.reporting.window import show_film

_LONGEST: Final = 1000
_QUALITY: Final = 86

BoxKind = Literal["reported", "faint", "annotated"]


@dataclass(frozen=True)
class LaidBox:
    """A box on a picture: what it is, its letter, and (x, y, width, height) and the letter's place in picture pixels."""

    kind: BoxKind
    letter: str
    box: tuple[float, float, float, float]
    letter_at: tuple[float, float]


def picture_frame(image: FilmFacts) -> DisplayFrame:
    """The frame of a film's picture."""
    return DisplayFrame.of((image.height, image.width), spacing_mm=image.spacing_mm, longest=_LONGEST)


def render_plain_film(radiograph: Radiograph) -> bytes:
    """The film as its file asks to be shown, without anything drawn on it, as JPEG."""
    spacing = radiograph.spacing.row_column_mm if radiograph.spacing is not None else None
    frame = DisplayFrame.of(radiograph.size, spacing_mm=spacing, longest=_LONGEST)
    shown = np.rint(np.clip(frame.show(show_film(radiograph)), 0, 1) * 255).astype(np.uint8)
    stream = BytesIO()
    Image.fromarray(shown).save(stream, format="JPEG", quality=_QUALITY)
    return stream.getvalue()


def lay_box(box: BoxEdges, frame: DisplayFrame, *, kind: BoxKind, letter: str) -> LaidBox:
    """A stored-frame box on the picture; letters of annotations stand below their box, the others above."""
    x1, y1, x2, y2 = (float(edge) for edge in frame.boxes(np.array([box], dtype=np.float32))[0])
    gap = 2.0 if kind == "annotated" else 8.0
    x1, y1, x2, y2 = x1 - gap, y1 - gap, x2 + gap, y2 + gap
    height, width = frame.size
    y = min(y2 + 34, height - 6.0) if kind == "annotated" else max(y1 - 8, 32.0)
    return LaidBox(
        kind=kind,
        letter=letter,
        box=(round(x1, 1), round(y1, 1), round(x2 - x1, 1), round(y2 - y1, 1)),
        letter_at=(round(min(max(x1, 4.0), width - 30.0), 1), round(y, 1)),
    )
