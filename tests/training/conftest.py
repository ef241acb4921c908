"""A quiet journal for the loop, and a catalogue of synthetic films for whole runs."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from xraynet.config import RunConfig, read_run_config
from xraynet.ingest.build import IngestConfig, build_catalogue
from xraynet.ingest.catalogue import Catalogue
from xraynet.ingest.labels.formats import LabelFormat
from xraynet.ingest.split import SplitConfig
from xraynet.simulation.phantom import draw_phantom
from xraynet.training.journal import Journal


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums over threads are bit-equal only for the same number of them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def quiet_journal() -> Journal:
    return Journal(io.StringIO(), bar=None, board=None, voice=io.StringIO())


@pytest.fixture(scope="session")
def phantom_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """Twelve synthetic films, eight of them with one nodule of 30 mm, labelled in a plain CSV."""
    folder = tmp_path_factory.mktemp("phantoms")
    lines = ["film,x1,y1,x2,y2,patient,row_spacing_mm,column_spacing_mm,view"]
    for index in range(12):
        phantom = draw_phantom(index, size=(200, 200), num_nodules=int(index % 3 != 0), diameter_mm=30.0)
        name = f"film{index}.png"
        assert cv2.imwrite(str(folder / name), (phantom.radiograph.pixels * 65535).astype(np.uint16))
        corners = [",".join(f"{side:.1f}" for side in box) for box in phantom.annotations.boxes] or [",,,"]
        lines += [f"{name},{corner},patient{index},2.0,2.0,PA" for corner in corners]
    table = folder / "labels.csv"
    table.write_text("\n".join(lines) + "\n")
    config = IngestConfig(
        labels=(table,), formats=(LabelFormat.CSV,), split=SplitConfig(fractions=(0.6, 0.4, 0.0)), num_workers=0
    )
    catalogue, _ = build_catalogue(
        [folder], out=folder.parent / "phantom_catalogue", salt_file=folder.parent / "salt", config=config
    )
    return catalogue


@pytest.fixture(scope="session")
def tiny_run() -> RunConfig:
    """The tiny preset, a few steps long."""
    preset = read_run_config("tiny")
    training = replace(preset.training, epochs=2, validate_every=1)
    return replace(preset, training=training, samples=replace(preset.samples, frame_size=(128, 128)))


@pytest.fixture(scope="session")
def film_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("film_cache")
