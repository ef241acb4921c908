"""``xraynet card`` writes the card of a checkpoint file."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from xraynet.checkpoint import Checkpoint, CheckpointSettings, OperatingPoint, Provenance, write_checkpoint
from xraynet.cli.main import build_app
from xraynet.detector.network import Detector, DetectorConfig
from xraynet.errors import PredictionsError


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = DetectorConfig(channels=8, head_depth=0)
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    torch.manual_seed(0)
    write_checkpoint(
        path,
        Checkpoint(
            name="tiny",
            settings=CheckpointSettings(detector=config, operating_point=OperatingPoint(threshold=0.4, target="by hand")),
            weights=Detector(config).state_dict(),
            provenance=Provenance(preset="tiny", step=7, film_sources="phantoms", terms="free"),
        ),
        half=True,
    )
    return path


def test_card_of_a_checkpoint_file(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny.md"
    result = CliRunner().invoke(
        build_app(("card", "doctor")), ["card", "--checkpoint", str(checkpoint), "--out", str(out), "--limit", "Tiny."]
    )
    assert result.exit_code == 0, result.output
    card = out.read_text()
    for words in (
        "Learnt from: phantoms",
        "Terms: free",
        "| best weights at step | 7 |",
        "kept as float16",
        "by hand",
        "- Tiny.",
    ):
        assert words in card


def test_figures_that_cannot_be_read_are_wrong_usage(checkpoint: Path, tmp_path: Path) -> None:
    common = ["card", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "tiny.md"), "--figures"]
    app = build_app(("card", "doctor"))
    assert CliRunner().invoke(app, [*common, "metrics.json"]).exit_code == 2
    result = CliRunner().invoke(app, [*common, f"a={tmp_path / 'none.json'}"])
    assert isinstance(result.exception, PredictionsError)
    assert not (tmp_path / "tiny.md").exists()


def test_pictures_of_failures_are_shown_from_where_the_card_lies(checkpoint: Path, tmp_path: Path) -> None:
    picture = tmp_path / "pictures" / "failures.png"
    picture.parent.mkdir()
    picture.write_bytes(b"a picture")
    out = tmp_path / "cards" / "tiny.md"
    out.parent.mkdir()
    common = ["card", "--checkpoint", str(checkpoint), "--out", str(out), "--failures"]
    app = build_app(("card", "doctor"))
    result = CliRunner().invoke(app, [*common, f"Sensitivity = 0.5: four misses={picture}"])
    assert result.exit_code == 0, result.output
    card = out.read_text()
    assert "## Failures on synthetic films" in card
    assert "![Sensitivity = 0.5: four misses](../pictures/failures.png)" in card
    for wrong in (f"misses={tmp_path / 'none.png'}", str(picture), f"={picture}"):
        assert CliRunner().invoke(app, [*common, wrong]).exit_code == 2
