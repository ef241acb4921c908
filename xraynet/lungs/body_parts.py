"""Rough drawings of what other departments send by mistake: limbs, skulls, trunks, sections, fans, lateral chests."""

import numpy as np

from xraynet.lungs.strokes import Canvas, draw_blob, draw_bone, draw_clouds, draw_empty, draw_limb_tissue, draw_rod, pixel_grid


def draw_limb(rng: np.random.Generator, side: int) -> Canvas:
    """One or two long limbs with bones in soft tissue: ankle, knee, elbow, forearm."""
    canvas: Canvas = draw_empty(rng, side)
    for _ in range(int(rng.integers(1, 3))):
        joint = (side * float(rng.uniform(0.3, 0.7)), side * float(rng.uniform(0.3, 0.7)))
        bend = float(rng.uniform(-1.4, 1.4)) if rng.random() < 0.6 else 0.0
        tissue, first = side * rng.uniform(0.1, 0.32), float(rng.uniform(0, 6.3))
        for angle in (first, first + np.pi + bend):
            end = (joint[0] + side * float(np.cos(angle)), joint[1] + side * float(np.sin(angle)))
            draw_tissue = draw_limb_tissue if rng.random() < 0.7 else draw_rod
            canvas = np.maximum(canvas, draw_tissue(side, joint, end, width=tissue) * np.float32(rng.uniform(0.25, 0.6)))
            num = int(rng.integers(1, 3))
            for index in range(num):
                away = (index - (num - 1) / 2) * tissue * 0.9
                shift = (away * float(np.sin(angle)), -away * float(np.cos(angle)))
                ends = [(p[0] + shift[0], p[1] + shift[1]) for p in (joint, end)]
                width = tissue * float(rng.uniform(0.12, 0.45))
                canvas += draw_bone(rng, side, ends[0], ends[1], width) * np.float32(rng.uniform(0.2, 0.5))
        for _ in range(int(rng.integers(0, 5))):
            place = (joint[0] + float(rng.normal(0, tissue * 0.5)), joint[1] + float(rng.normal(0, tissue * 0.5)))
            size = (tissue * float(rng.uniform(0.2, 0.5)), tissue * float(rng.uniform(0.2, 0.5)))
            canvas += draw_blob(rng, side, place, size, rough=0.1) * np.float32(rng.uniform(0.1, 0.35))
    return canvas


def draw_hand(rng: np.random.Generator, side: int) -> Canvas:
    """A palm and fingers, each a row of small bones."""
    canvas: Canvas = draw_empty(rng, side)
    wrist = (side * float(rng.uniform(0.4, 0.6)), side * 0.95)
    palm = (wrist[0], side * 0.66)
    canvas = np.maximum(canvas, draw_blob(rng, side, palm, (side * 0.2, side * 0.24), rough=0.05) * np.float32(0.35))
    canvas = np.maximum(canvas, draw_rod(side, palm, wrist, width=side * 0.12) * np.float32(0.35))
    for angle in np.deg2rad(np.linspace(-60, 35, 5) + rng.normal(0, 6, 5)):
        at = (palm[0], palm[1] + side * 0.1)
        tip_reach = side * rng.uniform(0.45, 0.62)
        tip = (at[0] + tip_reach * float(np.sin(angle)), at[1] - tip_reach * float(np.cos(angle)))
        canvas = np.maximum(canvas, draw_rod(side, at, tip, width=side * 0.045) * np.float32(0.3))
        for start, stop in ((0.1, 0.42), (0.46, 0.68), (0.71, 0.85), (0.88, 0.97)):
            ends = [(at[0] + part * (tip[0] - at[0]), at[1] + part * (tip[1] - at[1])) for part in (start, stop)]
            canvas += draw_bone(rng, side, ends[0], ends[1], side * 0.02) * np.float32(0.4)
    return canvas


