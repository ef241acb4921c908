from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from typer.testing import CliRunner

from xraynet.cli.main import build_app
from xraynet.detector.backbone import Backbone, load_backbone_weights
from xraynet.detector.pretrained import ColourScale, import_pretrained
from xraynet.errors import CheckpointError

NETWORK = "test_efficientnet"
SCALE = ColourScale(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@pytest.fixture
def learnt() -> nn.Module:
    """A network as if it had learnt on colour photographs: no tensor is at its start."""
    torch.manual_seed(5)
    model = timm.create_model(NETWORK)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.rand_like(value) + 0.5 if name.endswith("running_var") else 0.3 * torch.randn_like(value))
    return model.eval()


def _feature_maps(model: nn.Module, films: Tensor, scale: ColourScale) -> list[Tensor]:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (scale.mean, scale.std))
    features = timm.create_model(NETWORK, features_only=True, out_indices=(1, 2, 3, 4)).eval()
    features.load_state_dict({name: model.state_dict()[name] for name in features.state_dict()})
    maps: list[Tensor] = features((films.repeat(1, 3, 1, 1) - mean) / std)
    return maps


def _start(tensors: dict[str, Tensor], folder: Path) -> Backbone:
    save_file(tensors, folder / "start.safetensors")
    backbone = Backbone(NETWORK).eval()
    load_backbone_weights(backbone, folder / "start.safetensors")
    return backbone


def test_the_backbone_sees_in_a_film_what_the_network_saw_in_a_grey_picture(learnt: nn.Module, tmp_path: Path) -> None:
    torch.save(learnt.state_dict(), tmp_path / "learnt.pth")
    backbone = _start(import_pretrained(tmp_path / "learnt.pth", NETWORK, scale=SCALE), tmp_path)
    films = torch.rand(1, 1, 256, 256)
    with torch.no_grad():
        ours, theirs = backbone(films)[0], _feature_maps(learnt, films, SCALE)[0]
    inside = (..., slice(8, -8), slice(8, -8))
    assert theirs[inside].std() > 0.01
    torch.testing.assert_close(ours[inside], theirs[inside], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(ours[..., 0, :], theirs[..., 0, :], atol=1e-2), "the rim is documented as different"


def test_without_a_mean_colour_every_map_is_the_same_to_its_rim(learnt: nn.Module, tmp_path: Path) -> None:
    scale = ColourScale(mean=(0.0, 0.0, 0.0), std=(0.5, 0.25, 2.0))
    save_file(learnt.state_dict(), tmp_path / "learnt.safetensors")
    backbone = _start(import_pretrained(tmp_path / "learnt.safetensors", NETWORK, scale=scale), tmp_path)
    films = torch.rand(2, 1, 96, 64)
    with torch.no_grad():
        for ours, theirs in zip(backbone(films), _feature_maps(learnt, films, scale), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_names_of_another_library_are_taken_in_their_order(learnt: nn.Module, tmp_path: Path) -> None:
    torch.save(learnt.state_dict(), tmp_path / "own.pth")
    torch.save({f"other{number}": value for number, value in enumerate(learnt.state_dict().values())}, tmp_path / "other.pth")
    own, other = (import_pretrained(tmp_path / name, NETWORK, scale=SCALE) for name in ("own.pth", "other.pth"))
    assert own.keys() == other.keys()
    for name, value in own.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=0)


def test_files_that_do_not_fit_are_refused(learnt: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"not weights")
    with pytest.raises(CheckpointError, match="cannot be read"):
        import_pretrained(path, NETWORK, scale=SCALE)
    torch.save([torch.zeros(1)], path)
    with pytest.raises(CheckpointError, match="holds a list"):
        import_pretrained(path, NETWORK, scale=SCALE)
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="holds 1 tensors"):
        import_pretrained(path, NETWORK, scale=SCALE)
    torch.save({**learnt.state_dict(), "conv_stem.weight": torch.zeros(1, 3, 3, 3)}, path)
    with pytest.raises(CheckpointError, match=r"\(1, 3, 3, 3\) stands where test_efficientnet has conv_stem.weight"):
        import_pretrained(path, NETWORK, scale=SCALE)


def test_networks_that_cannot_be_converted_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'resnet1800'"):
        import_pretrained(tmp_path / "none.pth", "resnet1800", scale=SCALE)
    torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "vit.pth")
    with pytest.raises(ValueError, match="does not begin with a convolution and a batch normalisation"):
        import_pretrained(tmp_path / "vit.pth", "test_vit", scale=SCALE)
    with pytest.raises(ValueError, match="above 0"):
        ColourScale(mean=(0, 0, 0), std=(1, 0, 1))


def test_the_colour_scale_of_a_network_is_the_one_that_timm_notes() -> None:
    assert ColourScale.of_network("tf_efficientnet_lite0") == ColourScale(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    with pytest.raises(ValueError, match="no colour scale"):
        ColourScale.of_network("resnet1800")


def test_the_command_writes_what_training_starts_from(learnt: nn.Module, tmp_path: Path) -> None:
    torch.save(learnt.state_dict(), tmp_path / "learnt.pth")
    command = [
        "import-backbone",
        str(tmp_path / "learnt.pth"),
        "--network",
        NETWORK,
        "--out",
        str(tmp_path / "new" / "start.st"),
    ]
    app = build_app(("import-backbone",))
    done = CliRunner().invoke(app, [*command, "--mean", "0", "0", "0", "--std", "1", "1", "1"])
    assert done.exit_code == 0, done.output
    assert load_backbone_weights(Backbone(NETWORK), tmp_path / "new" / "start.st") > 10
    assert "go together" in CliRunner().invoke(app, [*command, "--mean", "0", "0", "0"]).output
