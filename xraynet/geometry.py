"""Boxes, frames and scales: the one place that states the coordinate convention.

The origin is the top left corner of the top left pixel; x runs right, y runs down; pixel (row, column) covers
[column, column + 1) x [row, row + 1). A box is XYXY float32 with 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height.
Sizes are (height, width). Spacings are (row, column): the distance in mm between the centres of neighbouring rows, then
of neighbouring columns (DICOM PS3.3 10.7.1.3). Boxes are in the *stored frame* (the DICOM matrix) unless a name says
``_net``. Every function is right for zero boxes.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

Boxes = Float32[NDArray[np.float32], "num 4"]


def empty_boxes() -> Float32[NDArray[np.float32], "0 4"]:
    """No boxes, in the shape that boxes have.

    >>> empty_boxes().shape
    (0, 4)
    """
    return np.zeros((0, 4), dtype=np.float32)


def box_areas(boxes: Boxes) -> Float32[NDArray[np.float32], " num"]:
    """The area of each box in square pixels.

    >>> box_areas(np.array([[0, 0, 4, 2]], dtype=np.float32)).tolist()
    [8.0]
    """
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def box_centres(boxes: Boxes) -> Float32[NDArray[np.float32], "num 2"]:
    """The centre (x, y) of each box.

    >>> box_centres(np.array([[0, 0, 4, 2]], dtype=np.float32)).tolist()
    [[2.0, 1.0]]
    """
    return (boxes[:, :2] + boxes[:, 2:]) / np.float32(2)


def intersection_over_union(
    boxes: Float32[NDArray[np.float32], "num 4"], others: Float32[NDArray[np.float32], "others 4"]
) -> Float32[NDArray[np.float32], "num others"]:
    """Intersection over union of every box with every other box, in [0, 1].

    >>> one = np.array([[0, 0, 4, 4]], dtype=np.float32)
    >>> intersection_over_union(one, np.array([[2, 0, 6, 4]], dtype=np.float32)).round(4).tolist()
    [[0.33329999446868896]]
    """
    left_top = np.maximum(boxes[:, None, :2], others[None, :, :2])
    right_bottom = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    sides = np.clip(right_bottom - left_top, 0, None)
    intersection = sides[..., 0] * sides[..., 1]
    union = box_areas(boxes)[:, None] + box_areas(others)[None, :] - intersection
    overlap: NDArray[np.float32] = np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
    return overlap


def clip_boxes(boxes: Boxes, *, size: tuple[int, int]) -> Boxes:
    """Boxes cut at the border of a film of ``size`` (height, width). A box outside it ends with zero area."""
    height, width = size
    clipped = boxes.copy()
    clipped[:, 0::2] = np.clip(boxes[:, 0::2], 0, width)
    clipped[:, 1::2] = np.clip(boxes[:, 1::2], 0, height)
    return clipped


def scale_boxes(boxes: Boxes, *, scale_y: float, scale_x: float) -> Boxes:
    """Boxes of a film that was resized by ``scale_y`` and ``scale_x``."""
    return boxes * np.array([scale_x, scale_y, scale_x, scale_y], dtype=np.float32)


def flip_boxes_left_right(boxes: Boxes, *, width: float) -> Boxes:
    """Boxes of a film that was mirrored left to right.

    >>> flip_boxes_left_right(np.array([[1, 0, 3, 2]], dtype=np.float32), width=10).tolist()
    [[7.0, 0.0, 9.0, 2.0]]
    """
    flipped = boxes.copy()
    flipped[:, 0] = np.float32(width) - boxes[:, 2]
    flipped[:, 2] = np.float32(width) - boxes[:, 0]
    return flipped


def diameters_mm(boxes: Boxes, *, spacing_mm: tuple[float, float]) -> Float32[NDArray[np.float32], " num"]:
    """The longer side of each box in millimetres, row and column spacing applied separately.

    >>> diameters_mm(np.array([[0, 0, 10, 10]], dtype=np.float32), spacing_mm=(0.5, 1.0)).tolist()
    [10.0]
    """
    row_mm, column_mm = spacing_mm
    sides = np.stack([(boxes[:, 2] - boxes[:, 0]) * column_mm, (boxes[:, 3] - boxes[:, 1]) * row_mm], axis=1)
    longest: NDArray[np.float32] = sides.max(axis=1, initial=0).astype(np.float32)
    return longest


def boxes_of_circles(
    centres: Float32[NDArray[np.float32], "num 2"],
    diameters: Float32[NDArray[np.float32], " num"],
    *,
    spacing_mm: tuple[float, float] = (1.0, 1.0),
) -> Boxes:
    """The boxes around circles: ``centres`` (x, y) in pixels, ``diameters`` in the unit of ``spacing_mm``.

    >>> boxes_of_circles(np.array([[5, 5]], np.float32), np.array([4], np.float32), spacing_mm=(1.0, 2.0)).tolist()
    [[4.0, 3.0, 6.0, 7.0]]
    """
    row_mm, column_mm = spacing_mm
    half = np.stack([diameters / (2 * column_mm), diameters / (2 * row_mm)], axis=1).astype(np.float32)
    return np.concatenate([centres - half, centres + half], axis=1)


@dataclass(frozen=True)
class Letterbox:
    """The way between a film's stored frame and the frame a network sees: pixels and boxes, both directions.

    A stored point (x, y) lies at ``(x * scale_x + offset_x, y * scale_y + offset_y)`` in the network frame. A negative
    offset crops, a positive one pads. ``scale_y`` and ``scale_x`` differ where the stored pixels are not square.

    >>> frame = Letterbox.of(stored_size=(100, 200), scale_y=0.5, scale_x=0.5, net_size=(64, 128), offset=(7, 14))
    >>> box = np.array([[0, 0, 200, 100]], dtype=np.float32)
    >>> frame.boxes_to_net(box).tolist()
    [[14.0, 7.0, 114.0, 57.0]]
    >>> frame.boxes_to_stored(frame.boxes_to_net(box)).tolist()
    [[0.0, 0.0, 200.0, 100.0]]
    """

    stored_size: tuple[int, int]
    resized_size: tuple[int, int]
    net_size: tuple[int, int]
    offset: tuple[int, int]

    def __post_init__(self) -> None:
        for name in ("stored_size", "resized_size", "net_size"):
            if min(getattr(self, name)) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; both sides need at least 1 pixel")

    @classmethod
    def of(
        cls,
        *,
        stored_size: tuple[int, int],
        scale_y: float,
        scale_x: float,
        net_size: tuple[int, int],
        offset: tuple[int, int] = (0, 0),
    ) -> "Letterbox":
        """A letterbox from wanted scales, which are rounded so that the resized film has whole pixels."""
        if not (scale_y > 0 and scale_x > 0):
            raise ValueError(f"scales are {scale_y}, {scale_x}; both must be above 0")
        resized = (max(1, round(stored_size[0] * scale_y)), max(1, round(stored_size[1] * scale_x)))
        return cls(stored_size=stored_size, resized_size=resized, net_size=net_size, offset=offset)

    @classmethod
    def around(cls, *, stored_size: tuple[int, int], scale_y: float, scale_x: float, multiple: int = 32) -> "Letterbox":
        """The whole film, scaled, centred in the smallest network frame whose sides are multiples of ``multiple``."""
        tight = cls.of(stored_size=stored_size, scale_y=scale_y, scale_x=scale_x, net_size=(1, 1))
        height, width = (-(-side // multiple) * multiple for side in tight.resized_size)
        offset = ((height - tight.resized_size[0]) // 2, (width - tight.resized_size[1]) // 2)
        return cls(stored_size=stored_size, resized_size=tight.resized_size, net_size=(height, width), offset=offset)

    @property
    def scale_y(self) -> float:
        """Network rows per stored row."""
        return self.resized_size[0] / self.stored_size[0]

    @property
    def scale_x(self) -> float:
        """Network columns per stored column."""
        return self.resized_size[1] / self.stored_size[1]

    def boxes_to_net(self, boxes: Boxes) -> Boxes:
        """Stored-frame boxes, in the network frame (not clipped)."""
        dy, dx = self.offset
        return scale_boxes(boxes, scale_y=self.scale_y, scale_x=self.scale_x) + np.array([dx, dy, dx, dy], dtype=np.float32)

    def boxes_to_stored(self, boxes_net: Boxes) -> Boxes:
        """Network-frame boxes, in the stored frame (not clipped)."""
        dy, dx = self.offset
        moved = boxes_net - np.array([dx, dy, dx, dy], dtype=np.float32)
        return scale_boxes(moved, scale_y=1 / self.scale_y, scale_x=1 / self.scale_x)

    def pixels_to_net(
        self, pixels: Float32[NDArray[np.float32], "height width"], *, fill: float = 0.0
    ) -> Float32[NDArray[np.float32], "net_height net_width"]:
        """A stored-frame array, in the network frame: area-averaged where it shrinks, linear where it grows."""
        if pixels.shape != self.stored_size:
            raise ValueError(f"pixels are {pixels.shape}; this letterbox is for films of {self.stored_size}")
        shrinks = self.scale_y < 1 and self.scale_x < 1
        resized = cv2.resize(pixels, self.resized_size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return self._place(resized.reshape(self.resized_size).astype(np.float32, copy=False), fill=fill)

    def _place(self, resized: NDArray[np.float32], *, fill: float) -> NDArray[np.float32]:
        net = np.full(self.net_size, fill, dtype=np.float32)
        (top, left), (height, width), (rows, columns) = self.offset, self.resized_size, self.net_size
        y1, y2 = max(top, 0), min(top + height, rows)
        x1, x2 = max(left, 0), min(left + width, columns)
        if y1 < y2 and x1 < x2:
            net[y1:y2, x1:x2] = resized[y1 - top : y2 - top, x1 - left : x2 - left]
        return net

    def pixels_to_stored(
        self, pixels_net: Float32[NDArray[np.float32], "map_height map_width"], *, fill: float = 0.0
    ) -> Float32[NDArray[np.float32], "height width"]:
        """A map over the network frame, at any stride that divides it, in the stored frame (linear interpolation)."""
        stride_y, stride_x = self.net_size[0] / pixels_net.shape[0], self.net_size[1] / pixels_net.shape[1]
        height, width = self.stored_size
        if height > self.resized_size[0] and width > self.resized_size[1]:
            # Two linear steps, crop at the network's scale and then enlarge, cost a tenth of one warp over all stored pixels.
            near = Letterbox(self.resized_size, self.resized_size, self.net_size, self.offset)
            cropped = near.pixels_to_stored(pixels_net, fill=fill)
            return cv2.resize(cropped, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)
        # cv2.warpAffine samples at pixel centres: stored column c reads the map at ((c + 0.5) * scale + offset) / stride - 0.5.
        scale_x, scale_y = self.scale_x / stride_x, self.scale_y / stride_y
        shift_x = (0.5 * self.scale_x + self.offset[1]) / stride_x - 0.5
        shift_y = (0.5 * self.scale_y + self.offset[0]) / stride_y - 0.5
        matrix = np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y]], dtype=np.float64)
        stored: NDArray[np.float32] = cv2.warpAffine(
            pixels_net,
            matrix,
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT if fill == 0 else cv2.BORDER_REPLICATE,
            borderValue=fill,
        ).astype(np.float32)
        return stored
