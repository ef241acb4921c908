"""What must hold of every set of films, whatever is on them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xraynet.evaluation.intervals import Bootstrap, estimate
from xraynet.evaluation.matching import match_films
from xraynet.evaluation.metrics import (
    STANDARD_RATES,
    average_precision,
    film_auc,
    froc,
    froc_score,
    node21_score,
    sensitivity_at,
)
from xraynet.evaluation.rules import parse_rule
from xraynet.findings import NoduleAnnotations, NoduleDetections

RULES = ("node21", "jsrt-25mm", "jsrt-inside", "iou:0.3")
seeds = st.integers(0, 2**31)
rules = st.sampled_from(RULES).map(parse_rule)
# Coarse scores make many ties.
coarseness = st.sampled_from([1, 2, 7])


def figures(films, rule) -> dict[str, float | None]:
    table = match_films(films, rule)
    found = dict(zip(map(str, STANDARD_RATES), sensitivity_at(table), strict=True))
    return {
        **found,
        "AP": average_precision(table),
        "AUC": film_auc(table),
        "FROC": froc_score(table),
        "N": node21_score(table),
    }


@settings(max_examples=60, deadline=None)
@given(seed=seeds, rule=rules, decimals=coarseness, score=st.floats(0.01, 1))
def test_a_further_false_mark_on_a_normal_film_never_raises_anything(random_films, seed, rule, decimals, score) -> None:
    films = random_films(np.random.default_rng(seed), 15, decimals=decimals)
    normal = next((film for film in films if not len(film.annotations.boxes)), None)
    if normal is None:
        return
    boxes = np.concatenate([normal.detections.boxes, np.array([[5, 5, 25, 25]], np.float32)])
    scores = np.append(normal.detections.scores, np.float32(round(score, decimals)))
    worse = replace(normal, detections=NoduleDetections(boxes=boxes, scores=scores))
    before = figures(films, rule)
    after = figures([worse if film is normal else film for film in films], rule)
    for name, value in before.items():
        assert (value is None) == (after[name] is None)
        assert value is None or after[name] <= value + 1e-12, name


@settings(max_examples=40, deadline=None)
@given(seed=seeds, rule=rules, decimals=coarseness)
def test_the_order_of_films_nodules_and_marks_does_not_matter(random_films, seed, rule, decimals) -> None:
    rng = np.random.default_rng(seed)
    films = random_films(rng, 12, decimals=decimals)
    shuffled = []
    for place in rng.permutation(len(films)):
        film = films[place]
        marks, nodules = rng.permutation(len(film.detections)), rng.permutation(len(film.annotations.boxes))
        detections = NoduleDetections(boxes=film.detections.boxes[marks], scores=film.detections.scores[marks])
        annotations = NoduleAnnotations.of_boxes(film.annotations.boxes[nodules])
        shuffled.append(replace(film, annotations=annotations, detections=detections))
    assert figures(films, rule) == pytest.approx(figures(shuffled, rule), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, rule=rules, decimals=coarseness)
def test_froc_rises_with_the_rate_and_every_figure_lies_between_0_and_1(random_films, seed, rule, decimals) -> None:
    table = match_films(random_films(np.random.default_rng(seed), 12, decimals=decimals), rule)
    curve = froc(table)
    assert (np.diff(curve.sensitivity) >= 0).all()
    assert (np.diff(curve.false_positives_per_film) >= 0).all()
    found = sensitivity_at(table)
    if found[0] is not None:
        assert list(found) == sorted(found)
    for value in (*found, average_precision(table), film_auc(table)):
        assert value is None or 0 <= value <= 1


@settings(max_examples=30, deadline=None)
@given(seed=seeds, rule=rules)
def test_a_rising_map_of_the_scores_changes_nothing(random_films, seed, rule) -> None:
    films = random_films(np.random.default_rng(seed), 12, decimals=3)
    mapped = [
        replace(film, detections=NoduleDetections(boxes=film.detections.boxes, scores=film.detections.scores**2))
        for film in films
    ]
    assert figures(films, rule) == pytest.approx(figures(mapped, rule), abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=seeds, rule=rules)
def test_the_interval_holds_the_figure_and_one_seed_gives_one_interval(random_films, seed, rule) -> None:
    table = match_films(random_films(np.random.default_rng(seed), 25, patients=9), rule)
    config = Bootstrap(num_resamples=200, seed=seed % 1000)
    first, facts = estimate(table, lambda tally: tally.sensitivity_at(STANDARD_RATES), config)
    again, _ = estimate(table, lambda tally: tally.sensitivity_at(STANDARD_RATES), config)
    assert first == again
    assert facts.num_patients == 9
    for found in first:
        if found.value is not None:
            assert 0 <= found.low <= found.high <= 1
