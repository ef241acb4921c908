"""Intervals: patients are drawn, not films; the seed is kept; coverage is about what it says."""

import numpy as np
import pytest

from xraynet.evaluation.intervals import Bootstrap, Estimate, estimate, estimate_difference, wilson_interval
from xraynet.evaluation.matching import match_films
from xraynet.evaluation.rules import NODE21, parse_rule
from xraynet.evaluation.tallies import weighted_ratio

A = (100, 100, 120, 120)


def recall(tally):
    return weighted_ratio(tally.hits_at(0.0), tally.num_nodules)[:, None]


def films_of(make_film, found, patients):
    return [
        make_film(f"f{i}", [A], [(A, 0.5)] if hit else (), patient=patient)
        for i, (hit, patient) in enumerate(zip(found, patients, strict=True))
    ]


def test_films_of_one_patient_are_drawn_together(make_film) -> None:
    found = [True] * 10 + [False] * 10
    table = match_films(films_of(make_film, found, ["a"] * 10 + ["b"] * 10), NODE21)
    (together,), facts = estimate(table, recall, Bootstrap(num_resamples=500))
    assert (together.value, together.low, together.high) == (0.5, 0.0, 1.0)
    assert (facts.num_patients, facts.num_films_without_patient) == (2, 0)
    alone_table = match_films(films_of(make_film, found, [None] * 20), NODE21)
    (alone,), facts = estimate(alone_table, recall, Bootstrap(num_resamples=500))
    assert 0.2 <= alone.low < 0.5 < alone.high <= 0.8
    assert (facts.num_patients, facts.num_films_without_patient) == (0, 20)
    assert "because their patients are unknown" in facts.describe()


def test_patients_and_films_without_one_can_be_mixed_and_it_is_said(make_film) -> None:
    table = match_films(films_of(make_film, [True, False, True], ["a", "a", None]), NODE21)
    _, facts = estimate(table, recall, Bootstrap(num_resamples=10))
    assert "1 patients and 1 films whose patients are unknown" in facts.describe()


def test_resamples_without_a_nodule_are_drawn_again_and_counted(make_film) -> None:
    films = [make_film("sick", [A], [(A, 0.5)], patient="s"), *(make_film(f"n{i}", patient=f"p{i}") for i in range(3))]
    (found,), facts = estimate(match_films(films, NODE21), recall, Bootstrap(num_resamples=1000))
    # A resample of four misses the one sick patient with chance (3/4)^4 = 0.316: 463 redrawn for 1000 kept.
    assert facts.num_redrawn == pytest.approx(463, abs=90)
    assert found == Estimate(1.0, 1.0, 1.0, 0)


def test_resamples_in_which_a_figure_is_undefined_are_left_out_and_counted(make_film) -> None:
    films = [make_film("sick", [A], [(A, 0.5)], patient="s"), make_film("free", (), patient="f")]
    (auc,), facts = estimate(match_films(films, NODE21), lambda tally: tally.film_auc()[:, None], Bootstrap(num_resamples=400))
    assert auc.value == auc.low == auc.high == 1.0
    # Both twice: sick only 1 in 4, free only redrawn: a third of what is kept has no normal film.
    assert auc.num_undefined == pytest.approx(400 / 3, abs=45)
    assert facts.num_resamples == 400


def test_an_undefined_figure_has_no_interval_and_one_patient_none_either(make_film) -> None:
    nothing = match_films([make_film("a"), make_film("b")], NODE21)
    assert estimate(nothing, recall, Bootstrap(num_resamples=20))[0] == (Estimate(None),)
    alone = match_films([make_film("a", [A], [(A, 0.5)])], NODE21)
    (found,), facts = estimate(alone, recall)
    assert found == Estimate(1.0)
    assert facts.num_resamples == 0
    (empty,), _ = estimate(match_films([], NODE21), recall)
    assert empty.value is None


def test_a_figure_undefined_in_every_resample_has_no_interval(make_film) -> None:
    films = films_of(make_film, [True, False], ["a", "b"])

    def only_on_the_whole(tally):
        return np.where((tally.weights == 1).all(axis=1) & (len(tally.weights) == 1), 0.5, np.nan)[:, None]

    (found,), _ = estimate(match_films(films, NODE21), only_on_the_whole, Bootstrap(num_resamples=30))
    assert found == Estimate(0.5, None, None, 30)


def test_another_seed_draws_other_resamples(random_films) -> None:
    table = match_films(random_films(np.random.default_rng(0), 40), NODE21)
    first = estimate(table, recall, Bootstrap(num_resamples=300, seed=1))[0]
    assert first != estimate(table, recall, Bootstrap(num_resamples=300, seed=2))[0]
    assert first == estimate(table, recall, Bootstrap(num_resamples=300, seed=1))[0]


