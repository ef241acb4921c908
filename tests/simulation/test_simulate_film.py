import time

import numpy as np
import pytest

from xraynet.findings import LabelState
from xraynet.radiograph import PixelSpacing, Radiograph
from xraynet.settings import config_to_dict, structure_config
from xraynet.simulation import (
    DistractorConfig,
    NoduleConfig,
    SimulatedNodule,
    SimulationConfig,
    contrast_to_noise,
    simulate_array,
    simulate_film,
)

CLEAN = SimulationConfig(distractor=DistractorConfig(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))


@pytest.fixture
def film_and_lungs() -> tuple[np.ndarray, np.ndarray]:
    lungs = np.zeros((530, 440), dtype=bool)
    lungs[80:400, 50:190] = lungs[80:400, 250:390] = True
    film = np.where(lungs, 0.3, 0.75) + 0.02 * np.random.default_rng(0).standard_normal((530, 440))
    return film.astype(np.float32), lungs


def test_as_many_nodules_as_asked_each_with_its_box(film_and_lungs: tuple[np.ndarray, np.ndarray]) -> None:
    film, lungs = film_and_lungs
    before = film.copy()
    drawn = simulate_array(film, lung_mask=lungs, mm_per_pixel=0.8, rng=np.random.default_rng(0), config=CLEAN, num_nodules=3)
    np.testing.assert_array_equal(film, before)
    assert len(drawn.boxes) == len(drawn.nodules) == 3
    assert drawn.distractor_boxes.shape == (0, 4)
    for (x1, y1, x2, y2), nodule in zip(drawn.boxes, drawn.nodules, strict=True):
        assert x1 < nodule.centre[0] < x2
        assert y1 < nodule.centre[1] < y2
    away = np.ones(film.shape, dtype=bool)
    for x1, y1, x2, y2 in drawn.boxes:
        reach = 0.8 * max(x2 - x1, y2 - y1) + 12
        away[max(0, int(y1 - reach)) : int(y2 + reach), max(0, int(x1 - reach)) : int(x2 + reach)] = False
    np.testing.assert_array_equal(drawn.pixels[away], film[away])


def test_none_asked_none_drawn(film_and_lungs: tuple[np.ndarray, np.ndarray]) -> None:
    film, lungs = film_and_lungs
    rng = np.random.default_rng(0)
    drawn = simulate_array(film, lung_mask=lungs, mm_per_pixel=0.8, rng=rng, config=CLEAN, num_nodules=0)
    assert drawn.boxes.shape == (0, 4)
    np.testing.assert_array_equal(drawn.pixels, film)


