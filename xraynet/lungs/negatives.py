"""Synthetic pictures that are not frontal chest films, for the gate to learn from: no other person's picture is needed.

Limbs, joints, hands, skulls, pelves, sections (CT, MR) and fans (ultrasound) are drawn roughly, as are textures, scenes of
plain shapes, pages of text and blank fields; enlarged parts of chest films and two photographs that scikit-learn ships (china.jpg
and flower.jpg, CC BY 2.0, danielbuechele and vultilion on Flickr) stand beside them. Laterals are sketched too: no real one
was at hand.
"""

from collections.abc import Callable, Sequence
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.lungs.views import Thumbnail, TrainingFilm, add_clutter, normalise_grey

Canvas = Float32[NDArray[np.float32], "side side"]


def draw_not_a_chest(rng: np.random.Generator, *, films: Sequence[TrainingFilm], side_px: int) -> Thumbnail:
    """A picture that shows no chest, prepared as a thumbnail is: any polarity, any way up."""
    if films and rng.random() < 0.2:
        canvas = _draw_film_part(rng, films, side_px)
    else:
        canvas = _DRAWINGS[int(rng.integers(len(_DRAWINGS)))](rng, side_px)
    return _finish(canvas, rng, any_way_up=True)


def draw_lateral(rng: np.random.Generator, *, side_px: int) -> Thumbnail:
    """A sketch of a lateral chest film: one lung field before the spine, arms above, domes below; facing either way."""
    side = side_px
    canvas = np.full((side, side), rng.uniform(0, 0.1), dtype=np.float32)
    centre, half = side * rng.uniform(0.44, 0.56), side * rng.uniform(0.26, 0.42)
    body = _blob(rng, side, (centre, side * 0.5), (half, side * rng.uniform(0.55, 0.75)), rough=0.06)
    canvas += body * np.float32(rng.uniform(0.45, 0.7))
    canvas += _blob(rng, side, (centre, side * 0.02), (half * 0.9, side * 0.16), rough=0.2) * np.float32(0.3)
    lung_centre = (centre + half * rng.uniform(-0.15, 0.05), side * rng.uniform(0.42, 0.52))
    lung = _blob(rng, side, lung_centre, (half * rng.uniform(0.6, 0.8), side * rng.uniform(0.28, 0.38)), rough=0.12)
    canvas -= lung * np.float32(rng.uniform(0.2, 0.45))
    heart = (centre - half * rng.uniform(0.15, 0.4), side * rng.uniform(0.55, 0.65))
    canvas += _blob(rng, side, heart, (half * rng.uniform(0.28, 0.42), side * rng.uniform(0.12, 0.2)), rough=0.08) * np.float32(
        0.25
    )
    dome = (centre, side * rng.uniform(0.9, 1.0))
    canvas += _blob(rng, side, dome, (half * 1.1, side * rng.uniform(0.16, 0.26)), rough=0.05) * np.float32(0.3)
    spine_x, bend = centre + half * rng.uniform(0.5, 0.75), side * rng.uniform(-0.06, 0.06)
    step = side * rng.uniform(0.05, 0.08)
    for y in np.arange(0, side, step):
        x = spine_x + bend * np.sin(np.pi * y / side)
        size = (step * rng.uniform(0.55, 0.75), step * 0.36)
        canvas += _blob(rng, side, (x, float(y)), size, rough=0.02) * np.float32(rng.uniform(0.12, 0.3))
    for _ in range(int(rng.integers(4, 9))):
        y = side * rng.uniform(0.15, 0.75)
        ends = ((spine_x, y), (centre - half * 0.8, y + side * rng.uniform(0.1, 0.3)))
        canvas += _capsule(side, *ends, width=side * 0.012) * np.float32(rng.uniform(0.03, 0.1))
    return _finish(canvas[:, ::-1] if rng.random() < 0.5 else canvas, rng, any_way_up=False)


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
    shown = ((shown - low) / max(high - low, 1e-3)) ** np.float32(np.exp(rng.uniform(-0.7, 0.7)))
    if any_way_up and rng.random() < 0.3:
        shown = 1 - shown
    if rng.random() < 0.5:
        shown = cv2.GaussianBlur(shown, (0, 0), float(rng.uniform(0.3, 1.5)))
    if rng.random() < 0.6:
        shown = shown + rng.normal(0, rng.uniform(0.005, 0.08), shown.shape).astype(np.float32)
    num_overlays = int(rng.integers(1, 5)) if rng.random() < 0.3 else 0
    borders = (
        ((int(rng.integers(4)), float(rng.uniform(0.01, 0.08)), float(rng.choice([0.0, 1.0]))),) if rng.random() < 0.2 else ()
    )
    shown = add_clutter(shown.astype(np.float32), rng, borders=borders, num_overlays=num_overlays)
    thumbnail = np.zeros((side, side), dtype=np.float32)
    thumbnail[top : top + height, left : left + width] = normalise_grey(shown)
    if any_way_up:
        thumbnail = np.rot90(thumbnail, int(rng.integers(4)))
    return np.ascontiguousarray(thumbnail)


