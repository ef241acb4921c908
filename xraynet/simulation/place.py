"""Where in a film a nodule may lie: the lung fields, and the lung hidden behind heart, diaphragm and mediastinum."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

Mask = Bool[NDArray[np.bool_], "height width"]

_COARSE_SIDE: Final = 160
"""Places are looked for on a mask of about this long side, then spread within its pixels."""


@dataclass(frozen=True, eq=False)
class PlaceMap:
    """Where nodules may lie, on a coarse grid: ``clear`` lung and ``hidden`` lung; ``step`` film pixels a coarse pixel."""

    clear: Bool[NDArray[np.bool_], "rows columns"]
    hidden: Bool[NDArray[np.bool_], "rows columns"]
    step: int
    size: tuple[int, int]


def map_places(lung_mask: Mask) -> PlaceMap:
    """The places of a film with these lung fields.

    Hidden lung lies between the lung fields within a sixth of their width (behind heart and hila), and below them
    within a tenth of their height (the lung runs down behind the domes of the diaphragm).
    """
    height, width = lung_mask.shape
    step = max(1, max(height, width) // _COARSE_SIDE)
    clear = np.ascontiguousarray(lung_mask[step // 2 :: step, step // 2 :: step])
    return PlaceMap(clear=clear, hidden=_hidden_lung(clear), step=step, size=(height, width))


def _hidden_lung(clear: NDArray[np.bool_]) -> NDArray[np.bool_]:
    rows, columns = np.flatnonzero(clear.any(axis=1)), np.flatnonzero(clear.any(axis=0))
    hidden = np.zeros_like(clear)
    if len(rows) < 3 or len(columns) < 3:
        return hidden
    lungs = clear.astype(np.uint8)
    hull = np.zeros_like(lungs)
    # The ends of each row span the same hull as all of its pixels.
    firsts = clear[rows].argmax(axis=1)
    lasts = clear.shape[1] - 1 - clear[rows, ::-1].argmax(axis=1)
    ends = np.column_stack([np.concatenate([firsts, lasts]), np.concatenate([rows, rows])])
    cv2.fillConvexPoly(hull, cv2.convexHull(ends.astype(np.int32)), 1)
    aside = max(1, (int(columns[-1]) - int(columns[0])) // 6)
    down = max(1, (int(rows[-1]) - int(rows[0])) // 10)
    beside = cv2.dilate(lungs, np.ones((1, 2 * aside + 1), np.uint8)).astype(bool) & hull.astype(bool)
    # A kernel anchored at its last row looks upwards only: lung is carried down, never above the apices.
    below = cv2.dilate(lungs, np.ones((down + 1, 1), np.uint8), anchor=(0, down)).astype(bool)
    hidden |= (beside | below) & ~clear
    # Neither above the aortic arch nor into the flanks.
    hidden[: int(rows[0]) + (int(rows[-1]) - int(rows[0])) // 4] = False
    hidden[:, : int(columns[0])] = False
    hidden[:, int(columns[-1]) + 1 :] = False
    return hidden


def choose_place(
    rng: np.random.Generator,
    places: PlaceMap | Mask,
    *,
    hidden_share: float = 0.2,
    radius_px: tuple[float, float] = (0.0, 0.0),
    taken: Sequence[tuple[float, float, float, float]] = (),
    tries: int = 20,
) -> tuple[float, float] | None:
    """A centre (x, y) in film pixels for a nodule of ``radius_px`` (rows, columns), or None where there is no room.

    ``hidden_share`` of the nodules go behind heart and diaphragm. The nodule's box never meets one of ``taken``.
    """
    if not isinstance(places, PlaceMap):
        places = map_places(places)
    region = places.hidden if rng.random() < hidden_share and places.hidden.any() else places.clear
    candidates = np.flatnonzero(region)
    if not candidates.size:
        return None
    columns = region.shape[1]
    for _ in range(tries):
        row, column = divmod(int(candidates[int(rng.integers(candidates.size))]), columns)
        y, x = (row + rng.random()) * places.step, (column + rng.random()) * places.step
        y, x = min(y, places.size[0] - 1e-3), min(x, places.size[1] - 1e-3)
        if not any(_meets((x, y), radius_px, box) for box in taken):
            return (float(x), float(y))
    return None


def _meets(centre: tuple[float, float], radius_px: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    (x, y), (rows, columns) = centre, radius_px
    return x - columns < box[2] and x + columns > box[0] and y - rows < box[3] and y + rows > box[1]
