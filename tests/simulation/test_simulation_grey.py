import numpy as np
import pytest

from xraynet.geometry import empty_boxes
from xraynet.simulation.grey import GreyRange, contrast_to_noise, inside_share, lung_side_px, measure_grey_range


def test_grey_range_lies_between_lung_and_mediastinum() -> None:
    film, lungs = np.full((100, 100), 0.9, dtype=np.float32), np.zeros((100, 100), dtype=bool)
    lungs[20:80, 20:40] = lungs[20:80, 60:80] = True
    film[lungs] = 0.2
    grey = measure_grey_range(film, lungs)
    assert (grey.lung, grey.dense, grey.width) == pytest.approx((0.2, 0.9, 0.7))


def test_grey_range_moves_with_the_film() -> None:
    film, lungs = np.random.default_rng(0).random((64, 64), dtype=np.float32), np.zeros((64, 64), dtype=bool)
    lungs[10:50, 10:25] = lungs[10:50, 40:55] = True
    film[lungs] *= 0.3
    here, there = measure_grey_range(film, lungs), measure_grey_range(film * 2 + np.float32(1), lungs)
    assert (there.lung, there.dense) == pytest.approx((2 * here.lung + 1, 2 * here.dense + 1), rel=1e-5)


@pytest.mark.parametrize("lungs", [np.zeros((50, 50), dtype=bool), np.ones((50, 50), dtype=bool)])
def test_grey_range_stands_without_a_usable_mask(lungs: np.ndarray) -> None:
    film = np.random.default_rng(0).random((50, 50), dtype=np.float32)
    assert measure_grey_range(film, lungs).width > 0.1


def test_grey_range_of_a_white_lung_or_a_blank_film_is_not_turned_round() -> None:
    film, lungs = np.zeros((50, 50), dtype=np.float32), np.zeros((50, 50), dtype=bool)
    lungs[10:40, 10:20] = lungs[10:40, 30:40] = True
    assert measure_grey_range(film, lungs).width > 0
    film[lungs] = 1.0
    assert measure_grey_range(film, lungs).width >= 0.2


def test_a_range_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ValueError, match="dense must be above lung"):
        GreyRange(lung=0.5, dense=0.5)


def test_contrast_to_noise_of_a_square_step_in_noise() -> None:
    film = np.random.default_rng(0).normal(scale=0.1, size=(200, 200)).astype(np.float32)
    rows, columns = np.mgrid[:200, :200] + 0.5
    film[np.hypot(rows - 100, columns - 100) <= 20] += 0.5
    ratio = contrast_to_noise(film, np.array([80, 80, 120, 120], dtype=np.float32))
    assert ratio == pytest.approx(5.0, abs=0.3)


def test_contrast_to_noise_is_undefined_without_a_ring() -> None:
    box = np.array([2, 2, 6, 6], dtype=np.float32)
    assert contrast_to_noise(np.ones((20, 20), dtype=np.float32), box) is None
    film = np.random.default_rng(0).random((20, 20), dtype=np.float32)
    assert contrast_to_noise(film, box + np.float32(100)) is None
    assert contrast_to_noise(film, np.array([5, 5, 5, 9], dtype=np.float32)) is None
    assert contrast_to_noise(film[:4, :4], np.array([0, 0, 4, 4], dtype=np.float32)) is None


def test_lung_side_is_the_mean_of_width_and_height() -> None:
    lungs = np.zeros((50, 50), dtype=bool)
    assert lung_side_px(lungs) is None
    lungs[10:30, 5:10] = lungs[10:30, 40:50] = True
    assert lung_side_px(lungs) == pytest.approx((20 * 45) ** 0.5)


def test_inside_share_counts_pixels_and_knows_no_boxes() -> None:
    region = np.zeros((10, 10), dtype=bool)
    region[:, :5] = True
    boxes = np.array([[0, 0, 5, 5], [0, 0, 10, 10], [8, 8, 9, 9], [20, 20, 30, 30]], dtype=np.float32)
    assert inside_share(boxes, region).tolist() == pytest.approx([1.0, 0.5, 0.0, 0.0])
    assert inside_share(empty_boxes(), region).shape == (0,)