def _grid(side: int) -> tuple[Canvas, Canvas]:
    y, x = np.mgrid[:side, :side].astype(np.float32) + np.float32(0.5)
    return y, x


def _clouds(rng: np.random.Generator, side: int, scale_px: float) -> Canvas:
    """Smooth noise of zero mean and unit spread."""
    coarse = max(2, int(side / max(scale_px, 1)))
    noise = cv2.resize(rng.normal(0, 1, (coarse, coarse)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    clouds: Canvas = noise / np.float32(max(float(noise.std()), 1e-3))
    return clouds


def _blob(
    rng: np.random.Generator, side: int, centre: tuple[float, float], radii: tuple[float, float], *, rough: float
) -> Canvas:
    """A filled ellipse with a slightly uneven, soft edge; ``centre`` and ``radii`` are (x, y) in pixels."""
    y, x = _grid(side)
    dx, dy = (x - centre[0]) / max(radii[0], 0.5), (y - centre[1]) / max(radii[1], 0.5)
    angle = np.arctan2(dy, dx)
    waves = sum(rng.normal(0, rough) * np.sin(k * angle + rng.uniform(0, 6.3)) for k in range(2, 5))
    distance = (1 + waves - np.hypot(dx, dy)) * min(radii)
    blob: Canvas = np.clip(distance * 0.7 + 0.5, 0, 1).astype(np.float32)
    return blob


def _capsule(side: int, start: tuple[float, float], end: tuple[float, float], *, width: float, flare: float = 0.0) -> Canvas:
    """A rod of ``width`` (radius) between two points, its ends wider by ``flare``: a long bone."""
    y, x = _grid(side)
    along = np.array(end) - np.array(start)
    length = max(float(np.hypot(*along)), 1e-3)
    t = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / length**2, 0, 1)
    distance = np.hypot(x - start[0] - t * along[0], y - start[1] - t * along[1])
    radius = width * (1 + flare * np.abs(2 * t - 1) ** 4)
    rod: Canvas = np.clip((radius - distance) * 0.8 + 0.5, 0, 1).astype(np.float32)
    return rod


def _bone(rng: np.random.Generator, side: int, start: tuple[float, float], end: tuple[float, float], width: float) -> Canvas:
    """A long bone: bright cortex, darker marrow."""
    flare = float(rng.uniform(0.1, 1.0))
    shaft = _capsule(side, start, end, width=width, flare=flare)
    marrow = _capsule(side, start, end, width=width * 0.6, flare=flare)
    bone: Canvas = shaft - np.float32(rng.uniform(0.1, 0.5)) * marrow
    return bone


def _draw_limb(rng: np.random.Generator, side: int) -> Canvas:
    """One or two long limbs with bones in soft tissue: ankle, knee, elbow, forearm."""
    canvas = np.full((side, side), rng.uniform(0, 0.1), dtype=np.float32)
    for _ in range(int(rng.integers(1, 3))):
        joint = (side * float(rng.uniform(0.3, 0.7)), side * float(rng.uniform(0.3, 0.7)))
        tissue, first = side * rng.uniform(0.1, 0.28), float(rng.uniform(0, 6.3))
        for angle in (first, first + np.pi + float(rng.uniform(-1.4, 1.4))):
            end = (joint[0] + side * float(np.cos(angle)), joint[1] + side * float(np.sin(angle)))
            canvas = np.maximum(canvas, _capsule(side, joint, end, width=tissue) * np.float32(rng.uniform(0.25, 0.5)))
            num = int(rng.integers(1, 3))
            for index in range(num):
                away = (index - (num - 1) / 2) * tissue * 0.9
                shift = (away * float(np.sin(angle)), -away * float(np.cos(angle)))
                ends = [(p[0] + shift[0], p[1] + shift[1]) for p in (joint, end)]
                width = tissue * float(rng.uniform(0.2, 0.45))
                canvas += _bone(rng, side, ends[0], ends[1], width) * np.float32(rng.uniform(0.2, 0.5))
        for _ in range(int(rng.integers(0, 5))):
            place = (joint[0] + float(rng.normal(0, tissue * 0.5)), joint[1] + float(rng.normal(0, tissue * 0.5)))
            size = (tissue * float(rng.uniform(0.2, 0.5)), tissue * float(rng.uniform(0.2, 0.5)))
            canvas += _blob(rng, side, place, size, rough=0.1) * np.float32(rng.uniform(0.1, 0.35))
    return canvas


def _draw_hand(rng: np.random.Generator, side: int) -> Canvas:
    """A palm and fingers, each a row of small bones."""
    canvas = np.full((side, side), rng.uniform(0, 0.1), dtype=np.float32)
    wrist = (side * float(rng.uniform(0.4, 0.6)), side * 0.95)
    palm = (wrist[0], side * 0.66)
    canvas = np.maximum(canvas, _blob(rng, side, palm, (side * 0.2, side * 0.24), rough=0.05) * np.float32(0.35))
    canvas = np.maximum(canvas, _capsule(side, palm, wrist, width=side * 0.12) * np.float32(0.35))
    for angle in np.deg2rad(np.linspace(-60, 35, 5) + rng.normal(0, 6, 5)):
        at = (palm[0], palm[1] + side * 0.1)
        tip_reach = side * rng.uniform(0.45, 0.62)
        tip = (at[0] + tip_reach * float(np.sin(angle)), at[1] - tip_reach * float(np.cos(angle)))
        canvas = np.maximum(canvas, _capsule(side, at, tip, width=side * 0.045) * np.float32(0.3))
        for start, stop in ((0.1, 0.42), (0.46, 0.68), (0.71, 0.85), (0.88, 0.97)):
            ends = [(at[0] + part * (tip[0] - at[0]), at[1] + part * (tip[1] - at[1])) for part in (start, stop)]
            canvas += _bone(rng, side, ends[0], ends[1], side * 0.02) * np.float32(0.4)
    return canvas


def _draw_skull(rng: np.random.Generator, side: int) -> Canvas:
    """A vault with a bright shell, orbits and teeth."""
    canvas = np.full((side, side), rng.uniform(0, 0.1), dtype=np.float32)
    centre, radius = (side * 0.5, side * float(rng.uniform(0.38, 0.48))), side * float(rng.uniform(0.26, 0.4))
    radii = (radius * float(rng.uniform(0.75, 1.2)), radius)
    canvas += _blob(rng, side, centre, radii, rough=0.03) * np.float32(0.7)
    inner = (radii[0] * 0.88, radii[1] * 0.88)
    canvas -= _blob(rng, side, centre, inner, rough=0.03) * np.float32(rng.uniform(0.15, 0.4))
    canvas += _blob(rng, side, (side * 0.5, centre[1] + radius), (radius * 0.55, radius * 0.5), rough=0.08) * np.float32(0.4)
    for sign in (-1, 1):
        orbit = (centre[0] + sign * radius * 0.35, centre[1] + radius * 0.4)
        canvas -= _blob(rng, side, orbit, (radius * 0.2, radius * 0.16), rough=0.1) * np.float32(rng.uniform(0.1, 0.3))
    canvas += _clouds(rng, side, side * 0.08) * np.float32(0.04)
    return canvas


def _draw_abdomen_or_pelvis(rng: np.random.Generator, side: int) -> Canvas:
    """A trunk without lungs: spine, gas, iliac wings, hips."""
    body = _blob(rng, side, (side * 0.5, side * 0.5), (side * float(rng.uniform(0.42, 0.7)), side * 0.75), rough=0.04)
    canvas = body * np.float32(0.55) + _clouds(rng, side, side * 0.2) * np.float32(0.04)
    canvas += _capsule(side, (side * 0.5, 0), (side * 0.5, side * 0.6), width=side * 0.06) * np.float32(rng.uniform(0.1, 0.3))
    for _ in range(int(rng.integers(0, 12))):
        gas = (side * float(rng.uniform(0.2, 0.8)), side * float(rng.uniform(0.05, 0.9)))
        size = (side * float(rng.uniform(0.02, 0.08)), side * float(rng.uniform(0.02, 0.06)))
        canvas -= _blob(rng, side, gas, size, rough=0.2) * np.float32(rng.uniform(0.05, 0.3))
    if rng.random() < 0.7:
        low = side * float(rng.uniform(0.4, 0.65))
        for sign in (-1, 1):
            wing = (side * 0.5 + sign * side * 0.24, low)
            canvas += _blob(rng, side, wing, (side * 0.15, side * 0.17), rough=0.15) * np.float32(rng.uniform(0.15, 0.3))
            ring = (side * 0.5 + sign * side * 0.1, low + side * 0.26)
            canvas += _blob(rng, side, ring, (side * 0.12, side * 0.1), rough=0.1) * np.float32(0.15)
            canvas -= _blob(rng, side, ring, (side * 0.06, side * 0.05), rough=0.1) * np.float32(0.2)
            hip = (side * 0.5 + sign * side * 0.3, low + side * 0.2)
            canvas += _blob(rng, side, hip, (side * 0.06, side * 0.06), rough=0.03) * np.float32(0.3)
            canvas += _bone(rng, side, hip, (hip[0] + sign * side * 0.06, side * 1.1), side * 0.05) * np.float32(0.25)
    return canvas


def _draw_section(rng: np.random.Generator, side: int) -> Canvas:
    """An axial section: body on black, bright ring or none, two dark lungs or none, vertebra, organs, table."""
    canvas = np.zeros((side, side), dtype=np.float32)
    centre = (side * float(rng.uniform(0.45, 0.55)), side * float(rng.uniform(0.42, 0.55)))
    radii = (side * float(rng.uniform(0.22, 0.48)), side * float(rng.uniform(0.2, 0.4)))
    body = _blob(rng, side, centre, radii, rough=0.02)
    canvas += body * np.float32(rng.uniform(0.4, 0.6))
    if rng.random() < 0.5:
        canvas += (body - _blob(rng, side, centre, (radii[0] * 0.9, radii[1] * 0.88), rough=0.02)) * np.float32(
            rng.uniform(-0.3, 0.4)
        )
    if rng.random() < 0.5:
        for sign in (-1, 1):
            lung = (centre[0] + sign * radii[0] * 0.45, centre[1] - radii[1] * 0.05)
            size = (radii[0] * float(rng.uniform(0.25, 0.38)), radii[1] * float(rng.uniform(0.45, 0.75)))
            canvas -= _blob(rng, side, lung, size, rough=0.1) * np.float32(rng.uniform(0.3, 0.5))
    for _ in range(int(rng.integers(2, 9))):
        organ = (centre[0] + float(rng.normal(0, radii[0] * 0.4)), centre[1] + float(rng.normal(0, radii[1] * 0.4)))
        size = (radii[0] * float(rng.uniform(0.05, 0.4)), radii[1] * float(rng.uniform(0.05, 0.4)))
        canvas += _blob(rng, side, organ, size, rough=0.15) * body * np.float32(rng.uniform(-0.2, 0.25))
    spine = (centre[0], centre[1] + radii[1] * 0.6)
    canvas += _blob(rng, side, spine, (radii[0] * 0.14, radii[1] * 0.16), rough=0.15) * np.float32(rng.uniform(0.1, 0.45))
    if rng.random() < 0.5:
        table = side * float(rng.uniform(0.85, 0.95))
        canvas += _capsule(side, (side * 0.1, table), (side * 0.9, table), width=side * 0.01) * np.float32(0.3)
    return np.clip(canvas, 0, None)


def _draw_fan(rng: np.random.Generator, side: int) -> Canvas:
    """A sector of speckle, as ultrasound shows."""
    y, x = _grid(side)
    apex = (side * float(rng.uniform(0.4, 0.6)), side * float(rng.uniform(-0.2, 0.1)))
    distance, angle = np.hypot(x - apex[0], y - apex[1]), np.arctan2(x - apex[0], y - apex[1])
    near, far = side * rng.uniform(0.05, 0.25), side * rng.uniform(0.7, 1.1)
    sector = (np.abs(angle) < rng.uniform(0.4, 0.9)) & (distance > near) & (distance < far)
    speckle = rng.rayleigh(0.3, (side, side)) * np.exp(_clouds(rng, side, side * 0.15) * 0.6)
    return np.where(sector, speckle, 0).astype(np.float32)


def _draw_scene(rng: np.random.Generator, side: int) -> Canvas:
    """Plain shapes before a gradient: anything a camera might see."""
    y, x = _grid(side)
    direction = float(rng.uniform(0, 6.3))
    canvas = ((np.cos(direction) * x + np.sin(direction) * y) / side * rng.uniform(0, 1)).astype(np.float32)
    canvas += _clouds(rng, side, float(rng.uniform(4, 60))) * np.float32(rng.uniform(0, 0.3))
    for _ in range(int(rng.integers(1, 14))):
        place = (side * float(rng.uniform(0, 1)), side * float(rng.uniform(0, 1)))
        size = (side * float(rng.uniform(0.02, 0.35)), side * float(rng.uniform(0.02, 0.35)))
        value = float(rng.uniform(-0.6, 0.8))
        match int(rng.integers(3)):
            case 0:
                canvas += _blob(rng, side, place, size, rough=0.1) * np.float32(value)
            case 1:
                corners = (np.array(place) + rng.normal(0, side * 0.2, (int(rng.integers(3, 6)), 2))).astype(np.int32)
                cv2.fillPoly(canvas, [corners], value)
            case _:
                end = (side * float(rng.uniform(0, 1)), side * float(rng.uniform(0, 1)))
                canvas += _capsule(side, place, end, width=side * float(rng.uniform(0.005, 0.06))) * np.float32(value)
    return canvas


def _draw_texture(rng: np.random.Generator, side: int) -> Canvas:
    """Noise of several scales, gratings, checks."""
    y, x = _grid(side)
    if rng.random() < 0.3:
        waves = np.sin(x * rng.uniform(0.05, 1.5) + y * rng.uniform(-1, 1)) * np.sin(y * rng.uniform(0, 1.5))
        return (np.sign(waves) if rng.random() < 0.4 else waves).astype(np.float32)
    scales = 2.0 ** np.arange(0, 7)
    roughness = rng.uniform(0, 1.5)
    canvas = sum(
        (_clouds(rng, side, s) * np.float32((s / 64) ** roughness) for s in scales), np.zeros((side, side), np.float32)
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
    return canvas + _clouds(rng, side, side * 0.3) * np.float32(rng.uniform(0, 0.1))


def _draw_blank(rng: np.random.Generator, side: int) -> Canvas:
    """A flat, shaded or collimated empty field with detector noise."""
    y, x = _grid(side)
    canvas = rng.normal(0, rng.uniform(0.001, 0.05), (side, side)).astype(np.float32)
    canvas += (x * np.float32(rng.uniform(-1, 1)) + y * np.float32(rng.uniform(-1, 1))) / side
    if rng.random() < 0.5:
        centre = (side * float(rng.uniform(0.3, 0.7)), side * float(rng.uniform(0.3, 0.7)))
        canvas += _blob(
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
    cut: Canvas = cv2.resize(picture[top : top + length, left : left + length], (side, side), interpolation=cv2.INTER_AREA)
    return cut


_DRAWINGS: tuple[Callable[[np.random.Generator, int], Canvas], ...] = (
    _draw_limb,
    _draw_limb,
    _draw_hand,
    _draw_skull,
    _draw_abdomen_or_pelvis,
    _draw_abdomen_or_pelvis,
    _draw_section,
    _draw_section,
    _draw_fan,
    _draw_scene,
    _draw_scene,
    _draw_texture,
    _draw_page,
    _draw_blank,
    _draw_photograph,
)
