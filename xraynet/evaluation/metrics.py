"""Metrics of a match table: precision, recall, FROC, film AUC, NODE21's score. Each is a few lines; what is undefined is None.

Rates (false positives per film) are over all counted films of the table, with and without a nodule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from xraynet.evaluation.matching import MatchTable, Verdict
from xraynet.evaluation.tallies import ScoreLadder, Tally

STANDARD_RATES: Final = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
NODE21_RATE: Final = 0.25
NODE21_AUC_SHARE: Final = 0.75

Curve = Float64[NDArray[np.float64], " points"]


@dataclass(frozen=True, eq=False)
class FrocCurve:
    """Sensitivity against false positives per film; one point a threshold, from the strictest (nothing marked) down.

    All three are empty where the curve is undefined: no counted film, or no nodule to find.
    """

    false_positives_per_film: Curve
    sensitivity: Curve
    thresholds: Curve


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurve:
    """Precision against recall; one point a threshold, by falling threshold. Empty where there is no nodule to find."""

    precision: Curve
    recall: Curve
    thresholds: Curve


@dataclass(frozen=True)
class ThresholdFigures:
    """Counts and rates of the marks with a score of at least ``threshold``. None is undefined (nothing to divide by).

    ``num_films_called``: films of known state that are true positive, false positive, false negative and true negative.
    """

    threshold: float
    num_hits: int
    num_false: int
    num_nodules: int
    num_films: int
    precision: float | None
    recall: float | None
    false_positives_per_film: float | None
    false_positives_per_normal_film: float | None
    film_sensitivity: float | None
    film_specificity: float | None
    film_ppv: float | None
    film_npv: float | None
    num_films_called: tuple[int, int, int, int]


def tally_of(table: MatchTable) -> Tally:
    """The table with every film counted once."""
    return Tally(ScoreLadder(table), np.ones((1, len(table.films)), dtype=np.int32))


def known(figure: float) -> float | None:
    """A figure, or None where it is NaN."""
    return None if np.isnan(figure) else float(figure)


def divide(part: float, whole: float) -> float | None:
    """A quotient, or None where there is nothing to divide by.

    >>> divide(1, 4), divide(0, 0)
    (0.25, None)
    """
    return None if whole == 0 else float(part / whole)


def _falling_thresholds(table: MatchTable) -> tuple[Curve, Curve, Curve]:
    """Distinct scores of hits and false marks, falling, with the hits and false marks at or above each."""
    told = table.mark_verdicts != Verdict.IGNORED
    scores, is_hit = table.mark_scores[told], table.mark_verdicts[told] == Verdict.HIT
    last_of_ties = np.flatnonzero(np.diff(scores, append=np.float32(-1)))
    hits = np.cumsum(is_hit)[last_of_ties].astype(np.float64)
    return scores[last_of_ties].astype(np.float64), hits, last_of_ties + 1.0 - hits


def froc(table: MatchTable) -> FrocCurve:
    """The free-response ROC curve; its first point is an infinite threshold, at which nothing is marked."""
    if not table.num_nodules:
        nothing = np.zeros(0, dtype=np.float64)
        return FrocCurve(nothing, nothing, nothing)
    thresholds, hits, falses = _falling_thresholds(table)
    return FrocCurve(
        false_positives_per_film=np.concatenate([[0.0], falses / table.num_films]),
        sensitivity=np.concatenate([[0.0], hits / table.num_nodules]),
        thresholds=np.concatenate([[np.inf], thresholds]),
    )


def sensitivity_at(table: MatchTable, rates: Sequence[float] = STANDARD_RATES) -> tuple[float | None, ...]:
    """Sensitivity at each rate of false positives per film, read as the table's rule says; None without a nodule."""
    return tuple(known(figure) for figure in tally_of(table).sensitivity_at(rates)[0])


