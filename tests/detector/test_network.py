from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from xraynet.detector import Detector, DetectorConfig
from xraynet.detector.backbone import Backbone, load_backbone_weights
from xraynet.detector.loss import LossConfig, compute_losses
from xraynet.errors import CheckpointError


@pytest.mark.parametrize(("height", "width"), [(64, 96), (70, 50), (32, 32)])
def test_any_film_size_gives_a_map_at_stride_four(tiny_detector: Detector, height: int, width: int) -> None:
    output = tiny_detector.eval()(torch.rand(2, 1, height, width))
    assert output.score_logits.shape == (2, 1, -(-height // 4), -(-width // 4))
    assert output.box_distances.shape == (2, 4, -(-height // 4), -(-width // 4))
    assert (output.box_distances > 0).all()


def test_untrained_network_scores_everywhere_near_its_prior(tiny_config: DetectorConfig) -> None:
    scores = torch.sigmoid(Detector(tiny_config)(torch.rand(4, 1, 64, 64)).score_logits.detach())
    assert abs(float(scores.mean()) - tiny_config.prior) < 0.005


def test_every_parameter_receives_gradient(tiny_detector: Detector) -> None:
    boxes = [torch.tensor([[10.0, 20.0, 30.0, 40.0]]), torch.zeros(0, 4)]
    optimizer = torch.optim.SGD(tiny_detector.parameters(), lr=1e-3)
    # Two steps: residual branches start closed (timm's zero-initialised last norm), and open with the first one.
    for _ in range(2):
        optimizer.zero_grad()
        output = tiny_detector.train()(torch.rand(2, 1, 64, 64))
        compute_losses(output, boxes, [torch.zeros(0, 4)] * 2, config=LossConfig()).total.backward()
        optimizer.step()
    for name, parameter in tiny_detector.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_output_is_float32_under_autocast(tiny_detector: Detector) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = tiny_detector(torch.rand(2, 1, 64, 64))
    assert output.score_logits.dtype == torch.float32
    assert output.box_distances.dtype == torch.float32


def test_channels_last_gives_the_same_output(tiny_detector: Detector) -> None:
    films = torch.rand(2, 1, 64, 64)
    plain = tiny_detector.eval()(films)
    last = tiny_detector.to(memory_format=torch.channels_last)(films)  # type: ignore[call-overload]
    torch.testing.assert_close(plain.score_logits, last.score_logits)


def test_unknown_backbone_is_named() -> None:
    with pytest.raises(ValueError, match="'resnet1800'"):
        Detector(DetectorConfig(backbone="resnet1800"))


def test_backbone_without_the_strides_says_which_are_missing() -> None:
    with pytest.raises(ValueError, match=r"\[4, 8, 32\] are missing"):
        Backbone("test_vit")


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"head_depth": -1}, {"prior": 0.0}, {"prior": 1.0}])
def test_impossible_shape_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        DetectorConfig(**wrong)  # type: ignore[arg-type]


def test_backbone_starts_from_a_local_file_of_three_channels(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = Backbone("test_resnet")
    weights = dict(source.network.state_dict())
    stem = next(name for name, value in weights.items() if value.ndim == 4)
    weights[stem] = weights[stem].repeat(1, 3, 1, 1) / 3
    weights["fc.weight"] = torch.zeros(10, 4)
    save_file(weights, tmp_path / "weights.safetensors")
    torch.manual_seed(2)
    backbone = Backbone("test_resnet")
    assert load_backbone_weights(backbone, tmp_path / "weights.safetensors") > 10
    films = torch.rand(1, 1, 64, 64)
    for ours, theirs in zip(backbone.eval()(films), source.eval()(films), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_backbone_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    backbone = Backbone("test_resnet")
    path = tmp_path / "weights.safetensors"
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_backbone_weights(backbone, path)
    save_file({"other": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="are missing"):
        load_backbone_weights(backbone, path)
    weights = {name: value.clone() for name, value in backbone.network.state_dict().items()}
    stem = next(iter(weights))
    weights[stem] = torch.zeros(3, 1, 2, 2)
    save_file(weights, path)
    with pytest.raises(CheckpointError, match="was expected"):
        load_backbone_weights(backbone, path)


@pytest.mark.untyped
def test_compiled_detector_agrees_with_the_plain_one(tiny_detector: Detector) -> None:
    films = torch.rand(1, 1, 64, 64)
    compiled = torch.compile(tiny_detector.eval(), backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(films).score_logits, tiny_detector(films).score_logits)


def test_depthwise_convolutions_stay_in_float32_under_autocast_on_a_cpu() -> None:
    """Values and gradients of a depthwise convolution are those of float32, and what it hands on is in bfloat16."""
    backbone = Backbone("test_efficientnet").train()
    name, module = next(
        (name, module)
        for name, module in backbone.network.named_modules()
        if isinstance(module, torch.nn.Conv2d) and module.groups > 1
    )
    given = torch.rand(2, module.in_channels, 16, 16).to(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        handed_on = module(given)
    assert handed_on.dtype == torch.bfloat16
    handed_on.float().square().sum().backward()
    found = module.weight.grad.clone()
    module.weight.grad = None
    exact = module(given.float())
    exact.to(torch.bfloat16).float().square().sum().backward()
    torch.testing.assert_close(handed_on.float(), exact.detach().to(torch.bfloat16).float(), rtol=0, atol=0)
    torch.testing.assert_close(found, module.weight.grad, rtol=1e-6, atol=1e-6)
    assert f"{name}.weight" in backbone.network.state_dict()
