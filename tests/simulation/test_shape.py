import numpy as np
import pytest

from xraynet.simulation.film import SimulationConfig, simulate_array
from xraynet.simulation.grey import GreyRange
from xraynet.simulation.nodule import SimulatedNodule
from xraynet.simulation.shadow import add_nodule, render_shadow
from xraynet.simulation.shape import NoduleShape, cut_shape, warp_shape

ROWS, COLUMNS = np.mgrid[:120, :140].astype(np.float32)


def slope() -> np.ndarray:
    """A background that rises towards the right and falls downwards."""
    return (0.2 + 0.003 * COLUMNS - 0.001 * ROWS).astype(np.float32)


def ball(x: float, y: float, radius: float) -> np.ndarray:
    distance = np.hypot(COLUMNS + 0.5 - x, ROWS + 0.5 - y) / radius
    return np.sqrt(np.maximum(0, 1 - distance**2)).astype(np.float32)


def box_around(x: float, y: float, radius: float) -> np.ndarray:
    return np.array([x - radius, y - radius, x + radius, y + radius], dtype=np.float32)


def test_a_nodule_is_cut_out_without_the_slope_it_lies_on() -> None:
    film = slope() + 0.3 * ball(60.5, 50.5, 10)
    shape = cut_shape(film, box_around(60.5, 50.5, 10))
    assert shape is not None
    assert shape.side_px == 20
    assert shape.centre == (len(shape.shadow) / 2, len(shape.shadow) / 2)
    side = len(shape.shadow)
    rows, columns = (np.arange(side) + 0.5 - side / 2 for _ in range(2))
    expected = np.sqrt(np.maximum(0, 1 - (np.hypot(rows[:, None], columns[None]) / 10) ** 2))
    assert np.abs(shape.shadow - expected)[expected > 0.5].max() < 0.12
    assert shape.shadow[expected == 0].max() < 0.1
    assert not shape.shadow[0].any()


def test_nothing_is_cut_where_nothing_stands_out_or_the_film_ends() -> None:
    assert cut_shape(slope(), box_around(60, 50, 10)) is None
    assert cut_shape(slope() + 0.3 * ball(8, 50, 7), box_around(8, 50, 7)) is None
    # What stands out lies beside the box's middle: another thing's edge.
    assert cut_shape(slope() + 0.3 * ball(71, 50, 4), box_around(60, 50, 10)) is None


def test_a_shape_comes_to_its_size_and_place_and_turns() -> None:
    patch = np.zeros((41, 41), np.float32)
    patch[15:26, 10:31] = 1.0  # lies flat, 21 wide and 11 high
    shape = NoduleShape(shadow=patch, side_px=21.0, centre=(20.5, 20.5))
    asked = {"diameter_px": (42.0, 42.0), "mirrored": False, "top": 0, "left": 0, "size": (100, 120)}
    flat = warp_shape(shape, centre=(60.0, 50.0), angle=0.0, **asked) > 0.5
    rows, columns = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
    assert (len(rows), len(columns)) == pytest.approx((22, 42), abs=2)
    assert ((rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2) == pytest.approx((49.5, 59.5), abs=1)
    upright = warp_shape(shape, centre=(60.0, 50.0), angle=np.pi / 2, **asked) > 0.5
    assert np.flatnonzero(upright.any(axis=1)).size == pytest.approx(42, abs=2)


def test_a_mirrored_shape_is_the_mirror_image() -> None:
    patch = np.zeros((21, 21), np.float32)
    patch[8:13, 10:16] = 1.0
    asked = {"centre": (30.0, 30.0), "diameter_px": (20.0, 20.0), "angle": 0.0, "top": 0, "left": 0, "size": (60, 60)}
    one = warp_shape(NoduleShape(patch, 10.0, (10.5, 10.5)), mirrored=False, **asked)
    other = warp_shape(NoduleShape(patch, 10.0, (10.5, 10.5)), mirrored=True, **asked)
    np.testing.assert_allclose(other, one[:, ::-1], atol=1e-5)
    assert one[:, 31:].sum() > 2 * one[:, :29].sum()


def test_a_real_shape_is_round_in_millimetres_and_added_where_it_belongs() -> None:
    shape = cut_shape(slope() + 0.3 * ball(60, 50, 10), box_around(60, 50, 10))
    nodule = SimulatedNodule(centre=(70.0, 60.0), diameter_mm=30.0, contrast=0.5, angle=0.3, shape=0)
    cast = render_shadow(nodule, spacing_mm=(1.0, 2.0), shapes=[shape])
    x1, y1, x2, y2 = cast.box()
    assert (x2 - x1) * 2.0 == pytest.approx(y2 - y1, rel=0.1)
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((70.0, 60.0), abs=0.7)
    film = slope()
    before = film.copy()
    add_nodule(film, nodule, spacing_mm=(1.0, 2.0), grey=GreyRange(lung=0.2, dense=0.8), shapes=[shape])
    assert film[60, 70] - before[60, 70] == pytest.approx(0.3, rel=0.15)
    np.testing.assert_array_equal(film[:20], before[:20])


def test_shapes_are_taken_as_often_as_asked_and_change_no_seed_where_not_asked() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.normal(0.3, 0.02, (240, 240)).astype(np.float32)
    lungs = np.zeros((240, 240), dtype=np.bool_)
    lungs[30:210, 30:110] = lungs[30:210, 130:210] = True
    pixels[~lungs] += 0.5
    shapes = [NoduleShape(np.ones((9, 9), np.float32), 5.0, (4.5, 4.5))]

    def draw(share: float, given: list[NoduleShape], seed: int) -> tuple[SimulatedNodule, ...]:
        config = SimulationConfig(real_shapes_share=share)
        drawn = simulate_array(
            pixels, lung_mask=lungs, mm_per_pixel=1.2, rng=np.random.default_rng(seed), config=config, shapes=given
        )
        return drawn.nodules

    assert draw(0.0, shapes, 3) == draw(1.0, [], 3) == draw(0.0, [], 3)
    assert all(nodule.shape == 0 for seed in range(5) for nodule in draw(1.0, shapes, seed))
    some = [nodule.shape for seed in range(30) for nodule in draw(0.5, shapes, seed)]
    assert 0.3 < np.mean([shape is not None for shape in some]) < 0.7
