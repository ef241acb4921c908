"""``xraynet ingest``: films and labels in, a catalogue out."""

from pathlib import Path
from typing import Annotated

import typer

from xraynet.errors import EXIT_FAILED
from xraynet.ingest.labels.formats import LabelFormat


def ingest(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Films, or folders of films.")],
    out: Annotated[Path, typer.Option("--out", help="The catalogue to make: a new or empty folder.")],
    labels: Annotated[
        list[Path] | None, typer.Option("--labels", help="A table of annotations; may be given several times.")
    ] = None,
    label_format: Annotated[
        list[LabelFormat] | None, typer.Option("--format", help="Its format: one for all tables, or one for each.")
    ] = None,
    classes: Annotated[str, typer.Option(help="What counts as target, with commas.")] = "nodule,mass",
    spacing_mm: Annotated[
        str | None, typer.Option(metavar="ROW,COL", help="Pixel spacing of rasters that state none, in mm.")
    ] = None,
    salt_file: Annotated[
        Path | None, typer.Option(help="The site's salt for patient keys; made once. Default: ~/.config/xraynet/patient-salt.")
    ] = None,
    split: Annotated[str, typer.Option(metavar="TRAIN,VAL,TEST", help="Shares of patients.")] = "0.8,0.1,0.1",
    split_like: Annotated[
        Path | None,
        typer.Option(help="An earlier catalogue: its patients keep their split, only new ones are divided.", file_okay=False),
    ] = None,
    folds: Annotated[int, typer.Option(help="Divide into this many folds instead.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the division.")] = 0,
    max_megapixels: Annotated[float, typer.Option(help="Larger films fail before they are decoded.")] = 200.0,
    workers: Annotated[
        int | None, typer.Option(help="Decoding processes; 0: none. Default: one for each CPU, at most 8.")
    ] = None,
) -> None:
    """Read films and radiologists' labels into an immutable catalogue, divided by patient."""
    from rich.console import Console
    from rich.progress import Progress

    from xraynet.cli.catalogue_options import count_workers, parse_numbers
    from xraynet.ingest.build import IngestConfig, build_catalogue
    from xraynet.ingest.catalogue import read_catalogue
    from xraynet.ingest.labels.vocabulary import normalise_targets
    from xraynet.ingest.limits import DecodeLimits
    from xraynet.ingest.report import render_report_text
    from xraynet.ingest.salt import default_salt_path
    from xraynet.ingest.split import SplitConfig
    from xraynet.ingest.summary import describe_states

    if labels and not label_format:
        raise typer.BadParameter(f"--labels needs --format, one of {', '.join(LabelFormat)}")
    if label_format and not labels:
        raise typer.BadParameter("--format is given without --labels")
    train, validation, test = parse_numbers(split, count=3, name="--split")
    spacing = parse_numbers(spacing_mm, count=2, name="--spacing-mm") if spacing_mm else None
    try:
        config = IngestConfig(
            labels=tuple(labels or ()),
            formats=tuple(label_format or ()),
            target_classes=normalise_targets(classes.split(",")),
            spacing_mm=(spacing[0], spacing[1]) if spacing else None,
            split=SplitConfig(fractions=(train, validation, test), num_folds=folds, seed=seed),
            split_like=None if split_like is None else read_catalogue(split_like),
            limits=DecodeLimits.of_megapixels(max_megapixels),
            num_workers=count_workers(workers),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with Progress(console=Console(stderr=True), transient=True, disable=not Console(stderr=True).is_terminal) as progress:
        task = progress.add_task("films", total=None)
        catalogue, report = build_catalogue(
            sources,
            out=out,
            salt_file=salt_file or default_salt_path(),
            config=config,
            on_film=lambda done, total: progress.update(task, completed=done, total=total),
        )
    typer.echo(f"{catalogue.path}: {len(catalogue.films)} films, {describe_states(catalogue.films['label_state'])}")
    typer.echo(render_report_text(report))
    if report.num_failed:
        raise typer.Exit(EXIT_FAILED)
