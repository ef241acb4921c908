"""Measures a detector on a catalogue's validation films with simulated nodules, and writes metrics.json and report.html.

    python tests/benchmarks/measure_simulated.py --catalogue NIH_CATALOGUE --out DIR

Half of the films that are free of nodules get simulated ones; the others stay normal and tell the false marks. The seed
(--seed, default 21) differs from the one that training validates with, so that these are not the very nodules on which the
weights and the operating point were chosen; the films are. The figures say how well *simulated* nodules are found.
--coarse-mm brings the films down to so many millimetres a pixel and back, as digitised and small films come; --mirrored reads
each film mirrored as well, whatever the checkpoint asks for.
"""

import argparse
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from xraynet.checkpoint import find_shipped_checkpoint, read_checkpoint
from xraynet.evaluation.evaluate import ReportThreshold, evaluate_films
from xraynet.evaluation.intervals import Bootstrap
from xraynet.evaluation.results import EvaluationResult, EvaluationSubject, write_metrics
from xraynet.evaluation.rules import parse_rule
from xraynet.files import write_text_atomically
from xraynet.findings import LabelState
from xraynet.ingest.catalogue import read_catalogue
from xraynet.lungs.segmenter import LungSegmenter, shipped_lungs
from xraynet.reporting.evaluation_report import render_evaluation
from xraynet.samples.build import build_cache
from xraynet.samples.validation import ValidationConfig, ValidationFilm, ValidationFilms
from xraynet.training.calibrate import apply_calibration
from xraynet.training.distributed import Team
from xraynet.training.validate import score_films, uncalibrated

HALF = 0.5


class CoarseFilms(ValidationFilms):
    """The films of another choice, brought down to a coarser pixel and back: what a small or digitised film has left."""

    def __init__(self, films: ValidationFilms, *, mm_per_pixel: float, net_mm: float) -> None:
        super().__init__(films.cache, films.entries, config=films.config)
        self._factor = net_mm / mm_per_pixel

    def film(self, index: int) -> ValidationFilm:
        """The film at ``index``, coarse."""
        fine = super().film(index)
        height, width = fine.pixels.shape
        size = (max(1, round(width * self._factor)), max(1, round(height * self._factor)))
        small = cv2.resize(fine.pixels, size, interpolation=cv2.INTER_AREA)
        pixels = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
        return replace(fine, pixels=pixels)


def measure(
    catalogue_path: Path,
    checkpoint_path: Path,
    *,
    cache: Path,
    lungs: LungSegmenter,
    rule: str = "node21",
    seed: int = 21,
    num_resamples: int = 2000,
    coarse_mm: float | None = None,
    mirrored: bool = False,
) -> EvaluationResult:
    """Every figure of the checkpoint on the validation films, calibrated, at its own operating point."""
    catalogue, checkpoint = read_catalogue(catalogue_path), read_checkpoint(checkpoint_path)
    settings = checkpoint.settings
    entries = [entry for entry in catalogue.entries("validation") if entry.annotations.state is not LabelState.UNKNOWN]
    films = ValidationFilms(
        build_cache(cache, entries, catalogue_fingerprint=catalogue.fingerprint, preparation=settings.preparation, lungs=lungs),
        entries,
        config=ValidationConfig(most_films=None, simulated_share=HALF, seed=seed),
    )
    if coarse_mm is not None:
        films = CoarseFilms(films, mm_per_pixel=coarse_mm, net_mm=settings.preparation.mm_per_pixel)
    team = Team(rank=0, world_size=1, device=torch.device("cpu"))
    decoding = uncalibrated(replace(settings.decoding, second_view="mirrored") if mirrored else settings.decoding)
    scored = score_films(
        checkpoint.build_detector(), films, batch_size=1, team=team, precision=nullcontext(), decoding=decoding
    )
    calibrated = [replace(film, detections=apply_calibration(film.detections, settings.calibration)) for film in scored]
    simulated = sum(film.attributes["simulated"] == "yes" for film in calibrated)
    identity = checkpoint.identity
    return evaluate_films(
        calibrated,
        parse_rule(rule),
        subject=EvaluationSubject(
            detector=f"{identity.name} {identity.version}",
            films=f"validation films of a catalogue, {simulated} of {len(calibrated)} with simulated nodules (seed {seed})",
            target_classes=settings.target_classes,
            checkpoint_fingerprint=identity.fingerprint,
            catalogue_fingerprint=catalogue.fingerprint,
        ),
        operating=ReportThreshold(settings.operating_point.threshold, f"{identity.name} {identity.version}"),
        bootstrap=Bootstrap(num_resamples=num_resamples),
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogue", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--lungs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, help="where prepared films are kept; default: OUT/cache")
    parser.add_argument("--rule", default="node21")
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--coarse-mm", type=float)
    parser.add_argument("--mirrored", action="store_true")
    asked = parser.parse_args()
    result = measure(
        asked.catalogue,
        asked.checkpoint or find_shipped_checkpoint(),
        cache=asked.cache or asked.out / "cache",
        lungs=LungSegmenter.from_file(asked.lungs) if asked.lungs else shipped_lungs(),
        rule=asked.rule,
        seed=asked.seed,
        coarse_mm=asked.coarse_mm,
        mirrored=asked.mirrored,
    )
    asked.out.mkdir(parents=True, exist_ok=True)
    write_metrics(asked.out / "metrics.json", result)
    write_text_atomically(asked.out / "report.html", render_evaluation(result))
    for found in result.froc:
        print(f"sensitivity at {found.false_positives_per_film:g}: {found.sensitivity.value}")
    print(f"film AUC: {result.film_auc.value}; written: {asked.out / 'metrics.json'}")


if __name__ == "__main__":
    main()
