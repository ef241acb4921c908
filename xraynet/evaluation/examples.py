"""Examples of what a detector got wrong: nodules that it missed, and marks on what is none, the most telling first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.matching import MatchTable, Verdict
from xraynet.lung_frame import BoxEdges, Side, Zone, locate

ExampleKind = Literal["miss", "false-alarm"]


@dataclass(frozen=True, eq=False)
class Example:
    """One nodule missed, or one false mark, on the film as it was scored.

    ``score``: of the false mark; of a miss, the score of the mark that found it below the threshold, None where no mark
    did. ``diameter_mm`` and ``subtlety`` are the nodule's; None where unknown, and for false marks.
    """

    kind: ExampleKind
    film: ScoredFilm
    box: BoxEdges
    score: float | None
    diameter_mm: float | None = None
    subtlety: int | None = None

    @property
    def place(self) -> tuple[Side | None, Zone | None]:
        """Side and zone, as far as the film's lung fields are known."""
        return (None, None) if self.film.lungs is None else locate(self.box, self.film.lungs)


@dataclass(frozen=True, eq=False)
class Examples:
    """The chosen examples, and out of how many: all misses, and all films with a false mark, at ``threshold``."""

    misses: tuple[Example, ...]
    false_alarms: tuple[Example, ...]
    num_misses: int
    num_films_with_false_alarm: int
    threshold: float | None

    @property
    def every(self) -> tuple[Example, ...]:
        """Misses, then false alarms."""
        return (*self.misses, *self.false_alarms)


def choose_examples(table: MatchTable, *, threshold: float | None, num: int) -> Examples:
    """At most ``num`` misses and ``num`` false alarms, marks below ``threshold`` not counting as found or as false.

    Misses: those that no mark found come first, the largest nodule first, then those found at the lowest scores. False
    alarms: the highest score first, one a film, so that a single bad film does not fill the page. Without a threshold
    every mark counts.
    """
    least = 0.0 if threshold is None else threshold
    missed = [int(place) for place in np.flatnonzero(table.nodule_scores < least)]
    missed.sort(key=lambda place: (float(table.nodule_scores[place]), -_size(table, place), _key(table, place)))
    alarms = _first_of_each_film(table, np.flatnonzero((table.mark_verdicts == Verdict.FALSE) & (table.mark_scores >= least)))
    return Examples(
        misses=tuple(_miss(table, place) for place in missed[:num]),
        false_alarms=tuple(_false_alarm(table, place) for place in alarms[:num]),
        num_misses=len(missed),
        num_films_with_false_alarm=len(alarms),
        threshold=threshold,
    )


def _size(table: MatchTable, place: int) -> float:
    size = float(table.nodule_diameters_mm[place])
    return 0.0 if np.isnan(size) else size


def _key(table: MatchTable, place: int) -> tuple[str, list[float]]:
    return table.films[int(table.nodule_films[place])].key, table.nodule_boxes[place].tolist()


def _first_of_each_film(table: MatchTable, marks: Sequence[int] | np.ndarray) -> list[int]:
    """Marks come by falling score already; equal scores go by the film's key."""
    order = sorted((int(mark) for mark in marks), key=lambda mark: (-float(table.mark_scores[mark]), _film(table, mark).key))
    first: dict[str, int] = {}
    for mark in order:
        first.setdefault(_film(table, mark).key, mark)
    return list(first.values())


def _film(table: MatchTable, mark: int) -> ScoredFilm:
    return table.films[int(table.mark_films[mark])]


def _edges(box: np.ndarray) -> BoxEdges:
    x1, y1, x2, y2 = (float(edge) for edge in box)
    return (x1, y1, x2, y2)


def _miss(table: MatchTable, place: int) -> Example:
    score, size, grade = (
        float(values[place]) for values in (table.nodule_scores, table.nodule_diameters_mm, table.nodule_subtlety)
    )
    return Example(
        kind="miss",
        film=table.films[int(table.nodule_films[place])],
        box=_edges(table.nodule_boxes[place]),
        score=None if score < 0 else score,
        diameter_mm=None if np.isnan(size) else size,
        subtlety=int(grade) or None,
    )


def _false_alarm(table: MatchTable, mark: int) -> Example:
    return Example(
        kind="false-alarm",
        film=_film(table, mark),
        box=_edges(table.mark_boxes[mark]),
        score=float(table.mark_scores[mark]),
    )
