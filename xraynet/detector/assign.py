"""Turns annotated boxes into what the network should say at every location: a heat around each centre, and its box."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

_SIGMA_PER_SIDE: Final = 0.15
"""The heat's standard deviation in units of the box's side: a detection one sigma off still overlaps by two thirds."""
_SMALLEST_SIGMA: Final = 0.75
"""In locations: a nodule of 5 mm still has its four nearest neighbours spared."""
_LEAST_HEAT_OF_BOX: Final = 0.4
"""Locations at least this hot learn the box."""


@dataclass(frozen=True, eq=False)
class CentreTargets:
    """Targets of one batch, at the output stride.

    ``heat``: 1 at a nodule's centre, falling off around it as a Gaussian, 0 elsewhere. ``is_centre``: the one location
    nearest to each centre. ``counts``: False where nothing is known (ignored boxes). ``boxes_net``: the box each
    location should give (XYXY, network pixels). ``box_weights``: how much its box counts; they sum to 1 over a nodule.
    """

    heat: Float32[Tensor, "batch 1 rows columns"]
    is_centre: Bool[Tensor, "batch 1 rows columns"]
    counts: Bool[Tensor, "batch 1 rows columns"]
    boxes_net: Float32[Tensor, "batch 4 rows columns"]
    box_weights: Float32[Tensor, "batch 1 rows columns"]


def locate_centres(
    rows: int, columns: int, *, stride: int, device: torch.device
) -> tuple[Float32[Tensor, "rows 1"], Float32[Tensor, "1 columns"]]:
    """The centres (y, x) of the output's locations, in network pixels."""
    y = (torch.arange(rows, device=device, dtype=torch.float32) + 0.5) * stride
    x = (torch.arange(columns, device=device, dtype=torch.float32) + 0.5) * stride
    return y[:, None], x[None, :]


def assign_targets(
    boxes: list[Float32[Tensor, "_ 4"]],
    ignore: list[Float32[Tensor, "_ 4"]],
    *,
    rows: int,
    columns: int,
    stride: int,
    device: torch.device,
) -> CentreTargets:
    """The targets of a batch: ``boxes`` and ``ignore`` have one entry a film, in network pixels, zero boxes allowed.

    A nodule inside an ignored box still counts at its own hot locations.
    """
    films = [
        _assign_film(film_boxes.to(device), film_ignore.to(device), rows=rows, columns=columns, stride=stride)
        for film_boxes, film_ignore in zip(boxes, ignore, strict=True)
    ]
    heat, is_centre, counts, boxes_net, box_weights = (torch.stack(parts) for parts in zip(*films, strict=True))
    return CentreTargets(
        heat=heat[:, None],
        is_centre=is_centre[:, None],
        counts=counts[:, None],
        boxes_net=boxes_net,
        box_weights=box_weights[:, None],
    )


def _assign_film(boxes: Tensor, ignore: Tensor, *, rows: int, columns: int, stride: int) -> tuple[Tensor, ...]:
    y, x = locate_centres(rows, columns, stride=stride, device=boxes.device)
    counts = ~_is_inside(ignore, y, x).any(dim=0)
    if len(boxes) == 0:
        zeros = torch.zeros(rows, columns, device=boxes.device)
        return zeros, zeros.bool(), counts, zeros.expand(4, rows, columns).clone(), zeros.clone()
    # Small boxes last: where two nodules share a location, the smaller one (the harder) has it.
    boxes = boxes[torch.argsort((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), descending=True)]
    heats = _draw_heat(boxes, y, x, stride=stride)
    owner_heat, owner = torch.where(heats >= _LEAST_HEAT_OF_BOX, heats, -1.0).flip(0).max(dim=0)
    owner = len(boxes) - 1 - owner
    weights = torch.where(owner_heat > 0, owner_heat, 0.0)
    totals = torch.zeros(len(boxes), device=boxes.device).index_add_(0, owner.flatten(), weights.flatten())
    weights = weights / totals[owner].clamp(min=1e-6)
    heat = heats.amax(dim=0)
    is_centre = torch.zeros(rows, columns, dtype=torch.bool, device=boxes.device)
    is_centre[_nearest(_middle(boxes, 1), rows, stride), _nearest(_middle(boxes, 0), columns, stride)] = True
    return heat, is_centre, counts | (heat >= _LEAST_HEAT_OF_BOX), boxes[owner].permute(2, 0, 1), weights


def _draw_heat(boxes: Tensor, y: Tensor, x: Tensor, *, stride: int) -> Tensor:
    """(num, rows, columns): a Gaussian a box, centred on its nearest location, where it is 1."""
    rows, columns = len(y), x.shape[1]
    centre_y = y[_nearest(_middle(boxes, 1), rows, stride)][:, :, None]
    centre_x = x[:, _nearest(_middle(boxes, 0), columns, stride)].T[:, :, None]
    sigma_x = (boxes[:, 2] - boxes[:, 0]).mul(_SIGMA_PER_SIDE).clamp(min=_SMALLEST_SIGMA * stride)[:, None, None]
    sigma_y = (boxes[:, 3] - boxes[:, 1]).mul(_SIGMA_PER_SIDE).clamp(min=_SMALLEST_SIGMA * stride)[:, None, None]
    return torch.exp(-0.5 * (((y[None] - centre_y) / sigma_y) ** 2 + ((x[None] - centre_x) / sigma_x) ** 2))


def _middle(boxes: Tensor, axis: int) -> Tensor:
    return (boxes[:, axis] + boxes[:, axis + 2]) / 2


def _nearest(coordinates: Tensor, num: int, stride: int) -> Tensor:
    return (coordinates / stride).floor().long().clamp(0, num - 1)


def _is_inside(boxes: Tensor, y: Tensor, x: Tensor) -> Tensor:
    x1, y1, x2, y2 = (side[:, None, None] for side in boxes.unbind(dim=1))
    return (x[None] >= x1) & (x[None] < x2) & (y[None] >= y1) & (y[None] < y2)
