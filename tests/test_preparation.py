"""One road from a film to the network: isotropic, at a known scale, robust in grey."""

import cv2
import numpy as np
import pytest

from xraynet.preparation import GreyConfig, PreparationConfig, choose_scales, measure_grey, prepare_film, prepare_thumbnail
from xraynet.radiograph import PixelSpacing, Radiograph

SQUEEZED = PixelSpacing(0.34, 0.41)


def disc_in_mm(spacing: PixelSpacing, *, size: tuple[int, int], diameter_mm: float) -> np.ndarray:
    rows, columns = np.indices(size).astype(np.float32) + np.float32(0.5)
    y_mm, x_mm = (rows - size[0] / 2) * spacing.row_mm, (columns - size[1] / 2) * spacing.column_mm
    return (np.hypot(y_mm, x_mm) <= diameter_mm / 2).astype(np.float32)


def test_a_circle_in_millimetres_stays_a_circle() -> None:
    pixels = disc_in_mm(SQUEEZED, size=(1024, 1024), diameter_mm=60)
    film = prepare_film(Radiograph(pixels=pixels, spacing=SQUEEZED), PreparationConfig(mm_per_pixel=0.5))
    seen = (film.pixels > 0.5).astype(np.uint8)
    _, _, width, height = cv2.boundingRect(seen)
    assert film.scale_source == "spacing"
    assert width == pytest.approx(120, abs=1) and height == pytest.approx(120, abs=1)


def test_the_same_lungs_without_a_spacing_come_to_the_same_size() -> None:
    config = PreparationConfig()
    lung_box = np.array([[200, 100, 800, 700]], dtype=np.float32)
    for factor in (1, 2):
        film = Radiograph(pixels=np.zeros((1000 * factor, 1000 * factor), np.float32))
        scale_y, scale_x, source = choose_scales(film, config, lung_box=lung_box * factor)
        assert source == "lungs" and scale_y == scale_x
        assert scale_y * 600 * factor == pytest.approx(config.lung_side_px)


def test_without_spacing_and_lungs_the_film_sets_the_scale() -> None:
    film = Radiograph(pixels=np.zeros((224, 112), np.float32))
    prepared = prepare_film(film, PreparationConfig(film_long_side_px=448), lung_box=np.zeros((0, 4), np.float32))
    assert prepared.scale_source == "film"
    assert prepared.letterbox.resized_size == (448, 224)


def test_a_frame_side_never_exceeds_the_largest() -> None:
    film = Radiograph(pixels=np.zeros((500, 400), np.float32), spacing=PixelSpacing(10, 10))
    prepared = prepare_film(film, PreparationConfig(largest_side_px=512))
    assert prepared.letterbox.resized_size == (512, 410)
    assert prepared.letterbox.net_size == (512, 416)


def test_padding_does_not_move_the_grey_scale() -> None:
    pixels = np.linspace(0.4, 0.6, 10_000, dtype=np.float32).reshape(100, 100)
    padding = np.zeros((100, 100), dtype=bool)
    padding[:, :30] = True
    with_border = np.where(padding, np.float32(0), pixels)
    low, high = measure_grey(with_border, padding=padding, config=GreyConfig())
    assert low == pytest.approx(0.4, abs=0.01) and high == pytest.approx(0.6, abs=0.01)
    assert measure_grey(pixels, padding=np.ones_like(padding), config=GreyConfig()) == (0.0, 1.0)


def test_a_film_of_one_value_becomes_zero_not_nan() -> None:
    prepared = prepare_film(Radiograph(pixels=np.full((64, 64), 0.7, np.float32)), PreparationConfig())
    assert prepared.pixels.max() == 0 and np.isfinite(prepared.pixels).all()


def test_a_linear_change_of_grey_does_not_reach_the_network() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.random((256, 256)).astype(np.float32)
    one = prepare_film(Radiograph(pixels=pixels), PreparationConfig()).pixels
    other = prepare_film(Radiograph(pixels=(pixels * 0.25 + 0.5).astype(np.float32)), PreparationConfig()).pixels
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_thumbnails_hold_the_whole_film_isotropic_and_centred() -> None:
    film = Radiograph(pixels=np.ones((100, 200), np.float32), spacing=PixelSpacing(1.0, 0.5))
    thumbnail = prepare_thumbnail(film, side_px=64, grey=GreyConfig())
    assert thumbnail.pixels.shape == (64, 64)
    assert thumbnail.letterbox.resized_size == (64, 64)
    wide = prepare_thumbnail(Radiograph(pixels=np.ones((100, 200), np.float32)), side_px=64, grey=GreyConfig())
    assert wide.letterbox.resized_size == (32, 64) and wide.letterbox.offset == (16, 0)


def test_impossible_configurations_are_named() -> None:
    with pytest.raises(ValueError, match="percentiles"):
        GreyConfig(low_percentile=50, high_percentile=50)
    with pytest.raises(ValueError, match="mm_per_pixel"):
        PreparationConfig(mm_per_pixel=0)
    with pytest.raises(ValueError, match="frame sides"):
        PreparationConfig(film_long_side_px=16)