def froc_score(table: MatchTable) -> float | None:
    """The mean sensitivity at 0.125, 0.25, 0.5, 1, 2, 4 and 8 false positives per film; None without a nodule."""
    return known(tally_of(table).sensitivity_at(STANDARD_RATES)[0].mean())


def film_auc(table: MatchTable) -> float | None:
    """Area under the ROC curve of film scores; None unless there are films known with and known without a nodule."""
    return known(tally_of(table).film_auc()[0])


def node21_score(table: MatchTable) -> float | None:
    """NODE21's final score, 0.75 film AUC + 0.25 sensitivity at 0.25 false positives per film; None if either is."""
    return known(node21_scores(tally_of(table))[0])


def node21_scores(tally: Tally) -> Float64[NDArray[np.float64], " resamples"]:
    """NODE21's final score under each row of weights; NaN where undefined."""
    sensitivity = tally.sensitivity_at([NODE21_RATE])[:, 0]
    return NODE21_AUC_SHARE * tally.film_auc() + (1 - NODE21_AUC_SHARE) * sensitivity


def average_precision(table: MatchTable) -> float | None:
    """COCO's average precision (101 recalls) under the table's rule; None without a nodule. Equal scores enter together."""
    return known(tally_of(table).average_precision()[0])


def precision_recall_curve(table: MatchTable) -> PrecisionRecallCurve:
    """Precision and recall at every score that a mark has."""
    if not table.num_nodules:
        nothing = np.zeros(0, dtype=np.float64)
        return PrecisionRecallCurve(nothing, nothing, nothing)
    thresholds, hits, falses = _falling_thresholds(table)
    return PrecisionRecallCurve(precision=hits / (hits + falses), recall=hits / table.num_nodules, thresholds=thresholds)


def precision_recall(table: MatchTable, threshold: float) -> ThresholdFigures:
    """Precision, recall and rates of the marks with a score of at least ``threshold``.

    A film is called positive if any of its marks is; its sensitivity and specificity are over films with a known state.
    """
    hits, falses = table.hit_scores >= threshold, table.false_scores >= threshold
    num_hits, num_false = int(hits.sum()), int(falses.sum())
    of_normal = int(ScoreLadder(table).count_at(threshold)[1][table.normal].sum())
    called = table.film_scores >= threshold
    diseased, healthy = table.film_labels == 1, table.film_labels == 0
    parts = (called & diseased, called & healthy, ~called & diseased, ~called & healthy)
    true_positive, false_positive, false_negative, true_negative = (int(part.sum()) for part in parts)
    return ThresholdFigures(
        threshold=float(threshold),
        num_hits=num_hits,
        num_false=num_false,
        num_nodules=table.num_nodules,
        num_films=table.num_films,
        precision=divide(num_hits, num_hits + num_false),
        recall=divide(num_hits, table.num_nodules),
        false_positives_per_film=divide(num_false, table.num_films),
        false_positives_per_normal_film=divide(of_normal, int(table.normal.sum())),
        film_sensitivity=divide(true_positive, true_positive + false_negative),
        film_specificity=divide(true_negative, true_negative + false_positive),
        film_ppv=divide(true_positive, true_positive + false_positive),
        film_npv=divide(true_negative, true_negative + false_negative),
        num_films_called=(true_positive, false_positive, false_negative, true_negative),
    )


def roc_curve(table: MatchTable) -> tuple[Curve, Curve]:
    """The film ROC curve: false positive rate and true positive rate, strictest threshold first; empty where undefined."""
    positive, negative = (np.sort(table.film_scores[table.film_labels == label])[::-1] for label in (1, 0))
    if not (len(positive) and len(negative)):
        nothing = np.zeros(0, dtype=np.float64)
        return nothing, nothing
    thresholds = np.unique(np.concatenate([positive, negative]))[::-1]
    called = [np.searchsorted(-scores, -thresholds, side="right") / len(scores) for scores in (negative, positive)]
    return np.concatenate([[0.0], called[0]]), np.concatenate([[0.0], called[1]])
