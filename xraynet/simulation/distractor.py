"""Shadows that are not nodules, drawn so that a detector learns to leave them alone.

Lines and tubes, electrodes with their leads, crossing ribs, vessels seen end-on, nipples, side markers, clips, and the metal
snaps of ECG leads.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

import cv2
import numpy as np

from xraynet.simulation.scene import FINE, Box, DistractorScene, Film, add_canvas, add_disc, bend, stroke

DistractorKind = Literal["line", "electrode", "rib-crossing", "vessel-end", "nipples", "marker", "clips", "snap"]


@dataclass(frozen=True)
class DistractorConfig:
    """The chance that a film gets one of each kind."""

    line: float = 0.10
    electrode: float = 0.08
    rib_crossing: float = 0.12
    vessel_end: float = 0.25
    nipples: float = 0.12
    marker: float = 0.10
    clips: float = 0.04
    snap: float = 0.0

    def __post_init__(self) -> None:
        for kind, chance in self.chances().items():
            if not 0 <= chance <= 1:
                raise ValueError(f"the chance of {kind} is {chance}; 0 to 1 was expected")

    def chances(self) -> Mapping[DistractorKind, float]:
        """The chance of each kind by its name."""
        return {kind: float(getattr(self, kind.replace("-", "_"))) for kind in get_args(DistractorKind)}


@dataclass(frozen=True)
class Distractor:
    """One drawn distractor: what it is and where (XYXY in film pixels, not clipped)."""

    kind: DistractorKind
    box: tuple[float, float, float, float]


def draw_distractors(
    film: Film, rng: np.random.Generator, *, scene: DistractorScene, config: DistractorConfig
) -> tuple[Distractor, ...]:
    """Draw the distractors that chance decides into ``film``, in place, and say what was drawn where."""
    drawn: list[Distractor] = []
    for kind, chance in config.chances().items():
        # The oldest kinds always took a number, with a chance or without: what their seeds draw must not change.
        if (chance or kind != "snap") and rng.random() < chance:
            drawn += [Distractor(kind, box) for box in _DRAW[kind](film, rng, scene)]
    return tuple(drawn)


def _draw_line(film: Film, rng: np.random.Generator, scene: DistractorScene) -> list[Box]:
    """A catheter, a tube or a lead from the film's edge into the thorax."""
    start = scene.point(
        float(rng.choice([-0.1, 1.1])) if rng.random() < 0.6 else rng.uniform(0.3, 0.7), rng.uniform(-0.15, 0.3)
    )
    end = scene.point(rng.uniform(0.2, 0.8), rng.uniform(0.3, 1.1))
    curve = bend(start, end, rng, sway=0.2)
    width, rise = rng.uniform(1.2, 3.5), rng.uniform(0.06, 0.3) * scene.grey.width
    box = stroke(film, curve, width_mm=width, rise=rise, scene=scene)
    if width > 2.6:
        stroke(film, curve, width_mm=width - 1.4, rise=-0.7 * rise, scene=scene)
    return [box]


def _draw_electrode(film: Film, rng: np.random.Generator, scene: DistractorScene) -> list[Box]:
    """An ECG electrode: a sharp disc with a dense stud in the middle, and its wire."""
    boxes = []
    for _ in range(int(rng.integers(1, 4))):
        centre = scene.point(rng.uniform(0.05, 0.95), rng.uniform(0.05, 0.95))
        diameter, rise = rng.uniform(7, 16), rng.uniform(0.08, 0.35) * scene.grey.width
        box = add_disc(film, centre, diameter_mm=diameter, rise=rise, scene=scene)
        if rng.random() < 0.7:
            add_disc(
                film, centre, diameter_mm=diameter * rng.uniform(0.25, 0.5), rise=rng.uniform(0.5, 2.0) * rise, scene=scene
            )
        if rng.random() < 0.7:
            end = scene.point(rng.uniform(-0.2, 1.2), rng.uniform(-0.1, 1.2))
            stroke(film, bend(centre, end, rng, sway=0.25), width_mm=rng.uniform(1.0, 1.8), rise=1.2 * rise, scene=scene)
        boxes.append(box)
    return boxes


