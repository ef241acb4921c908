import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from xraynet.errors import CheckpointError
from xraynet.lungs import segmenter as segmenter_module
from xraynet.lungs.segmenter import FORMAT, LungSegmenter, find_shipped_lungs, shipped_lungs
from xraynet.radiograph import Radiograph, ViewPosition

SCENE = Radiograph(pixels=np.random.default_rng(0).random((50, 40), dtype=np.float32))


def test_what_is_written_comes_back_bit_by_bit(untrained: LungSegmenter, tmp_path: Path) -> None:
    path = tmp_path / "lungs.safetensors"
    untrained.write(path)
    again = LungSegmenter.from_file(path)
    for name, tensor in untrained.network.state_dict().items():
        assert torch.equal(tensor, again.network.state_dict()[name]), name
    assert again.fingerprint == untrained.fingerprint
    assert (again.config, again.thresholds, again.provenance) == (
        untrained.config,
        untrained.thresholds,
        untrained.provenance,
    )
    assert np.array_equal(again.segment(SCENE).probability, untrained.segment(SCENE).probability)
    assert again.look(SCENE) == untrained.look(SCENE)
    again.write(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_the_fingerprint_covers_weights_and_settings(untrained: LungSegmenter) -> None:
    other = LungSegmenter.of_network(
        untrained.network,
        config=untrained.config,
        thresholds=segmenter_module.GateThresholds(frontal=0.6),
        provenance=untrained.provenance,
    )
    assert other.fingerprint != untrained.fingerprint


def test_judging_gives_a_verdict_and_the_fields(untrained: LungSegmenter) -> None:
    verdict, fields = untrained.judge(SCENE)
    assert verdict.passed == (not verdict.reasons)
    assert np.array_equal(fields.probability, untrained.segment(SCENE).probability)
    lateral = Radiograph(pixels=SCENE.pixels, view_position=ViewPosition.LATERAL)
    assert untrained.judge(lateral)[0].reasons == ("lateral",)


def test_a_header_that_says_mirrored_reaches_the_fields(untrained: LungSegmenter) -> None:
    turned_over = Radiograph(pixels=SCENE.pixels, mirrored=True)
    assert untrained.segment(turned_over).mirrored
    assert untrained.judge(turned_over)[1].mirrored


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no lungs checkpoint at .*none\.safetensors"):
        LungSegmenter.from_file(tmp_path / "none.safetensors")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\xff" * 64])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lungs.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a safetensors file"):
        LungSegmenter.from_file(path)


def test_a_checkpoint_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(safetensors.torch.save({"weight": torch.zeros(1)}, {"other": "1"}))
    with pytest.raises(CheckpointError, match=f"'{FORMAT}' was expected"):
        LungSegmenter.from_file(path)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", json.dumps({"config": {"side_px": "big"}, "thresholds": {}, "provenance": {}}),
     json.dumps({"config": {}, "thresholds": {}, "provenance": {}})],
)  # fmt: skip
def test_half_a_checkpoint_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lungs.safetensors"
    path.write_bytes(safetensors.torch.save({"weight": torch.zeros(1)}, {FORMAT: text}))
    with pytest.raises(CheckpointError, match="does not hold a whole lungs checkpoint"):
        LungSegmenter.from_file(path)


def test_a_changed_weight_is_noticed(untrained: LungSegmenter, tmp_path: Path) -> None:
    path = tmp_path / "lungs.safetensors"
    untrained.write(path)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="is damaged"):
        LungSegmenter.from_file(path)


def test_the_shipped_checkpoint_is_found_and_small() -> None:
    path = find_shipped_lungs()
    assert path.name == "lungs.safetensors"
    assert path.stat().st_size < 4_000_000
    shipped = shipped_lungs()
    assert len(shipped.fingerprint) == 64
    assert not any(parameter.requires_grad for parameter in shipped.network.parameters())


def test_a_checkpoint_that_was_not_shipped_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmenter_module.resources, "files", lambda name: tmp_path / name)
    with pytest.raises(CheckpointError, match=r"no lungs.safetensors was shipped"):
        find_shipped_lungs()


def test_the_one_in_the_wheel_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmenter_module.resources, "files", lambda name: tmp_path / name)
    for folder in ("xraynet/_checkpoints", "checkpoints"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "lungs.safetensors").write_bytes(b"")
    assert find_shipped_lungs().parent.name == "_checkpoints"
