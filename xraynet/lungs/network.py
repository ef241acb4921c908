"""The two small networks: a U-Net that outlines the lung fields, and a gate that looks at the whole film."""

from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from xraynet.lungs.config import LungsConfig


def _convolve(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class LungFieldNetwork(nn.Module):
    """A U-Net (Ronneberger et al. 2015) with addition instead of concatenation, one channel in, one logit out."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        coarser = list(pairwise(widths))
        self.stem = nn.Sequential(_convolve(1, widths[0]), _convolve(widths[0], widths[0]))
        self.down = nn.ModuleList(nn.Sequential(_convolve(a, b, stride=2), _convolve(b, b)) for a, b in coarser)
        self.bottom = nn.Sequential(_convolve(widths[-1], widths[-1]), _convolve(widths[-1], widths[-1]))
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in reversed(coarser))
        self.up = nn.ModuleList(_convolve(a, a) for a, _ in reversed(coarser))
        self.head = nn.Conv2d(widths[0], 1, 1)

    def forward(self, films: Float[Tensor, "batch 1 side side"]) -> Float[Tensor, "batch 1 side side"]:
        """Logits of lung, a pixel each."""
        features: Tensor = self.stem(films)
        skipped = [features]
        for down in self.down:
            skipped.append(down(skipped[-1]))
        features = skipped.pop()
        features = features + self.bottom(features)
        for narrow, up in zip(self.narrow, self.up, strict=True):
            features = functional.interpolate(narrow(features), scale_factor=2.0, mode="bilinear", align_corners=False)
            features = up(features + skipped.pop())
        logits: Tensor = self.head(features)
        return logits


class GateLogits(NamedTuple):
    """What the gate says of a batch: ``kind`` (frontal, lateral, other), ``quarter_turns`` (0 to 3, clockwise),
    ``inverted`` and ``mirrored``. The last three mean something only for a frontal chest film."""

    kind: Float[Tensor, "batch 3"]
    quarter_turns: Float[Tensor, "batch 4"]
    inverted: Float[Tensor, " batch"]
    mirrored: Float[Tensor, " batch"]


class GateNetwork(nn.Module):
    """A plain convolutional classifier whose last map is pooled by mean and by maximum: layout and telling details."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        inputs = (1, *widths[:-1])
        self.stages = nn.Sequential(
            *(nn.Sequential(_convolve(a, b, stride=2), _convolve(b, b)) for a, b in zip(inputs, widths, strict=True))
        )
        self.layout = nn.Linear(widths[-1] * 16, 64)
        self.head = nn.Linear(64 + widths[-1], 9)
        self.drop = nn.Dropout(0.2)

    def forward(self, films: Float[Tensor, "batch 1 side side"]) -> GateLogits:
        """Logits for every question that the gate asks."""
        features: Tensor = self.stages(films)
        # The place of things decides orientation and side, so a 4 x 4 layout is kept beside the pooled features.
        layout = functional.relu(self.layout(functional.adaptive_avg_pool2d(features, 4).flatten(1)))
        pooled = torch.cat([layout, features.amax(dim=(2, 3))], dim=1)
        logits: Tensor = self.head(self.drop(pooled))
        return GateLogits(kind=logits[:, :3], quarter_turns=logits[:, 3:7], inverted=logits[:, 7], mirrored=logits[:, 8])


class LungsNetwork(nn.Module):
    """Both networks, so that one file holds them."""

    def __init__(self, config: LungsConfig) -> None:
        super().__init__()
        self.segmenter = LungFieldNetwork(config.segmenter_widths)
        self.gate = GateNetwork(config.gate_widths)
