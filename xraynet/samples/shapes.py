"""The shapes of the real nodules among the training films, to be drawn into the films that have none."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from xraynet.findings import LabelState
from xraynet.geometry import box_centres
from xraynet.ingest.catalogue import FilmEntry
from xraynet.samples.cache import FilmCache
from xraynet.simulation.grey import contrast_to_noise
from xraynet.simulation.shape import NoduleShape, cut_shape

LEAST_CONTRAST_TO_NOISE: Final = 0.8
"""What stands out less is as much background as nodule."""
SMALLEST_SIDE_PX: Final = 7.0
_LEAST_ASPECT: Final = 0.6
_MOST_SHAPES: Final = 2000


def collect_shapes(cache: FilmCache, entries: Sequence[FilmEntry]) -> tuple[NoduleShape, ...]:
    """The shapes of all nodules of boxed films that stand clear of their surroundings, inside the lung fields.

    A nodule whose box is long and thin is left out: it is a nodule and something else.
    """
    shapes: list[NoduleShape] = []
    for entry in entries:
        if entry.annotations.state is not LabelState.BOXED or len(shapes) >= _MOST_SHAPES:
            continue
        film = cache.read(entry.key)
        boxes = film.record.letterbox.boxes_to_net(entry.annotations.boxes)
        sides = boxes[:, 2:] - boxes[:, :2]
        for box, (width, height), (x, y) in zip(boxes, sides, box_centres(boxes), strict=True):
            row, column = min(int(y), film.lung_mask.shape[0] - 1), min(int(x), film.lung_mask.shape[1] - 1)
            if max(width, height) < SMALLEST_SIDE_PX or min(width, height) < _LEAST_ASPECT * max(width, height):
                continue
            contrast = contrast_to_noise(film.pixels, np.asarray(box, dtype=np.float32))
            if film.lung_mask[row, column] and contrast is not None and contrast >= LEAST_CONTRAST_TO_NOISE:
                shape = cut_shape(film.pixels, np.asarray(box, dtype=np.float32))
                shapes += [] if shape is None else [shape]
    return tuple(shapes)
