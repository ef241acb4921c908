"""The detector: backbone, pyramid and head in one network, for films of any size."""

from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from xraynet.detector.backbone import Backbone
from xraynet.detector.head import Head
from xraynet.detector.pyramid import Pyramid

OUTPUT_STRIDE = 4
"""Network pixels per location of the score map."""


@dataclass(frozen=True)
class DetectorConfig:
    """The shape of the network: a timm backbone, the width of pyramid and head, and the head's depth.

    ``prior`` is the score that an untrained network gives everywhere.
    """

    backbone: str = "resnet18"
    channels: int = 64
    head_depth: int = 2
    prior: float = 0.01

    def __post_init__(self) -> None:
        if self.channels < 1 or self.head_depth < 0:
            raise ValueError(f"channels is {self.channels} and head_depth {self.head_depth}; at least 1 and 0 were expected")
        if not 0 < self.prior < 1:
            raise ValueError(f"prior is {self.prior}; a value between 0 and 1 was expected")


class DetectorOutput(NamedTuple):
    """What the network says at every location (stride 4).

    ``score_logits``: log odds of a nodule's centre; their sigmoid, calibrated, is the heatmap. ``box_distances``: from
    the location's centre to the left, top, right and bottom side of the nodule's box, in network pixels.
    """

    score_logits: Float[Tensor, "batch 1 rows columns"]
    box_distances: Float[Tensor, "batch 4 rows columns"]


class Detector(nn.Module):
    """Finds nodules on prepared films: one channel, any size (whole multiples of 32 align best)."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config.backbone)
        self.pyramid = Pyramid(self.backbone.channels, config.channels)
        self.head = Head(config.channels, depth=config.head_depth, prior=config.prior)

    def forward(self, films: Float[Tensor, "batch 1 height width"]) -> DetectorOutput:
        """Scores and boxes for prepared films (0..1 between the grey percentiles)."""
        logits, distances = self.head(self.pyramid(self.backbone(films)))
        return DetectorOutput(score_logits=logits, box_distances=distances)
