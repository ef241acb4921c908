from dataclasses import replace

import numpy as np
import pytest

from xraynet.lungs.body_parts import draw_lateral_chest
from xraynet.lungs.config import ViewConfig
from xraynet.lungs.negatives import draw_lateral, draw_not_a_chest
from xraynet.lungs.views import FilmView, TrainingFilm, apply_view, draw_view, make_training_film
from xraynet.preparation import GreyConfig, prepare_thumbnail
from xraynet.radiograph import PixelSpacing, Radiograph

PLAIN = FilmView(seed=0)


def test_the_plain_view_is_what_preparation_shows(chest_films: list[TrainingFilm]) -> None:
    film = chest_films[0]
    shown, mask = apply_view(film, PLAIN, side_px=64)
    prepared = prepare_thumbnail(Radiograph(pixels=film.pixels), side_px=64, grey=GreyConfig())
    assert shown.shape == mask.shape == (64, 64)
    assert np.corrcoef(shown.ravel(), prepared.pixels.ravel())[0, 1] > 0.99


def test_the_mask_moves_with_the_film(chest_films: list[TrainingFilm]) -> None:
    rng = np.random.default_rng(5)
    marked = TrainingFilm(pixels=np.zeros((64, 56), dtype=np.float32), lung_mask=np.zeros((64, 56), dtype=np.float32))
    marked.pixels[20:40, 10:20] = 1
    assert marked.lung_mask is not None
    marked.lung_mask[20:40, 10:20] = 1
    for _ in range(20):
        drawn = draw_view(rng, ViewConfig())
        view = replace(
            PLAIN, angle_degrees=drawn.angle_degrees, stretch=drawn.stretch, cut=drawn.cut, mirrored=True, quarter_turns=1
        )
        shown, mask = apply_view(marked, view, side_px=48)
        assert np.array_equal(shown > 0.5, mask > 0.5)


def test_turns_are_clockwise_and_mirroring_comes_first() -> None:
    corner = np.zeros((32, 32), dtype=np.float32)
    corner[:8, :8] = 1
    film = TrainingFilm(pixels=corner)

    def bright_corner(view: FilmView) -> tuple[bool, bool]:
        shown, _ = apply_view(film, view, side_px=32)
        y, x = np.argwhere(shown > 0.5).mean(axis=0)
        return bool(y < 16), bool(x < 16)

    assert bright_corner(PLAIN) == (True, True)
    assert bright_corner(replace(PLAIN, quarter_turns=1)) == (True, False)
    assert bright_corner(replace(PLAIN, quarter_turns=2)) == (False, False)
    assert bright_corner(replace(PLAIN, quarter_turns=3)) == (False, True)
    assert bright_corner(replace(PLAIN, mirrored=True, quarter_turns=1)) == (False, False)


def test_inversion_leaves_the_padding_beside_the_film_dark(chest_films: list[TrainingFilm]) -> None:
    narrow = TrainingFilm(pixels=np.ascontiguousarray(chest_films[0].pixels[:, 16:48]))
    plain, _ = apply_view(narrow, PLAIN, side_px=32)
    inverted, _ = apply_view(narrow, replace(PLAIN, inverted=True), side_px=32)
    assert plain[16, 0] == inverted[16, 0] == 0
    assert inverted[16, 16] == pytest.approx(1 - plain[16, 16], abs=0.1)


def test_a_white_lung_is_bright_and_still_a_lung(chest_films: list[TrainingFilm]) -> None:
    film = chest_films[1]
    plain, mask = apply_view(film, PLAIN, side_px=64)
    whitened, same = apply_view(film, replace(PLAIN, white=((0, 0.0, 1.0),)), side_px=64)
    assert np.array_equal(mask, same)
    left_half = np.arange(64) < 30
    lung = (mask > 0.9) & left_half[None, :]
    assert whitened[lung].mean() > plain[lung].mean() + 0.2


def test_a_film_without_mask_cannot_have_its_lungs_whitened() -> None:
    film = TrainingFilm(pixels=np.random.default_rng(0).random((32, 32), dtype=np.float32))
    plain, mask = apply_view(film, PLAIN, side_px=32)
    whitened, _ = apply_view(film, replace(PLAIN, white=((1, 0.5, 1.0),)), side_px=32)
    assert np.array_equal(plain, whitened)
    assert not mask.any()


def test_a_view_applied_twice_is_the_same(chest_films: list[TrainingFilm]) -> None:
    rng = np.random.default_rng(1)
    views = [draw_view(rng, ViewConfig()) for _ in range(30)]
    assert len({view.seed for view in views}) == 30
    for view in views:
        first, _ = apply_view(chest_films[2], view, side_px=32)
        again, _ = apply_view(chest_films[2], view, side_px=32)
        assert np.array_equal(first, again)
        assert np.isfinite(first).all()


def test_training_films_are_isotropic_in_millimetres() -> None:
    pixels = np.zeros((100, 100), dtype=np.float32)
    pixels[40:60, 40:60] = 1
    radiograph = Radiograph(pixels=pixels, spacing=PixelSpacing(row_mm=1.0, column_mm=0.5))
    film = make_training_film(radiograph, side_px=64, grey=GreyConfig(), lung_mask=pixels)
    assert film.pixels.shape == (64, 32)
    assert film.lung_mask is not None
    assert film.lung_mask.shape == (64, 32)


@pytest.mark.untyped
def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="the lung mask is"):
        TrainingFilm(pixels=np.zeros((4, 4), dtype=np.float32), lung_mask=np.zeros((3, 3), dtype=np.float32))


def test_drawn_pictures_are_thumbnails_that_differ(chest_films: list[TrainingFilm]) -> None:
    rng = np.random.default_rng(2)
    drawn = [draw_not_a_chest(rng, films=chest_films, side_px=32) for _ in range(120)]
    drawn += [draw_lateral(rng, side_px=32) for _ in range(4)]
    for picture in drawn:
        assert picture.shape == (32, 32)
        assert picture.dtype == np.float32
        assert np.isfinite(picture).all()
        assert picture.max() > picture.min()
    assert len({picture.tobytes() for picture in drawn}) == len(drawn)
    assert draw_not_a_chest(rng, films=(), side_px=32).shape == (32, 32)
    assert draw_lateral_chest(rng, 32).shape == (32, 32)
