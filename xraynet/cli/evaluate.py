"""``xraynet evaluate``: a detector's figures on the films of a catalogue, as metrics.json and a page with plots."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from xraynet.errors import EXIT_FAILED, CatalogueError

if TYPE_CHECKING:
    from xraynet.cli.evaluate_detector import DetectorRun
    from xraynet.evaluation.evaluate import ReportThreshold
    from xraynet.evaluation.intervals import Estimate
    from xraynet.evaluation.predictions import Predictions
    from xraynet.evaluation.results import EvaluationResult
    from xraynet.evaluation.rules import MatchRule
    from xraynet.inference.predictor import Predictor
    from xraynet.ingest.catalogue import Catalogue, FilmEntry
    from xraynet.reporting.evaluation_filing import Filing, ShownExamples

ALL_SPLITS = "all"


def evaluate(
    catalogue: Annotated[Path, typer.Option(help="Catalogue of films with annotations.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option(help="Folder for metrics.json and report.html.")],
    rule: Annotated[str, typer.Option(help="node21, jsrt-25mm, jsrt-inside, or iou:X.")] = "node21",
    checkpoint: Annotated[Path | None, typer.Option(help="Detector to run; default: the one that xraynet ships.")] = None,
    split: Annotated[str, typer.Option(help="train, validation, test, or all.")] = "test",
    predictions: Annotated[Path | None, typer.Option(help="Score these instead of running a detector.")] = None,
    predictions_format: Annotated[
        Literal["readings", "coco", "node21"] | None, typer.Option(help="Default: by what is there.")
    ] = None,
    coco_images: Annotated[Path | None, typer.Option(help="COCO file whose 'images' name the films of COCO results.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Operating point; default: the detector's.", min=0, max=1)] = None,
    classes: Annotated[str, typer.Option(help="Target classes, by comma; default: the catalogue's.")] = "",
    agreeing_readers: Annotated[
        int, typer.Option(help="A nodule is what so many readers of a film marked; their boxes are fused.", min=1)
    ] = 1,
    spacing_mm: Annotated[
        str | None, typer.Option(metavar="ROW,COL", help="Spacing in mm of films that state none, for rules in mm.")
    ] = None,
    leave_out_without_spacing: Annotated[
        bool, typer.Option("--leave-out-without-spacing", help="Leave out films with a nodule that state no spacing.")
    ] = False,
    no_gate: Annotated[
        bool, typer.Option("--no-gate", help="Run the detector on films that the gate would hold back.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps …")] = "cpu",
    examples: Annotated[int, typer.Option(help="Misses and false alarms to show, so many of each; 0: none.", min=0)] = 6,
    title: Annotated[str, typer.Option(help="Title of the report.")] = "",
    site: Annotated[str, typer.Option(help="Department or site, for the report.")] = "",
    made_by: Annotated[str, typer.Option(help="Who carries it out, for the report.")] = "",
    seed: Annotated[int | None, typer.Option(help="Seed of the bootstrap.", min=0)] = None,
    resamples: Annotated[int | None, typer.Option(help="Number of bootstrap resamples.", min=1)] = None,
) -> None:
    """Score a detector: FROC, precision and recall, film AUC, each with a 95 % interval, and tables by groups."""
    from xraynet.cli.catalogue_options import parse_numbers
    from xraynet.cli.evaluate_filing import describe_command, describe_films, describe_model, picture_examples
    from xraynet.evaluation.evaluate import evaluate_films, keep_scorable
    from xraynet.evaluation.examples import choose_examples
    from xraynet.evaluation.intervals import DEFAULT_BOOTSTRAP
    from xraynet.evaluation.joining import join_predictions
    from xraynet.evaluation.matching import MissingSpacingError, match_films
    from xraynet.evaluation.results import EvaluationSubject
    from xraynet.ingest.catalogue import read_catalogue
    from xraynet.ingest.entries import with_consensus
    from xraynet.reporting.evaluation_filing import Filing

    if checkpoint is not None and predictions is not None:
        raise typer.BadParameter("give --checkpoint or --predictions, not both")
    match_rule = _parse_rule(rule)
    spacing = parse_numbers(spacing_mm, count=2, name="--spacing-mm") if spacing_mm is not None else None
    if spacing is not None and min(spacing) <= 0:
        raise typer.BadParameter(f"--spacing-mm is '{spacing_mm}'; numbers above 0 were expected")
    films = read_catalogue(catalogue)
    targets = tuple(name.strip() for name in classes.split(",") if name.strip()) or films.facts.target_classes
    marked = _choose_entries(films, split, targets, need_films=predictions is None)
    entries = [with_consensus(entry, at_least=agreeing_readers) for entry in marked]
    out.mkdir(parents=True, exist_ok=True)
    if predictions is None:
        predictor = _load_predictor(checkpoint, device=device)
        run = _run_predictor(entries, predictor, out=out, enforce_gate=not no_gate)
        proposed, num_failed = run.predictions, run.num_failed
        model = describe_model(predictor.checkpoint, catalogue_fingerprint=films.fingerprint)
    else:
        proposed, num_failed = _read_proposed(predictions, predictions_format, targets, coco_images), 0
        model = (("Predictions", f"{predictions.name}: scored as they are; no detector was run"),)
    joined = join_predictions(entries, proposed, spacing_mm=None if spacing is None else (spacing[0], spacing[1]))
    try:
        result = evaluate_films(
            joined.films,
            match_rule,
            subject=EvaluationSubject(
                detector=proposed.source,
                films=f"{'all films' if split == ALL_SPLITS else f'split {split}'} of catalogue {catalogue.resolve().name}",
                target_classes=targets,
                checkpoint_fingerprint=proposed.checkpoint_fingerprint,
                catalogue_fingerprint=films.fingerprint,
            ),
            operating=_choose_operating(threshold, proposed),
            bootstrap=replace(
                DEFAULT_BOOTSTRAP,
                seed=DEFAULT_BOOTSTRAP.seed if seed is None else seed,
                num_resamples=DEFAULT_BOOTSTRAP.num_resamples if resamples is None else resamples,
            ),
            leave_out_without_spacing=leave_out_without_spacing,
        )
    except MissingSpacingError as error:
        raise CatalogueError(f"{error} (--spacing-mm, --leave-out-without-spacing, --rule)") from error
    notes = _count_odd(num_failed, joined.num_without_predictions - num_failed, joined.num_predictions_unused)
    consensus = _describe_consensus(marked, entries, at_least=agreeing_readers)
    result = replace(result, notes=(*consensus, *notes, *result.notes), not_analysed=joined.not_analysed)
    kept = keep_scorable(joined.films, match_rule, leave_out_without_spacing=leave_out_without_spacing)
    threshold_used = None if result.operating is None else result.operating.threshold
    chosen = choose_examples(match_films(kept, match_rule), threshold=threshold_used, num=examples)
    shown = picture_examples(chosen, entries, located=films.locations is not None, num=examples)
    filing = Filing(
        title=title,
        site=site,
        made_by=made_by,
        made_on=datetime.now(UTC).date().isoformat(),
        command=describe_command(sys.argv),
        data=describe_films(films, entries, split=split),
        model=model,
    )
    _write(result, out, filing=filing, examples=shown)
    if num_failed:
        raise typer.Exit(EXIT_FAILED)


def _parse_rule(text: str) -> "MatchRule":
    from xraynet.evaluation.rules import parse_rule

    try:
        return parse_rule(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _choose_entries(catalogue: "Catalogue", split: str, targets: tuple[str, ...], *, need_films: bool) -> "list[FilmEntry]":
    try:
        entries = catalogue.entries(None if split == ALL_SPLITS else split, target_classes=targets, need_films=need_films)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if not entries:
        raise CatalogueError(
            f"{catalogue.path} has no film in split {split}; at least one was expected (--split all: every film)"
        )
    return entries


def _load_predictor(checkpoint: Path | None, *, device: str) -> "Predictor":
    from xraynet.inference.predictor import Predictor

    predictor = Predictor.from_checkpoint(checkpoint, device=device)
    for warning in predictor.warnings:
        typer.echo(warning, err=True)
    return predictor


def _run_predictor(entries: "Sequence[FilmEntry]", predictor: "Predictor", *, out: Path, enforce_gate: bool) -> "DetectorRun":
    from xraynet.cli.evaluate_detector import run_detector

    identity = predictor.checkpoint.identity
    return run_detector(
        entries,
        predictor,
        name=f"{identity.name} {identity.version}",
        fingerprint=identity.fingerprint,
        out=out,
        enforce_gate=enforce_gate,
    )


def _read_proposed(
    path: Path,
    form: Literal["readings", "coco", "node21"] | None,
    targets: tuple[str, ...],
    coco_images: Path | None,
) -> "Predictions":
    from xraynet.evaluation.predictions import guess_format, read_predictions

    return read_predictions(path, form=form or guess_format(path), target_classes=targets, images=coco_images)


def _choose_operating(threshold: float | None, proposed: "Predictions") -> "ReportThreshold | None":
    from xraynet.evaluation.evaluate import ReportThreshold

    if threshold is not None:
        return ReportThreshold(threshold, "the command line")
    if proposed.operating_threshold is None:
        return None
    return ReportThreshold(proposed.operating_threshold, proposed.source)


def _count_odd(num_failed: int, num_without: int, num_unused: int) -> list[str]:
    """What did not fit together, in sentences."""
    notes = []
    if num_failed:
        notes.append(f"{num_failed} films could not be read; they are among those not analysed.")
    if num_without:
        notes.append(f"{num_without} films have no predictions; they count as films without a detection.")
    if num_unused:
        notes.append(f"Predictions of {num_unused} films were not used: these films are not among those evaluated.")
    return notes


def _describe_consensus(marked: "list[FilmEntry]", fused: "list[FilmEntry]", *, at_least: int) -> list[str]:
    """How several readers' marks became nodules, in a sentence; none where no film was marked by several."""
    from xraynet.ingest.consensus import SAME_LESION_IOU

    several = sum(len(set(entry.annotations.readers)) > 1 for entry in marked)
    if not several and at_least == 1:
        return []
    before, after = (sum(len(entry.annotations.boxes) for entry in entries) for entries in (marked, fused))
    undecided = sum(len(entry.annotations.boxes) > 0 for entry in marked) - sum(
        len(entry.annotations.boxes) > 0 for entry in fused
    )
    return [
        f"{several} films were marked by several readers. A nodule is what at least {at_least} of a film's readers marked, "
        f"their boxes (IoU above {SAME_LESION_IOU:g}) fused into one: {before} boxes became {after} nodules; {undecided} films "
        "with marks on which too few agree are of unknown state."
    ]


