"""``xraynet train-lungs``: learn lung fields and the gate from a site's own films."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from xraynet.lungs.config import LungsTrainingConfig
    from xraynet.lungs.training import EpochRecord
    from xraynet.lungs.views import TrainingFilm


def train_lungs(
    films: Annotated[Path, typer.Option(help="Folder of frontal chest films.", exists=True, file_okay=False)],
    masks: Annotated[Path, typer.Option(help="Folder of their lung masks: white is lung.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    preset: Annotated[str, typer.Option(help="Preset or TOML file.")] = "lungs",
    gate_catalogue: Annotated[
        list[Path] | None,
        typer.Option(
            help="Catalogue whose frontal films teach the gate too: its train split learns, its validation split judges."
        ),
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads of the CPU to use; 0: all.", min=0)] = 0,
) -> None:
    """Train the lung-field segmenter and the gate; writes RUN/lungs.safetensors.

    A mask has its film's name, or that name followed by one of @ _mask -mask. Two runs with the same films, preset and
    number of threads give the same weights.
    """
    import torch

    from xraynet.lungs.config import LungsTrainingConfig
    from xraynet.lungs.training_run import LungsTrainingFilms
    from xraynet.lungs.training_run import train_lungs as train
    from xraynet.settings import read_config

    config = read_config(preset, LungsTrainingConfig)
    if threads:
        torch.set_num_threads(threads)
    outlined = _read_outlined(films, masks, config)
    frontal: list[TrainingFilm] = []
    aside: list[TrainingFilm] = []
    fingerprints = []
    for path in gate_catalogue or []:
        fingerprint, learning, judging = _read_frontal(path, config)
        fingerprints.append(fingerprint)
        frontal += learning
        aside += judging
    typer.echo(
        f"{len(outlined)} films with lungs outlined; for the gate {len(frontal)} more to learn from, {len(aside)} kept aside"
    )
    segmenter = train(
        LungsTrainingFilms(outlined=outlined, frontal=frontal, frontal_aside=aside),
        config,
        out=out,
        provenance={"gate_catalogues": " ".join(fingerprints)},
        report=_print_epoch,
    )
    typer.echo(f"wrote {out / 'lungs.safetensors'}, fingerprint {segmenter.fingerprint[:16]}")


def _print_epoch(record: "EpochRecord") -> None:
    meaning = "Dice" if record.part == "segmenter" else "judged rightly"
    typer.echo(f"{record.part} epoch {record.epoch + 1}: loss {record.loss:.4f}, {meaning} {record.validation:.4f}")


def _read_outlined(films: Path, masks: Path, config: "LungsTrainingConfig") -> "list[TrainingFilm]":
    import cv2
    import numpy as np

    from xraynet.errors import LabelError
    from xraynet.ingest.read import FILM_SUFFIXES, read_radiograph
    from xraynet.lungs.views import make_training_film

    mask_of = {path.stem: path for path in sorted(masks.iterdir()) if path.suffix.lower() in FILM_SUFFIXES}
    outlined = []
    for path in sorted(films.iterdir()):
        names = [path.stem + ending for ending in ("", "@", "_mask", "-mask")]
        mask_path = next((mask_of[name] for name in names if name in mask_of), None)
        if path.suffix.lower() not in FILM_SUFFIXES or mask_path is None:
            continue
        radiograph = read_radiograph(path)
        mask = read_radiograph(mask_path).pixels
        ratios = np.array(mask.shape) / np.array(radiograph.size)
        if abs(ratios[0] / ratios[1] - 1) > 0.02:
            raise LabelError(f"{mask_path} is {mask.shape}, its film {path.name} {radiograph.size}: other proportions")
        share = cv2.resize(mask / max(float(mask.max()), 1e-6), radiograph.size[::-1], interpolation=cv2.INTER_LINEAR)
        lungs = share.astype(np.float32)
        outlined.append(make_training_film(radiograph, side_px=config.source_px, grey=config.network.grey, lung_mask=lungs))
    if len(outlined) < 2:
        raise LabelError(f"{len(outlined)} films in {films} have a mask in {masks}; at least 2 were expected")
    return outlined


def _read_frontal(path: Path, config: "LungsTrainingConfig") -> "tuple[str, list[TrainingFilm], list[TrainingFilm]]":
    from xraynet.ingest.catalogue import read_catalogue, read_entry
    from xraynet.lungs.views import make_training_film

    catalogue = read_catalogue(path)
    films: dict[str, list[TrainingFilm]] = {"train": [], "validation": []}
    for split, kept in films.items():
        for entry in catalogue.entries(split):
            if entry.view_position.is_frontal is False:
                continue
            kept.append(make_training_film(read_entry(entry), side_px=config.source_px, grey=config.network.grey))
    return catalogue.fingerprint, films["train"], films["validation"]
