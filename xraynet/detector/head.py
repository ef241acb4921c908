"""The head: at every location of the pyramid, a nodule score and the distances to the sides of a box."""

import math
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from xraynet.detector.pyramid import convolve_normalise

MEDIAN_HALF_SIDE_PX: Final = 8.0
"""What a distance is before training: half the side of a 13 mm nodule at 0.8 mm per pixel."""
_LOG_DISTANCE_RANGE: Final = (-4.0, 5.0)


class Head(nn.Module):
    """A short tower of convolutions shared by score and box.

    ``prior`` is the score of every location before training: so low that the many empty ones do not drown the few
    nodules in the first steps (Lin et al., Focal loss, ICCV 2017, section 4.1).
    """

    def __init__(self, channels: int, *, depth: int, prior: float) -> None:
        super().__init__()
        self.tower = nn.Sequential(*(convolve_normalise(channels, channels) for _ in range(depth)))
        self.score = nn.Conv2d(channels, 1, 1)
        self.box = nn.Conv2d(channels, 4, 1)
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.normal_(self.box.weight, std=0.01)
        nn.init.constant_(self.score.bias, math.log(prior / (1 - prior)))  # type: ignore[arg-type]
        nn.init.zeros_(self.box.bias)  # type: ignore[arg-type]

    def forward(
        self, features: Float[Tensor, "batch channels rows columns"]
    ) -> tuple[Float[Tensor, "batch 1 rows columns"], Float[Tensor, "batch 4 rows columns"]]:
        """Score logits, and distances to left, top, right and bottom in network pixels; both float32 under autocast too."""
        shared = self.tower(features)
        logits = self.score(shared).float()
        distances = torch.exp(self.box(shared).float().clamp(*_LOG_DISTANCE_RANGE)) * MEDIAN_HALF_SIDE_PX
        return logits, distances
