"""The frame in which a person sees a film: square pixels at the film's own proportions, of a size that fits a page."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.geometry import Boxes, scale_boxes

LONGEST_SIDE: Final = 2048
SHORTEST_LONG_SIDE: Final = 1024


@dataclass(frozen=True)
class DisplayFrame:
    """How a film of ``stored_size`` is shown: ``size`` is (height, width) in square display pixels."""

    stored_size: tuple[int, int]
    size: tuple[int, int]

    @classmethod
    def of(
        cls,
        stored_size: tuple[int, int],
        *,
        spacing_mm: tuple[float, float] | None = None,
        longest: int = LONGEST_SIDE,
        least: int = 1,
    ) -> "DisplayFrame":
        """The frame of a film: pixels made square by ``spacing_mm`` (row, column), the long side within [least, longest].

        >>> DisplayFrame.of((100, 100), spacing_mm=(0.2, 0.1)).size
        (200, 100)
        >>> DisplayFrame.of((4096, 2048)).size
        (2048, 1024)
        """
        row_mm, column_mm = spacing_mm if spacing_mm is not None else (1.0, 1.0)
        finest = min(row_mm, column_mm)
        height, width = stored_size[0] * row_mm / finest, stored_size[1] * column_mm / finest
        scale = min(1.0, longest / max(height, width))
        scale = max(scale, least / max(height, width))
        return cls(stored_size=stored_size, size=(max(1, round(height * scale)), max(1, round(width * scale))))

    @property
    def scale_y(self) -> float:
        """Display rows per stored row."""
        return self.size[0] / self.stored_size[0]

    @property
    def scale_x(self) -> float:
        """Display columns per stored column."""
        return self.size[1] / self.stored_size[1]

    def show(
        self, pixels: Float32[NDArray[np.float32], "height width"]
    ) -> Float32[NDArray[np.float32], "display_height display_width"]:
        """A stored-frame array in this frame: area-averaged where it shrinks, cubic where it grows."""
        if pixels.shape != self.stored_size:
            raise ValueError(f"pixels are {pixels.shape}; this frame is for films of {self.stored_size}")
        if self.size == self.stored_size:
            return pixels
        shrinks = self.scale_y <= 1 and self.scale_x <= 1
        resized = cv2.resize(pixels, self.size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        clipped: NDArray[np.float32] = np.clip(resized.reshape(self.size), pixels.min(), pixels.max())
        return clipped

    def boxes(self, boxes: Boxes) -> Boxes:
        """Stored-frame boxes in this frame."""
        return scale_boxes(boxes, scale_y=self.scale_y, scale_x=self.scale_x)
