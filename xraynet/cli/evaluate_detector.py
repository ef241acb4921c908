"""Runs a detector over the films of a catalogue, so that ``xraynet evaluate`` can score what it says."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import typer
from rich.progress import track

from xraynet.errors import FilmError
from xraynet.evaluation.predictions import Predictions, lungs_of, reasons_of
from xraynet.findings import Reading
from xraynet.ingest.catalogue import FilmEntry, read_entry
from xraynet.radiograph import Radiograph
from xraynet.reading_file import write_reading


@runtime_checkable
class FilmReader(Protocol):
    """What reads a film: the predictor of ``inference``, or anything that reads like it."""

    def read(self, radiograph: Radiograph, *, enforce_gate: bool = True) -> Reading:
        """The reading of one film."""
        ...


@dataclass(frozen=True)
class DetectorRun:
    """What a detector said of the films, and how many of them could not be read."""

    predictions: Predictions
    num_failed: int


def run_detector(
    entries: Sequence[FilmEntry], reader: FilmReader, *, name: str, fingerprint: str, out: Path, enforce_gate: bool
) -> DetectorRun:
    """Read every film and keep its reading as ``out/readings/<key>/reading.json``, to be scored again under another rule.

    A film that cannot be read counts as not analysed; the line that says so names it by its key.
    """
    readings: dict[str, Reading] = {}
    failed: dict[str, str] = {}
    for entry in track(entries, description="Reading films", disable=not sys.stderr.isatty()):
        try:
            reading = reader.read(read_entry(entry), enforce_gate=enforce_gate)
        except FilmError as error:
            failed[entry.key] = f"failed, {error.code}"
            typer.echo(f"film {entry.key} could not be read ({error.code}): {error.reason}", err=True)
            continue
        # The path of a catalogued film may say who the patient is, and is of no use here.
        reading = replace(reading, source=replace(reading.source, path=None))
        folder = out / "readings" / entry.key
        folder.mkdir(parents=True, exist_ok=True)
        write_reading(folder / "reading.json", reading)
        readings[entry.key] = reading
    declined = {key for key, reading in readings.items() if reading.film_score is None}
    thresholds = {reading.operating_threshold for reading in readings.values()}
    predictions = Predictions(
        by_name={key: reading.to_detections() for key, reading in readings.items()},
        not_analysed=frozenset(declined | failed.keys()),
        source=name,
        operating_threshold=thresholds.pop() if len(thresholds) == 1 else None,
        checkpoint_fingerprint=fingerprint,
        reasons=reasons_of(readings) | failed,
        lungs=lungs_of(readings),
    )
    return DetectorRun(predictions, len(failed))
