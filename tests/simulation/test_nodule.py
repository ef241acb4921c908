from dataclasses import replace

import numpy as np
import pytest

from xraynet.simulation.grey import GreyRange
from xraynet.simulation.nodule import NoduleConfig, SimulatedNodule, draw_diameter, draw_nodule
from xraynet.simulation.shadow import apply_nodule, render_shadow

GREY = GreyRange(lung=0.2, dense=0.8)
BALL = SimulatedNodule(centre=(50.0, 50.0), diameter_mm=20.0, contrast=0.3, edge_power=0.5, blur_mm=0.3)


def plain_film(level: float = 0.3, size: tuple[int, int] = (100, 100)) -> np.ndarray:
    return np.full(size, level, dtype=np.float32)


def test_nodule_is_round_in_millimetres_where_pixels_are_not_square() -> None:
    _, (x1, y1, x2, y2) = apply_nodule(plain_film(), BALL, spacing_mm=(1.0, 0.5), grey=GREY)
    assert (x2 - x1) * 0.5 == pytest.approx(y2 - y1, rel=0.02)
    assert x2 - x1 == pytest.approx(2 * (y2 - y1), rel=0.02)


def test_box_matches_the_visible_extent() -> None:
    drawn, (x1, y1, x2, y2) = apply_nodule(plain_film(), BALL, spacing_mm=(0.5, 0.5), grey=GREY)
    rise = drawn - plain_film()
    seen = rise > 0.3 * rise.max()
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    assert (x1, y1, x2, y2) == pytest.approx((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), abs=0.75)
    assert (x2 - x1) * 0.5 == pytest.approx(20.0, rel=0.07)
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((50.0, 50.0), abs=0.05)


def test_pixels_outside_the_patch_are_untouched_and_the_given_film_is_left_alone() -> None:
    film = np.random.default_rng(0).random((200, 200), dtype=np.float32)
    before = film.copy()
    drawn, box = apply_nodule(film, replace(BALL, centre=(100.0, 60.0)), spacing_mm=(0.8, 0.8), grey=GREY)
    np.testing.assert_array_equal(film, before)
    changed = np.argwhere(drawn != film)
    reach = 12 / 0.8 + 6
    assert np.abs(changed - [60, 100]).max() <= reach
    assert len(changed) > 300
    assert drawn.dtype == box.dtype == np.float32


def test_shadow_is_added_never_blended() -> None:
    noise = np.random.default_rng(1).random((100, 100), dtype=np.float32) * 0.2
    over_dark = apply_nodule(noise, BALL, spacing_mm=(0.8, 0.8), grey=GREY)[0] - noise
    over_bright = apply_nodule(noise + np.float32(0.5), BALL, spacing_mm=(0.8, 0.8), grey=GREY)[0] - (noise + np.float32(0.5))
    np.testing.assert_allclose(over_dark, over_bright, atol=1e-6)
    assert over_dark.max() == pytest.approx(0.3 * GREY.width, rel=0.03)


