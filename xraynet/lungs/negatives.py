"""Synthetic pictures that are not frontal chest films, for the gate to learn from: no other person's picture is needed.

Limbs, joints, hands, skulls, pelves, sections (CT, MR) and fans (ultrasound) are drawn roughly, as are textures, scenes of
plain shapes, pages of text and blank fields; enlarged parts of chest films and two photographs that scikit-learn ships
(china.jpg and flower.jpg, CC BY 2.0, danielbuechele and vultilion on Flickr) stand beside them. Laterals are sketched too:
no real one was at hand.
"""

from collections.abc import Callable, Sequence
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.lungs.body_parts import draw_fan, draw_hand, draw_lateral_chest, draw_limb, draw_section, draw_skull, draw_trunk
from xraynet.lungs.strokes import Canvas, draw_blob, draw_clouds, draw_rod, pixel_grid
from xraynet.lungs.views import Thumbnail, TrainingFilm, add_clutter, normalise_grey


def draw_not_a_chest(rng: np.random.Generator, *, films: Sequence[TrainingFilm], side_px: int) -> Thumbnail:
    """A picture that shows no chest, prepared as a thumbnail is: any polarity, any way up."""
    if films and rng.random() < 0.2:
        canvas = _draw_film_part(rng, films, side_px)
    else:
        canvas = _DRAWINGS[int(rng.integers(len(_DRAWINGS)))](rng, side_px)
    return _finish(canvas, rng, any_way_up=True)


def draw_lateral(rng: np.random.Generator, *, side_px: int) -> Thumbnail:
    """A sketch of a lateral chest film, prepared as a thumbnail is, head up, facing either way."""
    return _finish(draw_lateral_chest(rng, side_px), rng, any_way_up=False)


