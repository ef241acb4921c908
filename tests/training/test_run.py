import io
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from xraynet.checkpoint import read_checkpoint
from xraynet.cli.main import build_app
from xraynet.config import RunConfig, read_run_config, write_config
from xraynet.detector import Detector, DetectorConfig
from xraynet.errors import CatalogueError, CheckpointError, TrainingError
from xraynet.evaluation.films import ScoredFilm
from xraynet.files import sha256_of_file
from xraynet.findings import LabelState, NoduleAnnotations, NoduleDetections
from xraynet.ingest.catalogue import Catalogue
from xraynet.training.ema import MovingAverage
from xraynet.training.keeper import BestKeeper
from xraynet.training.origins import describe_versions, find_git_revision, fingerprint_run
from xraynet.training.run import RunOptions, train_detector
from xraynet.training.validate import Validation


class Interrupting(io.StringIO):
    """The person at the terminal stops the run at its first validation."""

    def write(self, text: str, /) -> int:
        if "validation: " in text:
            raise KeyboardInterrupt
        return super().write(text)


def train(
    catalogue: Catalogue, config: RunConfig, out: Path, cache: Path, *, resume: bool = False, start: Path | None = None
) -> str:
    voice = io.StringIO()
    options = RunOptions(resume=resume, device="cpu", cache=cache, start=start, preset="tiny")
    train_detector(catalogue, config, out=out, lungs=None, options=options, voice=voice)
    return voice.getvalue()


def test_run_folder_holds_what_a_run_needs(
    phantom_catalogue: Catalogue, tiny_run: RunConfig, tmp_path: Path, film_cache_folder: Path, one_thread: None
) -> None:
    said = train(phantom_catalogue, tiny_run, tmp_path / "run", film_cache_folder)
    assert "validation: froc_score" in said
    assert read_run_config(tmp_path / "run" / "config.toml") == tiny_run
    origins = json.loads((tmp_path / "run" / "run.json").read_text())
    assert origins["catalogue_fingerprint"] == phantom_catalogue.fingerprint
    events = [json.loads(line)["event"] for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines()]
    assert {"validation", "calibration"} <= set(events)
    best = read_checkpoint(tmp_path / "run" / "best.safetensors")
    assert best.settings.detector == tiny_run.detector
    assert best.settings.preparation == tiny_run.preparation
    assert best.settings.operating_point.rule == "node21"
    assert best.settings.target_classes == phantom_catalogue.facts.target_classes
    assert best.provenance.preset == "tiny"
    assert best.provenance.catalogue_fingerprint == phantom_catalogue.fingerprint
    best.build_detector()


