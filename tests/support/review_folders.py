"""Folders of results as ``xraynet predict`` leaves them, made in milliseconds and without a detector."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from xraynet.findings import CheckpointIdentity, FilmFacts, FilmSource, Finding, GateVerdict, Outcome, Reading
from xraynet.radiograph import GreyScale, PatientIdentity, Radiograph, ViewPosition
from xraynet.reading_file import write_reading
from xraynet.reporting.colour import ColourScale
from xraynet.reporting.frame import DisplayFrame
from xraynet.reporting.html import ReportPicture, render_report
from xraynet.reporting.overlay import render_heatmap
from xraynet.reporting.packing import pack_film
from xraynet.reporting.words import OperatingFacts

FACTS = OperatingFacts(threshold=0.3, sensitivity=0.63, low=0.51, high=0.74, measured_on="120 films")
SCALE = ColourScale.of_threshold(0.3)
CHECKPOINT = CheckpointIdentity(name="demo", fingerprint="fedcba9876543210" * 4, version="0.1.0")
SIZE = (120, 100)


def draw_pixels(number: int) -> np.ndarray:
    return np.random.default_rng(number).random(SIZE).astype(np.float32)


def make_reading(
    number: int = 0,
    *,
    sha256: str | None = None,
    scores: tuple[float, ...] = (0.81, 0.4, 0.1),
    spacing_mm: tuple[float, float] | None = (0.5, 0.4),
    path: str | None = "ward/film.dcm",
) -> Reading:
    """A reading of a film of 120 x 100 pixels with detections along its diagonal; without scores, of one that was refused."""
    boxes = [(10.0 + 20 * at, 20.0 + 25 * at, 25.0 + 20 * at, 40.0 + 25 * at) for at in range(len(scores))]
    row_mm, column_mm = spacing_mm or (0.0, 0.0)
    return Reading(
        source=FilmSource(path=path, sha256=sha256 or hashlib.sha256(str(number).encode()).hexdigest()),
        status="ok" if scores else "refused",
        image=FilmFacts(
            height=SIZE[0],
            width=SIZE[1],
            spacing_mm=spacing_mm,
            spacing_plane="detector" if spacing_mm else None,
            view_position=ViewPosition.PA,
        ),
        gate=GateVerdict(passed=True) if scores else GateVerdict(passed=False, reasons=("lateral",)),
        film_score=scores[0] if scores else None,
        detections=tuple(
            Finding(
                box=box,
                score=score,
                reported=score >= FACTS.threshold,
                diameter_mm=round(max(15 * column_mm, 20 * row_mm), 1) if spacing_mm else None,
                side="right",
                zone="upper",
            )
            for box, score in zip(boxes, scores, strict=True)
        ),
        warnings=(),
        checkpoint=CHECKPOINT,
        operating_threshold=FACTS.threshold,
    )


def write_film(root: Path, reading: Reading, *, with_report: bool = True, identity: PatientIdentity | None = None) -> str:
    """Write the files of one film; its id."""
    folder = root / "readings" / reading.id
    folder.mkdir(parents=True, exist_ok=True)
    if with_report:
        film = Radiograph(pixels=draw_pixels(int(reading.id[:4], 16)), grey=GreyScale(slope=4095, bits_stored=12))
        frame = DisplayFrame.of(film.size, spacing_mm=reading.image.spacing_mm)
        heat = render_heatmap(np.full(frame.size, 0.5, dtype=np.float32), SCALE) if reading.film_score is not None else None
        picture = ReportPicture(film=pack_film(film, frame), frame=frame, heatmap=heat)
        (folder / "report.html").write_text(render_report(reading, picture, facts=FACTS, scale=SCALE), encoding="utf-8")
    if identity is not None:
        (folder / "identity.json").write_text(json.dumps(asdict(identity)))
    write_reading(folder / "reading.json", reading)
    return reading.id


def write_folder(root: Path, readings: list[Reading]) -> Path:
    """Write a folder of results of these films, with its journal."""
    root.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for reading in readings:
        write_film(root, reading)
        code = "" if reading.status == "ok" else "gate.lateral"
        outcomes.append(Outcome(reading.source.path or reading.id, reading.id, reading.source.sha256, reading.status, code))
    (root / "outcomes.jsonl").write_text("".join(json.dumps(asdict(outcome)) + "\n" for outcome in outcomes))
    (root / "run.json").write_text("{}")
    return root
