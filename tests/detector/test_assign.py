import torch
from torch import Tensor

from xraynet.detector.assign import CentreTargets, assign_targets

NONE = torch.zeros(0, 4)


def assign(boxes: Tensor, ignore: Tensor = NONE) -> CentreTargets:
    return assign_targets([boxes], [ignore], rows=16, columns=24, stride=4, device=torch.device("cpu"))


def test_film_without_boxes_is_all_background() -> None:
    targets = assign(NONE)
    assert targets.heat.sum() == 0
    assert not targets.is_centre.any()
    assert targets.counts.all()
    assert targets.box_weights.sum() == 0


def test_centre_is_the_location_that_holds_it() -> None:
    targets = assign(torch.tensor([[30.0, 10.0, 46.0, 26.0]]))  # centre (38, 18): column 9, row 4
    assert torch.nonzero(targets.is_centre[0, 0]).tolist() == [[4, 9]]
    assert targets.heat[0, 0, 4, 9] == 1
    assert targets.heat[0, 0].max() == 1


def test_heat_falls_off_and_is_wider_for_a_large_nodule() -> None:
    small, large = assign(torch.tensor([[36.0, 28.0, 44.0, 36.0]])), assign(torch.tensor([[10.0, 2.0, 70.0, 62.0]]))
    assert (small.heat > 0.5).sum() < (large.heat > 0.5).sum()
    assert small.heat[0, 0, 8, 10] == 1
    assert small.heat[0, 0, 8, 13] < 0.01


def test_box_weights_sum_to_one_over_each_nodule() -> None:
    targets = assign(torch.tensor([[4.0, 4.0, 12.0, 12.0], [50.0, 20.0, 90.0, 60.0]]))
    assert abs(float(targets.box_weights.sum()) - 2) < 1e-5


def test_locations_learn_the_box_of_their_own_nodule() -> None:
    boxes = torch.tensor([[4.0, 4.0, 12.0, 12.0], [50.0, 20.0, 90.0, 60.0]])
    targets = assign(boxes)
    assert torch.equal(targets.boxes_net[0, :, 2, 2], boxes[0])
    assert torch.equal(targets.boxes_net[0, :, 10, 17], boxes[1])


def test_small_nodule_inside_a_large_one_keeps_its_location() -> None:
    boxes = torch.tensor([[40.0, 24.0, 48.0, 32.0], [12.0, 0.0, 76.0, 56.0]])
    targets = assign(boxes)
    assert torch.equal(targets.boxes_net[0, :, 7, 11], boxes[0])


def test_ignored_box_does_not_count_but_a_nodule_in_it_does() -> None:
    targets = assign(torch.tensor([[40.0, 24.0, 48.0, 32.0]]), torch.tensor([[0.0, 0.0, 64.0, 64.0]]))
    assert not targets.counts[0, 0, 0, 0]
    assert targets.counts[0, 0, 7, 11]
    assert targets.counts[0, 0, 0, 20]


def test_nodule_at_the_border_keeps_its_centre_inside() -> None:
    targets = assign(torch.tensor([[90.0, 60.0, 96.0, 64.0]]))
    assert torch.nonzero(targets.is_centre[0, 0]).tolist() == [[15, 23]]
