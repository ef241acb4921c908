"""Counts what a detector marks on drawn films without a nodule, and on the same films with one.

    python tests/benchmarks/measure_phantoms.py [--checkpoint FILE] [--films 20] [--diameter-mm 15]

The films are those of seeds 1 to ``--films``. Prints one JSON object.
"""

import argparse
import json
from pathlib import Path

from xraynet.batch.film_reader import facts_of_checkpoint
from xraynet.checkpoint import find_shipped_checkpoint
from xraynet.inference.predictor import Predictor
from xraynet.simulation.phantom import draw_phantom

SIZE = (1024, 1024)


def measure(predictor: Predictor, *, num_films: int, diameter_mm: float) -> dict[str, int]:
    """Marks and coloured maps on the films without a nodule, films with a mark where one was drawn."""
    scale = facts_of_checkpoint(predictor.checkpoint).scale
    counts = {"films": num_films, "marks": 0, "maps with colour": 0, "films marked with a nodule": 0}
    for seed in range(1, num_films + 1):
        empty = predictor.analyse(draw_phantom(seed, size=SIZE).radiograph)
        counts["marks"] += len(empty.reading.reported)
        counts["maps with colour"] += empty.score_map is not None and bool(scale.colours(empty.score_map).any())
        drawn = draw_phantom(seed, size=SIZE, num_nodules=1, diameter_mm=diameter_mm)
        counts["films marked with a nodule"] += bool(predictor.read(drawn.radiograph).reported)
    return counts


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--films", type=int, default=20)
    parser.add_argument("--diameter-mm", type=float, default=15.0)
    asked = parser.parse_args()
    predictor = Predictor.from_checkpoint(asked.checkpoint or find_shipped_checkpoint())
    print(json.dumps(measure(predictor, num_films=asked.films, diameter_mm=asked.diameter_mm), indent=1))


if __name__ == "__main__":
    main()
