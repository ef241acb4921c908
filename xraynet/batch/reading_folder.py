"""The names of the files in ``readings/<id>/``, and what is read back from them without the detector."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from xraynet.radiograph import PatientIdentity

READING_NAME: Final = "reading.json"
HEATMAP_NAME: Final = "heatmap.png"
OVERLAY_NAME: Final = "overlay.png"
REPORT_NAME: Final = "report.html"
PDF_NAME: Final = "report.pdf"
THUMBNAIL_NAME: Final = "thumbnail.jpg"
MAP_NAME: Final = "score_map.npz"
IDENTITY_NAME: Final = "identity.json"
VISIT_NAME: Final = "visit.json"
FILM_NAME: Final = "film.jpg"


def encode_identity(identity: PatientIdentity) -> bytes:
    """The content of ``identity.json``, which only ``--identify`` writes."""
    return json.dumps(asdict(identity), ensure_ascii=False).encode("utf-8")


def read_identity(folder: Path) -> PatientIdentity | None:
    """The identity kept beside a reading under ``--identify``; None where there is none."""
    path = folder / IDENTITY_NAME
    return PatientIdentity(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def find_thumbnail(folder: Path) -> Path | None:
    """The worklist's picture of a reading; None where there is none."""
    path = folder / THUMBNAIL_NAME
    return path if path.is_file() else None
