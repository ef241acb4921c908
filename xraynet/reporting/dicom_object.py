"""What all DICOM results have in common: who wrote them, about which film, under which UIDs, and how they become bytes.

**Identity.** UIDs follow from the film (its SOP Instance UID and the hash of its file), the detector, its configuration
and the kind of result: the same question gives the same object, byte for byte, and another checkpoint gives another.
All results of one kind in one study share a series.

**Dates.** A result that must be the same when it is made again cannot say when it was made. Its dates are those of the film
that it describes (Content, Acquisition, Series or Study Date, the first that is there), and the report says so in words;
where the film has none, ``NO_DATE`` stands where DICOM does not allow an empty one.

**Text** is written in UTF-8 (ISO_IR 192), whatever the film was written in.
"""

import hashlib
import uuid
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID

from xraynet import __version__
from xraynet.dicom_source import DicomSource
from xraynet.findings import CheckpointIdentity
from xraynet.reporting.dicom_kinds import DicomKind

MANUFACTURER: Final = "xraynet"
MODEL_NAME: Final = "xraynet nodule detector"
IMPLEMENTATION_UID: Final = UID("2.25.28753182180331408919717466122186830755")
IMPLEMENTATION_VERSION: Final = f"XRAYNET_{__version__}"[:16]
NO_DATE: Final = "19000101"
_SERIES_NUMBERS: Final[dict[DicomKind, int]] = {"sr": 901, "sc": 902, "pr": 903}
_SERIES_WORDS: Final[dict[DicomKind, str]] = {
    "sr": "xraynet nodule report - research use",
    "sc": "xraynet nodule picture - research use",
    "pr": "xraynet nodule marks - research use",
}
_CLOCK: Final = ("InstanceCreationDate", "InstanceCreationTime", "DateOfSecondaryCapture", "TimeOfSecondaryCapture")


@dataclass(frozen=True)
class DicomObject:
    """One finished result: ``content`` is a whole Part 10 file, ``name`` what it is called beside its reading."""

    kind: DicomKind
    sop_class_uid: str
    sop_instance_uid: str
    content: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """``sr.dcm``, ``sc.dcm`` or ``pr.dcm``."""
        return f"{self.kind}.dcm"


@dataclass(frozen=True)
class ResultModel:
    """Which detector, in which configuration, speaks in a result.

    ``lungs`` is the fingerprint of the lung fields, ``configuration`` whatever else a result depends on, as one text.
    """

    checkpoint: CheckpointIdentity
    lungs: str
    configuration: str = ""

    @property
    def digest(self) -> str:
        """One fingerprint of all that a result depends on besides its film."""
        parts = (__version__, self.checkpoint.name, self.checkpoint.version, self.checkpoint.fingerprint, self.lungs)
        return hashlib.sha256("\0".join((*parts, self.configuration)).encode()).hexdigest()

    @property
    def device_uid(self) -> str:
        """The UID of the observer that is this detector in this configuration."""
        return derive_uid("device", self.digest)


@dataclass(frozen=True)
class ResultContext:
    """A film and the detector that speaks of it. ``sha256`` is that of the film's file."""

    source: DicomSource
    sha256: str
    model: ResultModel

    def instance_uid(self, kind: DicomKind) -> str:
        """The SOP Instance UID of the film's result of that kind."""
        return derive_uid("instance", kind, self.source.sop_instance_uid, self.sha256, self.model.digest)

    def series_uid(self, kind: DicomKind) -> str:
        """The series in which all results of that kind in the film's study stand."""
        return derive_uid("series", kind, self.source.study_instance_uid, self.model.digest)

    def tracking_uid(self, number: int) -> str:
        """The UID of the film's finding of that number: the same in report and marks."""
        return derive_uid("finding", str(number), self.source.sop_instance_uid, self.sha256, self.model.digest)

    def series_number(self, kind: DicomKind) -> int:
        """901 and on: after whatever a modality numbers."""
        return _SERIES_NUMBERS[kind]


