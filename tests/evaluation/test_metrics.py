"""Hand-computed tables for NODE21 and JSRT, and the undefined cases."""

import numpy as np
import pytest

from xraynet.evaluation.matching import match_films
from xraynet.evaluation.metrics import (
    average_precision,
    film_auc,
    froc,
    froc_score,
    node21_score,
    precision_recall,
    precision_recall_curve,
    sensitivity_at,
)
from xraynet.evaluation.rules import JSRT_25MM, NODE21

A, B, ELSEWHERE, ASIDE = (100, 100, 120, 120), (200, 200, 230, 230), (300, 300, 320, 320), (400, 10, 420, 30)


@pytest.fixture
def four_films(make_film):
    """Three nodules; by falling score: hit .9, false .8, hit .7, again on A .6, false .5, false .3; one is missed."""
    return [
        make_film("one", [A, B], [(A, 0.9), (A, 0.6), (B, 0.7)]),
        make_film("two", [A], [(ELSEWHERE, 0.5)]),
        make_film("three", (), [(ELSEWHERE, 0.8), (ASIDE, 0.3)]),
        make_film("four", ()),
    ]


def test_node21_froc_by_hand(four_films) -> None:
    table = match_films(four_films, NODE21)
    curve = froc(table)
    np.testing.assert_allclose(curve.thresholds, [np.inf, 0.9, 0.8, 0.7, 0.6, 0.5, 0.3], atol=1e-6)
    np.testing.assert_allclose(curve.false_positives_per_film, [0, 0, 0.25, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(curve.sensitivity, [0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3])
    # At 0 false positives 1/3 is found, at 0.25 it is 2/3 just before the next false mark: halfway, at 0.125, still 1/3.
    found = sensitivity_at(table, (0.125, 0.25, 0.5, 8))
    assert found == pytest.approx((1 / 3, 2 / 3, 2 / 3, 2 / 3))


def test_node21_interpolates_where_a_hit_and_a_false_mark_share_a_score(make_film) -> None:
    films = [make_film("one", [A], [(A, 0.5)]), make_film("two", (), [(A, 0.5)])]
    assert sensitivity_at(match_films(films, NODE21), (0.125, 0.25, 0.5)) == pytest.approx((0.25, 0.5, 1.0))


def test_jsrt_does_not_interpolate_and_excludes_a_tied_threshold(make_film) -> None:
    films = [make_film("one", [A], [(A, 0.5)]), make_film("two", (), [(A, 0.5)])]
    assert sensitivity_at(match_films(films, JSRT_25MM), (0.125, 0.25, 0.49, 0.5)) == (0.0, 0.0, 0.0, 1.0)


def test_jsrt_froc_by_hand_ignores_the_further_mark_and_floors_the_allowed_number(four_films) -> None:
    table = match_films(four_films, JSRT_25MM)
    curve = froc(table)
    np.testing.assert_allclose(curve.false_positives_per_film, [0, 0, 0.25, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(curve.sensitivity, [0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3])
    # floor(0.125 x 4) = 0 false marks: the threshold stays above 0.8; floor(0.25 x 4) = 1 admits 0.8 and 0.7.
    assert sensitivity_at(table, (0.125, 0.25, 0.3)) == pytest.approx((1 / 3, 2 / 3, 2 / 3))


def test_froc_score_is_the_mean_over_the_seven_rates(four_films) -> None:
    assert froc_score(match_films(four_films, NODE21)) == pytest.approx((1 / 3 + 6 * 2 / 3) / 7)


def test_film_auc_counts_ties_half_and_an_empty_film_as_zero(four_films) -> None:
    # Films with a nodule score .9 and .5, without .8 and 0: three of four pairs are in order.
    assert film_auc(match_films(four_films, NODE21)) == pytest.approx(0.75)


def test_film_auc_agrees_with_sklearn_under_many_ties(random_films) -> None:
    from sklearn.metrics import roc_auc_score

    table = match_films(random_films(np.random.default_rng(5), 200, decimals=1), NODE21)
    assert film_auc(table) == pytest.approx(roc_auc_score(table.film_labels, table.film_scores))


def test_film_auc_uses_film_level_labels_of_films_without_boxes(make_film) -> None:
    films = [make_film("a", None, [(A, 0.9)], film_has_nodule=True), make_film("b", None, [(A, 0.4)], film_has_nodule=False)]
    table = match_films([*films, make_film("c", None, [(A, 0.1)])], NODE21)
    assert film_auc(table) == 1.0
    assert froc_score(table) is None


def test_node21_score_weighs_auc_three_to_one(four_films) -> None:
    assert node21_score(match_films(four_films, NODE21)) == pytest.approx(0.75 * 0.75 + 0.25 * 2 / 3)


def test_precision_and_recall_at_a_threshold_by_hand(four_films) -> None:
    figures = precision_recall(match_films(four_films, NODE21), 0.6)
    assert (figures.num_hits, figures.num_false, figures.num_nodules, figures.num_films) == (2, 2, 3, 4)
    assert figures.precision == 0.5
    assert figures.recall == pytest.approx(2 / 3)
    assert figures.false_positives_per_film == 0.5
    assert figures.false_positives_per_normal_film == 0.5
    assert figures.film_sensitivity == 0.5
    assert figures.film_specificity == 0.5
    assert figures.num_films_called == (1, 1, 1, 1)
    assert (figures.film_ppv, figures.film_npv) == (0.5, 0.5)


def test_precision_without_a_mark_is_undefined_and_recall_is_zero(four_films) -> None:
    figures = precision_recall(match_films(four_films, NODE21), 0.95)
    assert figures.precision is None
    assert figures.recall == 0.0
    assert figures.film_ppv is None
    assert figures.num_films_called == (0, 0, 2, 2)


def test_average_precision_by_hand(make_film) -> None:
    # hit, false, hit over 2 nodules: precision 1 up to recall 0.5 (51 of 101 steps), 2/3 beyond (50 steps).
    films = [make_film("one", [A, B], [(A, 0.9), (ELSEWHERE, 0.8), (B, 0.7)])]
    assert average_precision(match_films(films, NODE21)) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_precision_recall_curve_by_hand(four_films) -> None:
    curve = precision_recall_curve(match_films(four_films, NODE21))
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3, 2 / 4, 2 / 5, 2 / 6])
    np.testing.assert_allclose(curve.recall, [1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3])


def test_a_perfect_detector_without_false_marks_reaches_one_everywhere(make_film) -> None:
    table = match_films([make_film("a", [A], [(A, 0.9)]), make_film("b")], JSRT_25MM)
    assert sensitivity_at(table) == (1.0,) * 7
    assert average_precision(table) == 1.0
    assert film_auc(table) == 1.0


@pytest.mark.parametrize("kind", ["no films", "no nodules", "nothing known"])
def test_what_is_undefined_is_none(make_film, kind: str) -> None:
    films = {
        "no films": [],
        "no nodules": [make_film("a", (), [(A, 0.5)])],
        "nothing known": [make_film("a", None, [(A, 0.5)])],
    }[kind]
    table = match_films(films, NODE21)
    assert sensitivity_at(table, (0.25, 1.0)) == (None, None)
    assert froc_score(table) is film_auc(table) is average_precision(table) is node21_score(table) is None
    assert froc(table).sensitivity.shape == precision_recall_curve(table).recall.shape == (0,)
    assert precision_recall(table, 0.5).recall is None


def test_films_without_any_mark_give_zero_not_none(make_film) -> None:
    table = match_films([make_film("a", [A]), make_film("b")], NODE21)
    assert sensitivity_at(table) == (0.0,) * 7
    assert average_precision(table) == 0.0
    assert film_auc(table) == 0.5


def test_the_floor_of_a_rate_times_films_does_not_lose_one_to_rounding(make_film) -> None:
    films = [make_film(f"f{i}", (), [(A, 0.9 - i / 1000)] if i < 29 else ()) for i in range(99)]
    films.append(make_film("sick", [A], [(A, 0.5)]))
    assert 0.29 * 100 < 29
    assert sensitivity_at(match_films(films, JSRT_25MM), (0.28, 0.29)) == (0.0, 1.0)
