"""``xraynet phantoms``: synthetic films for trying things out."""

from pathlib import Path
from typing import Annotated

import typer


def phantoms(
    out: Annotated[Path, typer.Argument(help="Folder to write films and labels.csv to.")],
    num: Annotated[int, typer.Option(min=1, help="How many films.")] = 12,
    size: Annotated[int, typer.Option(min=64, max=4096, help="Height and width in pixels.")] = 640,
    nodule_every: Annotated[int, typer.Option(min=1, help="Every so many-th film gets a nodule.")] = 3,
    diameter_mm: Annotated[float, typer.Option(min=4, max=50, help="Diameter of the nodules.")] = 16.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same films.")] = 0,
) -> None:
    """Draw synthetic chest films, some with a nodule, and the table that says where."""
    from xraynet.simulation.phantom_folder import LABELS_FILE, PhantomFolderConfig, write_phantoms

    config = PhantomFolderConfig(num=num, size=(size, size), nodule_every=nodule_every, diameter_mm=diameter_mm, seed=seed)
    films = write_phantoms(out, config)
    typer.echo(f"{len(films)} synthetic films and {LABELS_FILE} in {out}")
