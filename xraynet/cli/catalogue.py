"""``xraynet catalogue``: what is in a catalogue, and what several of them share."""

from pathlib import Path
from typing import Annotated

import typer


def catalogue(
    paths: Annotated[list[Path], typer.Argument(metavar="CATALOGUE...", help="One catalogue, or several to compare.")],
) -> None:
    """Print films, patients, views, nodules by size, label states, splits and leaks; compare several catalogues."""
    from xraynet.ingest.catalogue import read_catalogue
    from xraynet.ingest.leaks import compare_catalogues
    from xraynet.ingest.summary import describe_catalogue, describe_overlaps

    catalogues = [read_catalogue(path) for path in paths]
    typer.echo("\n\n".join(describe_catalogue(one) for one in catalogues))
    if len(catalogues) > 1:
        typer.echo("\n" + describe_overlaps(compare_catalogues(catalogues)))
