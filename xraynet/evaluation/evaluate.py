"""Evaluates a detector: scored films in, every figure with its interval and its protocol out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.intervals import DEFAULT_BOOTSTRAP, Bootstrap, ChunkFigures, Estimate, ResamplingFacts, estimate
from xraynet.evaluation.matching import MatchTable, match_films
from xraynet.evaluation.metrics import (
    STANDARD_RATES,
    froc,
    node21_scores,
    precision_recall,
    precision_recall_curve,
    roc_curve,
)
from xraynet.evaluation.reliability import tabulate_score_bands
from xraynet.evaluation.results import (
    CurvePoints,
    EvaluationResult,
    EvaluationSubject,
    FilmCalls,
    FilmCounts,
    OperatingFigures,
    OverlapPrecision,
    RateSensitivity,
)
from xraynet.evaluation.rules import NODE21, MatchRule, parse_rule
from xraynet.evaluation.subgroups import tabulate_subgroups
from xraynet.evaluation.tallies import Tally, weighted_ratio, weighted_sum

OVERLAPS: Final = (0.2, 0.3, 0.4, 0.5)
MOST_CURVE_POINTS: Final = 1000


@dataclass(frozen=True)
class ReportThreshold:
    """The operating point to evaluate at, and where it comes from (the checkpoint's name, for example)."""

    threshold: float
    source: str


def evaluate_films(
    films: Sequence[ScoredFilm],
    rule: MatchRule,
    *,
    subject: EvaluationSubject,
    operating: ReportThreshold | None = None,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    leave_out_without_spacing: bool = False,
) -> EvaluationResult:
    """Every figure of ``films`` under ``rule``; without ``operating`` there are no figures at an operating point.

    Raises MissingSpacingError where the rule needs the spacing of a film that has none, unless such films are left out,
    which the result then says.
    """
    kept = keep_scorable(films, rule, leave_out_without_spacing=leave_out_without_spacing)
    table = match_films(kept, rule)
    threshold = None if operating is None else operating.threshold
    estimates, facts = estimate(table, _all_figures(threshold), bootstrap)
    rates, rest = estimates[: len(STANDARD_RATES)], estimates[len(STANDARD_RATES) :]
    froc_score, average_precision, film_auc, *at_threshold = rest
    counts = _count_films(films, table)
    return EvaluationResult(
        subject=subject,
        rule=rule.name,
        rule_words=rule.describe(),
        rate_words=_describe_rates(counts),
        counts=counts,
        resampling=facts,
        resampling_words=facts.describe(),
        operating=None if operating is None else _operating_figures(table, operating, at_threshold),
        froc=tuple(RateSensitivity(rate, found) for rate, found in zip(STANDARD_RATES, rates, strict=True)),
        froc_score=froc_score,
        average_precision=average_precision,
        overlap_precisions=tuple(
            OverlapPrecision(iou, _one(kept, parse_rule(f"iou:{iou}"), Tally.average_precision, bootstrap)) for iou in OVERLAPS
        ),
        film_auc=film_auc,
        node21_score=_one(kept, NODE21, node21_scores, bootstrap),
        froc_curve=_thin(froc(table).false_positives_per_film, froc(table).sensitivity),
        precision_recall_curve=_thin(precision_recall_curve(table).recall, precision_recall_curve(table).precision),
        roc_curve=_thin(*roc_curve(table)),
        subgroups=tabulate_subgroups(table, threshold=threshold, config=bootstrap),
        notes=_notes(counts, facts, table),
        xraynet_version=version("xraynet"),
        score_bands=tabulate_score_bands(table, bootstrap),
    )


def keep_scorable(films: Sequence[ScoredFilm], rule: MatchRule, *, leave_out_without_spacing: bool = False) -> list[ScoredFilm]:
    """The films that ``rule`` can score; all of them, unless those that lack a spacing it needs are to be left out."""
    return [film for film in films if not (leave_out_without_spacing and rule.needs_spacing and _lacks_spacing(film))]


def _lacks_spacing(film: ScoredFilm) -> bool:
    return film.spacing_mm is None and film.is_counted and bool(film.has_nodule)


def _all_figures(threshold: float | None) -> Callable[[Tally], ChunkFigures]:
    """Sensitivity at the standard rates, their mean, average precision, film AUC; with a threshold, eight figures at it."""

    def measure(tally: Tally) -> ChunkFigures:
        found = tally.sensitivity_at(STANDARD_RATES)
        columns = [found.mean(axis=1), tally.average_precision(), tally.film_auc()]
        if threshold is not None:
            columns += _figures_at(tally, threshold)
        return np.concatenate([found, np.stack(columns, axis=1)], axis=1)

    return measure


def _figures_at(tally: Tally, threshold: float) -> list[Float64[NDArray[np.float64], " resamples"]]:
    table = tally.ladder.table
    hits, falses = tally.hits_at(threshold), tally.falses_at(threshold)
    of_normal = tally.ladder.count_at(threshold)[1] * table.normal
    called, labels = table.film_scores >= threshold, table.film_labels

    def share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> Float64[NDArray[np.float64], " resamples"]:
        return weighted_ratio(weighted_sum(tally.weights, part), weighted_sum(tally.weights, whole))

    return [
        weighted_ratio(hits, hits + falses),
        weighted_ratio(hits, tally.num_nodules),
        weighted_ratio(falses, tally.num_films),
        share(of_normal, table.normal.astype(np.int64)),
        share((called & (labels == 1)).astype(np.int64), (labels == 1).astype(np.int64)),
        share((~called & (labels == 0)).astype(np.int64), (labels == 0).astype(np.int64)),
        share((called & (labels == 1)).astype(np.int64), (called & (labels >= 0)).astype(np.int64)),
        share((~called & (labels == 0)).astype(np.int64), (~called & (labels >= 0)).astype(np.int64)),
    ]


def _one(
    films: Sequence[ScoredFilm], rule: MatchRule, figure: Callable[[Tally], ChunkFigures], bootstrap: Bootstrap
) -> Estimate:
    """One figure under a rule of its own, with its interval."""
    return estimate(match_films(films, rule), lambda tally: figure(tally)[:, None], bootstrap)[0][0]


def _operating_figures(table: MatchTable, operating: ReportThreshold, at_threshold: Sequence[Estimate]) -> OperatingFigures:
    precision, recall, per_film, per_normal_film, sensitivity, specificity, ppv, npv = at_threshold
    plain = precision_recall(table, operating.threshold)
    return OperatingFigures(
        threshold=operating.threshold,
        source=operating.source,
        num_hits=plain.num_hits,
        num_false=plain.num_false,
        precision=precision,
        recall=recall,
        false_positives_per_film=per_film,
        false_positives_per_normal_film=per_normal_film,
        film_sensitivity=sensitivity,
        film_specificity=specificity,
        film_ppv=ppv,
        film_npv=npv,
        film_calls=FilmCalls(*plain.num_films_called),
    )


def _count_films(given: Sequence[ScoredFilm], table: MatchTable) -> FilmCounts:
    unknown = [film for film in table.films if not film.is_counted]
    return FilmCounts(
        num_given=len(given),
        num_counted=table.num_films,
        num_with_nodule=table.num_films - int(table.normal.sum()),
        num_normal=int(table.normal.sum()),
        num_unknown=len(unknown),
        num_labelled=sum(film.has_nodule is not None for film in unknown),
        num_not_analysed=sum(not film.analysed for film in table.films),
        num_left_out=len(given) - len(table.films),
        num_nodules=table.num_nodules,
    )


def _describe_rates(counts: FilmCounts) -> str:
    return (
        f"False positives per film are over all {counts.num_counted} films whose nodules are fully known: "
        f"{counts.num_with_nodule} with a nodule ({counts.num_nodules} nodules), {counts.num_normal} read as free of nodules."
    )


def _notes(counts: FilmCounts, facts: ResamplingFacts, table: MatchTable) -> tuple[str, ...]:
    """What a reader of the figures has to know, in sentences."""
    notes: list[str] = []
    if counts.num_unknown:
        notes.append(
            f"{counts.num_unknown} films of unknown state are not in FROC, precision or recall; {counts.num_labelled} of them "
            "have a film-level answer and count in the film AUC."
        )
    if counts.num_left_out:
        notes.append(f"{counts.num_left_out} films with a nodule were left out: rule {table.rule.name} needs their spacing.")
    if counts.num_not_analysed:
        notes.append(
            f"{counts.num_not_analysed} films were not analysed by the detector; they count, without a mark, film score 0."
        )
    if not counts.num_nodules:
        notes.append("There is no nodule to find: sensitivity, recall, FROC and average precision are undefined.")
    if not (np.any(table.film_labels == 1) and np.any(table.film_labels == 0)):
        notes.append("Film AUC and NODE21's score are undefined: films known with and films known without a nodule are needed.")
    if not counts.num_normal:
        notes.append("No film is known to be free of nodules: false positives per normal film are undefined.")
    if facts.num_films_without_patient:
        notes.append(
            f"The patients of {facts.num_films_without_patient} films are unknown: these films were resampled on their own, "
            "which makes intervals too narrow where a patient has several."
        )
    if facts.num_resamples == 0:
        notes.append("There are no intervals: they need at least two patients.")
    return tuple(notes)


def _thin(x: Float64[NDArray[np.float64], " points"], y: Float64[NDArray[np.float64], " points"]) -> CurvePoints:
    """A curve of at most 1,000 points, its two ends among them."""
    if len(x) > MOST_CURVE_POINTS:
        places = np.unique(np.linspace(0, len(x) - 1, MOST_CURVE_POINTS).round().astype(np.int64))
        x, y = x[places], y[places]
    return CurvePoints(tuple(x.tolist()), tuple(y.tolist()))
