import os
import pickle
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from xraynet.samples import augment
from xraynet.samples.augment import AugmentConfig, GreyAugmenter
from xraynet.samples.tone import (
    ToneCurve,
    draw_detail_change,
    draw_exposure_field,
    draw_grain,
    draw_tone_curve,
)

ALL = AugmentConfig(tone_rate=1, exposure_rate=1, processing_rate=1, coarse_rate=1, blur_rate=1, grain_rate=1, jpeg_rate=1)


@pytest.fixture(scope="module")
def film() -> np.ndarray:
    rows, columns = np.mgrid[:96, :80] / 80
    return (0.5 + 0.5 * np.sin(5 * rows) * np.cos(4 * columns)).astype(np.float32)


def test_the_same_seed_gives_the_same_film_and_says_what_it_did(film: np.ndarray) -> None:
    augmenter = GreyAugmenter(ALL, headroom=0.25)
    first, done = augmenter.apply(film, seed=5)
    augmenter.apply(film, seed=6)
    again, done_again = augmenter.apply(film, seed=5)
    np.testing.assert_array_equal(first, again)
    assert done == done_again
    assert done.seed == 5
    assert len(done.changes) == 7
    assert "gamma" in dict(done.changes)["_Tone"]


def test_the_film_stays_float32_in_its_range_and_is_left_alone_itself(film: np.ndarray) -> None:
    before = film.copy()
    for seed in range(30):
        changed, _ = GreyAugmenter(ALL, headroom=0.25).apply(film * 3 - 1, seed=seed)
        assert changed.dtype == np.float32
        assert changed.shape == film.shape
        assert changed.min() >= -0.2501
        assert changed.max() <= 1.2501
    np.testing.assert_array_equal(film, before)


def test_different_seeds_give_different_films(film: np.ndarray) -> None:
    augmenter = GreyAugmenter(AugmentConfig(), headroom=0.25)
    changes = {augmenter.apply(film, seed=seed)[1].changes for seed in range(200)}
    assert len(changes) > 195


def test_no_change_is_no_change(film: np.ndarray) -> None:
    same, done = GreyAugmenter(AugmentConfig.none(), headroom=0.25).apply(film, seed=1)
    np.testing.assert_allclose(same, film, atol=1e-6)
    assert done.changes == ()


def test_an_augmenter_sent_elsewhere_does_the_same(film: np.ndarray) -> None:
    augmenter = GreyAugmenter(ALL, headroom=0.25)
    received = pickle.loads(pickle.dumps(augmenter))  # noqa: S301
    np.testing.assert_array_equal(augmenter.apply(film, seed=9)[0], received.apply(film, seed=9)[0])


def test_two_threads_do_not_draw_each_others_numbers(film: np.ndarray) -> None:
    augmenter = GreyAugmenter(AugmentConfig(), headroom=0.25)
    alone = [augmenter.apply(film, seed=seed)[0] for seed in range(40)]
    together: dict[int, np.ndarray] = {}

    def work(seeds: range) -> None:
        for seed in seeds:
            together[seed] = augmenter.apply(film, seed=seed)[0]

    threads = [Thread(target=work, args=(range(start, 40, 2),)) for start in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(40):
        np.testing.assert_array_equal(together[seed], alone[seed])


def test_a_seed_outside_32_bits_is_refused(film: np.ndarray) -> None:
    with pytest.raises(ValueError, match="0 to 2"):
        GreyAugmenter(AugmentConfig.none(), headroom=0.25).apply(film, seed=2**32)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tone_rate": 1.5},
        {"gamma": 0.5},
        {"contrast": 1.0},
        {"wiggle": 0.2},
        {"coarsest": 0.01},
        {"lowest_jpeg_quality": 99},
    ],
)
def test_impossible_augmentation_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        AugmentConfig(**wrong)


def test_tone_curves_always_rise() -> None:
    config = AugmentConfig()
    levels = np.linspace(-0.25, 1.25, 301)
    for seed in range(200):
        curve = draw_tone_curve(np.random.default_rng(seed), gamma=config.gamma, contrast=0.6, wiggle=0.07, level=config.level)
        assert (np.diff(curve.values(levels)) > -1e-9).all()


def test_a_straight_tone_curve_changes_nothing(film: np.ndarray) -> None:
    straight = ToneCurve(gamma=1, contrast=0, waves=(0, 0, 0), black=0, white=1)
    np.testing.assert_allclose(straight.apply(film, headroom=0.25), film, atol=2e-4)


def test_black_and_white_come_to_lie_where_the_curve_says() -> None:
    curve = ToneCurve(gamma=1.3, contrast=0.3, waves=(0.02, -0.01, 0.03), black=0.1, white=0.8)
    np.testing.assert_allclose(curve.values(np.array([0.0, 1.0])), [0.1, 0.8], atol=1e-9)


def test_grain_of_one_seed_repeats_and_has_its_amount(film: np.ndarray) -> None:
    grain = draw_grain(np.random.default_rng(1), amount=0.02)
    flat = np.full((96, 80), 0.5, dtype=np.float32)
    np.testing.assert_array_equal(grain.apply(flat), grain.apply(flat))
    assert 0.002 < float(grain.apply(flat).std()) < 0.025


def test_coarse_grain_fills_the_film(film: np.ndarray) -> None:
    grains = [draw_grain(np.random.default_rng(seed), amount=0.02) for seed in range(20)]
    assert {grain.size_px == 1.0 for grain in grains} == {True, False}
    assert all(grain.apply(film).shape == film.shape for grain in grains)


def test_exposure_and_processing_keep_the_range(film: np.ndarray) -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        for change in (
            draw_exposure_field(rng, amount=0.1),
            draw_detail_change(rng, sharpening=1.2, local_contrast=0.5),
        ):
            changed = change.apply(film)
            assert changed.dtype == np.float32
            assert 0 <= changed.min() <= changed.max() <= 1


def test_changes_happen_independently_of_each_other(film: np.ndarray) -> None:
    half = AugmentConfig(
        tone_rate=0.5, exposure_rate=0.5, processing_rate=0, blur_rate=0, coarse_rate=0, grain_rate=0.5, jpeg_rate=0
    )
    augmenter = GreyAugmenter(half, headroom=0.25)
    happened = [tuple(sorted(dict(augmenter.apply(film, seed=seed)[1].changes))) for seed in range(160)]
    assert len(set(happened)) == 8
    assert max(happened.count(one) for one in set(happened)) < 40


def test_albumentations_is_imported_in_one_module_only_and_asks_no_internet() -> None:
    package = Path(augment.__file__).parents[1]
    importing = [path.name for path in package.rglob("*.py") if "import albumentations" in path.read_text(encoding="utf-8")]
    assert importing == ["augment.py"]
    assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"
