"""``xraynet calibrate``: a detector's scores and operating point from a site's own films."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def calibrate(
    catalogue: Annotated[Path, typer.Option(help="Catalogue with validation films.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option(help="The checkpoint to write.", dir_okay=False)],
    checkpoint: Annotated[Path | None, typer.Option(help="A detector's checkpoint; by default the shipped one.")] = None,
    target: Annotated[
        Literal["false-positives-per-normal-film", "false-positives-per-film", "sensitivity", "film-specificity"],
        typer.Option(help="What the operating point must keep."),
    ] = "false-positives-per-normal-film",
    value: Annotated[float, typer.Option(help="At most so many false positives, or at least such a share.")] = 0.25,
    second_view: Annotated[
        Literal["mirrored", "none", "as-is"],
        typer.Option(help="Read films mirrored as well; as-is: as it does now."),
    ] = "as-is",
    rule: Annotated[str, typer.Option(help="node21, jsrt-25mm, jsrt-inside, or iou:X.")] = "node21",
    simulated_share: Annotated[
        float, typer.Option(help="The part of the films free of nodules that get simulated ones.", min=0, max=1)
    ] = 0.5,
    lungs: Annotated[Path | None, typer.Option(help="A lungs checkpoint; by default the shipped one.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where prepared films are kept; beside OUT unless told.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Calibrate a finished detector anew on validation films; its weights stay as they are."""
    from dataclasses import replace

    from xraynet.checkpoint import find_shipped_checkpoint, read_checkpoint, write_checkpoint
    from xraynet.evaluation.operating_point import OperatingTarget
    from xraynet.evaluation.rules import parse_rule
    from xraynet.findings import LabelState
    from xraynet.ingest.catalogue import read_catalogue
    from xraynet.lungs.segmenter import LungSegmenter, shipped_lungs
    from xraynet.samples.build import build_cache
    from xraynet.samples.validation import ValidationConfig, ValidationFilms
    from xraynet.training.distributed import choose_device
    from xraynet.training.recalibrate import recalibrate

    try:
        place, match_rule, wanted = choose_device(device), parse_rule(rule), OperatingTarget(target, value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    detector, films = read_checkpoint(checkpoint or find_shipped_checkpoint()), read_catalogue(catalogue)
    entries = [entry for entry in films.entries("validation") if entry.annotations.state is not LabelState.UNKNOWN]
    prepared = build_cache(
        cache or out.parent / "cache",
        entries,
        catalogue_fingerprint=films.fingerprint,
        preparation=detector.settings.preparation,
        lungs=LungSegmenter.from_file(lungs) if lungs is not None else shipped_lungs(),
    )
    decoding = detector.settings.decoding
    if second_view != "as-is":
        decoding = replace(decoding, second_view="mirrored" if second_view == "mirrored" else None)
    made = recalibrate(
        detector,
        ValidationFilms(prepared, entries, config=ValidationConfig(most_films=None, simulated_share=simulated_share)),
        rule=match_rule,
        target=wanted,
        calibrated_on=f"validation films of catalogue {films.fingerprint[:16]}",
        decoding=decoding,
        device=place,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    written = write_checkpoint(out, made)
    point = written.settings.operating_point
    typer.echo(f"operating point {point.threshold:.3f}: {point.target}; on {point.calibrated_on}")
    typer.echo(f"written: {out}, fingerprint {written.fingerprint[:16]}")
