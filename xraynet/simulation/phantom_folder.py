"""A folder of synthetic films with the table that says where their nodules are: for trying xraynet out without a film."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from xraynet.files import write_bytes_atomically, write_text_atomically
from xraynet.simulation.phantom import Phantom, draw_phantom

LABELS_FILE = "labels.csv"
_COLUMNS = (
    "film", "x1", "y1", "x2", "y2", "class", "diameter_mm", "state", "patient", "view", "row_spacing_mm", "column_spacing_mm",
)  # fmt: skip


@dataclass(frozen=True)
class PhantomFolderConfig:
    """How many films, of what size (height, width), and which of them have a nodule: every ``nodule_every``-th."""

    num: int = 12
    size: tuple[int, int] = (640, 640)
    nodule_every: int = 3
    diameter_mm: float = 16.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num < 1 or self.nodule_every < 1:
            raise ValueError(f"num is {self.num} and nodule_every {self.nodule_every}; at least 1 was expected of both")


def write_phantoms(folder: Path, config: PhantomFolderConfig = PhantomFolderConfig()) -> list[Path]:
    """Writes ``phantom-000.png`` and on (16 bit, 12 used) and ``labels.csv`` (plain-csv format); returns the films' paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    rows: list[dict[str, object]] = []
    for index in range(config.num):
        has_nodule = index % config.nodule_every == 0
        phantom = draw_phantom(
            config.seed + index, size=config.size, num_nodules=int(has_nodule), diameter_mm=config.diameter_mm
        )
        path = folder / f"phantom-{index:03d}.png"
        write_bytes_atomically(path, _encode_png(phantom))
        rows.extend(_label_rows(path.name, f"P{index:03d}", phantom))
        paths.append(path)
    write_text_atomically(folder / LABELS_FILE, _to_csv(rows))
    return paths


def _encode_png(phantom: Phantom) -> bytes:
    # 12 bits in a 16-bit file, as many detectors deliver them.
    stored = np.rint(phantom.radiograph.pixels * 4095).astype(np.uint16)
    done, encoded = cv2.imencode(".png", stored)
    assert done, "OpenCV writes PNG wherever it runs"
    return encoded.tobytes()


def _label_rows(name: str, patient: str, phantom: Phantom) -> list[dict[str, object]]:
    film = phantom.radiograph
    assert film.spacing is not None, "a phantom knows its spacing"
    facts: dict[str, object] = {
        "film": name,
        "patient": patient,
        "view": film.view_position.value,
        "row_spacing_mm": round(film.spacing.row_mm, 6),
        "column_spacing_mm": round(film.spacing.column_mm, 6),
    }
    if not len(phantom.annotations.boxes):
        return [{**facts, "state": "free"}]
    rows = []
    for box, diameter in zip(phantom.annotations.boxes, phantom.annotations.diameter_mm, strict=True):
        corners = {name: round(float(side), 2) for name, side in zip(("x1", "y1", "x2", "y2"), box, strict=True)}
        rows.append({**facts, **corners, "class": "nodule", "diameter_mm": None if diameter is None else round(diameter, 1)})
    return rows


def _to_csv(rows: list[dict[str, object]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
