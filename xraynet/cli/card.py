"""``xraynet card``: the model card of a checkpoint, with the figures of its evaluations."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from xraynet.checkpoint import Checkpoint
    from xraynet.reporting.model_card import CardFacts, CardFigures, CardPicture


def card(
    out: Annotated[Path, typer.Option(help="The Markdown file to write.", dir_okay=False)],
    checkpoint: Annotated[Path | None, typer.Option(help="A detector's checkpoint; by default the shipped one.")] = None,
    figures: Annotated[
        list[str] | None,
        typer.Option(metavar="TITLE=FILE", help="A metrics.json of `xraynet evaluate`, under a title; several times."),
    ] = None,
    limit: Annotated[list[str] | None, typer.Option(help="A sentence for the known limits; several times.")] = None,
    failures: Annotated[
        list[str] | None,
        typer.Option(metavar="CAPTION=FILE", help="A picture of failures on synthetic films, to be shown; several times."),
    ] = None,
) -> None:
    """Write a checkpoint's model card: films and terms, recipe, operating point, figures, limits."""
    from xraynet.checkpoint import find_shipped_checkpoint, read_checkpoint
    from xraynet.files import write_text_atomically
    from xraynet.reporting.model_card import render_card

    path = checkpoint if checkpoint is not None else find_shipped_checkpoint()
    shown = [_read_figures(text) for text in figures or []]
    facts = facts_of(read_checkpoint(path), num_bytes=path.stat().st_size)
    pictures = [_find_picture(text, beside=out) for text in failures or []]
    write_text_atomically(out, render_card(facts, shown, limits=limit or [], failures=pictures))
    typer.echo(f"written: {out}")


def _read_figures(text: str) -> "CardFigures":
    from xraynet.evaluation.results import read_metrics
    from xraynet.reporting.model_card import CardFigures

    title, _, file = text.partition("=")
    if not (title.strip() and file):
        raise typer.BadParameter(f"--figures is '{text}'; TITLE=FILE was expected")
    return CardFigures(title=title.strip(), result=read_metrics(Path(file)))


def _find_picture(text: str, *, beside: Path) -> "CardPicture":
    from xraynet.reporting.model_card import CardPicture

    caption, _, file = text.rpartition("=")
    if not (caption.strip() and Path(file).is_file()):
        raise typer.BadParameter(f"--failures is '{text}'; CAPTION=FILE was expected, with a file that exists")
    address = os.path.relpath(Path(file).resolve(), beside.resolve().parent)
    return CardPicture(caption=caption.strip(), address=Path(address).as_posix())


def facts_of(checkpoint: "Checkpoint", *, num_bytes: int) -> "CardFacts":
    """What the checkpoint says of itself, as the card's plain facts."""
    from xraynet.batch.film_reader import facts_of_checkpoint
    from xraynet.reporting.model_card import CardFacts

    settings, origins = checkpoint.settings, checkpoint.provenance
    detector, preparation = settings.detector, settings.preparation
    num_weights = sum(tensor.numel() for tensor in checkpoint.weights.values())
    kinds = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in checkpoint.weights.values() if tensor.ndim > 1})
    return CardFacts(
        name=checkpoint.name,
        fingerprint=checkpoint.fingerprint,
        version=checkpoint.identity.version,
        num_bytes=num_bytes,
        target_classes=settings.target_classes,
        network=(
            f"{detector.backbone} with a feature pyramid to stride 4 ({detector.channels} channels) and a centre-score head "
            f"(hidden layers: {detector.head_depth}); {num_weights / 1e6:.1f} million numbers, kept as {' and '.join(kinds)}"
        ),
        preparation=(
            f"at {preparation.mm_per_pixel:g} mm a pixel, round in millimetres; without a spacing, so that the lung fields "
            f"measure {preparation.lung_side_px:g} pixels, or the film {preparation.film_long_side_px} on its long side"
        ),
        operating=facts_of_checkpoint(checkpoint).operating,
        target=settings.operating_point.target,
        film_sources=origins.film_sources,
        terms=origins.terms,
        preset=origins.preset,
        step=origins.step,
        seed=origins.seed,
        git_revision=origins.git_revision,
        catalogue_fingerprint=origins.catalogue_fingerprint,
        lungs_fingerprint=settings.lungs_fingerprint or "",
        versions=origins.versions,
    )
