import torch
from torch import Tensor

from xraynet.detector import DetectorOutput
from xraynet.detector.loss import LossConfig, compute_losses

NONE = torch.zeros(0, 4)
BOX = torch.tensor([[28.0, 28.0, 40.0, 40.0]])


def output_of(logits: Tensor) -> DetectorOutput:
    return DetectorOutput(score_logits=logits, box_distances=torch.full((len(logits), 4, 16, 16), 6.0))


def test_sure_and_right_costs_nearly_nothing() -> None:
    logits = torch.full((1, 1, 16, 16), -12.0)
    logits[0, 0, 8, 8] = 12.0
    assert compute_losses(output_of(logits), [BOX], [NONE], config=LossConfig()).score < 1e-3


def test_missed_nodule_costs() -> None:
    losses = compute_losses(output_of(torch.full((1, 1, 16, 16), -5.0)), [BOX], [NONE], config=LossConfig())
    assert losses.score > 4


def test_film_without_nodules_costs_for_false_heat_only() -> None:
    quiet = compute_losses(output_of(torch.full((1, 1, 16, 16), -9.0)), [NONE], [NONE], config=LossConfig())
    loud = compute_losses(output_of(torch.full((1, 1, 16, 16), 1.0)), [NONE], [NONE], config=LossConfig())
    assert quiet.total < 1e-3 < loud.total
    assert loud.box == 0


def test_ignored_box_silences_false_heat() -> None:
    everything = torch.tensor([[0.0, 0.0, 64.0, 64.0]])
    assert compute_losses(output_of(torch.full((1, 1, 16, 16), 3.0)), [NONE], [everything], config=LossConfig()).total == 0


def test_losses_add_up_over_films() -> None:
    logits = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    both = compute_losses(output_of(logits), [BOX, NONE], [NONE, NONE], config=LossConfig()).total
    first = compute_losses(output_of(logits[:1]), [BOX], [NONE], config=LossConfig()).total
    second = compute_losses(output_of(logits[1:]), [NONE], [NONE], config=LossConfig()).total
    torch.testing.assert_close(both, first + second)


def test_exact_box_has_no_box_loss() -> None:
    # Location (8, 8) has its centre at (34, 34); the four sides lie 6 pixels away. Its neighbours propose shifted boxes.
    exact = compute_losses(output_of(torch.zeros(1, 1, 16, 16)), [BOX], [NONE], config=LossConfig()).box
    distances = torch.full((1, 4, 16, 16), 30.0)
    wrong = compute_losses(DetectorOutput(torch.zeros(1, 1, 16, 16), distances), [BOX], [NONE], config=LossConfig()).box
    assert exact < 0.5 < wrong


def test_empty_batch_has_a_loss_of_zero() -> None:
    output = DetectorOutput(torch.zeros(0, 1, 16, 16), torch.ones(0, 4, 16, 16))
    assert compute_losses(output, [], [], config=LossConfig()).total == 0


def test_bfloat16_output_is_computed_in_float32() -> None:
    logits = torch.full((1, 1, 16, 16), -5.0)
    half = DetectorOutput(logits.bfloat16(), torch.full((1, 4, 16, 16), 6.0).bfloat16())
    losses = compute_losses(half, [BOX], [NONE], config=LossConfig())
    assert losses.total.dtype == torch.float32
    torch.testing.assert_close(losses.total, compute_losses(output_of(logits), [BOX], [NONE], config=LossConfig()).total)