def _draw_rib_crossing(film: Film, rng: np.random.Generator, scene: DistractorScene) -> list[Box]:
    """Two faint bands that cross, as a posterior and an anterior rib do, the anterior one ending free."""
    boxes = []
    for _ in range(int(rng.integers(1, 3))):
        x, y = scene.point(rng.choice([rng.uniform(0.05, 0.4), rng.uniform(0.6, 0.95)]), rng.uniform(0.2, 0.85))
        outwards = 1.0 if x > scene.point(0.5, 0)[0] else -1.0
        for slope, length in ((rng.uniform(0.1, 0.6), 22.0), (-rng.uniform(0.3, 0.9), 14.0)):
            half_x = rng.uniform(0.7, 1.3) * length / scene.spacing_mm[1]
            half_y = slope * half_x * scene.spacing_mm[1] / scene.spacing_mm[0]
            shift = rng.uniform(-0.5, 0.5) * half_x
            start, end = (x + shift - outwards * half_x, y - half_y), (x + shift + outwards * half_x, y + half_y)
            rise = rng.uniform(0.04, 0.12) * scene.grey.width
            width = rng.uniform(6, 10)
            box = stroke(film, bend(start, end, rng, sway=0.06), width_mm=width, rise=rise, scene=scene, blur_px=1.5)
        boxes.append(box)
    return boxes


def _draw_vessel_end(film: Film, rng: np.random.Generator, scene: DistractorScene) -> list[Box]:
    """A vessel seen end-on beside its bronchus: a sharp dot of under 5 mm and a ring of the same size."""
    boxes = []
    for _ in range(int(rng.integers(1, 5))):
        x, y = scene.point(rng.choice([rng.uniform(0.15, 0.4), rng.uniform(0.6, 0.85)]), rng.uniform(0.25, 0.75))
        diameter, rise = rng.uniform(2.0, 4.5), rng.uniform(0.06, 0.2) * scene.grey.width
        dot = add_disc(film, (x, y), diameter_mm=diameter, rise=rise, scene=scene, softness=0.6)
        if rng.random() < 0.6:
            angle, away = rng.uniform(0, 2 * np.pi), diameter * 1.1
            ring = (x + away * np.cos(angle) / scene.spacing_mm[1], y + away * np.sin(angle) / scene.spacing_mm[0])
            add_disc(film, ring, diameter_mm=diameter * 1.1, rise=0.5 * rise, scene=scene, softness=0.4)
            add_disc(film, ring, diameter_mm=diameter * 0.6, rise=-0.9 * rise, scene=scene, softness=0.4)
        boxes.append(dot)
    return boxes


def _draw_nipples(film: Film, rng: np.random.Generator, scene: DistractorScene) -> list[Box]:
    """Both nipple shadows at one height over the lower lungs: faint, with one edge against air and one that fades."""
    height, aside = rng.uniform(0.68, 0.92), rng.uniform(0.22, 0.32)
    diameter, rise = rng.uniform(7, 12), rng.uniform(0.04, 0.11) * scene.grey.width
    boxes = []
    for side in (-1.0, 1.0):
        x, y = scene.point(0.5 + side * (aside + 0.02 * rng.normal()), height + 0.015 * rng.normal())
        half_y, half_x = (diameter / 2 / spacing for spacing in scene.spacing_mm)
        box = (x - half_x, y - half_y, x + half_x, y + half_y)
        left, top = max(0, int(box[0] - 3)), max(0, int(box[1] - 3))
        right, bottom = min(film.shape[1], int(box[2]) + 4), min(film.shape[0], int(box[3]) + 4)
        boxes.append(box)
        if left >= right or top >= bottom:
            continue
        rows = ((np.arange(top, bottom) + 0.5 - y) / half_y).astype(np.float32)[:, None]
        columns = ((np.arange(left, right) + 0.5 - x) / half_x).astype(np.float32)[None]
        disc = np.clip((1 - np.hypot(rows, columns)) / np.float32(0.25) + np.float32(0.5), 0, 1)
        fading = np.clip(np.float32(0.55) + np.float32(0.45) * (rows + np.float32(side) * columns), 0, 1)
        film[top:bottom, left:right] += np.float32(rise) * disc * fading
    return boxes


