"""The one colour scale of a checkpoint: the same score has the same colour on every film.

The colour map is matplotlib's ``plasma`` without its darkest part, which a dark lung would swallow: perceptually even,
its lightness rising all the way, told apart by the colour-blind, and never grey, so that it is not mistaken for film.
Position on it follows the log odds of the score.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import matplotlib
import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray

COLOUR_MAP: Final = "plasma"
_DARKEST: Final = 0.14
_TICKS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 0.95)


@cache
def colour_table() -> UInt8[NDArray[np.uint8], "256 3"]:
    """The colour map as 256 RGB triples, dark to light."""
    table = matplotlib.colormaps[COLOUR_MAP](np.linspace(_DARKEST, 1, 256), bytes=True)[:, :3]
    return np.ascontiguousarray(table, dtype=np.uint8)


@dataclass(frozen=True)
class ColourScale:
    """From score to colour. Transparent below ``lowest``; opaque from ``operating`` on; ``highest`` ends the scale.

    Never stretched to a film's own maximum: a film without evidence shows no colour.
    """

    lowest: float
    operating: float
    highest: float = 0.99

    def __post_init__(self) -> None:
        if not 0 < self.lowest < self.operating < self.highest < 1:
            raise ValueError(
                f"scale is {self.lowest}, {self.operating}, {self.highest}; 0 < lowest < operating < highest < 1 was expected"
            )

    @classmethod
    def of_threshold(cls, threshold: float) -> "ColourScale":
        """The scale of a checkpoint with this operating threshold: colour begins at half of it.

        >>> ColourScale.of_threshold(0.2).lowest
        0.1
        """
        operating = float(np.clip(threshold, 1e-4, 0.98))
        return cls(lowest=operating / 2, operating=operating)

    def positions(self, scores: Float32[NDArray[np.float32], "*shape"]) -> Float32[NDArray[np.float32], "*shape"]:
        """Where scores lie on the scale: 0 at ``lowest``, 1 at ``highest``, clipped."""
        low, high = _log_odds(self.lowest), _log_odds(self.highest)
        inside = np.clip(scores, np.float32(1e-6), np.float32(1 - 1e-6))
        places: NDArray[np.float32] = (np.log(inside / (1 - inside)) - np.float32(low)) / np.float32(high - low)
        clipped: NDArray[np.float32] = np.clip(places, 0, 1)
        return clipped

    def position(self, score: float) -> float:
        """Where one score lies on the scale, 0 to 1."""
        return float(self.positions(np.array([score], dtype=np.float32))[0])

    def colours(self, scores: Float32[NDArray[np.float32], "height width"]) -> UInt8[NDArray[np.uint8], "height width 4"]:
        """Scores as RGBA: alpha rises from 0 at ``lowest`` to 255 at the operating point."""
        rgba = np.zeros((*scores.shape, 4), dtype=np.uint8)
        shown = scores > self.lowest
        if shown.any():
            seen = scores[shown]
            rgba[shown, :3] = colour_table()[np.rint(self.positions(seen) * 255).astype(np.uint8)]
            rise = np.clip((seen - self.lowest) / (self.operating - self.lowest), 0, 1)
            rgba[shown, 3] = np.rint(rise * 255).astype(np.uint8)
        return rgba

    def ticks(self) -> list[tuple[float, float]]:
        """(score, position) of the round scores that lie on the scale, away from the operating point's own mark."""
        mark = self.position(self.operating)
        placed = [(score, self.position(score)) for score in _TICKS if self.lowest < score < self.highest]
        return [(score, place) for score, place in placed if abs(place - mark) > 0.09]

    def stops(self, *, num: int = 17) -> list[tuple[float, str]]:
        """(position, ``#rrggbb``) along the scale, for a legend."""
        picked = np.linspace(0, 255, num).round().astype(int)
        return [(float(index / 255), "#{:02x}{:02x}{:02x}".format(*colour_table()[index])) for index in picked]


def _log_odds(score: float) -> float:
    return float(np.log(score / (1 - score)))
