"""Calibrates a finished detector anew: what its scores mean, and from which one on it reports, on a site's own films."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Final

import torch

from xraynet.checkpoint import Checkpoint
from xraynet.detector.decode import DecodeConfig
from xraynet.errors import CatalogueError
from xraynet.evaluation.matching import match_films
from xraynet.evaluation.operating_point import OperatingTarget
from xraynet.evaluation.rules import MatchRule
from xraynet.samples.validation import ValidationFilms
from xraynet.training.calibrate import calibrate
from xraynet.training.distributed import Team
from xraynet.training.validate import score_films, uncalibrated

_BATCH_SIZE: Final = 4


def recalibrate(
    checkpoint: Checkpoint,
    films: ValidationFilms,
    *,
    rule: MatchRule,
    target: OperatingTarget,
    calibrated_on: str,
    decoding: DecodeConfig | None = None,
    device: torch.device,
) -> Checkpoint:
    """The same weights with scores and operating point from ``films``, under ``decoding`` (None: the checkpoint's own).

    ``calibrated_on`` names the films, in words that the operating point carries. Raises CatalogueError where they hold no
    nodule or no normal film, so that nothing could be learnt from them.
    """
    views = checkpoint.settings.decoding if decoding is None else decoding
    scored = score_films(
        checkpoint.build_detector().to(device),
        films,
        batch_size=_BATCH_SIZE,
        team=Team(rank=0, world_size=1, device=device),
        precision=nullcontext(),
        decoding=uncalibrated(views),
    )
    table = match_films(scored, rule)
    if not table.num_nodules or not table.normal.any():
        raise CatalogueError(
            f"{table.num_films} films with {table.num_nodules} nodules, {int(table.normal.sum())} of them normal: films with a "
            "nodule and normal films are needed to calibrate on"
        )
    simulated = sum(film.attributes.get("simulated") == "yes" for film in scored)
    made = calibrate(
        scored, rule=rule, target=target, calibrated_on=f"{calibrated_on}, {simulated} of them with simulated nodules"
    )
    settings = replace(checkpoint.settings, decoding=views, calibration=made.calibration, operating_point=made.operating_point)
    return checkpoint.with_settings(settings)
