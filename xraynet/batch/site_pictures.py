"""Pictures of simulated nodules: whole films as 16-bit PNG, and the surroundings of one nodule for the report."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.files import write_bytes_atomically
from xraynet.radiograph import Radiograph

_CROP_MM: Final = 70.0
_CROP_PX: Final = 160


def write_film_png(path: Path, film: Radiograph) -> None:
    """A film's pixels as 16-bit grey PNG, bright = dense, the whole range of [0, 1]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.rint(np.clip(film.pixels, 0, 1) * 65535).astype(np.uint16)
    write_bytes_atomically(path, _encode_png(levels))


def _encode_png(levels: NDArray[np.uint16] | NDArray[np.uint8]) -> bytes:
    is_written, content = cv2.imencode(".png", levels)
    assert is_written
    return content.tobytes()


def picture_nodule(before: Radiograph, after: Radiograph, box: Float32[NDArray[np.float32], " 4"]) -> bytes:
    """The surroundings of a nodule, before and after, at one grey scale."""
    longest = float(max(box[2] - box[0], box[3] - box[1]))
    row_mm, column_mm = before.spacing.row_column_mm if before.spacing is not None else (1.0, 1.0)
    side = max(_CROP_MM if before.spacing is not None else 0.17 * max(before.size), 2 * longest * max(row_mm, column_mm))
    centre = (float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2)
    # Output pixel (u, v) shows the film around the nodule's centre, square in mm.
    step_x, step_y = side / _CROP_PX / column_mm, side / _CROP_PX / row_mm
    matrix = np.array(
        [[step_x, 0, centre[0] - 0.5 - step_x * _CROP_PX / 2], [0, step_y, centre[1] - 0.5 - step_y * _CROP_PX / 2]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crops = [cv2.warpAffine(film.pixels, matrix, (_CROP_PX, _CROP_PX), flags=flags) for film in (before, after)]
    low, high = (float(value) for value in np.percentile(crops[1], [1, 99.5]))
    gap = np.zeros((_CROP_PX, 6), np.float32) + np.float32(high)
    both = np.hstack([crops[0], gap, crops[1]])
    return _encode_png((np.clip((both - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8))