def draw_skull(rng: np.random.Generator, side: int) -> Canvas:
    """A vault with a bright shell, orbits and teeth."""
    canvas: Canvas = draw_empty(rng, side)
    centre, radius = (side * 0.5, side * float(rng.uniform(0.38, 0.48))), side * float(rng.uniform(0.26, 0.4))
    radii = (radius * float(rng.uniform(0.75, 1.2)), radius)
    canvas += draw_blob(rng, side, centre, radii, rough=0.03) * np.float32(0.7)
    inner = (radii[0] * 0.88, radii[1] * 0.88)
    canvas -= draw_blob(rng, side, centre, inner, rough=0.03) * np.float32(rng.uniform(0.15, 0.4))
    canvas += draw_blob(rng, side, (side * 0.5, centre[1] + radius), (radius * 0.55, radius * 0.5), rough=0.08) * np.float32(
        0.4
    )
    for sign in (-1, 1):
        orbit = (centre[0] + sign * radius * 0.35, centre[1] + radius * 0.4)
        canvas -= draw_blob(rng, side, orbit, (radius * 0.2, radius * 0.16), rough=0.1) * np.float32(rng.uniform(0.1, 0.3))
    canvas += draw_clouds(rng, side, side * 0.08) * np.float32(0.04)
    return canvas


def draw_trunk(rng: np.random.Generator, side: int) -> Canvas:
    """A trunk without lungs: spine, gas, iliac wings, hips."""
    body = draw_blob(rng, side, (side * 0.5, side * 0.5), (side * float(rng.uniform(0.42, 0.7)), side * 0.75), rough=0.04)
    canvas = body * np.float32(0.55) + draw_clouds(rng, side, side * 0.2) * np.float32(0.04)
    canvas += draw_rod(side, (side * 0.5, 0), (side * 0.5, side * 0.6), width=side * 0.06) * np.float32(rng.uniform(0.1, 0.3))
    for _ in range(int(rng.integers(0, 12))):
        gas = (side * float(rng.uniform(0.2, 0.8)), side * float(rng.uniform(0.05, 0.9)))
        size = (side * float(rng.uniform(0.02, 0.08)), side * float(rng.uniform(0.02, 0.06)))
        canvas -= draw_blob(rng, side, gas, size, rough=0.2) * np.float32(rng.uniform(0.05, 0.3))
    if rng.random() < 0.7:
        low = side * float(rng.uniform(0.4, 0.65))
        for sign in (-1, 1):
            wing = (side * 0.5 + sign * side * 0.24, low)
            canvas += draw_blob(rng, side, wing, (side * 0.15, side * 0.17), rough=0.15) * np.float32(rng.uniform(0.15, 0.3))
            ring = (side * 0.5 + sign * side * 0.1, low + side * 0.26)
            canvas += draw_blob(rng, side, ring, (side * 0.12, side * 0.1), rough=0.1) * np.float32(0.15)
            canvas -= draw_blob(rng, side, ring, (side * 0.06, side * 0.05), rough=0.1) * np.float32(0.2)
            hip = (side * 0.5 + sign * side * 0.3, low + side * 0.2)
            canvas += draw_blob(rng, side, hip, (side * 0.06, side * 0.06), rough=0.03) * np.float32(0.3)
            canvas += draw_bone(rng, side, hip, (hip[0] + sign * side * 0.06, side * 1.1), side * 0.05) * np.float32(0.25)
    return canvas


def draw_section(rng: np.random.Generator, side: int) -> Canvas:
    """An axial section: body on black, bright ring or none, two dark lungs or none, vertebra, organs, table."""
    canvas = np.zeros((side, side), dtype=np.float32)
    centre = (side * float(rng.uniform(0.45, 0.55)), side * float(rng.uniform(0.42, 0.55)))
    radii = (side * float(rng.uniform(0.22, 0.48)), side * float(rng.uniform(0.2, 0.4)))
    body = draw_blob(rng, side, centre, radii, rough=0.02)
    canvas += body * np.float32(rng.uniform(0.4, 0.6))
    if rng.random() < 0.5:
        canvas += (body - draw_blob(rng, side, centre, (radii[0] * 0.9, radii[1] * 0.88), rough=0.02)) * np.float32(
            rng.uniform(-0.3, 0.4)
        )
    if rng.random() < 0.5:
        for sign in (-1, 1):
            lung = (centre[0] + sign * radii[0] * 0.45, centre[1] - radii[1] * 0.05)
            size = (radii[0] * float(rng.uniform(0.25, 0.38)), radii[1] * float(rng.uniform(0.45, 0.75)))
            canvas -= draw_blob(rng, side, lung, size, rough=0.1) * np.float32(rng.uniform(0.3, 0.5))
    for _ in range(int(rng.integers(2, 9))):
        organ = (centre[0] + float(rng.normal(0, radii[0] * 0.4)), centre[1] + float(rng.normal(0, radii[1] * 0.4)))
        size = (radii[0] * float(rng.uniform(0.05, 0.4)), radii[1] * float(rng.uniform(0.05, 0.4)))
        canvas += draw_blob(rng, side, organ, size, rough=0.15) * body * np.float32(rng.uniform(-0.2, 0.25))
    spine = (centre[0], centre[1] + radii[1] * 0.6)
    canvas += draw_blob(rng, side, spine, (radii[0] * 0.14, radii[1] * 0.16), rough=0.15) * np.float32(rng.uniform(0.1, 0.45))
    if rng.random() < 0.5:
        table = side * float(rng.uniform(0.85, 0.95))
        canvas += draw_rod(side, (side * 0.1, table), (side * 0.9, table), width=side * 0.01) * np.float32(0.3)
    return np.clip(canvas, 0, None)


