"""Calibration and operating point: what the detector's scores mean on validation films, kept with the weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

from xraynet.checkpoint import OperatingPoint
from xraynet.detector.calibration import Calibration
from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.intervals import wilson_interval
from xraynet.evaluation.matching import MatchTable, Verdict, match_films
from xraynet.evaluation.operating_point import ChosenThreshold, OperatingTarget, choose_threshold
from xraynet.evaluation.rules import MatchRule
from xraynet.findings import LOWEST_KEPT_SCORE, NoduleDetections

_SMALLEST_SLOPE = 0.2
_NEWTON_STEPS = 50
_RIDGE = 1e-3


@dataclass(frozen=True, eq=False)
class CalibratedDetector:
    """A calibration, the operating point on calibrated scores, and the calibrated validation films they come from."""

    calibration: Calibration
    operating_point: OperatingPoint
    films: tuple[ScoredFilm, ...]


def calibrate(
    films: Sequence[ScoredFilm], *, rule: MatchRule, target: OperatingTarget, calibrated_on: str
) -> CalibratedDetector:
    """Fit the calibration and choose the operating point on validation films with uncalibrated scores.

    Where the films cannot tell (no normal film, or no threshold that meets the target), the operating point is a
    score of 0.5, and says so.
    """
    calibration = fit_calibration(match_films(films, rule))
    calibrated = tuple(replace(film, detections=apply_calibration(film.detections, calibration)) for film in films)
    table = match_films(calibrated, rule)
    chosen = choose_threshold(table, target)
    if chosen is None:
        missed = f"0.5, for no threshold gave {target.describe()}"
        point = OperatingPoint(target=missed, calibrated_on=calibrated_on, rule=rule.name)
    else:
        point = describe_operating_point(table, chosen, calibrated_on=calibrated_on)
    return CalibratedDetector(calibration=calibration, operating_point=point, films=calibrated)


def describe_operating_point(table: MatchTable, chosen: ChosenThreshold, *, calibrated_on: str) -> OperatingPoint:
    """The operating point with its figures; sensitivity with Wilson's 95 % interval."""
    figures = chosen.figures
    low, high = wilson_interval(figures.num_hits, figures.num_nodules)
    return OperatingPoint(
        threshold=chosen.threshold,
        target=chosen.target.describe(),
        false_positives_per_normal_film=figures.false_positives_per_normal_film,
        sensitivity=figures.recall,
        sensitivity_low=low,
        sensitivity_high=high,
        calibrated_on=f"{calibrated_on} ({chosen.num_normal_films} of {table.num_films} normal; {table.num_nodules} nodules)",
        rule=table.rule.name,
    )


def fit_calibration(table: MatchTable) -> Calibration:
    """The calibration under which a mark's score is the share of such marks that find a nodule, on the table's films.

    Logistic regression of hit against the score's log odds (Platt 1999, with his smoothed targets, so that marks which
    separate perfectly do not drive it to infinity), by Newton's method. Without hits or without false marks there is
    nothing to fit: scores stay as they are.
    """
    counted = table.mark_verdicts != Verdict.IGNORED
    scores, is_hit = table.mark_scores[counted].astype(np.float64), table.mark_verdicts[counted] == Verdict.HIT
    if is_hit.all() or not is_hit.any():
        return Calibration()
    slope, intercept = _fit_platt(_log_odds(scores), is_hit)
    if slope < _SMALLEST_SLOPE:
        # A detector whose scores say (almost) nothing is not to be turned round; only its level is corrected.
        slope, intercept = 1.0, _log_odds(is_hit.mean(keepdims=True))[0] - float(np.median(_log_odds(scores)))
    return Calibration(slope=float(slope), intercept=float(intercept))


def _fit_platt(odds: Float64[NDArray[np.float64], " marks"], is_hit: Bool[NDArray[np.bool_], " marks"]) -> tuple[float, float]:
    num_hits, num_false = int(is_hit.sum()), int((~is_hit).sum())
    wanted = np.where(is_hit, (num_hits + 1) / (num_hits + 2), 1 / (num_false + 2))
    features = np.stack([odds, np.ones_like(odds)], axis=1)
    prior = np.array([1.0, 0.0])
    parameters = prior.copy()
    for _ in range(_NEWTON_STEPS):
        score = 1 / (1 + np.exp(-np.clip(features @ parameters, -60, 60)))
        gradient = features.T @ (score - wanted) + _RIDGE * (parameters - prior)
        curvature = (features * (score * (1 - score))[:, None]).T @ features + _RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        # A full Newton step can overshoot far from the solution: half a unit of log odds a mark is always safe.
        parameters = parameters - step * min(1.0, 2.0 / float(np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return float(parameters[0]), float(parameters[1])


def apply_calibration(detections: NoduleDetections, calibration: Calibration) -> NoduleDetections:
    """The detections under calibrated scores; those that fall under the lowest score that is ever kept are dropped."""
    odds = _log_odds(detections.scores.astype(np.float64)) * calibration.slope + calibration.intercept
    scores = (1 / (1 + np.exp(-odds))).astype(np.float32)
    return NoduleDetections(boxes=detections.boxes, scores=scores).select(scores >= LOWEST_KEPT_SCORE)


def _log_odds(scores: Float64[NDArray[np.float64], " num"]) -> Float64[NDArray[np.float64], " num"]:
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    odds: NDArray[np.float64] = np.log(clipped) - np.log1p(-clipped)
    return odds
