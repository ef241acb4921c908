"""Small pictures of what a detector got wrong: the film, the annotations and the marks, told apart by line and letter.

Annotations are dashed and lettered ``A``; marks that are reported are solid, marks below the operating point dotted, both
with their scores. Colour helps, and is never needed.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Final, Literal

import cv2
import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from xraynet.evaluation.examples import Example
from xraynet.geometry import Boxes
from xraynet.lung_frame import BoxEdges
from xraynet.radiograph import Radiograph
from xraynet.reporting.evaluation_filing import ExamplePicture
from xraynet.reporting.frame import DisplayFrame
from xraynet.reporting.window import show_film
from xraynet.reporting.words import show_score

ANNOTATION_COLOUR: Final = (255, 214, 64)
MARK_COLOUR: Final = (120, 225, 255)
MOST_MARKS: Final = 6
_HALO: Final = (0, 0, 0)
_WHOLE_PX: Final = 460
_CLOSE_PX: Final = 320
_CLOSE_MM: Final = 80.0
_CLOSE_SHARE: Final = 0.2
_QUALITY: Final = 82

LineStyle = Literal["dashed", "solid", "dotted"]
_DASHES: Final[dict[LineStyle, tuple[int, int]]] = {"dashed": (9, 5), "solid": (1, 0), "dotted": (2, 4)}


@dataclass(frozen=True)
class DrawnBox:
    """One box to draw, in stored pixels, with its letter or score; ``is_subject``: what the example is about."""

    box: BoxEdges
    style: LineStyle
    label: str
    is_subject: bool


def choose_boxes(example: Example, *, threshold: float | None) -> list[DrawnBox]:
    """The boxes of an example's film: every annotation, the reported marks (at most six), and the mark nearest a miss."""
    annotated = [
        DrawnBox(_edges(box), "dashed", "A", is_subject=example.kind == "miss" and _same(_edges(box), example.box))
        for box in example.film.annotations.boxes
    ]
    least = 0.0 if threshold is None else threshold
    marks: list[DrawnBox] = []
    for box, score in zip(example.film.detections.boxes, example.film.detections.scores, strict=True):
        is_subject = example.kind == "false-alarm" and _same(_edges(box), example.box)
        is_near_miss = example.kind == "miss" and example.score is not None and float(score) == example.score
        if is_subject or is_near_miss or (score >= least and len(marks) < MOST_MARKS):
            style: LineStyle = "solid" if score >= least else "dotted"
            marks.append(DrawnBox(_edges(box), style, show_score(float(score)), is_subject=is_subject))
    return [*annotated, *marks]


def picture_example(film: Radiograph, example: Example, *, threshold: float | None) -> ExamplePicture:
    """The film of an example, whole and close up, at the film's own proportions and window."""
    boxes = choose_boxes(example, threshold=threshold)
    stored = np.array([one.box for one in boxes], dtype=np.float32).reshape(-1, 4)
    shown = show_film(film)
    spacing = film.spacing.row_column_mm if film.spacing is not None else None
    frame = DisplayFrame.of(film.size, spacing_mm=spacing, longest=_WHOLE_PX)
    whole = _draw(frame.show(shown), boxes, frame.boxes(stored), with_labels=False)
    close, moved = _close_up(shown, example.box, stored, spacing_mm=spacing)
    return ExamplePicture(whole=whole, close=_draw(_stretch(close), boxes, moved, with_labels=True))


