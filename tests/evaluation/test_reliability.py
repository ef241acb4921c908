"""Score bands: of marks with such a score, how many find a nodule."""

import pytest

from xraynet.evaluation.intervals import Bootstrap
from xraynet.evaluation.matching import match_films
from xraynet.evaluation.reliability import tabulate_score_bands
from xraynet.evaluation.rules import JSRT_25MM, NODE21

A, ELSEWHERE = (100, 100, 120, 120), (300, 300, 320, 320)
QUICK = Bootstrap(num_resamples=50)


def test_a_band_holds_the_share_of_its_marks_that_find_a_nodule(make_film) -> None:
    films = [
        make_film("a", [A], [(A, 0.62), (ELSEWHERE, 0.68)]),
        make_film("b", [A], [(A, 0.65)]),
        make_film("c", (), [(A, 0.02)]),
        make_film("d", (), [(A, 1.0)]),
    ]
    low, middle, top = tabulate_score_bands(match_films(films, NODE21), QUICK)
    assert (low.low, low.high, low.num_marks, low.share_of_hits.value) == (0.0, 0.05, 1, 0.0)
    assert (middle.low, middle.high, middle.num_marks) == (0.6, 0.7, 3)
    assert middle.mean_score == pytest.approx(0.65)
    assert middle.share_of_hits.value == pytest.approx(2 / 3)
    assert middle.share_of_hits.low <= 2 / 3 <= middle.share_of_hits.high
    assert (top.low, top.high, top.share_of_hits.value) == (0.9, 1.0, 0.0)


def test_ignored_marks_are_in_no_band_and_without_marks_there_is_none(make_film) -> None:
    twice = match_films([make_film("a", [A], [(A, 0.95), (A, 0.45)])], JSRT_25MM)
    assert [band.low for band in tabulate_score_bands(twice, QUICK)] == [0.9]
    assert tabulate_score_bands(match_films([make_film("a", [A])], NODE21), QUICK) == ()
