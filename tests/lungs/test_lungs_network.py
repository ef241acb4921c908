import pytest
import torch

from xraynet.lungs.config import GateThresholds, LungsConfig, LungsTrainingConfig, PartTrainingConfig, ViewConfig
from xraynet.lungs.gate_training import GateBatch, gate_loss
from xraynet.lungs.network import LungsNetwork
from xraynet.lungs.training import dice_and_entropy, mean_dice


@pytest.mark.parametrize("num_films", [1, 3])
def test_every_parameter_of_both_networks_receives_a_gradient(num_films: int) -> None:
    torch.manual_seed(0)
    config = LungsConfig(side_px=32, segmenter_widths=(4, 8), gate_widths=(8, 8))
    network = LungsNetwork(config)
    films = torch.rand(num_films, 1, 32, 32)
    logits = network.segmenter(films)
    assert logits.shape == films.shape
    batch = GateBatch(
        films=films,
        kind=torch.zeros(num_films, dtype=torch.long),
        quarter_turns=torch.zeros(num_films, dtype=torch.long),
        inverted=torch.zeros(num_films),
        mirrored=torch.ones(num_films),
    )
    loss = dice_and_entropy(logits, (films > 0.5).float()) + gate_loss(network.gate(films), batch)
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_orientation_of_a_picture_that_is_no_chest_does_not_count() -> None:
    torch.manual_seed(0)
    network = LungsNetwork(LungsConfig(side_px=32, segmenter_widths=(4, 8), gate_widths=(8, 8))).eval()
    films = torch.rand(2, 1, 32, 32)

    def loss_with(turns: int, inverted: float) -> float:
        batch = GateBatch(
            films=films,
            kind=torch.tensor([2, 1]),
            quarter_turns=torch.tensor([turns, turns]),
            inverted=torch.tensor([inverted, inverted]),
            mirrored=torch.tensor([inverted, inverted]),
        )
        return float(gate_loss(network.gate(films), batch).detach())

    assert loss_with(0, 0.0) == loss_with(3, 1.0)


def test_dice_of_equal_masks_is_one_and_of_two_empty_ones_too() -> None:
    masks = torch.zeros(2, 1, 4, 4)
    masks[0, 0, :2] = 1
    assert mean_dice(masks * 2 - 1, masks) == 1.0
    assert mean_dice(1 - masks * 2, masks) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: LungsConfig(side_px=100), "multiple of 32"),
        (lambda: LungsConfig(gate_widths=()), "at least one even number"),
        (lambda: LungsConfig(segmenter_widths=(3,)), "at least one even number"),
        (lambda: GateThresholds(frontal=1.0), "between 0 and 1"),
        (lambda: ViewConfig(border_rate=2.0), "a probability"),
        (lambda: ViewConfig(crop=0.5), "crop is 0.5"),
        (lambda: PartTrainingConfig(epochs=0), "at least 1"),
        (lambda: LungsTrainingConfig(validation_part=0.0), "validation_part is 0"),
        (lambda: LungsTrainingConfig(gate_frontal_part=0.95, gate_lateral_part=0.1), "at most 1"),
    ],
)
def test_impossible_settings_are_refused(make: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()  # type: ignore[operator]
