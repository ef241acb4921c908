"""LungFields: where the lungs are on a film, as a probability map over its thumbnail and as masks and boxes of the film."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32
from numpy.typing import NDArray

from xraynet.geometry import Boxes, Letterbox, clip_boxes, empty_boxes
from xraynet.lung_frame import BoxEdges, LungBoxes

# A lung smaller than this part of the thumbnail, or of the other lung, is a gas bubble or a gap, not a lung.
SMALLEST_PART_OF_THUMBNAIL: Final = 0.004
SMALLEST_PART_OF_OTHER: Final = 0.12


@dataclass(frozen=True, eq=False)
class LungFields:
    """Where the lungs are. ``probability``: float32 (side, side), 0..1, over the thumbnail that ``letterbox`` describes.

    The patient's right lung is on the image's left, unless ``mirrored`` says that the film is shown the other way round
    (or the heart lies on the right): then sides are not to be stated. Boxes are (1, 4) in stored pixels, or (0, 4) where
    that lung was not found.
    """

    probability: Float32[NDArray[np.float32], "side side"]
    letterbox: Letterbox
    mirrored: bool = False
    threshold: float = field(default=0.5)

    def __post_init__(self) -> None:
        if self.probability.shape != self.letterbox.net_size:
            raise ValueError(f"the map is {self.probability.shape}; its letterbox makes {self.letterbox.net_size}")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold is {self.threshold}; a number between 0 and 1 was expected")

    def mask_stored(self) -> Bool[NDArray[np.bool_], "height width"]:
        """True inside the lung fields, in stored pixels (specks that are no lung left out)."""
        kept = self.probability * (self._right_mask | self._left_mask)
        return self.letterbox.pixels_to_stored(kept.astype(np.float32)) > self.threshold

    @property
    def right_box(self) -> Boxes:
        """The box around the lung on the image's left: the patient's right."""
        return self._box_of(self._right_mask)

    @property
    def left_box(self) -> Boxes:
        """The box around the lung on the image's right: the patient's left."""
        return self._box_of(self._left_mask)

    @property
    def box(self) -> Boxes:
        """The box around both lung fields."""
        return self._box_of(self._right_mask | self._left_mask)

    @property
    def boxes(self) -> LungBoxes:
        """The boxes of both lung fields as a reading keeps them."""
        return LungBoxes(right=_edges(self.right_box), left=_edges(self.left_box), mirrored=self.mirrored)

    @cached_property
    def _lungs(self) -> tuple[Bool[NDArray[np.bool_], "side side"], Bool[NDArray[np.bool_], "side side"]]:
        """The masks of the lungs on the image's left and right, over the thumbnail; all False where there is none."""
        found = (self.probability > self.threshold).astype(np.uint8)
        num, labels, statistics, centroids = cv2.connectedComponentsWithStats(found, connectivity=4)
        none = np.zeros(found.shape, dtype=np.bool_)
        areas = statistics[1:, cv2.CC_STAT_AREA]
        if num == 1 or areas.max() < SMALLEST_PART_OF_THUMBNAIL * found.size:
            return none, none
        largest = np.argsort(-areas, kind="stable")[:2] + 1
        smallest_area = max(SMALLEST_PART_OF_THUMBNAIL * found.size, SMALLEST_PART_OF_OTHER * areas.max())
        kept = [int(label) for label in largest if statistics[label, cv2.CC_STAT_AREA] >= smallest_area]
        if len(kept) == 2:
            first, second = sorted(kept, key=lambda label: float(centroids[label, 0]))
            return labels == first, labels == second
        return self._split_one(labels == kept[0])

    def _split_one(
        self, mask: Bool[NDArray[np.bool_], "side side"]
    ) -> tuple[Bool[NDArray[np.bool_], "side side"], Bool[NDArray[np.bool_], "side side"]]:
        """One piece is either both lungs grown together, cut where they are thinnest, or a single lung of one side."""
        columns = np.flatnonzero(mask.any(axis=0))
        middle_of_film = self.letterbox.offset[1] + self.letterbox.resized_size[1] / 2
        first, last = int(columns[0]), int(columns[-1]) + 1
        reach = min(middle_of_film - first, last - middle_of_film)
        none = np.zeros(mask.shape, dtype=np.bool_)
        if reach < 0.15 * self.letterbox.resized_size[1]:
            return (mask, none) if (first + last) / 2 < middle_of_film else (none, mask)
        inner = range(round(first + 0.3 * (last - first)), round(first + 0.7 * (last - first)))
        cut = min(inner, key=lambda column: (int(mask[:, column].sum()), abs(column - middle_of_film)))
        right, left = mask.copy(), mask.copy()
        right[:, cut:] = False
        left[:, :cut] = False
        return right, left

    @property
    def _right_mask(self) -> Bool[NDArray[np.bool_], "side side"]:
        return self._lungs[0]

    @property
    def _left_mask(self) -> Bool[NDArray[np.bool_], "side side"]:
        return self._lungs[1]

    def _box_of(self, mask: Bool[NDArray[np.bool_], "side side"]) -> Boxes:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            return empty_boxes()
        box = np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], dtype=np.float32)
        clipped = clip_boxes(self.letterbox.boxes_to_stored(box), size=self.letterbox.stored_size)
        lies_within = (clipped[0, 2] > clipped[0, 0]) & (clipped[0, 3] > clipped[0, 1])
        return clipped if lies_within else empty_boxes()


def _edges(box: Boxes) -> BoxEdges | None:
    if not len(box):
        return None
    x1, y1, x2, y2 = (round(float(edge), 2) for edge in box[0])
    return (x1, y1, x2, y2)