def draw_fan(rng: np.random.Generator, side: int) -> Canvas:
    """A sector of speckle, as ultrasound shows."""
    y, x = pixel_grid(side)
    apex = (side * float(rng.uniform(0.4, 0.6)), side * float(rng.uniform(-0.2, 0.1)))
    distance, angle = np.hypot(x - apex[0], y - apex[1]), np.arctan2(x - apex[0], y - apex[1])
    near, far = side * rng.uniform(0.05, 0.25), side * rng.uniform(0.7, 1.1)
    sector = (np.abs(angle) < rng.uniform(0.4, 0.9)) & (distance > near) & (distance < far)
    speckle = rng.rayleigh(0.3, (side, side)) * np.exp(draw_clouds(rng, side, side * 0.15) * 0.6)
    return np.where(sector, speckle, 0).astype(np.float32)


def draw_lateral_chest(rng: np.random.Generator, side: int) -> Canvas:
    """A sketch of a lateral chest film: one lung field before the spine, arms above, domes below; facing either way."""
    canvas: Canvas = draw_empty(rng, side)
    centre, half = side * rng.uniform(0.44, 0.56), side * rng.uniform(0.26, 0.42)
    body = draw_blob(rng, side, (centre, side * 0.5), (half, side * rng.uniform(0.55, 0.75)), rough=0.06)
    canvas += body * np.float32(rng.uniform(0.45, 0.7))
    canvas += draw_blob(rng, side, (centre, side * 0.02), (half * 0.9, side * 0.16), rough=0.2) * np.float32(0.3)
    lung_centre = (centre + half * rng.uniform(-0.15, 0.05), side * rng.uniform(0.42, 0.52))
    lung = draw_blob(rng, side, lung_centre, (half * rng.uniform(0.6, 0.8), side * rng.uniform(0.28, 0.38)), rough=0.12)
    canvas -= lung * np.float32(rng.uniform(0.2, 0.45))
    heart = (centre - half * rng.uniform(0.15, 0.4), side * rng.uniform(0.55, 0.65))
    canvas += draw_blob(
        rng, side, heart, (half * rng.uniform(0.28, 0.42), side * rng.uniform(0.12, 0.2)), rough=0.08
    ) * np.float32(0.25)
    dome = (centre, side * rng.uniform(0.9, 1.0))
    canvas += draw_blob(rng, side, dome, (half * 1.1, side * rng.uniform(0.16, 0.26)), rough=0.05) * np.float32(0.3)
    spine_x, bend = centre + half * rng.uniform(0.5, 0.75), side * rng.uniform(-0.06, 0.06)
    step = side * rng.uniform(0.05, 0.08)
    for y in np.arange(0, side, step):
        x = spine_x + bend * np.sin(np.pi * y / side)
        size = (step * rng.uniform(0.55, 0.75), step * 0.36)
        canvas += draw_blob(rng, side, (x, float(y)), size, rough=0.02) * np.float32(rng.uniform(0.12, 0.3))
    for _ in range(int(rng.integers(4, 9))):
        y = side * rng.uniform(0.15, 0.75)
        ends = ((spine_x, y), (centre - half * 0.8, y + side * rng.uniform(0.1, 0.3)))
        canvas += draw_rod(side, *ends, width=side * 0.012) * np.float32(rng.uniform(0.03, 0.1))
    return canvas[:, ::-1] if rng.random() < 0.5 else canvas