def derive_uid(*parts: str) -> str:
    """A UID that follows from texts (PS3.5 B.2: 2.25 and a UUID as a number; the UUID is a hash).

    >>> derive_uid("a", "bc") == derive_uid("a", "bc"), derive_uid("a", "bc") == derive_uid("ab", "c")
    (True, False)
    """
    digest = hashlib.sha256("\0".join(("xraynet", *parts)).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def evidence_of(source: DicomSource) -> Dataset:
    """The film as highdicom wants it: its UIDs and frame. The patient is put in by ``finish_object``, and only there."""
    film = Dataset()
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(film, keyword, "")
    film.StudyDate = film.StudyTime = film.ReferringPhysicianName = ""
    film.SOPClassUID, film.SOPInstanceUID = source.sop_class_uid, source.sop_instance_uid
    film.StudyInstanceUID, film.SeriesInstanceUID = source.study_instance_uid, source.series_instance_uid
    film.Rows, film.Columns = source.size
    film.SamplesPerPixel = 1
    return film


def finish_object(result: Dataset, *, context: ResultContext, kind: DicomKind) -> DicomObject:
    """Put patient, study, dates and character set into what highdicom made, and encode it."""
    source = context.source
    if kind != "sr":
        # Type 2C in pictures and marks; empty, for a chest shows both sides.
        result.Laterality = ""
    dated = (source.image_date or NO_DATE, source.image_time or "000000")
    return encode_result(result, source=source, kind=kind, series_words=_SERIES_WORDS[kind], dated=dated)


def encode_result(
    result: Dataset, *, source: DicomSource, kind: DicomKind, series_words: str, dated: tuple[str, str]
) -> DicomObject:
    """Encode what highdicom made, with the film's patient and study, and ``dated`` (DICOM date, time) for its content."""
    for keyword in _CLOCK:
        if keyword in result:
            del result[keyword]
    for helper in result.ContributingEquipmentSequence:
        del helper.ContributionDateTime
    _put_patient_and_study(result, source)
    _put_dates(result, *dated)
    result.SpecificCharacterSet = "ISO_IR 192"
    result.SeriesDescription = series_words
    result.file_meta.ImplementationClassUID = IMPLEMENTATION_UID
    result.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    stream = BytesIO()
    file = FileDataset(stream, result, preamble=b"\0" * 128, file_meta=result.file_meta)
    dcmwrite(stream, file, enforce_file_format=True)
    return DicomObject(
        kind=kind,
        sop_class_uid=str(result.SOPClassUID),
        sop_instance_uid=str(result.SOPInstanceUID),
        content=stream.getvalue(),
    )


def _put_patient_and_study(result: Dataset, source: DicomSource) -> None:
    result.PatientName, result.PatientID = source.patient_name, source.patient_id
    result.PatientBirthDate, result.PatientSex = source.birth_date, source.sex
    result.StudyDate, result.StudyTime, result.StudyID = source.study_date, source.study_time, source.study_id
    result.AccessionNumber, result.ReferringPhysicianName = source.accession_number, source.referring_physician
    for keyword, value in (
        ("IssuerOfPatientID", source.issuer_of_patient_id),
        ("PatientAge", source.age),
        ("StudyDescription", source.study_description),
    ):
        if value:
            setattr(result, keyword, value)


def _put_dates(result: Dataset, date: str, time: str) -> None:
    for stem in ("Content", "PresentationCreation"):
        if f"{stem}Date" in result:
            setattr(result, f"{stem}Date", date)
            setattr(result, f"{stem}Time", time)


def software_versions(model: ResultModel) -> tuple[str, ...]:
    """Software Versions (0018,1020): xraynet's, and the detector's name, version and fingerprint."""
    identity = model.checkpoint
    name = "".join(letter for letter in identity.name if letter.isprintable() and letter != "\\")[:24]
    return (f"xraynet {__version__}", f"{name} {identity.version[:12]} {identity.fingerprint[:16]}")
