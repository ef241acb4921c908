"""Finished readings as DICOM structured reports, one a reader and film, for films that came as DICOM."""

import hashlib
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from xraynet.batch.journal import NODE_NAME
from xraynet.csv_text import write_csv
from xraynet.dicom_source import DicomSource, NoSource
from xraynet.ingest.dicom_quiet import quiet_pydicom
from xraynet.ingest.dicom_report_source import read_report_source
from xraynet.reporting.dicom_object import DicomObject
from xraynet.reporting.dicom_reader_sr import ReaderFinding, ReaderReport, make_reader_report
from xraynet.service.review.export import ExportedLook
from xraynet.service.review.look import Mark
from xraynet.service.review.measure import locate_mark, measure_mark, score_mark

SOURCE_NAME: Final = "sr.dcm"
"""The detector's own report beside a reading: it knows the film's patient, study and UIDs."""
_WAYS: Final = {
    ("plain", "final"): "Read with the marks of the nodule detector shown.",
    ("second-reader", "first"): "First look: read before the marks of the nodule detector were shown.",
    ("second-reader", "final"): "Final look: after an unaided one, read with the marks of the nodule detector shown.",
}
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class WrittenReport:
    """A report and the name of its file, or why there is none."""

    look: ExportedLook
    name: str
    report: DicomObject | None
    reason: str = ""


def has_sources(root: Path) -> bool:
    """True where a film of the folder can have reports."""
    return any(next(root.glob(str(path)), None) is not None for path in _source_paths(Path(), sha256="*"))


def write_reports(looks: Sequence[ExportedLook], *, root: Path) -> Iterator[WrittenReport]:
    """The reports of finished looks, for the films in the folder of results ``root``."""
    with quiet_pydicom():
        for look in looks:
            if look.look.verdict is None:
                continue
            name = f"{_name_reader(look.reader)}/{look.reading.id}-{look.name}.dcm"
            source = _find_source(look, root)
            if isinstance(source, NoSource):
                yield WrittenReport(look, name, None, source.reason)
            else:
                yield WrittenReport(look, name, make_reader_report(_report_of(look), source=source))


def pack_reports(looks: Sequence[ExportedLook], *, root: Path) -> bytes:
    """The reports in a ZIP archive, a folder a reader, and ``left-out.csv`` where films have none."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        written = list(write_reports(looks, root=root))
        for item in written:
            if item.report is not None:
                archive.writestr(zipfile.ZipInfo(item.name, _EARLIEST), item.report.content)
        archive.writestr(zipfile.ZipInfo("left-out.csv", _EARLIEST), list_left_out(written))
    return stream.getvalue()


def list_left_out(written: Sequence[WrittenReport]) -> str:
    """A line a reading that has no report, and why."""
    return write_csv(
        ("path", "id", "reader", "look", "reason"),
        [
            (item.look.reading.source.path, item.look.reading.id, item.look.reader, item.look.name, item.reason)
            for item in written
            if item.report is None
        ],
    )


def _find_source(look: ExportedLook, root: Path) -> DicomSource | NoSource:
    path = next((path for path in _source_paths(root, sha256=look.reading.source.sha256) if path.is_file()), None)
    if path is None:
        return NoSource(
            f"no {SOURCE_NAME} of the film: it is no DICOM film, predict ran without --dicom-results sr, or a node has swept it"
        )
    source = read_report_source(path)
    if isinstance(source, NoSource):
        return source
    return replace(source, size=(look.reading.image.height, look.reading.image.width))


def _source_paths(root: Path, *, sha256: str) -> tuple[Path, ...]:
    # A node keeps its results, which carry the patient, in its queue, and only for as long as it was told to.
    return (
        root / "readings" / sha256[:16] / SOURCE_NAME,
        root / NODE_NAME / "films" / sha256 / "results" / SOURCE_NAME,
    )


def _report_of(look: ExportedLook) -> ReaderReport:
    verdict, finished_at = look.look.verdict, look.look.finished_at
    assert verdict is not None
    assert finished_at is not None
    return ReaderReport(
        reader=look.reader,
        look=look.name,
        way=_WAYS[look.mode, look.name],
        verdict=verdict,
        finished_at=finished_at,
        findings=tuple(_finding_of(mark, look) for mark in look.look.findings),
        plane=look.reading.image.spacing_plane,
        sha256=look.reading.source.sha256,
        note=look.look.note,
    )


def _finding_of(mark: Mark, look: ExportedLook) -> ReaderFinding:
    score = score_mark(mark, look.reading)
    if score is None:
        words = "Marked by the reader."
    else:
        words = f"Proposed by the detector (score {score:.2f}), {'redrawn' if mark.moved else 'accepted'} by the reader."
    return ReaderFinding(
        mark=mark.id,
        box=mark.box,
        diameter_mm=measure_mark(mark, look.reading),
        side=locate_mark(mark, look.reading)[0],
        words=words,
        note=mark.note,
    )


def _name_reader(name: str) -> str:
    """A folder's name for a reader: never two readers in one, and no letter that a file system minds."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:32]
    return f"{plain or 'reader'}-{hashlib.sha256(name.encode('utf-8')).hexdigest()[:8]}"
