"""The feature pyramid: brings what the backbone's coarse maps know of the surroundings down to stride 4."""

import torch.nn.functional as functional
from jaxtyping import Float
from torch import Tensor, nn


class Pyramid(nn.Module):
    """A light feature pyramid (Lin et al., CVPR 2017): 1x1 laterals, nearest upsampling, one smoothing layer at stride 4."""

    def __init__(self, in_channels: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(num, channels, 1) for num in in_channels)
        self.smooth = convolve_normalise(channels, channels)

    def forward(self, maps: list[Float[Tensor, "batch _ _ _"]]) -> Float[Tensor, "batch channels rows columns"]:
        """One map at the finest stride, from maps sorted finest first."""
        merged = self.laterals[-1](maps[-1])
        for lateral, finer in zip(reversed(self.laterals[:-1]), reversed(maps[:-1]), strict=True):
            merged = lateral(finer) + functional.interpolate(merged, size=finer.shape[-2:], mode="nearest")
        smoothed: Tensor = self.smooth(merged)
        return smoothed


def convolve_normalise(in_channels: int, out_channels: int) -> nn.Sequential:
    """A 3x3 convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)
    )
