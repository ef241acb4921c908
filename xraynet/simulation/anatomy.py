"""The outlines of a synthetic thorax: lungs, ribs, clavicles, scapulae and vessels as curves in millimetres.

The origin is the film's centre, x runs right (to the patient's left), y runs down; an adult's lungs span about 280 mm.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

Curve = Float64[NDArray[np.float64], "_ 2"]

_RIGHT_LUNG: Final = (
    (-46, -148), (-72, -138), (-98, -104), (-117, -60), (-129, -10), (-136, 45), (-139, 88), (-141, 112),
    (-126, 96), (-100, 81), (-72, 76), (-46, 84), (-34, 92), (-38, 66), (-40, 40), (-34, 8), (-32, -24), (-27, -62),
    (-24, -100), (-29, -134),
)  # fmt: skip
_LEFT_LUNG: Final = (
    (46, -148), (72, -138), (98, -104), (117, -60), (129, -10), (136, 45), (139, 94), (141, 122),
    (128, 106), (112, 94), (98, 90), (90, 82), (84, 58), (68, 28), (50, 0), (40, -22), (35, -46), (40, -66), (35, -86),
    (24, -104), (29, -134),
)  # fmt: skip


@dataclass(frozen=True)
class Body:
    """How one phantom differs from another: sizes as factors, shifts in mm. ``portable`` is a supine AP film."""

    width: float
    height: float
    heart: float
    dome_right_mm: float
    dome_left_mm: float
    rib_slope: float
    rib_step_mm: float
    breast: float
    portable: bool

    @classmethod
    def draw(cls, rng: np.random.Generator, *, portable: bool) -> "Body":
        """A body of random build; portable films show a shallower breath and a wider heart."""
        high = -22.0 if portable else 0.0
        return cls(
            width=float(rng.uniform(0.92, 1.05)),
            height=float(rng.uniform(0.92, 1.05)),
            heart=float(rng.uniform(1.15, 1.3) if portable else rng.uniform(0.85, 1.1)),
            dome_right_mm=float(high + rng.uniform(-8, 8)),
            dome_left_mm=float(high + rng.uniform(-6, 10)),
            rib_slope=float(rng.uniform(0.85, 1.2) * (0.7 if portable else 1.0)),
            rib_step_mm=float(rng.uniform(22.5, 25.0)),
            breast=float(rng.uniform(0.0, 1.0) if rng.random() < 0.5 else 0.0),
            portable=portable,
        )


def smooth_curve(points: Curve, *, closed: bool, per_piece: int = 12) -> Curve:
    """A Catmull-Rom curve through ``points``."""
    if closed:
        ring = np.concatenate([points[-1:], points, points[:2]])
    else:
        ring = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    before, here, after, beyond = ring[:-3, None], ring[1:-2, None], ring[2:-1, None], ring[3:, None]
    t = np.linspace(0, 1, per_piece, endpoint=False)[None, :, None]
    pieces = 0.5 * (
        2 * here
        + (after - before) * t
        + (2 * before - 5 * here + 4 * after - beyond) * t**2
        + (3 * here - before - 3 * after + beyond) * t**3
    )
    curve: NDArray[np.float64] = pieces.reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


def lung_outlines(body: Body, rng: np.random.Generator) -> tuple[Curve, Curve]:
    """The outlines of the right (image left) and the left lung field, heart and aortic arch left out."""
    outlines = []
    for template, dome in ((_RIGHT_LUNG, body.dome_right_mm), (_LEFT_LUNG, body.dome_left_mm)):
        points = np.array(template, dtype=np.float64)
        low = np.clip((points[:, 1] - 30) / 60, 0, 1)
        medial = (np.abs(points[:, 0]) < 92) & (points[:, 1] > -15)
        heart = np.where(medial, 1 + (body.heart - 1) * (1.0 if points[0, 0] > 0 else 0.4), 1.0)
        points[:, 0] *= heart * body.width
        points[:, 1] = points[:, 1] * body.height + dome * low
        outlines.append(smooth_curve(points + rng.normal(scale=1.0, size=points.shape), closed=True))
    return outlines[0], outlines[1]


def whole_lung_outline(body: Body, *, side: int) -> Curve:
    """One lung as it reaches behind heart and diaphragm; ``side`` is -1 for the right lung and 1 for the left."""
    points = np.array(
        [(38, -148), (72, -138), (98, -104), (117, -60), (129, -10), (136, 45), (139, 90), (141, 116), (120, 136), (80, 142),
         (40, 132), (18, 100), (15, 20), (18, -60), (20, -120)], dtype=np.float64
    )  # fmt: skip
    dome = body.dome_left_mm if side > 0 else body.dome_right_mm
    points[:, 1] = points[:, 1] * body.height + dome * np.clip((points[:, 1] - 30) / 60, 0, 1)
    points[:, 0] *= side * body.width
    return smooth_curve(points, closed=True)


def rib_curves(body: Body, rng: np.random.Generator) -> tuple[list[Curve], list[Curve]]:
    """Posterior and anterior ribs of both sides; the anterior ends run free, where their cartilage begins."""
    posterior, anterior = [], []
    for number in range(11):
        spine_y = -150 * body.height + number * body.rib_step_mm * body.height
        # The cage widens from the first rib to the eighth.
        half = (72 + 75 * min(1.0, (number + 0.6) / 6.5) ** 0.7) * body.width
        drop = (14 + 4.2 * number) * body.rib_slope
        for side in (-1, 1):
            sway = rng.normal(scale=1.2, size=2)
            back = np.array([
                (17, spine_y), (34, spine_y - 7), (0.55 * half, spine_y - 4), (0.85 * half, spine_y + 0.45 * drop),
                (half, spine_y + 1.1 * drop),
            ])  # fmt: skip
            back[:, 1] += sway[0]
            posterior.append(smooth_curve(back * (side, 1), closed=False))
            if number < 7:
                end = (0.45 + 0.02 * number) * half
                front_y = spine_y + 1.1 * drop
                fall = (26 + 6.0 * number) * body.rib_slope
                front = np.array([
                    (half, front_y), (0.96 * half, front_y + 0.35 * fall), (0.78 * half, front_y + 0.75 * fall),
                    (end, front_y + fall),
                ])  # fmt: skip
                front[:, 1] += sway[1]
                anterior.append(smooth_curve(front * (side, 1), closed=False))
    return posterior, anterior


def clavicle_curves(body: Body, rng: np.random.Generator) -> list[Curve]:
    """Both clavicles, from the sternum out to the shoulder; they lie higher on a portable film."""
    lift = -12.0 if body.portable else 0.0
    curves = []
    for side in (-1, 1):
        points = np.array([(17, -112), (45, -119), (80, -131), (118, -138), (155, -139)], dtype=np.float64)
        points[:, 1] += lift + rng.normal(scale=2.0) + points[:, 0] * rng.normal(scale=0.02)
        curves.append(smooth_curve(points * (side * body.width, body.height), closed=False))
    return curves


def scapula_outlines(body: Body, rng: np.random.Generator) -> list[Curve]:
    """Both shoulder blades, turned out of the lungs as for a PA film, into them on a portable one."""
    inwards = 22.0 if body.portable else 0.0
    outlines = []
    for side in (-1, 1):
        points = np.array(
            [(142, -128), (176, -132), (196, -110), (178, -70), (160, -20), (150, 2), (143, -10), (138, -70)], dtype=np.float64
        )
        points[:, 0] -= inwards - rng.normal(scale=3.0)
        outlines.append(smooth_curve(points * (side * body.width, body.height), closed=True))
    return outlines


@dataclass(frozen=True, eq=False)
class Vessel:
    """One piece of a vessel: a curve and its calibre in mm."""

    curve: Curve
    width_mm: float


def vessel_trees(body: Body, rng: np.random.Generator) -> list[Vessel]:
    """Pulmonary vessels of both lungs: trees that leave the hila and branch, ever thinner, towards the pleura."""
    vessels: list[Vessel] = []
    for side in (-1, 1):
        hilum = np.array([side * 34.0 * body.width * (1.0 if side < 0 else 1.1), (-6.0 if side < 0 else -16.0) * body.height])
        for degrees in (-78, -52, -28, -4, 20, 42, 62, 80):
            heading = np.radians(degrees + rng.normal(scale=6.0))
            width = float(rng.uniform(4.2, 6.0) * (1.15 if degrees > 30 else 1.0))
            _grow(
                vessels,
                rng,
                start=hilum + rng.normal(scale=4.0, size=2),
                heading=float(heading),
                width=width,
                side=side,
                depth=0,
            )
    return vessels


def _grow(
    vessels: list[Vessel],
    rng: np.random.Generator,
    *,
    start: NDArray[np.float64],
    heading: float,
    width: float,
    side: int,
    depth: int,
) -> None:
    if width < 0.7 or depth > 6:
        return
    length = 10.0 + 5.5 * width * float(rng.uniform(0.7, 1.2))
    turn = float(rng.normal(scale=0.18))
    middle = start + 0.5 * length * np.array([side * np.cos(heading), np.sin(heading)])
    end = middle + 0.5 * length * np.array([side * np.cos(heading + turn), np.sin(heading + turn)])
    vessels.append(Vessel(smooth_curve(np.stack([start, middle, end]), closed=False, per_piece=5), width))
    spread = float(rng.uniform(0.25, 0.55))
    # Murray's law: the cubes of the branches' calibres add up to the cube of the stem's.
    share = float(rng.uniform(0.35, 0.65))
    for part, sign in ((share, 1.0), (1.0 - share, -1.0)):
        narrower = width * part ** (1 / 3)
        _grow(
            vessels, rng, start=end, heading=heading + turn + sign * spread, width=0.97 * narrower, side=side, depth=depth + 1
        )
