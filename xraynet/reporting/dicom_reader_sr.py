"""What a person said of a film on the review page, as a DICOM structured report: Comprehensive SR, TID 1500, TID 1003.

The observer is the person, by the name given on the page; nobody has signed it, so it is UNVERIFIED and PRELIMINARY. Its
UIDs follow from film, reader, look and moment: the same reading exported again is the same object.
"""

import datetime
from dataclasses import dataclass
from typing import Final, Literal

import highdicom.sr as sr
from pydicom.uid import ExplicitVRLittleEndian

from xraynet import __version__
from xraynet.dicom_source import DicomSource
from xraynet.findings import Finding
from xraynet.lung_frame import Side
from xraynet.radiograph import SpacingPlane
from xraynet.reading_file import DISCLAIMER
from xraynet.reporting import dicom_codes as codes
from xraynet.reporting.dicom_object import MANUFACTURER, DicomObject, derive_uid, encode_result, evidence_of
from xraynet.reporting.dicom_tree import build_tree, contain, measure_diameter, region_of, say, site_of
from xraynet.reporting.words import NOT_LOOKED_FOR, name_finding

_SERIES_NUMBER: Final = 904
_SERIES_WORDS: Final = "xraynet reader's marks - research use"


@dataclass(frozen=True)
class ReaderFinding:
    """One place that a reader marked: its box in stored pixels, what is known of it, and how the mark came about."""

    mark: str
    box: tuple[float, float, float, float]
    diameter_mm: float | None
    side: Side | None
    words: str
    note: str = ""


@dataclass(frozen=True)
class ReaderReport:
    """A reader's finished look at a film. ``finished_at`` is ISO 8601 with its offset; ``way`` says how the film was read."""

    reader: str
    look: str
    way: str
    verdict: Literal["findings", "normal", "unreadable"]
    finished_at: str
    findings: tuple[ReaderFinding, ...]
    plane: SpacingPlane | None
    sha256: str
    note: str = ""

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes this reading another than any other."""
        return ("reader", self.reader, self.look, self.finished_at, self.sha256)


def make_reader_report(report: ReaderReport, *, source: DicomSource) -> DicomObject:
    """The report of a reader, to be filed in the study of the film ``source``."""
    result = sr.ComprehensiveSR(
        evidence=[evidence_of(source)],
        content=build_tree(
            observer=_describe_reader(report.reader),
            source=source,
            groups=[_describe_region(finding, report, source) for finding in report.findings],
            closing=_describe_verdict(report),
        ),
        series_instance_uid=derive_uid("reader-series", source.study_instance_uid, report.reader, report.look),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=derive_uid("reader-report", source.sop_instance_uid, *report.identity),
        instance_number=source.instance_number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name="xraynet review",
        software_versions=f"xraynet {__version__}",
        device_serial_number=f"xraynet {__version__}",
        is_complete=True,
        is_final=False,
        is_verified=False,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    made = datetime.datetime.fromisoformat(report.finished_at).astimezone()
    dated = (made.strftime("%Y%m%d"), made.strftime("%H%M%S.%f"))
    return encode_result(result, source=source, kind="sr", series_words=_SERIES_WORDS, dated=dated)


def _describe_reader(name: str) -> sr.ObserverContext:
    return sr.ObserverContext(
        observer_type=sr.CodedConcept("121006", "DCM", "Person"),
        observer_identifying_attributes=sr.PersonObserverIdentifyingAttributes(name=person_name(name)),
    )


def person_name(name: str) -> str:
    """A name as one component of a DICOM person name: without the letters that part components, at most 64 of them.

    >>> person_name("Dr. Ada^Doe=x")
    'Dr. Ada Doe x'
    """
    plain = "".join(" " if letter in "^=\\" or not letter.isprintable() else letter for letter in name)
    return " ".join(plain.split())[:64] or "reader"


def _describe_region(
    finding: ReaderFinding, report: ReaderReport, source: DicomSource
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    name = name_finding(Finding(box=finding.box, score=0.0, reported=True, diameter_mm=finding.diameter_mm))
    tracking = sr.TrackingIdentifier(
        uid=derive_uid("reader-finding", source.sop_instance_uid, finding.mark, *report.identity),
        identifier=f"reader's finding {finding.mark}",
    )
    group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking,
        referenced_region=region_of(finding.box, source),
        finding_type=codes.MASS if name == "mass" else codes.NODULE,
        finding_category=codes.MORPHOLOGICALLY_ABNORMAL,
        finding_sites=[site_of(finding.side)],
        measurements=measure_diameter(finding.diameter_mm, report.plane),
    )
    for text in (finding.words, finding.note):
        if text:
            group[0].ContentSequence.append(say(text))
    return group


def _describe_verdict(report: ReaderReport) -> sr.ContainerContentItem:
    verdict = sr.CodeContentItem(
        name=codes.READER_VERDICT, value=codes.READER_VERDICTS[report.verdict], relationship_type="CONTAINS"
    )
    finished = datetime.datetime.fromisoformat(report.finished_at).astimezone(datetime.UTC)
    said = [DISCLAIMER, f"{report.way} Finished at {finished:%Y-%m-%d %H:%M:%S} UTC.", NOT_LOOKED_FOR]
    return contain(codes.QUALITATIVE_EVALUATIONS, [verdict, *map(say, [*said, *([report.note] if report.note else [])])])
