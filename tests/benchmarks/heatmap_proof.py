"""Does a heatmap show the nodule? The pointing game, and how much of the map's mass lies inside.

    python tests/benchmarks/heatmap_proof.py --catalogue NIH_CATALOGUE [--checkpoint FILE] [--films N] \
        [--peer FILE] [--peer-backbone NAME]

The films are those of the frozen nodules (see ``frozen_nodules.py``), one nodule each. A map wins a point where its highest
value lies in the nodule's box (Zhang et al., Excitation backprop, IJCV 2018; without the tolerance of 15 pixels there).
``--peer``: weights of the Faster R-CNN that ``compare_with_faster_rcnn.py`` trained, whose EigenCAMs are put to the same test.
Prints one JSON object.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from frozen_nodules import FrozenPair, iterate_pairs, read_list
from jaxtyping import Float32
from numpy.typing import NDArray
from peer_faster_rcnn import eigen_cams, read_peer

from xraynet.checkpoint import find_shipped_checkpoint
from xraynet.evaluation.intervals import wilson_interval
from xraynet.inference.predictor import Predictor
from xraynet.ingest.catalogue import read_catalogue
from xraynet.preparation import prepare_film

HeatMap = Float32[NDArray[np.float32], "height width"]
Box = Float32[NDArray[np.float32], " 4"]


@dataclass(frozen=True)
class MapFigures:
    """What one kind of map scored: points won, with Wilson's interval, and the mean share of the mass inside the box."""

    num_films: int
    pointing: float
    pointing_low: float | None
    pointing_high: float | None
    mass_inside: float
    area_inside: float


def points_inside(heat: HeatMap, box: Box) -> bool:
    """Whether the map's highest value lies in the box; a map of one single value points nowhere."""
    if not float(heat.max()) > float(heat.min()):
        return False
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    return bool(box[0] <= column + 0.5 < box[2] and box[1] <= row + 0.5 < box[3])


def mass_inside(heat: HeatMap, box: Box) -> float:
    """The share of the map's sum that lies in the box; 0 for an empty map."""
    x1, y1, x2, y2 = (round(float(side)) for side in box)
    total = float(heat.sum(dtype=np.float64))
    return float(heat[y1:y2, x1:x2].sum(dtype=np.float64)) / total if total > 0 else 0.0


def judge_maps(maps: Sequence[tuple[HeatMap, Box]]) -> MapFigures:
    """The figures of maps and the boxes of their nodules. ``area_inside`` is what a map without knowledge would score."""
    won = [points_inside(heat, box) for heat, box in maps]
    low, high = wilson_interval(sum(won), len(won))
    areas = [float((box[2] - box[0]) * (box[3] - box[1])) / heat.size for heat, box in maps]
    return MapFigures(
        num_films=len(won),
        pointing=float(np.mean(won)),
        pointing_low=low,
        pointing_high=high,
        mass_inside=float(np.mean([mass_inside(heat, box) for heat, box in maps])),
        area_inside=float(np.mean(areas)),
    )


def our_map(predictor: Predictor, pair: FrozenPair) -> tuple[HeatMap, Box]:
    """The detector's score map over the stored film."""
    analysis = predictor.analyse(pair.drawn, enforce_gate=False)
    assert analysis.score_map is not None
    return analysis.score_map, pair.annotations.boxes[0]


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogue", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--peer-backbone", help="timm's name of the peer's backbone, where it started from weights")
    parser.add_argument("--films", type=int, default=None, help="only the first N of the list")
    asked = parser.parse_args()
    if asked.peer is not None and asked.checkpoint is None:
        parser.error("--peer wants --checkpoint: our detector that was trained as long as the peer, on films of the same scale")
    torch.set_num_threads(1)
    predictor = Predictor.from_checkpoint(asked.checkpoint or find_shipped_checkpoint())
    peer = None if asked.peer is None else read_peer(asked.peer, backbone=asked.peer_backbone)
    maps: dict[str, list[tuple[HeatMap, Box]]] = defaultdict(list)
    for pair in iterate_pairs(read_list()[: asked.films], read_catalogue(asked.catalogue).entries()):
        maps["score map"].append(our_map(predictor, pair))
        if peer is not None:
            prepared = prepare_film(pair.drawn, predictor.checkpoint.settings.preparation)
            for name, cam in eigen_cams(peer, prepared.pixels).items():
                over_film = prepared.letterbox.pixels_to_stored(cam)
                maps[f"EigenCAM of Faster R-CNN, {name}"].append((over_film, pair.annotations.boxes[0]))
    figures = {kind: asdict(judge_maps(made)) for kind, made in maps.items()}
    names = {"checkpoint": predictor.checkpoint.fingerprint, "peer": None if asked.peer is None else asked.peer.name}
    print(json.dumps({**names, **figures}, indent=1))


if __name__ == "__main__":
    main()
