import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from xraynet.errors import NonFiniteLossError, TrainingError
from xraynet.lungs.config import LungsTrainingConfig, PartTrainingConfig
from xraynet.lungs.gate_training import GateFilms, outline_films
from xraynet.lungs.measure import WAYS, Way, counts_as_record, dice_of_masks, measure_gate, show_film
from xraynet.lungs.network import LungFieldNetwork, LungsNetwork
from xraynet.lungs.segmenter import LungSegmenter
from xraynet.lungs.training import EpochRecord, fit, train_segmenter
from xraynet.lungs.training_run import LungsTrainingFilms, train_lungs
from xraynet.lungs.views import TrainingFilm
from xraynet.radiograph import PixelSpacing, Radiograph
from xraynet.settings import read_config

DrawRadiograph = Callable[[int], Radiograph]


def read_journal(run_folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run_folder / "journal.jsonl").read_text().splitlines()]


def test_a_tiny_training_learns_lungs_and_gate(trained: LungSegmenter, run_folder: Path) -> None:
    journal = read_journal(run_folder)
    outlined = [line for line in journal if line["part"] == "segmenter"]
    gated = [line for line in journal if line["part"] == "gate"]
    assert [line["epoch"] for line in outlined] == [0, 1, 2]
    assert float(trained.provenance["validation_dice"]) > 0.85
    assert float(str(gated[-1]["loss"])) < 0.6 * float(str(gated[0]["loss"]))
    assert read_config(run_folder / "config.toml", LungsTrainingConfig).network == trained.config


def test_lungs_of_a_new_chest_are_found(trained: LungSegmenter, draw_radiograph: DrawRadiograph) -> None:
    fields = trained.segment(draw_radiograph(100))
    assert len(fields.right_box) == len(fields.left_box) == 1
    assert fields.right_box[0, 2] < fields.left_box[0, 2]
    assert 0.1 < fields.mask_stored().mean() < 0.35


def test_a_chest_passes_and_turned_or_inverted_it_does_not(trained: LungSegmenter, draw_radiograph: DrawRadiograph) -> None:
    films = [(f"chest {seed}", ("chests",), draw_radiograph(seed)) for seed in range(100, 110)]
    counts = measure_gate(trained, films)["chests"]
    assert counts["as it is"].passed >= 9
    for way in ("rotated-90", "rotated-180", "rotated-270", "inverted"):
        assert counts[way].passed <= 1, way
        assert counts[way].right_reason >= 8, way
    record = counts_as_record({"chests": counts})["chests"]["inverted"]
    assert record["films"] == 10
    assert record["refused_films"]


def test_noise_and_a_gradient_do_not_pass(trained: LungSegmenter) -> None:
    noise = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    for pixels in (noise, ramp):
        assert not trained.judge(Radiograph(pixels=pixels))[0].passed


def test_the_same_seed_gives_the_same_weights(
    chest_films: list[TrainingFilm], tiny_training: LungsTrainingConfig, tmp_path: Path
) -> None:
    short = replace(
        tiny_training,
        gate_drawn_pictures=4,
        segmenter=PartTrainingConfig(epochs=1, epoch_films=8, batch_size=4),
        gate=PartTrainingConfig(epochs=1, epoch_films=8, batch_size=4),
    )
    films = LungsTrainingFilms(outlined=chest_films[:4])

    def train(seed: int, name: str) -> LungSegmenter:
        config = replace(short, seed=seed)
        return train_lungs(films, config, out=tmp_path / name, provenance={}, report=lambda _: None)

    first = train(1, "first")
    torch.rand(7)
    again, other = train(1, "again"), train(2, "other")
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert (tmp_path / "first/lungs.safetensors").read_bytes() == (tmp_path / "again/lungs.safetensors").read_bytes()


def test_training_leaves_the_callers_random_numbers_alone(
    chest_films: list[TrainingFilm], tiny_training: LungsTrainingConfig, tmp_path: Path
) -> None:
    part = PartTrainingConfig(epochs=1, epoch_films=2, batch_size=2)
    short = replace(tiny_training, gate_drawn_pictures=2, segmenter=part, gate=part)
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    train_lungs(LungsTrainingFilms(outlined=chest_films[:2]), short, out=tmp_path, provenance={}, report=lambda _: None)
    assert torch.equal(torch.rand(3), expected)


