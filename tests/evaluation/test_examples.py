"""Examples of misses and false alarms: the most telling first, none where there is none."""

from dataclasses import replace

import pytest

from xraynet.evaluation.examples import choose_examples
from xraynet.evaluation.matching import match_films
from xraynet.evaluation.rules import JSRT_25MM, NODE21
from xraynet.lung_frame import LungBoxes

A, B, ELSEWHERE, CORNER = (100, 100, 120, 120), (200, 200, 230, 230), (300, 300, 320, 320), (0, 0, 20, 20)


@pytest.fixture
def table(make_film):
    return match_films(
        [
            make_film("low", [A], [(A, 0.2), (ELSEWHERE, 0.9), (CORNER, 0.8)], subtlety=[2]),
            make_film("unseen", [A, B], [], diameter_mm=[9.0, 22.0]),
            make_film("found", [A], [(A, 0.7)]),
            make_film("normal", (), [(A, 0.95), (B, 0.3)]),
        ],
        NODE21,
    )


def test_misses_begin_with_what_no_mark_found_the_largest_first(table) -> None:
    examples = choose_examples(table, threshold=0.5, num=9)
    assert [(one.film.key, one.diameter_mm, one.score) for one in examples.misses[:2]] == [
        ("unseen", 22.0, None),
        ("unseen", 9.0, None),
    ]
    last = examples.misses[2]
    assert (last.film.key, last.box, last.subtlety) == ("low", A, 2)
    assert last.score == pytest.approx(0.2)
    assert examples.num_misses == 3


def test_false_alarms_are_the_highest_of_each_film(table) -> None:
    examples = choose_examples(table, threshold=0.5, num=9)
    assert [(one.film.key, one.box) for one in examples.false_alarms] == [("normal", A), ("low", ELSEWHERE)]
    assert examples.num_films_with_false_alarm == 2
    assert choose_examples(table, threshold=0.5, num=1).false_alarms[0].film.key == "normal"


def test_only_so_many_are_chosen_and_all_are_counted(table) -> None:
    examples = choose_examples(table, threshold=0.5, num=1)
    assert (len(examples.misses), examples.num_misses) == (1, 3)
    assert choose_examples(table, threshold=0.5, num=0).every == ()


def test_without_a_threshold_every_mark_counts(table) -> None:
    examples = choose_examples(table, threshold=None, num=9)
    assert {one.film.key for one in examples.misses} == {"unseen"}
    assert [one.film.key for one in examples.false_alarms] == ["normal", "low"]


def test_a_detector_without_fault_has_no_examples(make_film) -> None:
    perfect = match_films([make_film("a", [A], [(A, 0.9)]), make_film("b")], NODE21)
    examples = choose_examples(perfect, threshold=0.5, num=5)
    assert (examples.every, examples.num_misses, examples.num_films_with_false_alarm) == ((), 0, 0)
    assert choose_examples(match_films([], NODE21), threshold=0.5, num=5).every == ()


def test_a_further_mark_that_the_rule_ignores_is_no_false_alarm(make_film) -> None:
    twice = match_films([make_film("a", [A], [(A, 0.9), (A, 0.8)])], JSRT_25MM)
    assert choose_examples(twice, threshold=0.5, num=5).false_alarms == ()


def test_an_example_says_its_place_where_the_lungs_are_known(make_film) -> None:
    film = replace(make_film("a", [A], []), lungs=LungBoxes(right=(50, 50, 180, 350), left=(220, 50, 350, 350)))
    (miss,) = choose_examples(match_films([film], NODE21), threshold=0.5, num=1).misses
    assert miss.place == ("right", "upper")
    (bare,) = choose_examples(match_films([make_film("a", [A], [])], NODE21), threshold=0.5, num=1).misses
    assert bare.place == (None, None)
