import measure_faint
import numpy as np

from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.intervals import Bootstrap
from xraynet.findings import LabelState, NoduleAnnotations, NoduleDetections
from xraynet.ingest.catalogue import FilmEntry
from xraynet.samples.cache import FilmCache
from xraynet.simulation.grey import contrast_to_noise


def scored(key: str, *, hit: float = 0.0, false: float = 0.0) -> ScoredFilm:
    """A film with one nodule, marked there and beside it with these scores."""
    nodule = np.array([[10, 10, 20, 20]], dtype=np.float32)
    marks = [(box, score) for box, score in ((nodule[0], hit), (nodule[0] + 50, false)) if score]
    boxes = np.array([box for box, _ in marks], dtype=np.float32).reshape(-1, 4)
    return ScoredFilm(
        key=key,
        annotations=NoduleAnnotations.of_boxes(nodule),
        detections=NoduleDetections(boxes, np.array([score for _, score in marks], dtype=np.float32)),
        patient_key=key,
    )


def test_sensitivity_is_told_by_bands_of_contrast_to_noise() -> None:
    films = [scored("a", hit=0.9), scored("b", hit=0.2), scored("c"), scored("d", hit=0.6, false=0.5)]
    contrasts = np.array([1.2, 0.3, 0.1, 0.6], dtype=np.float32)
    figures = measure_faint.tabulate(films, contrasts, rule="jsrt-inside", bootstrap=Bootstrap(num_resamples=50))
    assert figures.num_nodules == figures.num_films == 4
    # One false mark is admitted at 0.25 of four films, and it is the only one: all that was marked is found.
    assert figures.sensitivity["0.25"][0] == 0.75
    assert [(band.num_nodules, band.sensitivity["0.25"]) for band in figures.bands] == [
        (1, 0.0),
        (1, 1.0),
        (1, 1.0),
        (0, None),
        (1, 1.0),
    ]
    crowded = [scored(f"{index}", hit=0.4, false=0.5) for index in range(8)]
    blocked = measure_faint.tabulate(
        crowded, np.full(8, 0.6, dtype=np.float32), rule="jsrt-inside", bootstrap=Bootstrap(num_resamples=50)
    )
    # Two of the eight false marks are admitted at 0.25; the third, at 0.5, bars every hit at 0.4.
    assert blocked.sensitivity["0.25"][0] == 0.0
    assert blocked.sensitivity["1"][0] == 1.0


def test_faint_nodules_stand_out_as_little_as_asked_and_come_again(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    free = [entry for entry in entries if entry.annotations.state is LabelState.FREE][:4]
    films, again = measure_faint.FaintFilms(film_cache, free), measure_faint.FaintFilms(film_cache, free)
    assert 0 < len(films) == len(again) <= measure_faint.DRAWS * len(free)
    drawn = list(films)
    assert len({film.key for film in drawn}) == len(drawn)
    for film, same in zip(drawn, again, strict=True):
        np.testing.assert_array_equal(film.pixels, same.pixels)
        assert len(film.annotations.boxes) == 1
        found = contrast_to_noise(film.pixels, film.annotations.boxes[0])
        assert found is not None
        assert 0 < found < 3
    contrasts = [contrast_to_noise(film.pixels, film.annotations.boxes[0]) for film in drawn]
    assert 0.2 < np.median(contrasts) < 1.0
