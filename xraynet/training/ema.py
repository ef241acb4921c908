"""The exponential moving average of the weights: steadier than the weights themselves, and what is validated and kept."""

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


class MovingAverage(Generic[Network]):
    """A copy of ``model`` whose weights, and running statistics of normalisation, follow it slowly.

    The decay grows with the steps, ``min(decay, (1 + step) / (10 + step))``, so that a short run is not an average of
    its random start.
    """

    def __init__(self, model: Network, *, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)

    @torch.no_grad()
    def update(self, model: Network, *, step: int) -> None:
        """Move the average towards ``model``, whose optimizer has just done step ``step`` (counted from 0)."""
        follow = 1 - min(self.decay, (1 + step) / (10 + step))
        averages, values = self.model.state_dict(), model.state_dict()
        floats = [name for name, value in averages.items() if value.is_floating_point()]
        torch._foreach_lerp_([averages[name] for name in floats], [values[name] for name in floats], follow)
        for name, value in averages.items():
            if not value.is_floating_point():
                value.copy_(values[name])

    def weights(self) -> dict[str, Tensor]:
        """A copy of the averaged weights, on the CPU: nothing that training does later changes it."""
        return {name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()}
