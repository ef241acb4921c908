"""The match table: which marks found a nodule and which are false, worked out once for every metric.

Within a film, marks are taken by falling score; each finds the closest nodule that is still unfound. Whatever is left
is a further mark (on a nodule already found) or a false one. Films whose nodules are not fully known have no mark in the
table; they can still count in the film AUC.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int8, Int64
from numpy.typing import NDArray

from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.rules import MatchRule
from xraynet.geometry import diameters_mm


class Verdict(IntEnum):
    """What a mark counts as."""

    FALSE = 0
    HIT = 1
    IGNORED = 2


class MissingSpacingError(ValueError):
    """The rule measures millimetres, and a film with a nodule does not say how large its pixels are."""


@dataclass(frozen=True, eq=False)
class MatchTable:
    """Every film, nodule and mark of a test set, joined under one rule.

    A nodule or mark names its film by position. ``nodule_scores`` is the score of the mark that found the nodule, -1 where
    none did. ``nodule_diameters_mm`` is NaN and ``nodule_subtlety`` 0 where unknown. Marks are sorted by falling score.
    """

    rule: MatchRule
    films: tuple[ScoredFilm, ...]
    film_scores: Float32[NDArray[np.float32], " films"]
    nodule_films: Int64[NDArray[np.int64], " nodules"]
    nodule_scores: Float32[NDArray[np.float32], " nodules"]
    nodule_diameters_mm: Float64[NDArray[np.float64], " nodules"]
    nodule_subtlety: Int64[NDArray[np.int64], " nodules"]
    nodule_boxes: Float32[NDArray[np.float32], "nodules 4"]
    mark_films: Int64[NDArray[np.int64], " marks"]
    mark_scores: Float32[NDArray[np.float32], " marks"]
    mark_verdicts: Int8[NDArray[np.int8], " marks"]
    mark_boxes: Float32[NDArray[np.float32], "marks 4"]

    @cached_property
    def counted(self) -> Bool[NDArray[np.bool_], " films"]:
        """The films over which rates are taken: all whose nodules are fully known, with or without a nodule."""
        return np.array([film.is_counted for film in self.films], dtype=np.bool_)

    @cached_property
    def normal(self) -> Bool[NDArray[np.bool_], " films"]:
        """The films that were read and found free of nodules."""
        return np.array([film.is_counted and not film.has_nodule for film in self.films], dtype=np.bool_)

    @cached_property
    def film_labels(self) -> Int8[NDArray[np.int8], " films"]:
        """1 where the film has a nodule, 0 where it has none, -1 where that is not known."""
        codes = {True: 1, False: 0, None: -1}
        return np.array([codes[film.has_nodule] for film in self.films], dtype=np.int8)

    @property
    def num_films(self) -> int:
        """How many films the rates are taken over."""
        return int(self.counted.sum())

    @property
    def num_nodules(self) -> int:
        """How many nodules there are to find."""
        return len(self.nodule_films)

    @cached_property
    def false_scores(self) -> Float32[NDArray[np.float32], " falses"]:
        """The scores of the false marks, highest first."""
        scores: NDArray[np.float32] = self.mark_scores[self.mark_verdicts == Verdict.FALSE]
        return scores

    @cached_property
    def hit_scores(self) -> Float32[NDArray[np.float32], " hits"]:
        """The scores of the marks that found a nodule, highest first."""
        scores: NDArray[np.float32] = self.mark_scores[self.mark_verdicts == Verdict.HIT]
        return scores

    def select_films(self, keep: Bool[NDArray[np.bool_], " films"]) -> "MatchTable":
        """The table of some of the films, with their nodules and marks."""
        place = np.cumsum(keep) - 1
        nodules, marks = keep[self.nodule_films], keep[self.mark_films]
        return replace(
            self,
            films=tuple(film for film, kept in zip(self.films, keep, strict=True) if kept),
            film_scores=self.film_scores[keep],
            nodule_films=place[self.nodule_films[nodules]],
            nodule_scores=self.nodule_scores[nodules],
            nodule_diameters_mm=self.nodule_diameters_mm[nodules],
            nodule_subtlety=self.nodule_subtlety[nodules],
            nodule_boxes=self.nodule_boxes[nodules],
            mark_films=place[self.mark_films[marks]],
            mark_scores=self.mark_scores[marks],
            mark_verdicts=self.mark_verdicts[marks],
            mark_boxes=self.mark_boxes[marks],
        )


def match_films(films: Sequence[ScoredFilm], rule: MatchRule) -> MatchTable:
    """The match table of ``films`` under ``rule``.

    Raises MissingSpacingError (a ValueError) where the rule measures millimetres and a film with a nodule has no spacing.
    """
    _check(films, rule)
    is_counted = np.array([film.is_counted for film in films], dtype=np.bool_)
    counted = [film for film, told in zip(films, is_counted, strict=True) if told]
    with_nodule = [film for film in counted if len(film.annotations.boxes)]
    mark_counts = np.array([len(film.detections.scores) for film in films], dtype=np.int64) * is_counted
    nodule_counts = np.array([len(film.annotations.boxes) for film in films], dtype=np.int64) * is_counted
    scores = _join([film.detections.scores for film in counted], np.zeros(0, np.float32))
    mark_boxes = _join([film.detections.boxes for film in counted], np.zeros((0, 4), np.float32))
    nodule_boxes = _join([film.annotations.boxes for film in with_nodule], np.zeros((0, 4), np.float32))
    spacing = np.array([film.spacing_mm or (np.nan, np.nan) for film in films], dtype=np.float64).reshape(-1, 2)
    mark_films = np.repeat(np.arange(len(films)), mark_counts)
    nodule_films = np.repeat(np.arange(len(films)), nodule_counts)

    pair_marks, pair_nodules = _pair_up(mark_counts, nodule_counts)
    hits, closeness = rule.judge(
        mark_boxes[pair_marks].astype(np.float64),
        nodule_boxes[pair_nodules].astype(np.float64),
        spacing[mark_films[pair_marks]],
    )
    pair_marks, pair_nodules, closeness = pair_marks[hits], pair_nodules[hits], closeness[hits]
    order = _falling_order(scores[pair_marks], closeness, mark_boxes[pair_marks], nodule_boxes[pair_nodules])
    found_by, verdicts = _assign(pair_marks[order], pair_nodules[order], len(scores), len(nodule_films), rule)

    falling = np.argsort(-scores)
    return MatchTable(
        rule=rule,
        films=tuple(films),
        film_scores=np.array([film.film_score for film in films], dtype=np.float32),
        nodule_films=nodule_films,
        nodule_scores=np.where(found_by >= 0, np.append(scores, np.float32(-1))[found_by], np.float32(-1)),
        nodule_diameters_mm=_diameters(with_nodule),
        nodule_subtlety=np.array([grade or 0 for film in with_nodule for grade in film.annotations.subtlety], dtype=np.int64),
        nodule_boxes=nodule_boxes,
        mark_films=mark_films[falling],
        mark_scores=scores[falling],
        mark_verdicts=verdicts[falling],
        mark_boxes=mark_boxes[falling],
    )


def _check(films: Sequence[ScoredFilm], rule: MatchRule) -> None:
    keys = [film.key for film in films]
    if len(set(keys)) != len(keys):
        raise ValueError(
            f"{len(keys) - len(set(keys))} of {len(keys)} films share a key with another; one film a key was expected"
        )
    if rule.needs_spacing:
        without = [film.key for film in films if film.is_counted and film.has_nodule and film.spacing_mm is None]
        if without:
            raise MissingSpacingError(
                f"rule {rule.name} measures millimetres, and {len(without)} films with a nodule have no spacing (the first is "
                f"{without[0]}); give their spacing, leave these films out, or choose another rule"
            )


def _join(arrays: list[NDArray[np.float32]], empty: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([empty, *arrays])


def _pair_up(
    mark_counts: Int64[NDArray[np.int64], " films"], nodule_counts: Int64[NDArray[np.int64], " films"]
) -> tuple[Int64[NDArray[np.int64], " pairs"], Int64[NDArray[np.int64], " pairs"]]:
    """Every mark of a film with every nodule of the same film, for all films at once."""
    pair_counts = mark_counts * nodule_counts
    pair_films = np.repeat(np.arange(len(mark_counts)), pair_counts)
    within = np.arange(len(pair_films)) - np.repeat(np.cumsum(pair_counts) - pair_counts, pair_counts)
    mark_starts, nodule_starts = np.cumsum(mark_counts) - mark_counts, np.cumsum(nodule_counts) - nodule_counts
    divisor = nodule_counts[pair_films]
    return mark_starts[pair_films] + within // divisor, nodule_starts[pair_films] + within % divisor


def _falling_order(
    scores: Float32[NDArray[np.float32], " pairs"],
    closeness: Float64[NDArray[np.float64], " pairs"],
    mark_boxes: Float32[NDArray[np.float32], "pairs 4"],
    nodule_boxes: Float32[NDArray[np.float32], "pairs 4"],
) -> Int64[NDArray[np.int64], " pairs"]:
    """Highest score first, then closest; boxes break what ties remain, so that the order of the input never matters."""
    return np.lexsort((*nodule_boxes.T, *mark_boxes.T, -closeness, -scores))


def _assign(
    pair_marks: Int64[NDArray[np.int64], " pairs"],
    pair_nodules: Int64[NDArray[np.int64], " pairs"],
    num_marks: int,
    num_nodules: int,
    rule: MatchRule,
) -> tuple[Int64[NDArray[np.int64], " nodules"], Int8[NDArray[np.int8], " marks"]]:
    """The mark that found each nodule (-1: none), and each mark's verdict; pairs are hits, best first."""
    finder: dict[int, int] = {}
    hits: set[int] = set()
    for mark, nodule in zip(pair_marks.tolist(), pair_nodules.tolist(), strict=True):
        if nodule not in finder and mark not in hits:
            finder[nodule] = mark
            hits.add(mark)
    found_by = np.full(num_nodules, -1, dtype=np.int64)
    verdicts = np.full(num_marks, Verdict.FALSE, dtype=np.int8)
    if rule.further_marks == "ignored":
        verdicts[pair_marks] = Verdict.IGNORED
    if finder:
        found_by[list(finder)] = list(finder.values())
        verdicts[list(hits)] = Verdict.HIT
    return found_by, verdicts


def _diameters(films: list[ScoredFilm]) -> Float64[NDArray[np.float64], " nodules"]:
    """Diameters in mm: the reader's own where there is one, else the box's longer side, else NaN (no spacing)."""
    found: list[float] = []
    for film in films:
        if film.spacing_mm is None:
            of_boxes = [float("nan")] * len(film.annotations.boxes)
        else:
            of_boxes = diameters_mm(film.annotations.boxes, spacing_mm=film.spacing_mm).tolist()
        found += [
            measured if said is None else said for said, measured in zip(film.annotations.diameter_mm, of_boxes, strict=True)
        ]
    return np.array(found, dtype=np.float64)
