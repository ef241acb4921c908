"""Placement: where a film comes to lie in the detector's frame while training: mirrored, scaled, turned, shifted, bent.

Parameters are drawn first; applying them is deterministic. Everything is one warp, so a film is interpolated once. No
up-down flip: lungs would hang from the diaphragm.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Float64
from numpy.typing import NDArray

from xraynet.geometry import Boxes, box_areas, box_centres, clip_boxes

_OUTLINE_POINTS = 32
_BEND_KNOTS = 5


@dataclass(frozen=True)
class PlacementConfig:
    """How far films are moved. Angles in degrees; shifts as a part of the frame; bends in network pixels.

    ``collimation_rate`` is how often the film's borders are blanked, up to ``collimation_part`` of each side.
    """

    flip_rate: float = 0.5
    smallest_scale: float = 0.8
    largest_scale: float = 1.25
    aspect: float = 0.06
    rotation_deg: float = 10.0
    shift: float = 0.06
    bend_rate: float = 0.25
    bend_px: float = 4.0
    collimation_rate: float = 0.15
    collimation_part: float = 0.07

    def __post_init__(self) -> None:
        if not 0 < self.smallest_scale <= self.largest_scale:
            raise ValueError(f"scales are {self.smallest_scale} to {self.largest_scale}; 0 < smallest <= largest was expected")
        if not (0 <= self.aspect < 0.5 and 0 <= self.collimation_part < 0.3 and 0 <= self.rotation_deg <= 45):
            raise ValueError(
                f"aspect {self.aspect}, collimation {self.collimation_part}, rotation {self.rotation_deg}: "
                "under 0.5, under 0.3 and at most 45 was expected"
            )


@dataclass(frozen=True)
class Placement:
    """One way of laying a film into a frame.

    ``matrix`` (2 rows of 3) takes a film point (x, y, 1) to the frame. ``bend`` holds (dx, dy) in film pixels on a
    coarse grid over the frame, empty for none. ``visible`` (x1, y1, x2, y2) is what a collimator leaves of the film, in
    film pixels, and ``border`` the grey beyond it.
    """

    film_size: tuple[int, int]
    frame_size: tuple[int, int]
    matrix: tuple[tuple[float, float, float], tuple[float, float, float]]
    mirrored: bool = False
    bend: tuple[tuple[tuple[float, float], ...], ...] = ()
    visible: tuple[int, int, int, int] | None = None
    border: float = 0.0

    def apply(
        self, pixels: Float32[NDArray[np.float32], "height width"], *, fill: float = 0.0
    ) -> Float32[NDArray[np.float32], "frame_height frame_width"]:
        """The film in the frame; ``fill`` where there is no film."""
        if pixels.shape != self.film_size:
            raise ValueError(f"pixels are {pixels.shape}; this placement is for films of {self.film_size}")
        if self.visible is not None:
            pixels = self._collimate(pixels)
        height, width = self.frame_size
        affine = np.array(self.matrix)
        # cv2 counts from pixel centres: frame point = A (film point + 0.5) + b - 0.5.
        affine[:, 2] += affine[:, :2].sum(axis=1) * 0.5 - 0.5
        if not self.bend:
            placed = cv2.warpAffine(pixels, affine, (width, height), flags=cv2.INTER_LINEAR, borderValue=fill)
        else:
            inverse = cv2.invertAffineTransform(affine).astype(np.float32)
            columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
            field = cv2.resize(np.array(self.bend, dtype=np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
            map_x = inverse[0, 0] * columns + inverse[0, 1] * rows + inverse[0, 2] + field[..., 0]
            map_y = inverse[1, 0] * columns + inverse[1, 1] * rows + inverse[1, 2] + field[..., 1]
            placed = cv2.remap(pixels, map_x, map_y, cv2.INTER_LINEAR, borderValue=fill)
        placed_pixels: NDArray[np.float32] = placed.astype(np.float32, copy=False)
        return placed_pixels

    def _collimate(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        assert self.visible is not None
        x1, y1, x2, y2 = self.visible
        collimated = np.full_like(pixels, self.border)
        collimated[y1:y2, x1:x2] = pixels[y1:y2, x1:x2]
        return collimated

    def move_boxes(self, boxes: Boxes) -> Boxes:
        """Film boxes in the frame, not clipped: around the ellipse within each box, so that a round nodule stays tight."""
        if not len(boxes):
            return boxes
        angles = np.arange(_OUTLINE_POINTS) * (2 * np.pi / _OUTLINE_POINTS)
        unit = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        half = (boxes[:, None, 2:] - boxes[:, None, :2]) / 2
        moved = self._move_points((box_centres(boxes)[:, None, :] + unit * half).reshape(-1, 2).astype(np.float64))
        outlines = moved.reshape(len(boxes), _OUTLINE_POINTS, 2)
        return np.concatenate([outlines.min(axis=1), outlines.max(axis=1)], axis=1).astype(np.float32)

    def _move_points(self, points: Float64[NDArray[np.float64], "num 2"]) -> Float64[NDArray[np.float64], "num 2"]:
        affine = np.array(self.matrix)
        moved: NDArray[np.float64] = points @ affine[:, :2].T + affine[:, 2]
        if not self.bend:
            return moved
        # The bend is known at frame points: film = A^-1 frame + bend(frame). Two steps of fixed-point iteration solve it
        # to a hundredth of a pixel, the bend being smooth.
        height, width = self.frame_size
        field = cv2.resize(np.array(self.bend, dtype=np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        frame_points = moved
        for _ in range(3):
            columns = np.clip(np.floor(frame_points[:, 0]), 0, width - 1).astype(int)
            rows = np.clip(np.floor(frame_points[:, 1]), 0, height - 1).astype(int)
            frame_points = (points - field[rows, columns]) @ affine[:, :2].T + affine[:, 2]
        return frame_points

    def visible_boxes(
        self, boxes: Boxes, *, smallest_part: float
    ) -> tuple[Float32[NDArray[np.float32], "learnt 4"], Float32[NDArray[np.float32], "ignored 4"]]:
        """Film boxes as they are seen in the frame: (those to learn, those to ignore).

        A box is learnt where at least ``smallest_part`` of its area is seen, clipped to what is; with less it is
        ignored; unseen boxes are left out.
        """
        seen = boxes
        if self.visible is not None:
            left, top, right, bottom = self.visible
            corner = np.array([left, top, left, top], dtype=np.float32)
            seen = clip_boxes(boxes - corner, size=(bottom - top, right - left)) + corner
        # Each stage keeps a part of what it was given: the collimator of the film's box, the frame's edge of the rest.
        kept = box_areas(seen) / np.maximum(box_areas(boxes), np.float32(1e-6))
        whole = self.move_boxes(seen)
        clipped = clip_boxes(whole, size=self.frame_size)
        kept = kept * box_areas(clipped) / np.maximum(box_areas(whole), np.float32(1e-6))
        return clipped[kept >= smallest_part], clipped[(kept < smallest_part) & (kept > 0)]


def draw_placement(
    rng: np.random.Generator,
    *,
    config: PlacementConfig,
    film_size: tuple[int, int],
    frame_size: tuple[int, int],
    boxes: Boxes,
) -> Placement:
    """A placement at random; one of the ``boxes`` (film pixels), chosen at random, stays inside the frame where it fits."""
    scale = math.exp(rng.uniform(math.log(config.smallest_scale), math.log(config.largest_scale)))
    aspect = math.exp(0.5 * rng.uniform(-config.aspect, config.aspect))
    angle = math.radians(rng.uniform(-config.rotation_deg, config.rotation_deg))
    mirrored = bool(rng.random() < config.flip_rate)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = turn @ np.diag([scale * aspect * (-1 if mirrored else 1), scale / aspect])
    bend = _draw_bend(rng, config)
    guarded = None
    if len(boxes):
        margin = config.bend_px if bend else 0.0
        guarded = boxes[int(rng.integers(len(boxes)))] + np.array([-margin, -margin, margin, margin])
    shift = _draw_shift(rng, linear=linear, film_size=film_size, frame_size=frame_size, jitter=config.shift, guarded=guarded)
    visible, border = _draw_collimation(rng, config, film_size)
    return Placement(
        film_size=film_size,
        frame_size=frame_size,
        matrix=(
            (float(linear[0, 0]), float(linear[0, 1]), float(shift[0])),
            (float(linear[1, 0]), float(linear[1, 1]), float(shift[1])),
        ),
        mirrored=mirrored,
        bend=bend,
        visible=visible,
        border=border,
    )


def centre_placement(film_size: tuple[int, int], frame_size: tuple[int, int]) -> Placement:
    """The film unchanged in the middle of the frame, cropped or padded by whole pixels."""
    top, left = ((frame - film) // 2 for frame, film in zip(frame_size, film_size, strict=True))
    return Placement(film_size=film_size, frame_size=frame_size, matrix=((1.0, 0.0, float(left)), (0.0, 1.0, float(top))))


def _draw_shift(
    rng: np.random.Generator,
    *,
    linear: NDArray[np.float64],
    film_size: tuple[int, int],
    frame_size: tuple[int, int],
    jitter: float,
    guarded: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    centre = np.array([film_size[1] / 2, film_size[0] / 2])
    frame = np.array([frame_size[1], frame_size[0]], dtype=np.float64)
    half_film = np.abs(np.diag(linear)) * centre
    # Where the film is larger than the frame its centre moves so that the frame stays covered; where it is smaller, so
    # that the film stays inside.
    bounds = np.sort(np.stack([frame - half_film, half_film]), axis=0)
    low, high = bounds[0] - jitter * frame, bounds[1] + jitter * frame
    if guarded is not None:
        offset = linear @ ((guarded[:2] + guarded[2:]) / 2 - centre)
        half = np.sqrt((linear**2) @ ((guarded[2:] - guarded[:2]) / 2) ** 2)
        inside_low, inside_high = half - offset, frame - half - offset
        fits = inside_low <= inside_high
        low = np.where(fits, np.clip(low, inside_low, inside_high), (inside_low + inside_high) / 2)
        high = np.where(fits, np.clip(high, inside_low, inside_high), low)
    shift: NDArray[np.float64] = rng.uniform(low, high) - linear @ centre
    return shift


def _draw_bend(rng: np.random.Generator, config: PlacementConfig) -> tuple[tuple[tuple[float, float], ...], ...]:
    if rng.random() >= config.bend_rate:
        return ()
    grid = rng.uniform(-config.bend_px, config.bend_px, size=(_BEND_KNOTS, _BEND_KNOTS, 2)).round(3)
    return tuple(tuple((float(dx), float(dy)) for dx, dy in row) for row in grid)


def _draw_collimation(
    rng: np.random.Generator, config: PlacementConfig, film_size: tuple[int, int]
) -> tuple[tuple[int, int, int, int] | None, float]:
    if rng.random() >= config.collimation_rate:
        return None, 0.0
    height, width = film_size
    left, top, right, bottom = rng.uniform(0, config.collimation_part, size=4) * (rng.random(4) < 0.6)
    # Collimated borders are dark, those of a digitised film in its holder may be bright.
    border = float(rng.uniform(-0.2, 0.1) if rng.random() < 0.7 else rng.uniform(0.9, 1.2))
    visible = (round(left * width), round(top * height), width - round(right * width), height - round(bottom * height))
    return visible, border
