"""Measures a detector on the frozen nodules: 10 to 15 mm, contrast-to-noise of at least 3, on NIH validation films.

    python tests/benchmarks/measure_frozen.py --catalogue NIH_CATALOGUE --out DIR [--checkpoint FILE]

The films and nodules are those of ``frozen_nodules.json`` (see ``frozen_nodules.py``); each film counts twice, with its nodule
and as it is. ``--draw`` makes the list anew. Writes metrics.json and report.html into DIR.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from frozen_nodules import draw_list, iterate_pairs, read_list, write_list

from xraynet.checkpoint import find_shipped_checkpoint
from xraynet.evaluation.evaluate import ReportThreshold, evaluate_films
from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.intervals import DEFAULT_BOOTSTRAP
from xraynet.evaluation.results import EvaluationResult, EvaluationSubject, write_metrics
from xraynet.evaluation.rules import parse_rule
from xraynet.files import write_text_atomically
from xraynet.findings import NoduleAnnotations, NoduleDetections
from xraynet.inference.predictor import Predictor
from xraynet.ingest.catalogue import Catalogue, read_catalogue
from xraynet.lungs.segmenter import shipped_lungs
from xraynet.radiograph import Radiograph
from xraynet.reporting.evaluation_report import render_evaluation

Detect = Callable[[Radiograph], NoduleDetections]


def score_frozen(catalogue: Catalogue, detect: Detect) -> list[ScoredFilm]:
    """Every film of the list with its nodule and without, and what a detector says of both."""
    scored = []
    for pair in iterate_pairs(read_list(), catalogue.entries()):
        for kind, film, annotations in (
            ("drawn", pair.drawn, pair.annotations),
            ("plain", pair.plain, NoduleAnnotations.of_boxes(pair.annotations.boxes[:0])),
        ):
            scored.append(
                ScoredFilm(
                    key=f"{pair.entry.key}-{kind}",
                    annotations=annotations,
                    detections=detect(film),
                    patient_key=pair.entry.patient_key,
                    spacing_mm=film.spacing.row_column_mm if film.spacing is not None else None,
                    attributes={"view": pair.entry.view_position.value},
                )
            )
    return scored


def measure(catalogue: Catalogue, predictor: Predictor, *, rule: str = "node21") -> EvaluationResult:
    """Every figure of the checkpoint on the frozen nodules."""
    films = score_frozen(catalogue, lambda film: predictor.read(film, enforce_gate=False).to_detections())
    identity = predictor.checkpoint.identity
    name = f"{identity.name} {identity.version}"
    return evaluate_films(
        films,
        parse_rule(rule),
        subject=EvaluationSubject(
            detector=name,
            films=f"frozen nodules on {len(films) // 2} NIH validation films, each with and without",
            checkpoint_fingerprint=identity.fingerprint,
            catalogue_fingerprint=catalogue.fingerprint,
        ),
        operating=ReportThreshold(predictor.checkpoint.settings.operating_point.threshold, name),
        bootstrap=DEFAULT_BOOTSTRAP,
    )


def main() -> None:
    """Draw, or measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogue", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rule", default="node21")
    parser.add_argument("--draw", action="store_true", help="make frozen_nodules.json from the validation films")
    asked = parser.parse_args()
    catalogue = read_catalogue(asked.catalogue)
    if asked.draw:
        nodules = draw_list(catalogue.entries("validation"), shipped_lungs())
        write_list(nodules)
        print(f"{len(nodules)} nodules, {sum(one.hidden for one in nodules)} of them hidden")
        return
    if asked.out is None:
        parser.error("--out is needed, unless --draw is given")
    torch.set_num_threads(1)
    result = measure(catalogue, Predictor.from_checkpoint(asked.checkpoint or find_shipped_checkpoint()), rule=asked.rule)
    asked.out.mkdir(parents=True, exist_ok=True)
    write_metrics(asked.out / "metrics.json", result)
    write_text_atomically(asked.out / "report.html", render_evaluation(result))
    for found in result.froc:
        print(f"sensitivity at {found.false_positives_per_film:g}: {found.sensitivity}")
    print(f"film AUC: {result.film_auc}; written: {asked.out / 'metrics.json'}")


if __name__ == "__main__":
    main()
