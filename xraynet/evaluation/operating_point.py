"""The operating point: the score from which a mark is reported, chosen on validation films by a stated target."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.evaluation.matching import MatchTable, Verdict
from xraynet.evaluation.metrics import ThresholdFigures, precision_recall
from xraynet.findings import LOWEST_KEPT_SCORE

TargetKind = Literal["false-positives-per-normal-film", "false-positives-per-film", "sensitivity", "film-specificity"]


@dataclass(frozen=True)
class OperatingTarget:
    """What the operating point must keep: at most ``value`` false positives, or at least ``value`` of the others.

    The lowest threshold is taken that keeps it; for ``sensitivity`` the highest.
    """

    kind: TargetKind = "false-positives-per-normal-film"
    value: float = 0.25

    def __post_init__(self) -> None:
        is_share = self.kind in ("sensitivity", "film-specificity")
        if not (0 <= self.value <= 1 if is_share else 0 <= self.value < np.inf):
            raise ValueError(
                f"the target for {self.kind} is {self.value}; a number of 0 or more was expected, for shares up to 1"
            )

    def describe(self) -> str:
        """The target in words."""
        lowest, percent = "the lowest threshold with", f"at least {100 * self.value:g} %"
        return {
            "false-positives-per-normal-film": f"{lowest} at most {self.value:g} false positives per normal film",
            "false-positives-per-film": f"{lowest} at most {self.value:g} false positives per film",
            "sensitivity": f"the highest threshold that finds {percent} of the nodules",
            "film-specificity": f"{lowest} no mark on {percent} of the normal films",
        }[self.kind]


@dataclass(frozen=True)
class ChosenThreshold:
    """A threshold (marks with at least this score are reported), why, and what it does on the films it was chosen on."""

    threshold: float
    target: OperatingTarget
    figures: ThresholdFigures
    num_normal_films: int


def choose_threshold(table: MatchTable, target: OperatingTarget = OperatingTarget()) -> ChosenThreshold | None:
    """The threshold that meets ``target`` on the table's films; None where none can or where there are no films to tell.

    Every threshold between two neighbouring scores admits the same marks: the middle is taken, so that rounding cannot
    carry a mark over it. A target that all marks meet gives the lowest score that is ever kept (0.001).
    """
    threshold = _lowest_sensitive(table, target.value) if target.kind == "sensitivity" else _lowest_quiet(table, target)
    if threshold is None:
        return None
    return ChosenThreshold(threshold, target, precision_recall(table, threshold), int(table.normal.sum()))


def _lowest_quiet(table: MatchTable, target: OperatingTarget) -> float | None:
    """The lowest threshold that no more than the allowed number of unwanted scores reach."""
    unwanted, allowed = _unwanted_scores(table, target)
    if allowed is None:
        return None
    if len(unwanted) <= allowed:
        return LOWEST_KEPT_SCORE
    blocking = unwanted[allowed]
    above = table.mark_scores[table.mark_scores > blocking]
    following = float(above[-1]) if len(above) else 1.0
    middle = float(np.float32((float(blocking) + following) / 2))
    return middle if middle > blocking else (following if following > blocking else None)


def _unwanted_scores(table: MatchTable, target: OperatingTarget) -> tuple[Float32[NDArray[np.float32], " num"], int | None]:
    """The scores that the target wants few of, highest first, and how many of them it allows (None: undefined)."""
    is_false = table.mark_verdicts == Verdict.FALSE
    num_normal = int(table.normal.sum())
    if target.kind == "false-positives-per-film":
        return table.mark_scores[is_false], _floor(target.value * table.num_films) if table.num_films else None
    if not num_normal:
        return table.mark_scores[:0], None
    if target.kind == "false-positives-per-normal-film":
        return table.mark_scores[is_false & table.normal[table.mark_films]], _floor(target.value * num_normal)
    of_films = np.sort(table.film_scores[table.normal])[::-1]
    return of_films[of_films > 0], _floor((1 - target.value) * num_normal)


def _floor(number: float) -> int:
    return int(np.floor(number + 1e-9))


def _lowest_sensitive(table: MatchTable, share: float) -> float | None:
    """The highest threshold at which ``share`` of the nodules are found: the score of the last hit that is needed."""
    needed = int(np.ceil(share * table.num_nodules - 1e-9))
    if not table.num_nodules or needed > len(table.hit_scores):
        return None
    if needed == 0:
        return 1.0
    return float(table.hit_scores[needed - 1])
