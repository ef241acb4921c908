"""Bright discs as batches for the loop, and a catalogue of synthetic films for whole runs."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from xraynet.config import RunConfig, read_run_config
from xraynet.detector import Detector, DetectorConfig
from xraynet.ingest.build import IngestConfig, build_catalogue
from xraynet.ingest.catalogue import Catalogue
from xraynet.ingest.split import SplitConfig
from xraynet.samples.batches import DetectionBatch
from xraynet.simulation.phantom import draw_phantom
from xraynet.training.distributed import Team
from xraynet.training.journal import Journal
from xraynet.training.loop import Learner
from xraynet.training.recipe import TrainingConfig

TINY = DetectorConfig(backbone="test_resnet", channels=16, head_depth=1)
ALONE = Team(rank=0, world_size=1, device=torch.device("cpu"))


def draw_discs(seed: int, *, num_films: int, side: int = 64) -> DetectionBatch:
    """Films of grain; every second one has a bright disc."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side] + 0.5
    images, boxes = rng.random((num_films, 1, side, side), dtype=np.float32) * 0.3, []
    for index in range(num_films):
        x, y, radius = rng.uniform(16, side - 16, 2).tolist() + [float(rng.uniform(5, 9))]
        if index % 2 == 0:
            images[index, 0] += 0.6 * ((columns - x) ** 2 + (rows - y) ** 2 < radius**2)
            boxes.append(torch.tensor([[x - radius, y - radius, x + radius, y + radius]], dtype=torch.float32))
        else:
            boxes.append(torch.zeros(0, 4))
    return DetectionBatch(
        images=torch.from_numpy(images),
        boxes=boxes,
        keys=tuple(f"{seed:08x}{index:08x}" for index in range(num_films)),
        ignore=[torch.zeros(0, 4) for _ in range(num_films)],
    )


@dataclass(frozen=True)
class DiscSource:
    """The same discs for the same epoch and step, dealt to the ranks in turn."""

    num_steps: int = 4
    num_films: int = 4
    fixed: bool = False

    @property
    def steps_per_epoch(self) -> int:
        return self.num_steps

    def draw(self, epoch: int, *, first_step: int) -> Iterator[DetectionBatch]:
        for step in range(first_step, self.num_steps):
            yield draw_discs(0 if self.fixed else 1000 * epoch + step, num_films=self.num_films)


@pytest.fixture(scope="session")
def discs() -> Callable[..., DiscSource]:
    return DiscSource


@pytest.fixture
def recipe() -> TrainingConfig:
    return TrainingConfig(
        epochs=3,
        learning_rate=5e-3,
        warmup_steps=2,
        weight_decay=0.01,
        ema_decay=0.9,
        amp="off",
        batch_size=4,
        validate_every=1,
    )


def build_learner(config: TrainingConfig, *, total_steps: int = 12, team: Team = ALONE) -> Learner:
    torch.manual_seed(config.seed)
    return Learner.of(Detector(TINY), config=config, team=team, total_steps=total_steps)


@pytest.fixture(scope="session")
def make_learner() -> Callable[..., Learner]:
    return build_learner


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
    config = IngestConfig(labels=(table,), formats=("plain-csv",), split=SplitConfig(fractions=(0.6, 0.4, 0.0)), num_workers=0)
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
