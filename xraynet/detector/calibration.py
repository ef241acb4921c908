"""Calibration: a monotone map from the network's log odds to scores, the same for detections and for the heatmap."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Calibration:
    """Scores are ``sigmoid(slope * logit + intercept)`` (Platt 1999); the default leaves the network's scores alone.

    ``slope`` is above 0, so that no two detections ever change places.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.slope < float("inf") and abs(self.intercept) < float("inf")):
            raise ValueError(f"slope is {self.slope}, intercept {self.intercept}; a positive and a finite number were expected")

    def apply(self, logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Calibrated scores in [0, 1]."""
        return torch.sigmoid(logits.float() * self.slope + self.intercept)


UNCALIBRATED: Final = Calibration()
"""The network's own scores."""