def test_contrast_falls_towards_the_edge() -> None:
    profile = render_shadow(BALL, spacing_mm=(0.5, 0.5))
    middle = profile.shadow[profile.shadow.shape[0] // 2]
    falling = np.diff(middle[len(middle) // 2 :])
    assert (falling <= 1e-6).all()


def test_overlap_with_dense_parts_weakens_the_nodule() -> None:
    lossy = replace(BALL, overlap_loss=0.6)
    over_lung = apply_nodule(plain_film(0.2), lossy, spacing_mm=(0.8, 0.8), grey=GREY)[0] - np.float32(0.2)
    over_heart = apply_nodule(plain_film(0.8), lossy, spacing_mm=(0.8, 0.8), grey=GREY)[0] - np.float32(0.8)
    assert over_heart.max() == pytest.approx(0.4 * over_lung.max(), rel=0.02)


def test_contrast_follows_the_films_own_grey_scale() -> None:
    narrow = GreyRange(lung=0.2, dense=0.5)
    strong = apply_nodule(plain_film(), BALL, spacing_mm=(0.8, 0.8), grey=GREY)[0] - plain_film()
    weak = apply_nodule(plain_film(), BALL, spacing_mm=(0.8, 0.8), grey=narrow)[0] - plain_film()
    np.testing.assert_allclose(weak, 0.5 * strong, atol=1e-6)


def test_grain_follows_the_noise_of_the_surroundings() -> None:
    grainy = replace(BALL, grain=0.5)
    assert np.array_equal(
        apply_nodule(plain_film(), grainy, spacing_mm=(0.8, 0.8), grey=GREY)[0],
        apply_nodule(plain_film(), BALL, spacing_mm=(0.8, 0.8), grey=GREY)[0],
    )
    noisy = plain_film() + np.random.default_rng(2).normal(scale=0.02, size=(100, 100)).astype(np.float32)
    added = (
        apply_nodule(noisy, grainy, spacing_mm=(0.8, 0.8), grey=GREY)[0]
        - apply_nodule(noisy, BALL, spacing_mm=(0.8, 0.8), grey=GREY)[0]
    )
    assert 0.002 < added[45:55, 45:55].std() < 0.02


@pytest.mark.parametrize("centre", [(0.0, 0.0), (99.5, 50.0), (-40.0, 50.0), (300.0, 300.0)])
def test_nodule_at_or_beyond_the_border_is_cut_not_refused(centre: tuple[float, float]) -> None:
    drawn, box = apply_nodule(plain_film(), replace(BALL, centre=centre, grain=0.3), spacing_mm=(0.8, 0.8), grey=GREY)
    assert drawn.shape == (100, 100)
    assert np.isfinite(drawn).all()
    assert (box[0] + box[2]) / 2 == pytest.approx(centre[0], abs=0.1)


def test_same_generator_state_draws_the_same_nodule() -> None:
    first, second = (draw_nodule(np.random.default_rng(5), centre=(9.0, 9.0), config=NoduleConfig()) for _ in range(2))
    assert first == second
    assert first != draw_nodule(np.random.default_rng(6), centre=(9.0, 9.0), config=NoduleConfig())


def test_same_nodule_casts_the_same_shadow_wherever_it_lies() -> None:
    nodule = draw_nodule(np.random.default_rng(3), centre=(40.0, 40.0), config=NoduleConfig(), diameter_mm=15.0)
    here = render_shadow(nodule, spacing_mm=(0.8, 0.8))
    there = render_shadow(replace(nodule, centre=(70.0, 55.0)), spacing_mm=(0.8, 0.8))
    np.testing.assert_allclose(here.shadow, there.shadow, atol=1e-5)
    assert (there.left - here.left, there.top - here.top) == (30, 15)


def test_every_kind_has_a_positive_shadow_of_about_its_diameter() -> None:
    rng = np.random.default_rng(11)
    kinds, ratios = set(), []
    for _ in range(300):
        nodule = draw_nodule(rng, centre=(100.0, 100.0), config=NoduleConfig())
        cast = render_shadow(nodule, spacing_mm=(0.7, 0.7))
        x1, y1, x2, y2 = cast.box()
        kinds.add(nodule.kind)
        ratios.append(max(x2 - x1, y2 - y1) * 0.7 / nodule.diameter_mm)
        assert cast.shadow.min() > -0.05
        assert 0.3 < cast.shadow.max() < 2.0
        assert cast.shadow[[0, -1]].max() < 0.02
        assert cast.shadow[:, [0, -1]].max() < 0.02
    assert kinds == {"solid", "part-solid", "ground-glass", "calcified", "cavity"}
    assert 0.85 < float(np.median(ratios)) < 1.2
    assert 0.4 < min(ratios)
    assert max(ratios) < 1.9


def test_diameters_keep_to_their_limits_and_peak_where_asked() -> None:
    rng, config = np.random.default_rng(0), NoduleConfig()
    diameters = np.array([draw_diameter(rng, config=config) for _ in range(2000)])
    assert 4.0 <= diameters.min()
    assert diameters.max() <= 50.0
    assert 0.6 < np.mean((diameters >= 8) & (diameters <= 25)) < 0.9


def test_a_diameter_that_cannot_be_drawn_falls_back_to_the_median() -> None:
    narrow = NoduleConfig(
        median_diameter_mm=10.0, smallest_diameter_mm=9.999999, largest_diameter_mm=10.0, diameter_log_spread=5.0
    )
    assert draw_diameter(np.random.default_rng(0), config=narrow) == pytest.approx(10.0)


def test_a_thicker_nodule_is_denser() -> None:
    rng = np.random.default_rng(4)
    config = NoduleConfig(kind_weights=(1, 0, 0, 0, 0))
    small, large = (
        np.median([draw_nodule(rng, centre=(0.0, 0.0), config=config, diameter_mm=size).contrast for _ in range(200)])
        for size in (6.0, 18.0)
    )
    assert large == pytest.approx(3 * small, rel=0.15)


def test_spicules_are_seen_but_not_boxed() -> None:
    spiculated = replace(BALL, spicules=tuple((angle, 0.4, 0.3) for angle in (0.3, 1.9, 3.5, 5.1)))
    plain, with_spicules = render_shadow(BALL, spacing_mm=(0.5, 0.5)), render_shadow(spiculated, spacing_mm=(0.5, 0.5))
    np.testing.assert_allclose(with_spicules.box(), plain.box(), atol=0.05)
    assert with_spicules.shadow.sum() > 1.05 * plain.shadow.sum()


def test_a_cavity_is_fainter_in_its_middle() -> None:
    cavity = render_shadow(replace(BALL, core=(-0.7, 0.6)), spacing_mm=(0.5, 0.5)).shadow
    middle = cavity[cavity.shape[0] // 2]
    assert middle[len(middle) // 2] < 0.6 * middle.max()


def test_a_calcified_core_stands_out() -> None:
    core = render_shadow(replace(BALL, core=(0.6, 0.5)), spacing_mm=(0.5, 0.5)).shadow
    ball = render_shadow(BALL, spacing_mm=(0.5, 0.5)).shadow
    middle = core.shape[0] // 2
    assert core[middle, middle] == pytest.approx(ball[middle, middle], rel=0.03)
    assert core.sum() < 0.75 * ball.sum()


def test_impossible_nodules_and_configs_are_refused() -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        SimulatedNodule(centre=(0.0, 0.0), diameter_mm=0.0, contrast=0.1)
    with pytest.raises(ValueError, match="finite"):
        SimulatedNodule(centre=(0.0, float("nan")), diameter_mm=5.0, contrast=0.1)
    with pytest.raises(ValueError, match="smallest <= median"):
        NoduleConfig(smallest_diameter_mm=30.0)
    with pytest.raises(ValueError, match="kind_weights"):
        NoduleConfig(kind_weights=(0.0, 0.0, 0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="overlap_loss"):
        NoduleConfig(overlap_loss=1.5)
