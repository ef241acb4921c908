"""Small chests made of ellipses, and a segmenter that has learnt them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from xraynet.geometry import Letterbox
from xraynet.lungs.config import GateThresholds, LungsConfig, LungsTrainingConfig, PartTrainingConfig, ViewConfig
from xraynet.lungs.fields import LungFields
from xraynet.lungs.network import LungsNetwork
from xraynet.lungs.segmenter import LungSegmenter
from xraynet.lungs.training_run import LungsTrainingFilms, train_lungs
from xraynet.lungs.views import TrainingFilm
from xraynet.radiograph import Radiograph

TINY = LungsConfig(side_px=32, segmenter_widths=(4, 8, 16), gate_widths=(8, 12, 16))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def ellipse(size: tuple[int, int], centre: tuple[float, float], radii: tuple[float, float]) -> NDArray[np.bool_]:
    """True inside an ellipse; everything as (x, y) parts of the sides."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    inside = ((x / size[1] - centre[0]) / radii[0]) ** 2 + ((y / size[0] - centre[1]) / radii[1]) ** 2 <= 1
    return np.asarray(inside)


def draw_chest(seed: int, size: tuple[int, int] = (72, 64)) -> tuple[Radiograph, NDArray[np.float32]]:
    """A chest of ellipses, head up, heart on the image's right, and its lung mask."""
    rng = np.random.default_rng(seed)
    shift, spread = rng.uniform(-0.03, 0.03, 2)
    pixels = np.full(size, 0.1)
    pixels[ellipse(size, (0.5 + shift, 0.7), (0.46, 0.62))] = 0.7
    pixels[ellipse(size, (0.5 + shift, 0.05), (0.14, 0.2))] = 0.75
    lungs = np.zeros(size, dtype=np.bool_)
    for sign in (-1, 1):
        lungs |= ellipse(size, (0.5 + shift + sign * (0.19 + spread), 0.48), (0.13, 0.26))
    lungs &= ~ellipse(size, (0.57 + shift, 0.62), (0.13, 0.13))
    pixels[lungs] = 0.25
    pixels += rng.normal(0, 0.02, size)
    return Radiograph(pixels=np.clip(pixels, 0, 1).astype(np.float32)), lungs.astype(np.float32)


@pytest.fixture(scope="session")
def chest_films() -> list[TrainingFilm]:
    drawn = [draw_chest(seed) for seed in range(24)]
    return [TrainingFilm(pixels=film.pixels, lung_mask=mask) for film, mask in drawn]


@pytest.fixture(scope="session")
def tiny_training() -> LungsTrainingConfig:
    mild = ViewConfig(
        rotation_degrees=5, stretch=0.05, crop=0.05, margin=0.05, gamma=0.2, shading=0.05, noise=0.02, blur_px=0.3,
        white_lung_rate=0.1, border_rate=0.1, overlay_rate=0.1, curve_rate=0.1,
    )  # fmt: skip
    return LungsTrainingConfig(
        seed=3,
        source_px=64,
        gate_drawn_pictures=24,
        network=TINY,
        view=mild,
        segmenter=PartTrainingConfig(epochs=3, epoch_films=96, batch_size=8, learning_rate=5e-3),
        gate=PartTrainingConfig(epochs=6, epoch_films=160, batch_size=16, learning_rate=5e-3),
    )


@pytest.fixture
def untrained() -> LungSegmenter:
    torch.manual_seed(0)
    return LungSegmenter.of_network(LungsNetwork(TINY), config=TINY, thresholds=GateThresholds(), provenance={"films": "none"})


@pytest.fixture(scope="session")
def two_lungs() -> LungFields:
    """Lungs as two rectangles: columns 4 to 12 and 20 to 28, rows 6 to 24, of a 64 x 64 film seen at half size."""
    probability = np.zeros((32, 32), dtype=np.float32)
    probability[6:24, 4:12] = 0.9
    probability[6:24, 20:28] = 0.9
    letterbox = Letterbox(stored_size=(64, 64), resized_size=(32, 32), net_size=(32, 32), offset=(0, 0))
    return LungFields(probability=probability, letterbox=letterbox)


@pytest.fixture(scope="session")
def draw_radiograph() -> Callable[[int], Radiograph]:
    """Draws the chest of a seed."""
    return lambda seed: draw_chest(seed)[0]


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lungs") / "run"


@pytest.fixture(scope="session")
def trained(run_folder: Path, chest_films: list[TrainingFilm], tiny_training: LungsTrainingConfig) -> LungSegmenter:
    """A tiny segmenter and gate that have learnt the chests of ellipses; their run folder is ``run_folder``."""
    torch.set_num_threads(1)
    films = LungsTrainingFilms(outlined=chest_films[:16], frontal=chest_films[16:20], frontal_aside=chest_films[20:])
    return train_lungs(films, tiny_training, out=run_folder, provenance={"films": "ellipses"}, report=lambda _: None)
