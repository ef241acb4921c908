"""The heatmap's numbers: the detector's own calibrated score map, in any frame that somebody wants to see it in."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.geometry import Letterbox


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """Scores in [0, 1] over the network frame, at the detector's stride, and the way back to the film."""

    scores_net: Float32[NDArray[np.float32], "rows columns"]
    letterbox: Letterbox

    def stored(self) -> Float32[NDArray[np.float32], "height width"]:
        """The map over the film's stored pixels."""
        return self.resized(self.letterbox.stored_size)

    def resized(self, size: tuple[int, int]) -> Float32[NDArray[np.float32], "height width"]:
        """The map over the whole film, shown in ``size`` (height, width) pixels."""
        frame = self.letterbox
        shown = Letterbox(stored_size=size, resized_size=frame.resized_size, net_size=frame.net_size, offset=frame.offset)
        return shown.pixels_to_stored(self.scores_net)
