"""Writes structured reports as another system might: any observer, any region, right or wrong on purpose."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ComprehensiveSRStorage, ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

FILM = "1.2.826.0.1.3680043.10.1.3"
NODULE = ("27925004", "SCT", "Nodule")
MASS = ("4147007", "SCT", "Mass")


@dataclass(frozen=True)
class Region:
    """One measurement group: its graphic, the film it lies on, its finding, and a diameter in mm."""

    points: Sequence[float]
    graphic: str = "POLYLINE"
    film: str = FILM
    finding: tuple[str, str, str] | None = NODULE
    diameter_mm: float | None = None
    frame: int | None = None
    kind: str = "SCOORD"


def square(x1: float, y1: float, x2: float, y2: float) -> list[float]:
    """A closed outline."""
    return [x1, y1, x2, y1, x2, y2, x1, y2, x1, y1]


def item(relationship: str, kind: str, name: tuple[str, str, str], children: Sequence[Dataset] = (), **tags: object) -> Dataset:
    """One content item."""
    made = Dataset()
    made.RelationshipType, made.ValueType = relationship, kind
    made.ConceptNameCodeSequence = DicomSequence([code(*name)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, value in tags.items():
            setattr(made, keyword, value)
    if children:
        made.ContentSequence = DicomSequence(children)
    return made


def code(value: str, scheme: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made


def coded(relationship: str, name: tuple[str, str, str], value: tuple[str, str, str]) -> Dataset:
    """A CODE item."""
    return item(relationship, "CODE", name, ConceptCodeSequence=DicomSequence([code(*value)]))


def person(name: str = "Reader^Rosa") -> list[Dataset]:
    """The context of a person."""
    return [
        coded("HAS OBS CONTEXT", ("121005", "DCM", "Observer Type"), ("121006", "DCM", "Person")),
        item("HAS OBS CONTEXT", "PNAME", ("121008", "DCM", "Person Observer Name"), PersonName=name),
    ]


def device(name: str = "NoduleFinder", uid: str = "1.2.3.4") -> list[Dataset]:
    """The context of a device."""
    return [
        coded("HAS OBS CONTEXT", ("121005", "DCM", "Observer Type"), ("121007", "DCM", "Device")),
        item("HAS OBS CONTEXT", "UIDREF", ("121012", "DCM", "Device Observer UID"), UID=uid),
        item("HAS OBS CONTEXT", "TEXT", ("121013", "DCM", "Device Observer Name"), TextValue=name),
    ]


def group(region: Region, *, context: Sequence[Dataset] = ()) -> Dataset:
    """A measurement group (TID 1410)."""
    children = list(context)
    if region.finding is not None:
        children.append(coded("CONTAINS", ("121071", "DCM", "Finding"), region.finding))
    if region.diameter_mm is not None:
        measured = Dataset()
        measured.NumericValue = region.diameter_mm
        measured.MeasurementUnitsCodeSequence = DicomSequence([code("mm", "UCUM", "mm")])
        name = ("81827009", "SCT", "Diameter")
        children.append(item("CONTAINS", "NUM", name, MeasuredValueSequence=DicomSequence([measured])))
    film = [image(region.film, frame=region.frame)] if region.film else []
    name = ("111030", "DCM", "Image Region")
    tags = {"GraphicType": region.graphic, "GraphicData": list(region.points)}
    children.append(item("CONTAINS", region.kind, name, film, **tags))
    return item("CONTAINS", "CONTAINER", ("125007", "DCM", "Measurement Group"), children, ContinuityOfContent="SEPARATE")


def image(film: str, *, frame: int | None = None) -> Dataset:
    """An IMAGE item that names a film."""
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = ComputedRadiographyImageStorage, film
    if frame is not None:
        reference.ReferencedFrameNumber = frame
    name = ("260753009", "SCT", "Source")
    return item("SELECTED FROM", "IMAGE", name, ReferencedSOPSequence=DicomSequence([reference]))


def outcome(value: str = "111241") -> Dataset:
    """CAD Processing and Findings Summary."""
    return coded("CONTAINS", ("111017", "DCM", "CAD Processing and Findings Summary"), (value, "DCM", "x"))


def build_report(
    *children: Dataset, verified_by: str = "", complete: bool = True, uid: str = "", replaces: Sequence[str] = ()
) -> FileDataset:
    """A Comprehensive SR with these items at its root."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    report.SOPClassUID, report.SOPInstanceUID = ComprehensiveSRStorage, uid or generate_uid()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = report.SOPClassUID, report.SOPInstanceUID
    report.SpecificCharacterSet = "ISO_IR 192"
    report.Modality, report.PatientName, report.PatientID = "SR", "Seededson^Janetta", "SEEDID99"
    report.StudyInstanceUID, report.SeriesInstanceUID = "1.2.3.5", "1.2.3.6"
    report.CompletionFlag = "COMPLETE" if complete else "PARTIAL"
    report.VerificationFlag = "VERIFIED" if verified_by else "UNVERIFIED"
    if verified_by:
        verifier = Dataset()
        verifier.VerifyingObserverName, verifier.VerifyingOrganization = verified_by, "Hospital"
        report.VerifyingObserverSequence = DicomSequence([verifier])
    if replaces:
        instances = []
        for one in replaces:
            reference = Dataset()
            reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = ComprehensiveSRStorage, one
            instances.append(reference)
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedSOPSequence = "1.2.3.6", DicomSequence(instances)
        study = Dataset()
        study.StudyInstanceUID, study.ReferencedSeriesSequence = "1.2.3.5", DicomSequence([series])
        report.PredecessorDocumentsSequence = DicomSequence([study])
    report.ValueType, report.ContinuityOfContent = "CONTAINER", "SEPARATE"
    report.ConceptNameCodeSequence = DicomSequence([code("126000", "DCM", "Imaging Measurement Report")])
    report.ContentSequence = DicomSequence(children)
    return report


def write_report(path: Path, *children: Dataset, **facts: object) -> Path:
    """``build_report`` into a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcmwrite(path, build_report(*children, **facts), enforce_file_format=True)  # type: ignore[arg-type]
    return path