def _draw_marker(film: Film, rng: np.random.Generator, scene: DistractorScene) -> list[Box]:
    """A metal side marker beside the shoulders: a letter, sometimes in a ring."""
    height, width = film.shape
    x = int(rng.uniform(0.01, 0.14) * width) if rng.random() < 0.5 else int(rng.uniform(0.84, 0.93) * width)
    y = int(rng.uniform(0.03, 0.25) * height)
    side = max(6, int(rng.uniform(10, 20) / scene.spacing_mm[0]))
    side = min(side, height - y, width - x)
    if side < 4:
        return []
    canvas = np.zeros((side * FINE, side * FINE), np.uint8)
    scale = side * FINE / 34
    letter = str(rng.choice(["L", "R", "PA", "AP"]))[: 1 if rng.random() < 0.8 else 2]
    cv2.putText(
        canvas, letter, (2 * FINE, int(side * FINE * 0.85)), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, max(2, side * FINE // 9)
    )
    if rng.random() < 0.3:
        cv2.circle(canvas, (side * FINE // 2,) * 2, side * FINE // 2 - 2, 255, max(1, FINE))
    add_canvas(film, canvas, (x, y), rise=rng.uniform(1.0, 2.2) * scene.grey.width, blur_px=0.6)
    return [(float(x), float(y), float(x + side), float(y + side))]


def _draw_clips(film: Film, rng: np.random.Generator, scene: DistractorScene) -> list[Box]:
    """A few surgical clips: metal strokes of some millimetres."""
    x, y = scene.point(rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9))
    boxes = []
    for _ in range(int(rng.integers(2, 7))):
        middle = np.array([x, y]) + rng.normal(size=2) * 15 / scene.spacing_mm[1]
        angle, half = rng.uniform(0, np.pi), rng.uniform(1.5, 4.0)
        step = np.array([np.cos(angle) / scene.spacing_mm[1], np.sin(angle) / scene.spacing_mm[0]]) * half
        rise = rng.uniform(0.3, 0.8) * scene.grey.width
        boxes.append(stroke(film, np.stack([middle - step, middle + step]), width_mm=1.2, rise=rise, scene=scene, blur_px=0.5))
    return boxes


def _draw_snap(film: Film, rng: np.random.Generator, scene: DistractorScene) -> list[Box]:
    """Metal snaps of ECG leads: a dense ring with a hub, the crimp of its wire beside it, and the wire."""
    boxes = []
    for _ in range(int(rng.integers(1, 5))):
        centre = scene.point(rng.uniform(-0.05, 1.05), rng.uniform(0.0, 1.05))
        diameter, rise = rng.uniform(8, 15), rng.uniform(0.15, 1.3) * scene.grey.width
        box = add_disc(film, centre, diameter_mm=diameter, rise=rise, scene=scene, softness=0.12)
        hole = diameter * rng.uniform(0.35, 0.65)
        add_disc(film, centre, diameter_mm=hole, rise=-rng.uniform(0.3, 0.9) * rise, scene=scene, softness=0.2)
        if rng.random() < 0.7:
            add_disc(film, centre, diameter_mm=0.5 * hole, rise=rng.uniform(0.4, 1.0) * rise, scene=scene, softness=0.3)
        end = scene.point(rng.uniform(-0.2, 1.2), rng.uniform(-0.1, 1.2))
        wire = bend(centre, end, rng, sway=0.25)
        length_mm = np.hypot(*((wire - wire[0]) * scene.spacing_mm[::-1]).T)
        crimp = wire[(length_mm > 0.4 * diameter) & (length_mm < diameter * rng.uniform(1.0, 1.6))]
        if len(crimp) > 1:
            stroke(film, crimp, width_mm=rng.uniform(2.5, 5.0), rise=rng.uniform(0.5, 1.0) * rise, scene=scene)
        stroke(film, wire, width_mm=rng.uniform(1.0, 2.0), rise=rng.uniform(0.05, 0.3) * scene.grey.width, scene=scene)
        boxes.append(box)
    return boxes


_DRAW: Final[Mapping[DistractorKind, Callable[[Film, np.random.Generator, DistractorScene], list[Box]]]] = {
    "line": _draw_line,
    "electrode": _draw_electrode,
    "rib-crossing": _draw_rib_crossing,
    "vessel-end": _draw_vessel_end,
    "nipples": _draw_nipples,
    "marker": _draw_marker,
    "clips": _draw_clips,
    "snap": _draw_snap,
}
