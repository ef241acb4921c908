"""Measures the lungs checkpoint on real films and prints JSON: what the gate passes and refuses, Dice, and scale by lung size.

    python tests/benchmarks/measure_gate.py --catalogue NIH_CATALOGUE --films jsrt=../shared/data/jsrt_dev/images \
        --lung-masks ../shared/data/jsrt_dev/lung_masks --lung-values 150,200

Every film is judged as it is, turned by 90, 180 and 270 degrees, inverted and mirrored. Films of a catalogue are counted by
split, view and finding. The films that pydicom and pydicom-data carry are judged last: RG1 is their only chest.
"""

import argparse
import json
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch

from xraynet.errors import FilmError
from xraynet.geometry import Letterbox
from xraynet.ingest.catalogue import FilmEntry, read_catalogue, read_entry
from xraynet.ingest.read import read_radiograph
from xraynet.lungs.measure import counts_as_record, dice_of_masks, measure_gate
from xraynet.lungs.segmenter import LungSegmenter, find_shipped_lungs
from xraynet.preparation import PreparationConfig
from xraynet.radiograph import Radiograph

Named = tuple[str, tuple[str, ...], Radiograph]


def groups_of(entry: FilmEntry) -> tuple[str, ...]:
    """The groups in which a catalogue's film is counted."""
    groups = ["catalogue", f"split {entry.split}", str(entry.view_position)]
    groups += [finding for finding in entry.findings if finding in ("Pneumonia", "Effusion")]
    held_out = [] if entry.split == "train" else [f"held out: {group}" for group in ("all", *groups[2:])]
    return (*groups, *held_out)


def read_catalogue_films(path: Path) -> Iterator[Named]:
    """Every film of a catalogue, by its path's name."""
    for entry in read_catalogue(path).entries():
        yield entry.path.name, groups_of(entry), read_entry(entry)


def read_folder_films(text: str) -> Iterator[Named]:
    """Every film of ``GROUP=FOLDER``."""
    group, folder = text.split("=", 1)
    for path in sorted(Path(folder).iterdir()):
        yield path.name, (group,), read_radiograph(path)


def judge_package_films(segmenter: LungSegmenter) -> dict[str, object]:
    """What becomes of the films that test packages carry: the reader refuses most, the gate must refuse the others."""
    import data_store
    import pydicom

    folders = [Path(data_store.__path__[0]) / "data", Path(pydicom.__path__[0]) / "data" / "test_files"]
    passed, refused, unread = [], {}, 0
    for path in sorted(path for folder in folders for path in folder.glob("*.dcm")):
        try:
            radiograph = read_radiograph(path)
        except FilmError:
            unread += 1
            continue
        verdict, _ = segmenter.judge(radiograph)
        if verdict.passed:
            passed.append(path.name)
        else:
            refused[path.name] = list(verdict.reasons)
    return {"not_read": unread, "passed": passed, "refused": refused}


def measure_dice(segmenter: LungSegmenter, films: Path, masks: Path, values: tuple[int, ...]) -> dict[str, object]:
    """Dice of the lung fields against masks in which the lungs have these grey values."""
    figures = []
    for path in sorted(films.iterdir()):
        marked = np.isin(cv2.imread(str(masks / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE), values)
        radiograph = read_radiograph(path)
        if marked.shape != radiograph.size:
            marked = cv2.resize(marked.astype(np.uint8), radiograph.size[::-1], interpolation=cv2.INTER_NEAREST) > 0
        figures.append(dice_of_masks(segmenter.segment(radiograph).mask_stored(), marked) or 0.0)
    return {
        "films": len(figures),
        "mean": float(np.mean(figures)),
        "least": float(min(figures)),
        "median": float(np.median(figures)),
    }


def measure_scale(segmenter: LungSegmenter, catalogue: Path) -> dict[str, object]:
    """The lung fields' size at the detector's scale, and how far a scale by lung size lies from the scale by spacing."""
    config = PreparationConfig()
    sides: dict[str, list[float]] = {}
    for entry in read_catalogue(catalogue).entries():
        radiograph = read_entry(entry)
        box = segmenter.segment(radiograph).box
        if radiograph.spacing is None or not len(box):
            continue
        per_mm = 1 / config.mm_per_pixel
        frame = Letterbox.of(
            stored_size=radiograph.size,
            scale_y=radiograph.spacing.row_mm * per_mm,
            scale_x=radiograph.spacing.column_mm * per_mm,
            net_size=(1, 1),
        )
        x1, y1, x2, y2 = frame.boxes_to_net(box)[0].tolist()
        for group in ("all", f"split {entry.split}", str(entry.view_position)):
            sides.setdefault(group, []).append(((x2 - x1) * (y2 - y1)) ** 0.5)
    percentiles = (5, 25, 50, 75, 95)
    return {
        group: {
            "films": len(side),
            "lung_side_px": dict(zip(percentiles, np.percentile(side, percentiles).round(1).tolist(), strict=True)),
            "scale_by_lungs_over_scale_by_spacing": dict(
                zip(
                    percentiles, np.percentile(config.lung_side_px / np.array(side), percentiles).round(3).tolist(), strict=True
                )
            ),
            "spread_of_log_scale": round(float(np.std(np.log(side))), 3),
        }
        for group, side in sorted(sides.items())
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=None, help="lungs.safetensors; default: the shipped one")
    parser.add_argument("--catalogue", type=Path, action="append", default=[])
    parser.add_argument("--films", action="append", default=[], metavar="GROUP=FOLDER")
    parser.add_argument("--lung-masks", type=Path, default=None, help="masks of the first --films folder, same stems, PNG")
    parser.add_argument("--lung-values", default="255", help="grey values that are lung, with commas")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    segmenter = LungSegmenter.from_file(asked.checkpoint or find_shipped_lungs())

    def films() -> Iterator[Named]:
        for path in asked.catalogue:
            yield from read_catalogue_films(path)
        for text in asked.films:
            yield from read_folder_films(text)

    figures: dict[str, object] = {
        "fingerprint": segmenter.fingerprint,
        "thresholds": asdict(segmenter.thresholds),
        "gate": counts_as_record(measure_gate(segmenter, films())),
        "packages": judge_package_films(segmenter),
    }
    if asked.lung_masks is not None:
        folder = Path(asked.films[0].split("=", 1)[1])
        values = tuple(int(value) for value in asked.lung_values.split(","))
        figures["dice"] = measure_dice(segmenter, folder, asked.lung_masks, values)
    if asked.catalogue:
        figures["scale"] = {str(path.name): measure_scale(segmenter, path) for path in asked.catalogue}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
