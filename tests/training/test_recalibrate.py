from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from xraynet.checkpoint import Checkpoint, CheckpointSettings, read_checkpoint, write_checkpoint
from xraynet.cli.main import build_app
from xraynet.config import RunConfig
from xraynet.detector import Detector
from xraynet.ingest.catalogue import Catalogue

RUNNER = CliRunner()


@pytest.fixture
def untrained(tiny_run: RunConfig, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    settings = CheckpointSettings(detector=tiny_run.detector, preparation=tiny_run.preparation)
    write_checkpoint(tmp_path / "first.safetensors", Checkpoint("first", settings, Detector(tiny_run.detector).state_dict()))
    return tmp_path / "first.safetensors"


def run(catalogue: Catalogue, untrained: Path, out: Path, cache: Path, *options: str) -> str:
    command = ["calibrate", "--catalogue", str(catalogue.path), "--checkpoint", str(untrained), "--out", str(out)]
    result = RUNNER.invoke(build_app(("calibrate",)), [*command, "--cache", str(cache), "--device", "cpu", *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_the_weights_stay_and_the_operating_point_is_that_of_the_films(
    phantom_catalogue: Catalogue, untrained: Path, tmp_path: Path, film_cache_folder: Path
) -> None:
    told = run(phantom_catalogue, untrained, tmp_path / "second.safetensors", film_cache_folder)
    before, after = read_checkpoint(untrained), read_checkpoint(tmp_path / "second.safetensors")
    assert all(torch.equal(before.weights[name], after.weights[name]) for name in before.weights)
    assert (after.settings.detector, after.settings.preparation) == (before.settings.detector, before.settings.preparation)
    assert after.settings.decoding == before.settings.decoding
    point = after.settings.operating_point
    assert phantom_catalogue.fingerprint[:16] in point.calibrated_on
    assert point.rule == "node21"
    assert after.fingerprint != before.fingerprint
    assert after.fingerprint[:16] in told


def test_a_second_view_and_another_target_can_be_asked_for(
    phantom_catalogue: Catalogue, untrained: Path, tmp_path: Path, film_cache_folder: Path
) -> None:
    options = ["--second-view", "mirrored", "--target", "film-specificity", "--value", "0.5"]
    run(phantom_catalogue, untrained, tmp_path / "second.safetensors", film_cache_folder, *options)
    settings = read_checkpoint(tmp_path / "second.safetensors").settings
    assert settings.decoding.second_view == "mirrored"
    assert "50 %" in settings.operating_point.target
    run(
        phantom_catalogue,
        tmp_path / "second.safetensors",
        tmp_path / "third.safetensors",
        film_cache_folder,
        "--second-view=none",
    )
    assert read_checkpoint(tmp_path / "third.safetensors").settings.decoding.second_view is None


def test_impossible_targets_are_wrong_usage(phantom_catalogue: Catalogue, untrained: Path, tmp_path: Path) -> None:
    command = ["calibrate", "--catalogue", str(phantom_catalogue.path), "--checkpoint", str(untrained)]
    out = ["--out", str(tmp_path / "never.safetensors")]
    result = RUNNER.invoke(build_app(("calibrate",)), [*command, *out, "--target", "sensitivity", "--value", "1.5"])
    assert result.exit_code == 2
    assert not (tmp_path / "never.safetensors").exists()
