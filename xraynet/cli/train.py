"""``xraynet train``: train a detector on a catalogue."""

import os
from pathlib import Path
from typing import Annotated

import typer


def train(
    catalogue: Annotated[Path, typer.Option(help="Catalogue folder, made by `xraynet ingest`.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    config: Annotated[str, typer.Option(help="Preset (nodule-cpu, nodule-gpu, tiny, …) or TOML file.")] = "nodule-cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in OUT, as if it had never stopped.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    init_checkpoint: Annotated[
        Path | None, typer.Option(help="Start from the weights of this checkpoint.", exists=True, dir_okay=False)
    ] = None,
    backbone_weights: Annotated[
        Path | None,
        typer.Option(help="Start the backbone from this file of `xraynet import-backbone`.", exists=True, dir_okay=False),
    ] = None,
    lungs: Annotated[
        str, typer.Option(help="Lung-field segmenter: a file, 'shipped', or 'none' (then no nodule is simulated).")
    ] = "shipped",
    cache: Annotated[Path | None, typer.Option(help="Where prepared films are kept; OUT/cache unless told.")] = None,
    steps: Annotated[int | None, typer.Option(help="Plan this many steps instead of the configuration's.", min=1)] = None,
    max_minutes: Annotated[float | None, typer.Option(help="Stop after so many minutes of training.")] = None,
    name: Annotated[
        str | None, typer.Option(help="What the checkpoint calls itself; the configuration's word for it unless told.")
    ] = None,
) -> None:
    """Train a detector; writes OUT/best.safetensors, calibrated, with its operating point.

    Under torchrun several processes train as one. A run that was stopped goes on with --resume.
    """
    # Before torch loads OpenMP: threads that spin while they wait made a step six times slower on a machine that is shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from dataclasses import replace

    from xraynet.config import read_run_config
    from xraynet.ingest.catalogue import read_catalogue
    from xraynet.lungs.segmenter import LungSegmenter, shipped_lungs
    from xraynet.training.distributed import choose_device
    from xraynet.training.run import RunOptions, train_detector

    try:
        choose_device(device)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    run_config = read_run_config(config)
    training = run_config.training
    training = replace(
        training,
        total_steps=training.total_steps if steps is None else steps,
        max_minutes=training.max_minutes if max_minutes is None else max_minutes,
        backbone_weights=training.backbone_weights if backbone_weights is None else str(backbone_weights),
    )
    segmenter = None if lungs == "none" else shipped_lungs() if lungs == "shipped" else LungSegmenter.from_file(lungs)
    best = train_detector(
        read_catalogue(catalogue),
        replace(run_config, training=training, card=replace(run_config.card, name=name or run_config.card.name)),
        out=out,
        lungs=segmenter,
        options=RunOptions(resume=resume, device=device, cache=cache, start=init_checkpoint, preset=config),
    )
    typer.echo(f"best checkpoint: {best}")
