"""EvaluationResult: every figure of an evaluation with its interval and its protocol, and metrics.json, its file.

A figure that is undefined (nothing to divide by) is None, null in the file, and never 0.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import cattrs

from xraynet.errors import PredictionsError
from xraynet.evaluation.intervals import Estimate, ResamplingFacts
from xraynet.files import write_text_atomically

METRICS_SCHEMA_VERSION: Final = 1
_UNDEFINED: Final = Estimate(None)


@dataclass(frozen=True)
class EvaluationSubject:
    """What was evaluated: which detector, on which films, for which classes."""

    detector: str
    films: str
    target_classes: tuple[str, ...] = ("nodule", "mass")
    checkpoint_fingerprint: str | None = None
    catalogue_fingerprint: str | None = None


@dataclass(frozen=True)
class FilmCounts:
    """How many films were given and what became of them.

    ``num_counted`` (with a nodule and normal together) carry the rates; ``num_unknown`` do not, though ``num_labelled`` of
    them, with a film-level answer, count in the film AUC. ``num_not_analysed`` were declined by the detector and count
    without a mark; ``num_left_out`` were excluded before, for want of spacing.
    """

    num_given: int
    num_counted: int
    num_with_nodule: int
    num_normal: int
    num_unknown: int
    num_labelled: int
    num_not_analysed: int
    num_left_out: int
    num_nodules: int


@dataclass(frozen=True)
class RateSensitivity:
    """Sensitivity at one rate of false positives per film."""

    false_positives_per_film: float
    sensitivity: Estimate


@dataclass(frozen=True)
class OverlapPrecision:
    """Average precision where a hit needs this intersection over union."""

    iou: float
    average_precision: Estimate


@dataclass(frozen=True)
class FilmCalls:
    """Films of known state, called positive where any of their marks reaches the threshold, against what they show."""

    num_true_positive: int
    num_false_positive: int
    num_false_negative: int
    num_true_negative: int


@dataclass(frozen=True)
class OperatingFigures:
    """What the marks with a score of at least ``threshold`` do; ``source`` says where the threshold comes from.

    The predictive values of films hold for the share of films with a nodule in this test set, not for another clinic's.
    """

    threshold: float
    source: str
    num_hits: int
    num_false: int
    precision: Estimate
    recall: Estimate
    false_positives_per_film: Estimate
    false_positives_per_normal_film: Estimate
    film_sensitivity: Estimate
    film_specificity: Estimate
    film_ppv: Estimate = _UNDEFINED
    film_npv: Estimate = _UNDEFINED
    film_calls: FilmCalls | None = None


@dataclass(frozen=True)
class ScoreBand:
    """Marks with a score from ``low`` to below ``high``: their mean score, and the share of them that find a nodule."""

    low: float
    high: float
    num_marks: int
    mean_score: float
    share_of_hits: Estimate


@dataclass(frozen=True)
class CurvePoints:
    """A curve to draw, of at most 1,000 points."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class SubgroupRow:
    """One group of films or nodules. None where the column does not apply to such groups."""

    group: str
    num_films: int | None
    num_nodules: int
    recall: Estimate | None
    false_positives_per_film: Estimate | None
    sensitivities: tuple[RateSensitivity, ...]
    film_auc: Estimate | None


@dataclass(frozen=True)
class SubgroupTable:
    """Figures by one trait. ``words`` say how to read them."""

    trait: str
    words: str
    rows: tuple[SubgroupRow, ...]


@dataclass(frozen=True)
class EvaluationResult:
    """All figures of one detector on one set of films under one rule.

    ``not_analysed``: (code, number of films) of why films were not analysed, where that is known.
    """

    subject: EvaluationSubject
    rule: str
    rule_words: str
    rate_words: str
    counts: FilmCounts
    resampling: ResamplingFacts
    resampling_words: str
    operating: OperatingFigures | None
    froc: tuple[RateSensitivity, ...]
    froc_score: Estimate
    average_precision: Estimate
    overlap_precisions: tuple[OverlapPrecision, ...]
    film_auc: Estimate
    node21_score: Estimate
    froc_curve: CurvePoints
    precision_recall_curve: CurvePoints
    roc_curve: CurvePoints
    subgroups: tuple[SubgroupTable, ...]
    notes: tuple[str, ...]
    xraynet_version: str
    score_bands: tuple[ScoreBand, ...] = ()
    not_analysed: tuple[tuple[str, int], ...] = ()
    schema_version: int = METRICS_SCHEMA_VERSION


def write_metrics(path: Path, result: EvaluationResult) -> None:
    """Put ``result`` into ``path`` as JSON, whole or not at all."""
    write_text_atomically(path, json.dumps(asdict(result), indent=1, allow_nan=False) + "\n")


def read_metrics(path: Path) -> EvaluationResult:
    """The result in a metrics.json. Raises PredictionsError where it is damaged or of another version."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PredictionsError(f"{path.name} cannot be read as metrics: {error}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != METRICS_SCHEMA_VERSION:
        raise PredictionsError(f"{path.name} has schema_version {version}; {METRICS_SCHEMA_VERSION} was expected")
    try:
        return cattrs.Converter(forbid_extra_keys=True).structure(content, EvaluationResult)
    except cattrs.BaseValidationError as error:
        raise PredictionsError(f"{path.name}: " + "; ".join(cattrs.transform_error(error))) from error