def _finish(canvas: Canvas, rng: np.random.Generator, *, any_way_up: bool) -> Thumbnail:
    """The last steps that all pictures share: grey curve, blur, noise, clutter, frame, normalisation."""
    side = canvas.shape[0]
    height = width = side
    if rng.random() < 0.6:
        narrow = max(side // 4, int(side * rng.uniform(0.55, 1.0)))
        height, width = (narrow, side) if rng.random() < 0.5 else (side, narrow)
    top, left = (side - height) // 2, (side - width) // 2
    shown = np.ascontiguousarray(canvas[top : top + height, left : left + width])
    low, high = float(shown.min()), float(shown.max())
    shown = (((shown - low) / max(high - low, 1e-3)) ** np.float32(np.exp(rng.uniform(-0.7, 0.7)))).astype(np.float32)
    if any_way_up and rng.random() < 0.3:
        shown = 1 - shown
    if rng.random() < 0.5:
        shown = cv2.GaussianBlur(shown, (0, 0), float(rng.uniform(0.3, 1.5))).astype(np.float32)
    if rng.random() < 0.6:
        shown = shown + rng.normal(0, rng.uniform(0.005, 0.08), shown.shape).astype(np.float32)
    num_overlays = int(rng.integers(1, 5)) if rng.random() < 0.3 else 0
    borders: tuple[tuple[int, float, float], ...] = ()
    if rng.random() < 0.35:
        # Shutters beside a limb leave bright or dark strips, often on two opposite sides.
        value, first = float(rng.choice([0.0, 1.0, 1.2])), int(rng.integers(2)) * 2
        edges = (first, first + 1) if rng.random() < 0.6 else (int(rng.integers(4)),)
        borders = tuple((edge, float(rng.uniform(0.01, 0.3)), value) for edge in edges)
    shown = add_clutter(shown.astype(np.float32), rng, borders=borders, num_overlays=num_overlays)
    thumbnail = np.zeros((side, side), dtype=np.float32)
    thumbnail[top : top + height, left : left + width] = normalise_grey(shown)
    if any_way_up:
        thumbnail = np.rot90(thumbnail, int(rng.integers(4)))
    return np.ascontiguousarray(thumbnail)


def _draw_scene(rng: np.random.Generator, side: int) -> Canvas:
    """Plain shapes before a gradient: anything a camera might see."""
    y, x = pixel_grid(side)
    direction = float(rng.uniform(0, 6.3))
    canvas: Canvas = ((np.cos(direction) * x + np.sin(direction) * y) / side * rng.uniform(0, 1)).astype(np.float32)
    canvas += draw_clouds(rng, side, float(rng.uniform(4, 60))) * np.float32(rng.uniform(0, 0.3))
    for _ in range(int(rng.integers(1, 14))):
        place = (side * float(rng.uniform(0, 1)), side * float(rng.uniform(0, 1)))
        size = (side * float(rng.uniform(0.02, 0.35)), side * float(rng.uniform(0.02, 0.35)))
        value = float(rng.uniform(-0.6, 0.8))
        match int(rng.integers(3)):
            case 0:
                canvas += draw_blob(rng, side, place, size, rough=0.1) * np.float32(value)
            case 1:
                corners = (np.array(place) + rng.normal(0, side * 0.2, (int(rng.integers(3, 6)), 2))).astype(np.int32)
                cv2.fillPoly(canvas, [corners], value)
            case _:
                end = (side * float(rng.uniform(0, 1)), side * float(rng.uniform(0, 1)))
                canvas += draw_rod(side, place, end, width=side * float(rng.uniform(0.005, 0.06))) * np.float32(value)
    return canvas


def _draw_texture(rng: np.random.Generator, side: int) -> Canvas:
    """Noise of several scales, gratings, checks."""
    y, x = pixel_grid(side)
    if rng.random() < 0.3:
        waves = np.sin(x * rng.uniform(0.05, 1.5) + y * rng.uniform(-1, 1)) * np.sin(y * rng.uniform(0, 1.5))
        pattern: Canvas = (np.sign(waves) if rng.random() < 0.4 else waves).astype(np.float32)
        return pattern
    scales = 2.0 ** np.arange(0, 7)
    roughness = rng.uniform(0, 1.5)
    canvas = sum(
        (draw_clouds(rng, side, s) * np.float32((s / 64) ** roughness) for s in scales), np.zeros((side, side), np.float32)
    )
    return canvas.astype(np.float32)


def _draw_page(rng: np.random.Generator, side: int) -> Canvas:
    """Lines of text, or a form with a box or two."""
    ink = np.zeros((side, side), dtype=np.uint8)
    size = float(rng.uniform(0.2, 0.9))
    for y in np.arange(rng.uniform(4, 14), side, size * rng.uniform(22, 40)):
        letters = "".join(chr(int(code)) for code in rng.integers(65, 122, size=int(rng.integers(2, 40))))
        cv2.putText(ink, letters, (int(rng.integers(2, 20)), int(y)), cv2.FONT_HERSHEY_SIMPLEX, size, 255)
    canvas = ink.astype(np.float32) / np.float32(255)
    return canvas + draw_clouds(rng, side, side * 0.3) * np.float32(rng.uniform(0, 0.1))


def _draw_blank(rng: np.random.Generator, side: int) -> Canvas:
    """A flat, shaded or collimated empty field with detector noise."""
    y, x = pixel_grid(side)
    canvas = rng.normal(0, rng.uniform(0.001, 0.05), (side, side)).astype(np.float32)
    canvas += (x * np.float32(rng.uniform(-1, 1)) + y * np.float32(rng.uniform(-1, 1))) / side
    if rng.random() < 0.5:
        centre = (side * float(rng.uniform(0.3, 0.7)), side * float(rng.uniform(0.3, 0.7)))
        canvas += draw_blob(
            rng, side, centre, (side * float(rng.uniform(0.1, 0.6)), side * float(rng.uniform(0.1, 0.6))), rough=0.0
        )
    if rng.random() < 0.3:
        left, right = sorted(rng.integers(0, side, 2))
        canvas[:, left:right] += np.float32(rng.uniform(0.3, 2.0))
    return canvas


@cache
def _read_photographs() -> tuple[Float32[NDArray[np.float32], "height width"], ...]:
    from sklearn.datasets import load_sample_images

    return tuple(
        cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)
        for picture in load_sample_images().images
    )


def _draw_photograph(rng: np.random.Generator, side: int) -> Canvas:
    photographs = _read_photographs()
    return _cut_window(rng, photographs[int(rng.integers(len(photographs)))], side, (0.2, 1.0))


def _draw_film_part(rng: np.random.Generator, films: Sequence[TrainingFilm], side: int) -> Canvas:
    """A small part of a chest film, enlarged: a shoulder, a bit of rib cage, the upper abdomen."""
    return _cut_window(rng, films[int(rng.integers(len(films)))].pixels, side, (0.12, 0.3))


def _cut_window(
    rng: np.random.Generator, picture: Float32[NDArray[np.float32], "height width"], side: int, parts: tuple[float, float]
) -> Canvas:
    length = max(8, int(min(picture.shape) * rng.uniform(*parts)))
    top, left = (int(rng.integers(0, max(1, extent - length))) for extent in picture.shape)
    window = picture[top : top + length, left : left + length]
    return cv2.resize(window, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)


_DRAWINGS: tuple[Callable[[np.random.Generator, int], Canvas], ...] = (
    draw_limb,
    draw_limb,
    draw_limb,
    draw_limb,
    draw_limb,
    draw_hand,
    draw_skull,
    draw_trunk,
    draw_trunk,
    draw_section,
    draw_section,
    draw_fan,
    _draw_scene,
    _draw_scene,
    _draw_texture,
    _draw_page,
    _draw_blank,
    _draw_photograph,
)
