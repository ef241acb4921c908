"""Where on normal films a detector's false marks lie, and the highest-scoring ones on one sheet to look at.

    python tests/benchmarks/measure_false_alarms.py --catalogue NIH_CATALOGUE [--checkpoint FILE] [--sheet FILE.png]

The films are the validation films whose reports name no finding at all (NIH's "No Finding"). Marks at the checkpoint's
operating point are counted by what the lung mask can say: outside the lungs, behind heart or diaphragm, in the apex (the upper
fifth of a lung), in the perihilar third (the medial third of a lung), or elsewhere in it. ``--sheet`` draws the highest-scoring
marks of all films, numbered: such a sheet shows patients' films and is kept out of every repository.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray

from xraynet.checkpoint import find_shipped_checkpoint
from xraynet.findings import LOWEST_KEPT_SCORE
from xraynet.inference.predictor import Predictor
from xraynet.ingest.catalogue import Catalogue, FilmEntry, read_catalogue, read_entry
from xraynet.radiograph import Radiograph
from xraynet.simulation.place import map_places

Place = Literal["outside the lungs", "behind heart or diaphragm", "apex", "perihilar third", "elsewhere in the lungs"]
PLACES: Final[tuple[Place, ...]] = (
    "outside the lungs", "behind heart or diaphragm", "apex", "perihilar third", "elsewhere in the lungs",
)  # fmt: skip
APEX_PART: Final = 0.2
PERIHILAR_PART: Final = 1 / 3
_TILE: Final = 160
_COLUMNS: Final = 10


@dataclass(frozen=True, eq=False)
class FalseMark:
    """One mark on a film without a nodule."""

    entry: FilmEntry
    box: tuple[float, float, float, float]
    score: float
    place: Place


def place_of(centre: tuple[float, float], lungs: Bool[NDArray[np.bool_], "height width"]) -> Place:
    """What the lung mask says of a place (x, y)."""
    height, width = lungs.shape
    x, y = min(max(0, int(centre[0])), width - 1), min(max(0, int(centre[1])), height - 1)
    if not lungs[y, x]:
        places = map_places(lungs)
        row, column = min(y // places.step, places.hidden.shape[0] - 1), min(x // places.step, places.hidden.shape[1] - 1)
        return "behind heart or diaphragm" if places.hidden[row, column] else "outside the lungs"
    _, labels = cv2.connectedComponents(lungs.astype(np.uint8))
    own = labels == labels[y, x]
    rows = np.flatnonzero(own.any(axis=1))
    if y < rows[0] + APEX_PART * (rows[-1] - rows[0]):
        return "apex"
    across = np.flatnonzero(own[y])
    middle = float(np.flatnonzero(lungs.any(axis=0)).mean())
    from_medial = (across[-1] - x) if own.nonzero()[1].mean() < middle else (x - across[0])
    return "perihilar third" if from_medial < PERIHILAR_PART * max(1, across[-1] - across[0]) else "elsewhere in the lungs"


def mark_films(predictor: Predictor, entries: Sequence[FilmEntry]) -> list[FalseMark]:
    """All marks on these films, the highest score first."""
    marks = []
    for entry in entries:
        film = read_entry(entry)
        reading = predictor.read(film, enforce_gate=False)
        lungs = predictor.lungs.segment(film).mask_stored()
        for finding in reading.detections:
            if finding.score < max(LOWEST_KEPT_SCORE, 0.02):
                break
            x1, y1, x2, y2 = finding.box
            place = place_of(((x1 + x2) / 2, (y1 + y2) / 2), lungs)
            marks.append(FalseMark(entry=entry, box=finding.box, score=finding.score, place=place))
    return sorted(marks, key=lambda mark: -mark.score)


def count_places(marks: Sequence[FalseMark], *, threshold: float, num_films: int) -> dict[str, object]:
    """How many marks a film reach the threshold, over all and by place."""
    told = [mark for mark in marks if mark.score >= threshold]
    counts = Counter(mark.place for mark in told)
    return {
        "films": num_films,
        "threshold": round(threshold, 4),
        "marks": len(told),
        "marks_a_film": round(len(told) / max(1, num_films), 4),
        "films_with_a_mark": len({mark.entry.key for mark in told}),
        "by_place": {place: counts[place] for place in PLACES},
    }


def draw_sheet(marks: Sequence[FalseMark]) -> NDArray[np.uint8]:
    """The marks' surroundings (three box sides, at least 60 mm or 200 pixels), numbered in the order of their scores."""
    tiles = [_draw_tile(read_entry(mark.entry), mark, number) for number, mark in enumerate(marks, start=1)]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % _COLUMNS)
    rows = [np.hstack(tiles[start : start + _COLUMNS]) for start in range(0, len(tiles), _COLUMNS)]
    sheet: NDArray[np.uint8] = np.vstack(rows)
    return sheet


def _draw_tile(film: Radiograph, mark: FalseMark, number: int) -> NDArray[np.uint8]:
    x1, y1, x2, y2 = mark.box
    half = int(max(1.5 * max(x2 - x1, y2 - y1), 100))
    padded = cv2.copyMakeBorder(film.pixels, half, half, half, half, cv2.BORDER_CONSTANT)
    x, y = int((x1 + x2) / 2), int((y1 + y2) / 2)
    patch = padded[y : y + 2 * half, x : x + 2 * half]
    low, high = np.percentile(patch, [2, 98])
    grey = np.clip((patch - low) / max(1e-6, high - low), 0, 1) * 255
    tile = cv2.cvtColor(cv2.resize(grey.astype(np.uint8), (_TILE, _TILE)), cv2.COLOR_GRAY2BGR)
    scale = _TILE / (2 * half)
    corner = (int(_TILE / 2 - (x2 - x1) / 2 * scale), int(_TILE / 2 - (y2 - y1) / 2 * scale))
    cv2.rectangle(tile, corner, (_TILE - corner[0], _TILE - corner[1]), (0, 200, 255), 1)
    cv2.putText(tile, f"{number} {mark.score:.2f}", (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 255, 0), 1)
    drawn: NDArray[np.uint8] = tile
    return drawn


def films_without_finding(catalogue: Catalogue) -> list[FilmEntry]:
    """The validation films that are labelled "No Finding" and nothing else."""
    labelled = zip(catalogue.films["key"], catalogue.films["findings"], strict=True)
    keys = {key for key, findings in labelled if list(findings) == ["No Finding"]}
    return [entry for entry in catalogue.entries("validation") if entry.key in keys]


def main() -> None:
    """Mark, count, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogue", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--most", type=int, default=100, help="marks on the sheet")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    predictor = Predictor.from_checkpoint(asked.checkpoint or find_shipped_checkpoint())
    entries = films_without_finding(read_catalogue(asked.catalogue))
    marks = mark_films(predictor, entries)
    threshold = predictor.checkpoint.settings.operating_point.threshold
    figures = count_places(marks, threshold=threshold, num_films=len(entries))
    highest = count_places(marks[: asked.most], threshold=0.0, num_films=len(entries))
    report = {"checkpoint": predictor.checkpoint.fingerprint, "at_operating_point": figures, "highest": highest}
    print(json.dumps(report, indent=1))
    if asked.sheet is not None and marks:
        cv2.imwrite(str(asked.sheet), draw_sheet(marks[: asked.most]))


if __name__ == "__main__":
    main()
