from typing import get_args

import numpy as np
import pytest

from xraynet.simulation.distractor import DistractorConfig, DistractorKind, draw_distractors
from xraynet.simulation.grey import GreyRange
from xraynet.simulation.scene import DistractorScene, add_disc

KINDS = get_args(DistractorKind)


def only(kind: str) -> DistractorConfig:
    return DistractorConfig(**{name.replace("-", "_"): float(name == kind) for name in KINDS})


@pytest.fixture
def scene() -> DistractorScene:
    lungs = np.zeros((300, 300), dtype=bool)
    lungs[50:250, 40:130] = lungs[50:250, 170:260] = True
    return DistractorScene.of(lungs, spacing_mm=(1.0, 0.8), grey=GreyRange(lung=0.2, dense=0.7))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_near_its_boxes_and_is_repeatable(kind: str, scene: DistractorScene) -> None:
    for seed in range(12):
        film, again = np.full((300, 300), 0.3, np.float32), np.full((300, 300), 0.3, np.float32)
        drawn = draw_distractors(film, np.random.default_rng(seed), scene=scene, config=only(kind))
        assert drawn == draw_distractors(again, np.random.default_rng(seed), scene=scene, config=only(kind))
        np.testing.assert_array_equal(film, again)
        assert {item.kind for item in drawn} <= {kind}
        assert np.isfinite(film).all()
        if kind not in ("electrode", "vessel-end", "rib-crossing", "snap"):
            reach = np.zeros(film.shape, dtype=bool)
            for item in drawn:
                x1, y1, x2, y2 = item.box
                reach[max(0, int(y1) - 6) : max(0, int(y2) + 7), max(0, int(x1) - 6) : max(0, int(x2) + 7)] = True
            assert np.allclose(film[~reach], 0.3, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_survives_a_tiny_film(kind: str) -> None:
    lungs = np.zeros((12, 12), dtype=bool)
    scene = DistractorScene.of(lungs, spacing_mm=(8.0, 8.0), grey=GreyRange(lung=0.2, dense=0.7))
    for seed in range(8):
        film = np.full((12, 12), 0.3, np.float32)
        draw_distractors(film, np.random.default_rng(seed), scene=scene, config=only(kind))
        assert np.isfinite(film).all()


def test_a_snap_is_denser_than_any_nodule_and_its_wire_leads_away(scene: DistractorScene) -> None:
    for seed in range(8):
        film = np.full((300, 300), 0.3, np.float32)
        drawn = draw_distractors(film, np.random.default_rng(seed), scene=scene, config=only("snap"))
        assert drawn
        assert float(film.max()) > 0.35
        outside = np.ones(film.shape, dtype=bool)
        for item in drawn:
            x1, y1, x2, y2 = item.box
            outside[max(0, int(y1) - 2) : max(0, int(y2) + 3), max(0, int(x1) - 2) : max(0, int(x2) + 3)] = False
        assert (film[outside] > 0.3 + 1e-3).any()


def test_snaps_that_are_not_wanted_leave_the_seeds_of_the_others_alone(scene: DistractorScene) -> None:
    # Before there were snaps, the seven other kinds took one number each: what their seeds draw has not changed.
    rng, counted = np.random.default_rng(4), np.random.default_rng(4)
    draw_distractors(np.full((300, 300), 0.3, np.float32), rng, scene=scene, config=only("none"))
    counted.random(7)
    assert rng.random() == counted.random()


def test_nothing_is_drawn_where_every_chance_is_nought(scene: DistractorScene) -> None:
    film = np.full((300, 300), 0.3, np.float32)
    assert draw_distractors(film, np.random.default_rng(0), scene=scene, config=only("none")) == ()
    assert (film == np.float32(0.3)).all()


def test_nipples_come_as_a_pair_at_one_height(scene: DistractorScene) -> None:
    film = np.full((300, 300), 0.3, np.float32)
    left, right = draw_distractors(film, np.random.default_rng(3), scene=scene, config=only("nipples"))
    assert abs(left.box[1] - right.box[1]) < 15
    assert left.box[2] < 150 < right.box[0]
    assert min(left.box[1], right.box[1]) > 150


def test_disc_is_round_in_millimetres_and_sharp(scene: DistractorScene) -> None:
    film = np.zeros((300, 300), np.float32)
    x1, y1, x2, y2 = add_disc(film, (100.0, 100.0), diameter_mm=20.0, rise=1.0, scene=scene)
    assert ((x2 - x1) * 0.8, (y2 - y1) * 1.0) == pytest.approx((20.0, 20.0))
    assert film.max() == 1.0
    assert ((film > 0.01) & (film < 0.99)).sum() < 0.4 * (film > 0.5).sum()


def test_a_chance_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match="chance of line"):
        DistractorConfig(line=1.5)
