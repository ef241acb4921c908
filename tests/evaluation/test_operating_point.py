"""The operating point keeps its target on the films it was chosen on, and a step lower would not."""

import numpy as np
import pytest

from xraynet.evaluation.matching import match_films
from xraynet.evaluation.operating_point import OperatingTarget, choose_threshold
from xraynet.evaluation.rules import NODE21

A, ELSEWHERE = (100, 100, 120, 120), (300, 300, 320, 320)


@pytest.fixture
def table(make_film):
    normal = [make_film(f"n{i}", (), [(A, score)] if score else ()) for i, score in enumerate((0.8, 0.6, 0.4, 0, 0, 0, 0, 0))]
    sick = [make_film("s0", [A], [(A, 0.7), (ELSEWHERE, 0.65)]), make_film("s1", [A], [(A, 0.3)])]
    return match_films(normal + sick, NODE21)


def test_default_is_the_lowest_threshold_with_a_quarter_false_positive_per_normal_film(table) -> None:
    chosen = choose_threshold(table)
    # 8 normal films admit 2 false marks, so the third, 0.4, is out; false marks on films with a nodule do not count.
    assert 0.4 < chosen.threshold < 0.6
    assert chosen.figures.false_positives_per_normal_film == 0.25
    assert chosen.figures.recall == 0.5
    assert chosen.num_normal_films == 8


def test_no_lower_score_would_keep_the_target(random_films) -> None:
    table = match_films(random_films(np.random.default_rng(1), 150), NODE21)
    for kind, value in (("false-positives-per-normal-film", 0.25), ("false-positives-per-film", 0.4)):
        chosen = choose_threshold(table, OperatingTarget(kind, value))
        name = kind.replace("-", "_")
        from xraynet.evaluation.metrics import precision_recall

        assert getattr(chosen.figures, name) <= value
        lower = table.mark_scores[table.mark_scores < chosen.threshold]
        assert any(getattr(precision_recall(table, float(score)), name) > value for score in lower[:40])


def test_other_targets(table) -> None:
    per_film = choose_threshold(table, OperatingTarget("false-positives-per-film", 0.2))
    assert 0.6 < per_film.threshold <= 0.65
    assert choose_threshold(table, OperatingTarget("sensitivity", 0.5)).threshold == pytest.approx(0.7)
    assert choose_threshold(table, OperatingTarget("sensitivity", 1.0)).threshold == pytest.approx(0.3)
    assert choose_threshold(table, OperatingTarget("sensitivity", 0.0)).threshold == 1.0
    specific = choose_threshold(table, OperatingTarget("film-specificity", 0.75))
    assert 0.4 < specific.threshold < 0.6
    assert specific.figures.film_specificity == 0.75


def test_a_target_that_every_mark_meets_gives_the_lowest_kept_score(make_film) -> None:
    assert choose_threshold(match_films([make_film("a"), make_film("b", [A], [(A, 0.5)])], NODE21)).threshold == 0.001


def test_the_highest_score_being_false_still_leaves_a_threshold_above_it(make_film) -> None:
    chosen = choose_threshold(match_films([make_film("a", (), [(A, 0.9)])], NODE21))
    assert 0.9 < chosen.threshold <= 1
    assert choose_threshold(match_films([make_film("a", (), [(A, 1.0)])], NODE21)) is None


def test_neighbouring_scores_still_part(make_film) -> None:
    low = np.float32(0.5)
    high = np.nextafter(low, np.float32(1))
    films = [make_film("a", (), [(A, float(low))]), make_film("b", [A], [(A, float(high))])]
    chosen = choose_threshold(match_films(films, NODE21))
    assert chosen.figures.num_false == 0
    assert chosen.figures.num_hits == 1


def test_without_the_films_to_tell_there_is_no_threshold(make_film) -> None:
    only_sick = match_films([make_film("a", [A], [(A, 0.5)])], NODE21)
    assert choose_threshold(only_sick) is None
    assert choose_threshold(match_films([], NODE21), OperatingTarget("false-positives-per-film", 1)) is None
    assert choose_threshold(match_films([make_film("a", [A])], NODE21), OperatingTarget("sensitivity", 0.5)) is None
    assert choose_threshold(match_films([make_film("a")], NODE21), OperatingTarget("sensitivity", 0.5)) is None


def test_an_impossible_target_is_an_error() -> None:
    for kind, value in (("sensitivity", 1.1), ("false-positives-per-film", -1.0), ("false-positives-per-film", float("nan"))):
        with pytest.raises(ValueError, match="target"):
            OperatingTarget(kind, value)


def test_targets_are_told_in_words() -> None:
    assert OperatingTarget().describe() == "the lowest threshold with at most 0.25 false positives per normal film"
    assert "90 %" in OperatingTarget("sensitivity", 0.9).describe()