def test_a_loss_that_is_no_number_stops_before_weights_move() -> None:
    network = LungFieldNetwork((4, 8))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(NonFiniteLossError, match="at step 0"):
        fit(
            network,
            "segmenter",
            PartTrainingConfig(epochs=1, epoch_films=1, batch_size=1),
            lambda epoch: iter([epoch]),
            lambda _: torch.tensor(float("nan"), requires_grad=True),
            lambda: 0.0,
            report=lambda _: None,
        )
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_the_best_epochs_weights_are_kept() -> None:
    torch.manual_seed(0)
    network = torch.nn.Linear(1, 1)
    figures, seen = iter([0.5, 0.9, 0.1]), []

    def validate() -> float:
        seen.append(network.weight.detach().clone())
        return next(figures)

    best = fit(
        network,
        "gate",
        PartTrainingConfig(epochs=3, epoch_films=1, batch_size=1, learning_rate=0.1),
        lambda _: iter([torch.ones(1, 1)]),
        lambda batch: network(batch).sum(),
        validate,
        report=lambda _: None,
    )
    assert best == 0.9
    assert torch.equal(network.weight, seen[1])
    assert not torch.equal(seen[1], seen[2])


def test_films_without_masks_or_too_few_are_refused(
    chest_films: list[TrainingFilm], tiny_training: LungsTrainingConfig
) -> None:
    network = LungFieldNetwork((4, 8))
    bare = [TrainingFilm(pixels=film.pixels) for film in chest_films[:3]]
    for films in (bare, chest_films[:1]):
        with pytest.raises(TrainingError, match="each with a mask"):
            train_segmenter(network, films, tiny_training, report=lambda _: None)
    with pytest.raises(TrainingError, match="no chest film"):
        GateFilms.drawn_beside([], num_drawn=4, side_px=32, seed=(0,))


def test_films_that_nobody_outlined_are_outlined_by_the_segmenter(
    trained: LungSegmenter, chest_films: list[TrainingFilm]
) -> None:
    marked = chest_films[20]
    bare = TrainingFilm(pixels=marked.pixels)
    kept, outlined = outline_films(trained.network.segmenter, [marked, bare], side_px=trained.config.side_px)
    assert kept is marked
    assert outlined.lung_mask is not None
    assert marked.lung_mask is not None
    assert outlined.lung_mask.shape == marked.pixels.shape
    dice = dice_of_masks(outlined.lung_mask > 0.5, marked.lung_mask > 0.5)
    assert dice is not None
    assert dice > 0.8


def test_films_can_be_shown_the_way_a_careless_archive_holds_them() -> None:
    pixels = np.array([[0.0, 1.0], [0.5, 0.5], [0.2, 0.3]], dtype=np.float32)
    film = Radiograph(pixels=pixels, spacing=PixelSpacing(row_mm=1.0, column_mm=2.0))
    assert show_film(film, "as it is") is film
    turned = show_film(film, "rotated-90")
    assert turned.pixels.tolist() == np.rot90(pixels, -1).tolist()
    assert turned.spacing == PixelSpacing(row_mm=2.0, column_mm=1.0)
    assert show_film(film, "rotated-180").spacing == film.spacing
    assert show_film(film, "mirrored").pixels[0].tolist() == [1.0, 0.0]
    assert show_film(film, "inverted").pixels[0].tolist() == [1.0, 0.0]
    ways: tuple[Way, ...] = WAYS
    assert len(ways) == 6


def test_dice_of_two_empty_masks_is_undefined() -> None:
    empty = np.zeros((2, 2), dtype=np.bool_)
    assert dice_of_masks(empty, empty) is None
    assert dice_of_masks(~empty, ~empty) == 1.0
    assert dice_of_masks(~empty, empty) == 0.0


def test_one_epoch_is_reported_once(trained: LungSegmenter, run_folder: Path) -> None:
    lines = [EpochRecord(**line) for line in read_journal(run_folder)]  # type: ignore[arg-type]
    assert len({(line.part, line.epoch) for line in lines}) == len(lines) == 9
    assert isinstance(trained.network, LungsNetwork)
