"""Validation: the averaged weights read the validation films, and the FROC score says how good they are."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.detector.decode import DecodeConfig, decode_detections
from xraynet.detector.network import Detector
from xraynet.detector.views import read_films
from xraynet.errors import TrainingError
from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.matching import match_films
from xraynet.evaluation.metrics import film_auc, froc_score, sensitivity_at
from xraynet.evaluation.rules import MatchRule
from xraynet.findings import NoduleDetections
from xraynet.geometry import Boxes, clip_boxes
from xraynet.samples.validation import ValidationFilm, ValidationFilms
from xraynet.training.distributed import Team

Scores = Float32[NDArray[np.float32], " num"]

_LOWEST_UNCALIBRATED: Final = 1e-4


def uncalibrated(decoding: DecodeConfig) -> DecodeConfig:
    """The same decoding with more low scores than are ever reported: a calibration fitted on them may lift them."""
    return replace(decoding, lowest_score=min(decoding.lowest_score, _LOWEST_UNCALIBRATED))


UNCALIBRATED_DECODING: Final = uncalibrated(DecodeConfig())


@dataclass(frozen=True, eq=False)
class Validation:
    """One validation: ``score`` (higher is better), the scored films it comes from, and figures for the journal."""

    score: float
    films: tuple[ScoredFilm, ...]
    figures: Mapping[str, float | None]


@torch.no_grad()
def score_films(
    detector: Detector,
    films: ValidationFilms,
    *,
    batch_size: int,
    team: Team,
    precision: AbstractContextManager[None],
    decoding: DecodeConfig = UNCALIBRATED_DECODING,
) -> tuple[ScoredFilm, ...]:
    """The detector's uncalibrated detections on every validation film (network frame), sorted by key, on every rank."""
    detector.eval()
    scored: list[ScoredFilm] = []
    with precision:
        for pixels, batch in films.batches(batch_size=batch_size, rank=team.rank, world_size=team.world_size):
            output = read_films(detector, pixels.to(team.device, memory_format=torch.channels_last), config=decoding)
            for film, (boxes, scores) in zip(batch, decode_detections(output, config=decoding), strict=True):
                scored.append(_score_film(film, boxes.cpu().numpy(), scores.cpu().numpy()))
    return tuple(sorted(team.gather(scored), key=lambda film: film.key))


def _score_film(film: ValidationFilm, boxes: Boxes, scores: Scores) -> ScoredFilm:
    height, width = film.pixels.shape
    clipped = clip_boxes(boxes, size=(height, width))
    inside = (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    return ScoredFilm(
        key=film.key,
        annotations=film.annotations,
        detections=NoduleDetections(boxes=clipped[inside], scores=scores[inside]),
        patient_key=film.patient_key,
        spacing_mm=film.spacing_mm,
        film_has_nodule=film.film_has_nodule,
        attributes={"view": film.view_position.value, "simulated": "yes" if film.simulated else "no"},
    )


def judge(films: tuple[ScoredFilm, ...], rule: MatchRule) -> Validation:
    """The FROC score and a few figures under ``rule``. Raises TrainingError where the films hold no nodule to find."""
    table = match_films(films, rule)
    score = froc_score(table)
    if score is None:
        raise TrainingError(
            f"none of the {len(films)} validation films holds a nodule, so no checkpoint could be called the best;"
            " give the validation split boxed films, or normal films with lungs, so that nodules can be simulated"
        )
    low, high = sensitivity_at(table, (0.25, 1.0))
    figures = {"froc_score": score, "sensitivity_at_0.25": low, "sensitivity_at_1": high, "film_auc": film_auc(table)}
    return Validation(score=score, films=films, figures=figures)
