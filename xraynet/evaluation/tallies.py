"""What a match table adds up to when its films are weighted: the one sum behind every metric and every bootstrap resample.

A resample of patients is a weight for each film (how often it was drawn), so a metric with its 2,000 resamples is the
same few sums under 2,000 rows of weights. A figure that is undefined under some weights is NaN here; the functions of
``metrics`` turn that into None.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64
from numpy.typing import NDArray

from xraynet.evaluation.matching import MatchTable, Verdict

Weights = Int32[NDArray[np.int32], "resamples films"]
Figures = Float64[NDArray[np.float64], " resamples"]
RECALL_STEPS = np.linspace(0.0, 1.0, 101)


class ScoreLadder:
    """A match table sorted by score once, with the rank of every hit among the false marks and the other way round."""

    def __init__(self, table: MatchTable) -> None:
        self.table = table
        hit, false = table.mark_verdicts == Verdict.HIT, table.mark_verdicts == Verdict.FALSE
        self.hit_films, self.false_films = table.mark_films[hit], table.mark_films[false]
        self.hit_scores, self.false_scores = table.hit_scores, table.false_scores
        self.hits_above_false = _count(self.hit_scores, self.false_scores, tied=False)
        self.hits_from_false = _count(self.hit_scores, self.false_scores, tied=True)
        self.falses_from_hit = _count(self.false_scores, self.hit_scores, tied=True)
        self.hits_from_hit = _count(self.hit_scores, self.hit_scores, tied=True)
        self.nodules_of_film = np.bincount(table.nodule_films, minlength=len(table.films))
        labelled = np.flatnonzero(table.film_labels >= 0)
        self.films_by_score = labelled[np.argsort(table.film_scores[labelled], kind="stable")]
        self.has_nodule = table.film_labels[self.films_by_score] == 1
        self.tie_starts = np.flatnonzero(np.diff(table.film_scores[self.films_by_score], prepend=np.float32(-1)))

    @cached_property
    def falses_above_false(self) -> Int64[NDArray[np.int64], " falses"]:
        """For each false mark, how many false marks score higher."""
        return _count(self.false_scores, self.false_scores, tied=False)

    @cached_property
    def falses_from_false(self) -> Int64[NDArray[np.int64], " falses"]:
        """For each false mark, how many false marks score as high or higher, itself among them."""
        return _count(self.false_scores, self.false_scores, tied=True)

    def count_at(self, threshold: float) -> tuple[Int64[NDArray[np.int64], " films"], Int64[NDArray[np.int64], " films"]]:
        """Hits and false marks of each film with a score of at least ``threshold``."""
        num = len(self.table.films)
        hits = np.bincount(self.hit_films[self.hit_scores >= threshold], minlength=num)
        falses = np.bincount(self.false_films[self.false_scores >= threshold], minlength=num)
        return hits, falses


def _count(
    falling: Float32[NDArray[np.float32], " falling"], scores: Float32[NDArray[np.float32], " scores"], *, tied: bool
) -> Int64[NDArray[np.int64], " scores"]:
    """How many of ``falling`` lie above each score; with ``tied``, at or above it."""
    return np.searchsorted(-falling, -scores, side="right" if tied else "left").astype(np.int64)


@dataclass(frozen=True, eq=False)
class Tally:
    """A score ladder under rows of film weights; every figure has one entry a row."""

    ladder: ScoreLadder
    weights: Weights

    @cached_property
    def num_films(self) -> Figures:
        """Weighted number of films over which rates are taken."""
        return weighted_sum(self.weights, self.ladder.table.counted.astype(np.int64))

    @cached_property
    def num_nodules(self) -> Figures:
        """Weighted number of nodules."""
        return weighted_sum(self.weights, self.ladder.nodules_of_film)

    @cached_property
    def _falses(self) -> Int32[NDArray[np.int32], "resamples falses_and_one"]:
        return _running_sum(self.weights, self.ladder.false_films)

    @cached_property
    def _hits(self) -> Int32[NDArray[np.int32], "resamples hits_and_one"]:
        return _running_sum(self.weights, self.ladder.hit_films)

    def sensitivity_at(self, rates: Sequence[float]) -> Float64[NDArray[np.float64], "resamples rates"]:
        """Sensitivity at each rate of false positives per film, as the table's rule reads it off the FROC curve.

        NODE21: on the line between two neighbouring points. JSRT: at the lowest threshold that admits no more than
        floor(rate x films) false marks. Past the curve's end it is the sensitivity of all marks.
        """
        # A product such as 0.29 * 100 may fall short of its whole number by rounding: hence the tiny allowance.
        wanted = self.num_films[:, None] * np.asarray(rates, dtype=np.float64)[None, :]
        whole = np.floor(wanted + 1e-9)
        falses, hits, ladder = self._falses, self._hits, self.ladder
        found = np.empty_like(wanted)
        for row in range(len(wanted)):
            over = np.searchsorted(falses[row, 1:], whole[row].astype(np.int32), side="right")
            found[row] = hits[row, -1]
            inside = over < len(ladder.false_scores)
            crossed = over[inside]
            below = hits[row, ladder.hits_above_false[crossed]].astype(np.float64)
            if self.ladder.table.rule.interpolates:
                start = falses[row, ladder.falses_above_false[crossed]]
                end = falses[row, ladder.falses_from_false[crossed]]
                rise = hits[row, ladder.hits_from_false[crossed]] - below
                below += rise * np.clip((wanted[row, inside] - start) / (end - start), 0.0, 1.0)
            found[row, inside] = below
        return weighted_ratio(found, np.broadcast_to(self.num_nodules[:, None], found.shape))

    def average_precision(self) -> Figures:
        """Average precision by COCO's rule: the mean, over 101 recalls, of the best precision from there on."""
        hits = self._hits[:, self.ladder.hits_from_hit].astype(np.float64)
        marks = hits + self._falses[:, self.ladder.falses_from_hit]
        best = np.maximum.accumulate(weighted_ratio(hits, marks, undefined=0.0)[:, ::-1], axis=1)[:, ::-1]
        best = np.concatenate([best, np.zeros((len(best), 1))], axis=1)
        recall = weighted_ratio(hits, np.broadcast_to(self.num_nodules[:, None], hits.shape))
        area = np.array(
            [
                best_row[np.searchsorted(recall_row, RECALL_STEPS)].mean()
                for best_row, recall_row in zip(best, recall, strict=True)
            ]
        )
        defined: NDArray[np.float64] = np.where(self.num_nodules > 0, area, np.nan)
        return defined

    def film_auc(self) -> Figures:
        """The chance that a film with a nodule scores higher than one without, ties counting half."""
        ladder = self.ladder
        if not len(ladder.films_by_score):
            return np.full(len(self.weights), np.nan)
        drawn = self.weights[:, ladder.films_by_score].astype(np.int64)
        positive = np.add.reduceat(drawn * ladder.has_nodule, ladder.tie_starts, axis=1)
        negative = np.add.reduceat(drawn * ~ladder.has_nodule, ladder.tie_starts, axis=1)
        below = np.cumsum(negative, axis=1) - negative
        wins = (positive * (below + 0.5 * negative)).sum(axis=1)
        return weighted_ratio(wins, (positive.sum(axis=1) * negative.sum(axis=1)).astype(np.float64))

    def hits_at(self, threshold: float) -> Figures:
        """Weighted number of nodules found by a mark with a score of at least ``threshold``."""
        return weighted_sum(self.weights, self.ladder.count_at(threshold)[0])

    def falses_at(self, threshold: float) -> Figures:
        """Weighted number of false marks with a score of at least ``threshold``."""
        return weighted_sum(self.weights, self.ladder.count_at(threshold)[1])


def _running_sum(
    weights: Weights, films: Int64[NDArray[np.int64], " marks"]
) -> Int32[NDArray[np.int32], "resamples marks_and_one"]:
    summed = np.zeros((len(weights), len(films) + 1), dtype=np.int32)
    np.cumsum(weights[:, films], axis=1, out=summed[:, 1:])
    return summed


def weighted_sum(weights: Weights, values: Int64[NDArray[np.int64], " films"]) -> Figures:
    """Values of films, summed under each row of weights."""
    summed: NDArray[np.float64] = weights.astype(np.float64) @ values.astype(np.float64)
    return summed


def weighted_ratio(
    part: Float64[NDArray[np.float64], "*shape"],
    whole: Float64[NDArray[np.float64], "*shape"],
    *,
    undefined: float = float("nan"),
) -> Float64[NDArray[np.float64], "*shape"]:
    """A quotient; ``undefined`` where there is nothing to divide by."""
    divided: NDArray[np.float64] = np.divide(part, whole, out=np.full(part.shape, undefined), where=whole > 0)
    return divided
