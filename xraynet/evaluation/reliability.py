"""Reliability: how often marks of a score find a nodule, band by band (a calibrated score is that share).

A band without a mark has no figure. Intervals come from the same bootstrap over patients as every other figure's.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Final

import numpy as np

from xraynet.evaluation.intervals import Bootstrap, ChunkFigures, estimate
from xraynet.evaluation.matching import MatchTable, Verdict
from xraynet.evaluation.results import ScoreBand
from xraynet.evaluation.tallies import Tally, weighted_ratio, weighted_sum

BAND_EDGES: Final = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def tabulate_score_bands(table: MatchTable, config: Bootstrap) -> tuple[ScoreBand, ...]:
    """The bands that hold a mark, lowest first. Marks that the rule ignores are in none."""
    told = table.mark_verdicts != Verdict.IGNORED
    bands = np.clip(np.searchsorted(BAND_EDGES, table.mark_scores, side="right") - 1, 0, len(BAND_EDGES) - 2)
    used = [band for band in range(len(BAND_EDGES) - 1) if np.any(told & (bands == band))]
    if not used:
        return ()
    shares, _ = estimate(table, _shares_of_hits(table, [told & (bands == band) for band in used]), config)
    edges = list(pairwise(BAND_EDGES))
    return tuple(
        ScoreBand(
            low=edges[band][0],
            high=edges[band][1],
            num_marks=int((told & (bands == band)).sum()),
            mean_score=float(table.mark_scores[told & (bands == band)].mean(dtype=np.float64)),
            share_of_hits=share,
        )
        for band, share in zip(used, shares, strict=True)
    )


def _shares_of_hits(table: MatchTable, members: list[np.ndarray]) -> Callable[[Tally], ChunkFigures]:
    num, is_hit = len(table.films), table.mark_verdicts == Verdict.HIT
    marks = [np.bincount(table.mark_films[chosen], minlength=num) for chosen in members]
    hits = [np.bincount(table.mark_films[chosen & is_hit], minlength=num) for chosen in members]

    def measure(tally: Tally) -> ChunkFigures:
        columns = [
            weighted_ratio(weighted_sum(tally.weights, part), weighted_sum(tally.weights, whole))
            for part, whole in zip(hits, marks, strict=True)
        ]
        return np.stack(columns, axis=1)

    return measure
