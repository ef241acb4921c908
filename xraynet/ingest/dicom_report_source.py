"""The film that a structured report of ours is about, read back from the report: whose it is, which study, which object."""

from pathlib import Path

from pydicom.dataset import Dataset

from xraynet.dicom_source import DicomSource, NoSource
from xraynet.errors import FilmFailed
from xraynet.ingest.dicom_parse import parse_dicom
from xraynet.ingest.dicom_quiet import quiet_pydicom
from xraynet.ingest.dicom_source import source_of_dataset
from xraynet.ingest.limits import DEFAULT_LIMITS

_NO_DATE = "19000101"


def read_report_source(path: Path) -> DicomSource | NoSource:
    """The film of the report at ``path`` (``sr.dcm`` beside a reading), or why it cannot be known.

    The size of the film is not in a report: (0, 0).
    """
    try:
        dataset = parse_dicom(path.read_bytes(), limits=DEFAULT_LIMITS).dataset
        with quiet_pydicom():
            return source_of_dataset(_as_film(dataset))
    except (FilmFailed, OSError, AttributeError, IndexError, TypeError, ValueError) as error:
        return NoSource(f"the report beside the reading cannot be read ({type(error).__name__})")


def _as_film(report: Dataset) -> Dataset:
    """The report's header with the UIDs of the film that it gives as its evidence."""
    series = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    film = series.ReferencedSOPSequence[0]
    report.SOPClassUID, report.SOPInstanceUID = film.ReferencedSOPClassUID, film.ReferencedSOPInstanceUID
    report.SeriesInstanceUID = series.SeriesInstanceUID
    report.Modality = ""
    if report.get("ContentDate") == _NO_DATE:
        del report.ContentDate
    return report