def _write(result: "EvaluationResult", out: Path, *, filing: "Filing", examples: "ShownExamples") -> None:
    from xraynet.evaluation.results import write_metrics
    from xraynet.files import write_text_atomically
    from xraynet.reporting.evaluation_report import render_evaluation

    write_metrics(out / "metrics.json", result)
    write_text_atomically(out / "report.html", render_evaluation(result, filing=filing, examples=examples))
    counts = result.counts
    typer.echo(
        f"{counts.num_counted} films, {counts.num_nodules} nodules ({' or '.join(result.subject.target_classes)}), "
        f"rule {result.rule}"
    )
    for found in result.froc:
        typer.echo(f"sensitivity at {found.false_positives_per_film:g} false positives per film: {_show(found.sensitivity)}")
    typer.echo(f"average precision: {_show(result.average_precision)}")
    typer.echo(f"film AUC: {_show(result.film_auc)}")
    if (operating := result.operating) is not None:
        typer.echo(f"operating point {operating.threshold:.3f}: recall {_show(operating.recall)}")
        typer.echo(f"operating point {operating.threshold:.3f}: precision {_show(operating.precision)}")
    for note in result.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"written: {out / 'metrics.json'}, {out / 'report.html'}")


def _show(estimate: "Estimate") -> str:
    from xraynet.reporting.evaluation_report import show_interval, show_value

    return f"{show_value(estimate)} {show_interval(estimate)}".strip()
