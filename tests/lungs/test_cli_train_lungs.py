from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from xraynet.cli.main import build_app
from xraynet.errors import LabelError
from xraynet.lungs.config import LungsTrainingConfig
from xraynet.lungs.segmenter import LungSegmenter
from xraynet.lungs.views import TrainingFilm
from xraynet.settings import read_config, write_config


@pytest.fixture
def folders(tmp_path: Path, chest_films: list[TrainingFilm]) -> tuple[Path, Path]:
    films, masks = tmp_path / "films", tmp_path / "masks"
    films.mkdir()
    masks.mkdir()
    for number, ending in enumerate(["", "@", "_mask", "-mask"]):
        film = chest_films[number]
        assert film.lung_mask is not None
        cv2.imwrite(str(films / f"{number}.png"), (np.clip(film.pixels, 0, 1) * 255).astype(np.uint8))
        cv2.imwrite(str(masks / f"{number}{ending}.png"), (film.lung_mask * 255).astype(np.uint8))
    cv2.imwrite(str(films / "unmarked.png"), np.zeros((8, 8), np.uint8))
    (films / "notes.txt").write_text("not a film")
    return films, masks


@pytest.fixture
def preset(tmp_path: Path, tiny_training: LungsTrainingConfig) -> Path:
    path = tmp_path / "tiny.toml"
    write_config(tiny_training, path)
    text = path.read_text().replace("epochs = 3", "epochs = 1").replace("epochs = 6", "epochs = 1")
    path.write_text(
        text.replace("epoch_films = 160", "epoch_films = 16").replace("gate_drawn_pictures = 24", "gate_drawn_pictures = 4")
    )
    return path


def run(*arguments: str) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(build_app(("train-lungs",)), ["train-lungs", *arguments])
    return result.exit_code, result.output, result.exception


def test_films_and_masks_become_a_checkpoint(folders: tuple[Path, Path], preset: Path, tmp_path: Path) -> None:
    films, masks = folders
    asked = [
        "--films",
        str(films),
        "--masks",
        str(masks),
        "--preset",
        str(preset),
        "--out",
        str(tmp_path / "run"),
        "--threads",
        "1",
    ]
    code, output, error = run(*asked)
    assert code == 0, (output, error)
    assert "4 films with lungs outlined" in output
    assert "segmenter epoch 1" in output
    assert "gate epoch 1" in output
    segmenter = LungSegmenter.from_file(tmp_path / "run/lungs.safetensors")
    assert segmenter.fingerprint[:16] in output
    assert segmenter.provenance["films_outlined"] == "4"


def test_a_catalogues_frontal_films_teach_the_gate(
    folders: tuple[Path, Path], preset: Path, tmp_path: Path, chest_films: list[TrainingFilm]
) -> None:
    films, masks = folders
    more, catalogue = tmp_path / "more", tmp_path / "catalogue"
    more.mkdir()
    for number, film in enumerate(chest_films[4:16]):
        cv2.imwrite(str(more / f"{number}.png"), (np.clip(film.pixels, 0, 1) * 255).astype(np.uint8))
    ingest = ["ingest", str(more), "--out", str(catalogue), "--salt-file", str(tmp_path / "salt"), "--workers", "0"]
    made = CliRunner().invoke(build_app(("ingest",)), [*ingest, "--split", "0.5,0.5,0"])
    assert made.exit_code == 0, made.output
    asked = ["--films", str(films), "--masks", str(masks), "--preset", str(preset), "--out", str(tmp_path / "run")]
    code, output, error = run(*asked, "--gate-catalogue", str(catalogue))
    assert code == 0, (output, error)
    provenance = LungSegmenter.from_file(tmp_path / "run/lungs.safetensors").provenance
    learning, aside = int(provenance["films_frontal"]), int(provenance["films_frontal_aside"])
    assert learning > 0
    assert aside > 0
    assert learning + aside == 12
    assert len(provenance["gate_catalogues"]) == 64


def test_a_mask_of_other_proportions_is_named(folders: tuple[Path, Path], preset: Path, tmp_path: Path) -> None:
    films, masks = folders
    cv2.imwrite(str(masks / "0.png"), np.zeros((10, 40), np.uint8))
    asked = ["--films", str(films), "--masks", str(masks), "--preset", str(preset), "--out", str(tmp_path / "run")]
    code, _, error = run(*asked)
    assert code != 0
    assert isinstance(error, LabelError)
    assert "other proportions" in str(error)


def test_films_without_masks_are_an_error(folders: tuple[Path, Path], preset: Path, tmp_path: Path) -> None:
    films, _ = folders
    empty = tmp_path / "empty"
    empty.mkdir()
    asked = ["--films", str(films), "--masks", str(empty), "--preset", str(preset), "--out", str(tmp_path / "run")]
    code, _, error = run(*asked)
    assert code != 0
    assert "0 films in" in str(error)


def test_the_shipped_preset_is_the_shipped_checkpoints() -> None:
    from xraynet.lungs.segmenter import shipped_lungs

    assert read_config("lungs", LungsTrainingConfig).network == shipped_lungs().config