def _stretch(close: Float32[NDArray[np.float32], "side side"]) -> Float32[NDArray[np.float32], "side side"]:
    """A close-up over its own range of greys: what is faint on the whole film is the point of a miss."""
    low, high = (float(value) for value in np.percentile(close, [0.5, 99.5]))
    stretched: NDArray[np.float32] = np.clip((close - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
    return stretched


def _edges(box: NDArray[np.float32]) -> BoxEdges:
    x1, y1, x2, y2 = (float(edge) for edge in box)
    return (x1, y1, x2, y2)


def _same(box: BoxEdges, other: BoxEdges) -> bool:
    return bool(np.allclose(box, other, atol=1e-3))


def _close_up(
    shown: Float32[NDArray[np.float32], "height width"],
    subject: BoxEdges,
    boxes: Boxes,
    *,
    spacing_mm: tuple[float, float] | None,
) -> tuple[Float32[NDArray[np.float32], "side side"], Boxes]:
    """The surroundings of ``subject``, square, and ``boxes`` in that frame."""
    row_mm, column_mm = spacing_mm if spacing_mm is not None else (1.0, 1.0)
    x1, y1, x2, y2 = subject
    longest = max((x2 - x1) * column_mm, (y2 - y1) * row_mm)
    side = max(_CLOSE_MM if spacing_mm is not None else _CLOSE_SHARE * max(shown.shape), 2.2 * longest)
    step_x, step_y = side / _CLOSE_PX / column_mm, side / _CLOSE_PX / row_mm
    left, top = (x1 + x2) / 2 - step_x * _CLOSE_PX / 2, (y1 + y2) / 2 - step_y * _CLOSE_PX / 2
    # Pixel centres: picture column c shows the film at left + (c + 0.5) * step.
    matrix = np.array([[step_x, 0, left + 0.5 * step_x - 0.5], [0, step_y, top + 0.5 * step_y - 0.5]])
    close = cv2.warpAffine(shown, matrix, (_CLOSE_PX, _CLOSE_PX), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    scale = np.array([step_x, step_y, step_x, step_y], dtype=np.float32)
    moved = (boxes - np.array([left, top, left, top], dtype=np.float32)) / scale
    return close.astype(np.float32, copy=False), moved.astype(np.float32)


def _draw(
    shown: Float32[NDArray[np.float32], "height width"], boxes: list[DrawnBox], placed: Boxes, *, with_labels: bool
) -> bytes:
    grey = np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(grey).convert("RGB")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=17)
    for one, box in zip(boxes, placed, strict=True):
        x1, y1, x2, y2 = (float(edge) for edge in box)
        if x2 < 0 or y2 < 0 or x1 > picture.width or y1 > picture.height:
            continue
        is_annotation = one.style == "dashed"
        # Marks stand a little further out, so that a mark and the nodule that it meets are two outlines.
        gap = 2 if is_annotation else 6
        corners = (x1 - gap, y1 - gap, x2 + gap, y2 + gap)
        colour = ANNOTATION_COLOUR if is_annotation else MARK_COLOUR
        width = 3 if one.is_subject else 2
        _outline(pen, corners, one.style, _HALO, width + 2)
        _outline(pen, corners, one.style, colour, width)
        if with_labels:
            # Letters of annotations stand below their box, scores of marks above: on one nodule they never collide.
            place, anchor = ((corners[0], corners[3] + 8), "lt") if is_annotation else ((corners[0], corners[1] - 3), "lb")
            place = (min(max(place[0], 2), picture.width - 44), min(max(place[1], 18), picture.height - 20))
            pen.text(place, one.label, font=font, fill=colour, anchor=anchor, stroke_width=2, stroke_fill=_HALO)
    stream = BytesIO()
    picture.save(stream, format="JPEG", quality=_QUALITY)
    return stream.getvalue()


def _outline(
    pen: ImageDraw.ImageDraw,
    corners: tuple[float, float, float, float],
    style: LineStyle,
    colour: tuple[int, int, int],
    width: int,
) -> None:
    x1, y1, x2, y2 = corners
    if style == "solid":
        pen.rectangle(corners, outline=colour, width=width)
        return
    on, off = _DASHES[style]
    for start, end in (((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)), ((x1, y2), (x1, y1))):
        length = max(1e-6, float(np.hypot(end[0] - start[0], end[1] - start[1])))
        unit = ((end[0] - start[0]) / length, (end[1] - start[1]) / length)
        for begin in np.arange(0.0, length, on + off):
            stop = min(length, float(begin) + on)
            pen.line(
                [
                    (start[0] + unit[0] * float(begin), start[1] + unit[1] * float(begin)),
                    (start[0] + unit[0] * stop, start[1] + unit[1] * stop),
                ],
                fill=colour,
                width=width,
            )