def test_chunks_do_not_change_the_resamples(random_films, monkeypatch: pytest.MonkeyPatch) -> None:
    table = match_films(random_films(np.random.default_rng(0), 40), NODE21)
    whole = estimate(table, recall, Bootstrap(num_resamples=100))
    monkeypatch.setattr("xraynet.evaluation.intervals.MOST_CELLS_AT_ONCE", 1)
    assert estimate(table, recall, Bootstrap(num_resamples=100)) == whole


def test_95_percent_intervals_hold_the_truth_about_95_times_in_100(make_film) -> None:
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(200):
        table = match_films(films_of(make_film, rng.random(60) < 0.6, [None] * 60), NODE21)
        (found,), _ = estimate(table, recall, Bootstrap(num_resamples=300))
        held += found.low <= 0.6 <= found.high
    # Binomial(200, 0.95) lies in 178..198 with chance 0.997; the percentile interval is a little short at 60 films.
    assert 176 <= held <= 199


def test_an_impossible_bootstrap_is_an_error() -> None:
    for wrong in ({"num_resamples": 0}, {"level": 1.0}, {"seed": -1}):
        with pytest.raises(ValueError, match="resamples"):
            Bootstrap(**wrong)


def test_wilson_interval_against_known_values() -> None:
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson_interval(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-3)
    assert wilson_interval(0, 0) == (None, None)
    with pytest.raises(ValueError, match="3 of 2 is no proportion"):
        wilson_interval(3, 2)


def test_a_paired_difference_is_narrower_than_its_parts_and_agrees_with_a_draw_of_its_own(make_film) -> None:
    rng = np.random.default_rng(0)
    patients = [f"p{number // 2}" for number in range(60)]
    poor = [bool(hit) for hit in rng.random(60) < 0.5]
    good = [hit or bool(lucky) for hit, lucky in zip(poor, rng.random(60) < 0.2, strict=True)]
    tables = [match_films(films_of(make_film, found, patients), NODE21) for found in (good, poor)]
    (between,), facts = estimate_difference(*tables, recall, Bootstrap(num_resamples=2000))
    assert between.value == pytest.approx(np.mean(good) - np.mean(poor))
    assert (facts.num_patients, facts.num_resamples) == (30, 2000)
    gains = (np.array(good, dtype=float) - np.array(poor, dtype=float)).reshape(30, 2).sum(axis=1)
    drawn = gains[rng.integers(30, size=(4000, 30))].sum(axis=1) / 60
    np.testing.assert_allclose((between.low, between.high), np.quantile(drawn, (0.025, 0.975)), atol=0.02)
    alone = [estimate(table, recall, Bootstrap(num_resamples=2000))[0][0] for table in tables]
    assert all(between.high - between.low < one.high - one.low for one in alone)


def test_the_difference_from_itself_is_nothing_and_the_other_way_round_its_negative(make_film) -> None:
    good, poor = (
        match_films(films_of(make_film, found, [f"p{i}" for i in range(8)]), NODE21)
        for found in ([True] * 8, [True, False] * 4)
    )
    assert estimate_difference(good, good, recall)[0] == (Estimate(0.0, 0.0, 0.0),)
    (there,), (back,) = (estimate_difference(*pair, recall)[0] for pair in ((good, poor), (poor, good)))
    assert (back.value, back.low, back.high) == (-0.5, -there.high, -there.low)


def test_what_are_no_pairs_is_refused(make_film) -> None:
    films = films_of(make_film, [True, False], ["a", "b"])
    table = match_films(films, NODE21)
    with pytest.raises(ValueError, match="another order"):
        estimate_difference(table, match_films(films[::-1], NODE21), recall)
    with pytest.raises(ValueError, match="other films or patients"):
        estimate_difference(table, match_films(films_of(make_film, [True, False], ["a", "c"]), NODE21), recall)
    with pytest.raises(ValueError, match="know other nodules"):
        estimate_difference(table, match_films([films[0], make_film("f1", [], patient="b")], NODE21), recall)
    unknown = match_films([films[0], make_film("f1", None, patient="b", film_has_nodule=True)], NODE21)
    free = match_films([films[0], make_film("f1", [], patient="b")], NODE21)
    with pytest.raises(ValueError, match="know other nodules"):
        estimate_difference(free, unknown, recall)
    with pytest.raises(ValueError, match="matched under node21 and jsrt-25mm; one rule"):
        estimate_difference(table, match_films(films, parse_rule("jsrt-25mm")), recall)