def test_one_seed_gives_one_checkpoint_and_another_seed_another(
    phantom_catalogue: Catalogue, tiny_run: RunConfig, tmp_path: Path, film_cache_folder: Path, one_thread: None
) -> None:
    other = replace(tiny_run, training=replace(tiny_run.training, seed=1))
    prints = []
    for index, config in enumerate((tiny_run, tiny_run, other)):
        train(phantom_catalogue, config, tmp_path / f"{index}", film_cache_folder)
        prints.append(read_checkpoint(tmp_path / f"{index}" / "best.safetensors").fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_resumed_run_gives_the_same_checkpoint(
    phantom_catalogue: Catalogue, tiny_run: RunConfig, tmp_path: Path, film_cache_folder: Path, one_thread: None
) -> None:
    train(phantom_catalogue, tiny_run, tmp_path / "whole", film_cache_folder)
    careful = replace(tiny_run, training=replace(tiny_run.training, state_every_steps=1))
    with pytest.raises(KeyboardInterrupt):
        train_detector(
            phantom_catalogue,
            careful,
            out=tmp_path / "part",
            lungs=None,
            options=RunOptions(device="cpu", cache=film_cache_folder),
            voice=Interrupting(),
        )
    with pytest.raises(TrainingError, match="--resume goes on with it"):
        train(phantom_catalogue, tiny_run, tmp_path / "part", film_cache_folder)
    train(phantom_catalogue, tiny_run, tmp_path / "part", film_cache_folder, resume=True)
    whole, part = (read_checkpoint(tmp_path / name / "best.safetensors") for name in ("whole", "part"))
    assert whole.provenance.step == part.provenance.step
    assert whole.fingerprint == part.fingerprint


def test_detector_learns_synthetic_nodules(
    phantom_catalogue: Catalogue, tiny_run: RunConfig, tmp_path: Path, film_cache_folder: Path
) -> None:
    samples = replace(tiny_run.samples, augmented=False, frame_size=(256, 256))
    training = replace(tiny_run.training, epochs=40, validate_every=20, ema_decay=0.9)
    said = train(phantom_catalogue, replace(tiny_run, samples=samples, training=training), tmp_path / "run", film_cache_folder)
    scores = [float(score) for score in re.findall(r"froc_score (\d\.\d+)", said)]
    assert scores[-1] > 0.3


def test_run_starts_from_a_checkpoint_of_the_same_network(
    phantom_catalogue: Catalogue, tiny_run: RunConfig, tmp_path: Path, film_cache_folder: Path
) -> None:
    train(phantom_catalogue, tiny_run, tmp_path / "first", film_cache_folder)
    start = tmp_path / "first" / "best.safetensors"
    train(phantom_catalogue, tiny_run, tmp_path / "second", film_cache_folder, start=start)
    wider = replace(tiny_run, detector=DetectorConfig(backbone="test_resnet", channels=32, head_depth=1))
    with pytest.raises(CheckpointError, match="to start from"):
        train(phantom_catalogue, wider, tmp_path / "third", film_cache_folder, start=start)


def test_leaking_catalogue_is_refused(
    phantom_catalogue: Catalogue, tiny_run: RunConfig, tmp_path: Path, film_cache_folder: Path
) -> None:
    films = phantom_catalogue.films.copy()
    films["patient_key"] = "the same patient"
    with pytest.raises(CatalogueError, match="share"):
        train(replace(phantom_catalogue, films=films), tiny_run, tmp_path / "run", film_cache_folder)
    assert not (tmp_path / "run").exists()


def test_command_trains_and_says_where_the_checkpoint_is(
    phantom_catalogue: Catalogue, tiny_run: RunConfig, tmp_path: Path, film_cache_folder: Path
) -> None:
    write_config(tiny_run, tmp_path / "config.toml")
    arguments = ["train", "--catalogue", str(phantom_catalogue.path), "--config", str(tmp_path / "config.toml")]
    arguments += ["--out", str(tmp_path / "run"), "--cache", str(film_cache_folder), "--lungs", "none", "--device", "cpu"]
    result = CliRunner().invoke(build_app(("train", "catalogue")), [*arguments, "--steps", "2"])
    assert result.exit_code == 0, result.output
    assert "best.safetensors" in result.output
    assert read_checkpoint(tmp_path / "run" / "best.safetensors").provenance.step == 2


def test_command_starts_the_backbone_from_the_file_it_is_given(
    phantom_catalogue: Catalogue, tiny_run: RunConfig, tmp_path: Path, film_cache_folder: Path
) -> None:
    write_config(tiny_run, tmp_path / "config.toml")
    start = {name: value * 0.9 for name, value in Detector(tiny_run.detector).backbone.network.state_dict().items()}
    start = {name: value for name, value in start.items() if value.is_floating_point()}
    save_file(start, tmp_path / "start.safetensors")
    arguments = ["train", "--catalogue", str(phantom_catalogue.path), "--config", str(tmp_path / "config.toml")]
    arguments += ["--out", str(tmp_path / "run"), "--cache", str(film_cache_folder), "--lungs", "none", "--device", "cpu"]
    arguments += ["--backbone-weights", str(tmp_path / "start.safetensors"), "--steps", "1"]
    result = CliRunner().invoke(build_app(("train", "catalogue")), arguments)
    assert result.exit_code == 0, result.output
    learnt = read_checkpoint(tmp_path / "run" / "best.safetensors").weights
    kernels = [name for name, value in start.items() if value.ndim == 4]
    assert kernels
    for name in kernels:
        torch.testing.assert_close(learnt[f"backbone.network.{name}"].float(), start[name], rtol=0, atol=0.02)
    origins = json.loads((tmp_path / "run" / "run.json").read_text())
    assert origins["backbone_weights"] == sha256_of_file(tmp_path / "start.safetensors")


def test_what_a_preset_says_of_its_films_is_said_of_no_others(
    phantom_catalogue: Catalogue, tiny_run: RunConfig, tmp_path: Path
) -> None:
    def sources_of(label_tables: tuple[str, ...]) -> tuple[str, str]:
        card = replace(tiny_run.card, label_tables=label_tables, film_sources="phantoms", terms="free")
        config = replace(tiny_run, card=card)
        average = MovingAverage(Detector(config.detector), decay=0.5)
        films = (ScoredFilm("0", NoduleAnnotations(state=LabelState.FREE), NoduleDetections()),)
        keeper = BestKeeper(config, phantom_catalogue, None, preset="tiny", path=tmp_path / "best.safetensors")
        keeper.keep(average, 1, Validation(score=0.5, films=films, figures={}))
        provenance = read_checkpoint(keeper.path).provenance
        return provenance.film_sources, provenance.terms

    own = tuple(sha256 for *_, sha256 in phantom_catalogue.facts.labels)
    assert sources_of(()) == sources_of(own) == ("phantoms", "free")
    assert sources_of(("0" * 64,)) == ("", "")


def test_fingerprint_follows_what_is_learnt_and_not_when_it_stops(tiny_run: RunConfig) -> None:
    def of(config: RunConfig) -> str:
        return fingerprint_run(config, catalogue_fingerprint="a", lungs_fingerprint=None, start="")

    longer = replace(tiny_run, training=replace(tiny_run.training, max_minutes=5.0, patience=3, num_workers=2))
    faster = replace(tiny_run, training=replace(tiny_run.training, learning_rate=0.1))
    reworded = replace(tiny_run, card=replace(tiny_run.card, terms="with attribution"))
    assert of(longer) == of(reworded) == of(tiny_run) != of(faster)


def test_fingerprint_follows_the_content_of_backbone_weights(tiny_run: RunConfig, tmp_path: Path) -> None:
    def of(path: Path) -> str:
        config = replace(tiny_run, training=replace(tiny_run.training, backbone_weights=str(path)))
        return fingerprint_run(config, catalogue_fingerprint="a", lungs_fingerprint=None, start="")

    for name, content in (("first", b"a"), ("moved", b"a"), ("other", b"b")):
        (tmp_path / name).write_bytes(content)
    assert of(tmp_path / "first") == of(tmp_path / "moved") != of(tmp_path / "other")
    with pytest.raises(CheckpointError, match=r"none: backbone weights cannot be read: No such file"):
        of(tmp_path / "none")


def test_origins_name_versions_and_revision(tmp_path: Path) -> None:
    assert {"xraynet", "torch", "timm"} <= describe_versions().keys()
    assert find_git_revision(tmp_path) == ""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "a"], cwd=tmp_path, check=True)
    assert re.fullmatch(r"[0-9a-f]{40}", find_git_revision(tmp_path))


def test_run_that_is_out_of_time_still_leaves_a_checkpoint(
    phantom_catalogue: Catalogue, tiny_run: RunConfig, tmp_path: Path, film_cache_folder: Path
) -> None:
    hasty = replace(tiny_run, training=replace(tiny_run.training, max_minutes=1e-9))
    train(phantom_catalogue, hasty, tmp_path / "run", film_cache_folder)
    assert read_checkpoint(tmp_path / "run" / "best.safetensors").provenance.step == 1


def test_command_refuses_a_device_that_is_none(phantom_catalogue: Catalogue, tmp_path: Path) -> None:
    arguments = ["train", "--catalogue", str(phantom_catalogue.path), "--out", str(tmp_path / "run"), "--device", "tpu"]
    result = CliRunner().invoke(build_app(("train", "catalogue")), arguments)
    assert result.exit_code == 2
    assert "tpu" in result.output