def test_same_seed_same_film_other_seed_other_film(film_and_lungs: tuple[np.ndarray, np.ndarray]) -> None:
    film, lungs = film_and_lungs
    config = SimulationConfig(distractor=DistractorConfig(*(0.9,) * 7))
    first, second, other = (
        simulate_array(film, lung_mask=lungs, mm_per_pixel=0.8, rng=np.random.default_rng(seed), config=config)
        for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(first.boxes, second.boxes)
    assert first.nodules == second.nodules
    assert len(first.distractor_boxes) > 3
    assert not np.array_equal(first.pixels, other.pixels)


def test_a_film_without_lungs_gets_no_nodule() -> None:
    film = np.random.default_rng(0).random((100, 100), dtype=np.float32)
    nothing = np.zeros((100, 100), dtype=bool)
    drawn = simulate_array(film, lung_mask=nothing, mm_per_pixel=2.0, rng=np.random.default_rng(0), config=CLEAN)
    assert drawn.boxes.shape == (0, 4)


def test_no_nodule_lies_on_the_collimated_border() -> None:
    film, lungs = np.full((200, 200), 0.5, np.float32), np.zeros((200, 200), dtype=bool)
    lungs[40:160, 30:90] = lungs[40:160, 110:170] = True
    film[lungs] = 0.3
    film[:, :60] = -3.0
    for seed in range(20):
        drawn = simulate_array(film, lung_mask=lungs, mm_per_pixel=1.6, rng=np.random.default_rng(seed), config=CLEAN)
        assert all(nodule.centre[0] >= 60 for nodule in drawn.nodules)


def test_most_nodules_can_be_seen(film_and_lungs: tuple[np.ndarray, np.ndarray]) -> None:
    film, lungs = film_and_lungs
    config = SimulationConfig(distractor=CLEAN.distractor, hidden_share=0.0)
    ratios = []
    for seed in range(60):
        drawn = simulate_array(
            film, lung_mask=lungs, mm_per_pixel=0.8, rng=np.random.default_rng(seed), config=config, num_nodules=1
        )
        ratios += [contrast_to_noise(drawn.pixels, box) or 0.0 for box in drawn.boxes]
    assert np.median(ratios) > 1.0


@pytest.mark.untyped
def test_a_training_film_takes_less_than_ten_milliseconds(film_and_lungs: tuple[np.ndarray, np.ndarray]) -> None:
    film, lungs = film_and_lungs
    rng, config, spent = np.random.default_rng(0), SimulationConfig(), []
    for _ in range(40):
        start = time.process_time()
        simulate_array(film, lung_mask=lungs, mm_per_pixel=0.8, rng=rng, config=config)
        spent.append(time.process_time() - start)
    # The median leaves other work on this machine out.
    assert np.median(spent) < 0.010


def test_stored_film_with_spacing_states_diameters(film_and_lungs: tuple[np.ndarray, np.ndarray]) -> None:
    film, lungs = film_and_lungs
    radiograph = Radiograph(pixels=np.clip(film, 0, 1), spacing=PixelSpacing(row_mm=0.7, column_mm=0.9), path="a.png")
    drawn, annotations = simulate_film(radiograph, lung_mask=lungs, rng=np.random.default_rng(0), config=CLEAN, num_nodules=2)
    assert drawn.path == "a.png"
    assert annotations.state is LabelState.BOXED
    assert annotations.readers == ("simulated", "simulated")
    x1, y1, x2, y2 = annotations.boxes[0]
    assert annotations.diameter_mm[0] == pytest.approx(max((x2 - x1) * 0.9, (y2 - y1) * 0.7), rel=1e-5)
    assert 0 <= drawn.pixels.min()
    assert drawn.pixels.max() <= 1


def test_stored_film_without_spacing_takes_its_scale_from_the_lungs(film_and_lungs: tuple[np.ndarray, np.ndarray]) -> None:
    film, lungs = film_and_lungs
    radiograph = Radiograph(pixels=np.clip(film, 0, 1))
    nodule = SimulatedNodule(centre=(100.0, 200.0), diameter_mm=20.0, contrast=0.4, edge_power=0.5)
    drawn, annotations = simulate_film(radiograph, lung_mask=lungs, rng=np.random.default_rng(0), nodules=[nodule])
    assert annotations.diameter_mm == (None,)
    lung_side = (320 * 340) ** 0.5
    assert annotations.boxes[0, 2] - annotations.boxes[0, 0] == pytest.approx(20.0 * lung_side / 272.0, rel=0.07)
    assert not np.array_equal(drawn.pixels, radiograph.pixels)


def test_an_empty_list_of_nodules_leaves_the_film_as_it_is(film_and_lungs: tuple[np.ndarray, np.ndarray]) -> None:
    film, lungs = film_and_lungs
    radiograph = Radiograph(pixels=np.clip(film, 0, 1))
    drawn, annotations = simulate_film(radiograph, lung_mask=lungs, rng=np.random.default_rng(0), nodules=[])
    np.testing.assert_array_equal(drawn.pixels, radiograph.pixels)
    assert annotations.state is LabelState.FREE


def test_a_film_without_spacing_and_lungs_still_takes_given_nodules() -> None:
    radiograph = Radiograph(pixels=np.full((100, 100), 0.5, np.float32))
    nodule = SimulatedNodule(centre=(50.0, 50.0), diameter_mm=35.0, contrast=0.4, edge_power=0.5)
    none = np.zeros((100, 100), dtype=bool)
    _, annotations = simulate_film(radiograph, lung_mask=none, rng=np.random.default_rng(0), nodules=[nodule])
    assert annotations.boxes[0, 2] - annotations.boxes[0, 0] == pytest.approx(10.0, rel=0.1)


def test_config_survives_its_way_through_tables() -> None:
    config = SimulationConfig(nodule=NoduleConfig(median_diameter_mm=12.0), hidden_share=0.3)
    assert structure_config(config_to_dict(config), SimulationConfig, where="test") == config


def test_impossible_configs_are_refused() -> None:
    with pytest.raises(ValueError, match="num_nodules_weights"):
        SimulationConfig(num_nodules_weights=())
    with pytest.raises(ValueError, match="hidden_share"):
        SimulationConfig(hidden_share=1.2)
