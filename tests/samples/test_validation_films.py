from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from xraynet.findings import LabelState
from xraynet.ingest.catalogue import FilmEntry
from xraynet.preparation import PreparationConfig
from xraynet.samples.build import build_cache
from xraynet.samples.cache import FilmCache
from xraynet.samples.validation import ValidationConfig, ValidationFilms, pad_films


@pytest.fixture(scope="module")
def films(film_cache: FilmCache, entries: list[FilmEntry]) -> ValidationFilms:
    return ValidationFilms(film_cache, entries)


def test_half_of_the_free_films_get_simulated_nodules(films: ValidationFilms) -> None:
    seen = list(films)
    assert len(seen) == len(films) == 9
    assert films.num_simulated == 4
    assert sum(film.simulated for film in seen) == 4
    assert sum(film.film_has_nodule for film in seen) == 6
    assert all(film.annotations.state is not LabelState.UNKNOWN for film in seen)


def test_films_and_nodules_are_the_same_every_time(
    films: ValidationFilms, film_cache: FilmCache, entries: list[FilmEntry]
) -> None:
    again = ValidationFilms(film_cache, list(reversed(entries)))
    for one, other in zip(films, again, strict=True):
        assert one.key == other.key
        np.testing.assert_array_equal(one.pixels, other.pixels)
        np.testing.assert_array_equal(one.annotations.boxes, other.annotations.boxes)


def test_pixels_are_the_prepared_film_but_for_the_nodules(films: ValidationFilms, film_cache: FilmCache) -> None:
    for film in films:
        plain = film_cache.read(film.key).pixels
        assert film.pixels.shape == plain.shape
        assert np.array_equal(film.pixels, plain) == (not film.simulated)
        assert film.pixels.min() >= -0.2501
        assert film.pixels.max() <= 1.2501


def test_real_annotations_come_in_the_network_frame(
    films: ValidationFilms, film_cache: FilmCache, entries: list[FilmEntry]
) -> None:
    film = next(film for film in films if film.key == entries[7].key)
    expected = film_cache.records[film.key].letterbox.boxes_to_net(entries[7].annotations.boxes)
    np.testing.assert_allclose(film.annotations.boxes, expected, atol=1e-4)
    assert not film.simulated
    assert film.patient_key == "patient3"


def test_millimetres_are_stated_only_with_a_spacing(films: ValidationFilms, entries: list[FilmEntry]) -> None:
    for film in films:
        known = film.key not in (entries[3].key, entries[8].key)
        assert (film.mm_per_pixel is not None) == known
        assert (film.spacing_mm is not None) == known
        if film.simulated:
            assert all((diameter is not None) == known for diameter in film.annotations.diameter_mm)


def test_the_number_of_films_is_limited_and_boxed_ones_get_half(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    few = ValidationFilms(film_cache, entries, config=ValidationConfig(most_films=2))
    assert [film.annotations.state is LabelState.BOXED and not film.simulated for film in few].count(True) == 1
    boxed = [entry for entry in entries if entry.annotations.state is LabelState.BOXED]
    assert len(ValidationFilms(film_cache, boxed, config=ValidationConfig(most_films=2))) == 2
    everything = ValidationFilms(film_cache, entries, config=ValidationConfig(most_films=None, simulated_share=0))
    assert len(everything) == 9
    assert everything.num_simulated == 0


def test_another_film_moves_no_other(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    config = ValidationConfig(most_films=None)
    all_keys = [entry.key for entry in ValidationFilms(film_cache, entries, config=config).entries]
    fewer = [entry.key for entry in ValidationFilms(film_cache, entries[1:], config=config).entries]
    assert fewer == [key for key in all_keys if key != entries[0].key]


@pytest.mark.parametrize("world_size", [1, 2, 12])
def test_batches_hold_every_film_once_over_all_ranks(films: ValidationFilms, world_size: int) -> None:
    seen = []
    for rank in range(world_size):
        for images, batch in films.batches(batch_size=4, rank=rank, world_size=world_size):
            assert len(images) == len(batch)
            for image, film in zip(images, batch, strict=True):
                height, width = film.pixels.shape
                np.testing.assert_array_equal(image[0, :height, :width].numpy(), film.pixels)
                assert float(image.abs().sum()) == pytest.approx(float(np.abs(film.pixels).sum()), rel=1e-4)
                seen.append(film.key)
    assert sorted(seen) == sorted(film.key for film in films)


def test_no_films_make_an_empty_tensor() -> None:
    assert pad_films([]).shape == (0, 1, 32, 32)
    assert pad_films([np.ones((32, 64), dtype=np.float32)]).dtype == torch.float32


def test_a_film_without_lungs_stays_free(tmp_path: Path, entries: list[FilmEntry], preparation: PreparationConfig) -> None:
    cache = build_cache(tmp_path, entries[:3], catalogue_fingerprint="c", preparation=preparation, lungs=None)
    films = ValidationFilms(cache, entries[:3], config=ValidationConfig(simulated_share=1.0))
    assert films.num_simulated == 3
    assert not any(film.simulated or film.film_has_nodule for film in films)


def test_impossible_choices_are_refused() -> None:
    with pytest.raises(ValueError, match="simulated_share"):
        replace(ValidationConfig(), simulated_share=2.0)
    with pytest.raises(ValueError, match="most_films"):
        replace(ValidationConfig(), most_films=0)
