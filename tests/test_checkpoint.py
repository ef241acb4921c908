import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from xraynet.checkpoint import (
    CHECKPOINT_KIND,
    Checkpoint,
    CheckpointSettings,
    OperatingPoint,
    Provenance,
    find_shipped_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from xraynet.detector import Calibration, Detector, DetectorConfig, decode_detections
from xraynet.errors import CheckpointError
from xraynet.preparation import PreparationConfig


@pytest.fixture
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    config = DetectorConfig(backbone="test_resnet", channels=16, head_depth=1)
    settings = CheckpointSettings(
        detector=config,
        preparation=PreparationConfig(mm_per_pixel=1.1),
        calibration=Calibration(slope=1.5, intercept=-0.25),
        operating_point=OperatingPoint(threshold=0.3, target="at most 0.25", sensitivity=0.5, rule="node21"),
        lungs_fingerprint="ab" * 32,
    )
    provenance = Provenance(preset="tiny", step=7, film_sources="synthetic films", versions={"xraynet": "0.1.0"})
    return Checkpoint(name="test", settings=settings, weights=Detector(config).state_dict(), provenance=provenance)


def test_saved_and_reloaded_is_bit_equal(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_checkpoint(path, checkpoint)
    loaded = read_checkpoint(path)
    assert loaded.weights.keys() == checkpoint.weights.keys()
    assert all(torch.equal(loaded.weights[name], value) for name, value in checkpoint.weights.items())
    assert loaded.settings == checkpoint.settings
    assert loaded.provenance == checkpoint.provenance
    assert loaded.identity == checkpoint.identity
    assert loaded.identity.version == "0.1.0"


def test_same_checkpoint_gives_the_same_file(checkpoint: Checkpoint, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_checkpoint(tmp_path / name, checkpoint)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_fingerprint_follows_weights_and_settings_but_not_provenance(checkpoint: Checkpoint) -> None:
    other_weights = dict(checkpoint.weights)
    other_weights["head.score.bias"] = other_weights["head.score.bias"] + 1
    point = replace(checkpoint.settings, operating_point=OperatingPoint(threshold=0.4))
    assert replace(checkpoint, weights=other_weights).fingerprint != checkpoint.fingerprint
    assert checkpoint.with_settings(point).fingerprint != checkpoint.fingerprint
    assert replace(checkpoint, provenance=Provenance(step=8)).fingerprint == checkpoint.fingerprint


def test_float16_keeps_detections_and_halves_the_file(checkpoint: Checkpoint, tmp_path: Path) -> None:
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    write_checkpoint(whole, checkpoint)
    stored = write_checkpoint(half, checkpoint, half=True)
    assert stored.fingerprint == read_checkpoint(half).fingerprint != checkpoint.fingerprint
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    films = torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        exact, rounded = (read_checkpoint(path).build_detector()(films) for path in (whole, half))
    torch.testing.assert_close(exact.score_logits, rounded.score_logits, atol=2e-2, rtol=0)
    torch.testing.assert_close(exact.box_distances, rounded.box_distances, atol=0, rtol=2e-2)
    (_, scores), (_, others) = decode_detections(exact)[0], decode_detections(rounded)[0]
    torch.testing.assert_close(scores[:3], others[:3], atol=1e-3, rtol=0)


def test_built_detector_is_ready_to_be_asked(checkpoint: Checkpoint) -> None:
    detector = checkpoint.halve().build_detector()
    assert not detector.training
    assert {parameter.dtype for parameter in detector.parameters()} == {torch.float32}


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        read_checkpoint(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x10\x00\x00\x00\x00\x00\x00\x00{}"])
def test_file_that_is_no_safetensors_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(path)


def test_flipped_bit_is_noticed(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_checkpoint(path, checkpoint)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged: its content has fingerprint"):
        read_checkpoint(path)


def test_cut_file_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_checkpoint(path, checkpoint)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(path)


def rewrite(path: Path, header: object) -> None:
    tensors = load_file(path)
    text = header if isinstance(header, str) else json.dumps(header)
    save_file(tensors, path, metadata={CHECKPOINT_KIND: text})


def test_other_kinds_and_versions_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"weight": torch.zeros(1)}, path, metadata={"xraynet-lungs-1": "{}"})
    with pytest.raises(CheckpointError, match=r"another kind \(xraynet-lungs-1\)"):
        read_checkpoint(path)
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="another kind"):
        read_checkpoint(path)
    write_checkpoint(path, checkpoint)
    rewrite(path, {"format": "2"})
    with pytest.raises(CheckpointError, match="format version 2; this xraynet reads version 1"):
        read_checkpoint(path)
    rewrite(path, [])
    with pytest.raises(CheckpointError, match="format version None"):
        read_checkpoint(path)
    rewrite(path, "{")
    with pytest.raises(CheckpointError, match="not JSON"):
        read_checkpoint(path)
    rewrite(path, {"format": "1", "name": "a", "fingerprint": "b", "settings": {"colour": 1}, "provenance": {}})
    with pytest.raises(CheckpointError, match="colour"):
        read_checkpoint(path)


def test_weights_of_another_network_are_refused(checkpoint: Checkpoint) -> None:
    other = replace(checkpoint.settings, detector=DetectorConfig(backbone="test_resnet", channels=16, head_depth=2))
    with pytest.raises(CheckpointError, match="do not belong together"):
        checkpoint.with_settings(other).build_detector()
    wider = replace(checkpoint.settings, detector=DetectorConfig(backbone="test_resnet", channels=24, head_depth=1))
    with pytest.raises(CheckpointError, match="do not fit"):
        checkpoint.with_settings(wider).build_detector()


def test_operating_point_is_a_score() -> None:
    with pytest.raises(ValueError, match=r"threshold is 1\.5"):
        OperatingPoint(threshold=1.5)


def test_checkpoint_that_is_not_shipped_is_said_so() -> None:
    with pytest.raises(CheckpointError, match="ships no checkpoint 'nobody'"):
        find_shipped_checkpoint("nobody")


def test_shipped_file_is_found_beside_the_checkout() -> None:
    assert find_shipped_checkpoint("lungs").name == "lungs.safetensors"
