"""Reading a film more than once: as it is, and mirrored, the score maps averaged. Steadier, at twice the price."""

import torch
from jaxtyping import Float
from torch import Tensor

from xraynet.detector.decode import DecodeConfig
from xraynet.detector.network import Detector, DetectorOutput


def read_films(detector: Detector, films: Float[Tensor, "batch 1 height width"], *, config: DecodeConfig) -> DetectorOutput:
    """What the detector says of prepared films, over all the views that ``config`` asks for.

    Log odds are averaged; the boxes of a location are too, each view's weighed by its score there, so that a view that
    sees nothing has no say in where the nodule ends. Sides must be whole multiples of the output's stride.
    """
    output: DetectorOutput = detector(films)
    if config.second_view is None:
        return output
    seen = _mirror(detector(films.flip(-1).contiguous(memory_format=torch.channels_last)))
    first, second = torch.sigmoid(output.score_logits), torch.sigmoid(seen.score_logits)
    distances = (first * output.box_distances + second * seen.box_distances) / (first + second).clamp(min=1e-9)
    return DetectorOutput(score_logits=(output.score_logits + seen.score_logits) / 2, box_distances=distances)


def _mirror(output: DetectorOutput) -> DetectorOutput:
    """The output over the mirrored film, brought back: left and right distances change places."""
    left, top, right, bottom = output.box_distances.flip(-1).unbind(dim=1)
    return DetectorOutput(
        score_logits=output.score_logits.flip(-1), box_distances=torch.stack([right, top, left, bottom], dim=1)
    )
