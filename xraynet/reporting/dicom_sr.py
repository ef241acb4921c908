"""A reading as a DICOM structured report: Comprehensive SR, TID 1500, one planar region for each reported finding.

The report is PRELIMINARY and UNVERIFIED: a person has yet to look. A film that was not analysed gets one too, which says why.
"""

from collections.abc import Iterable, Sequence

import highdicom.sr as sr
from pydicom.uid import ExplicitVRLittleEndian

from xraynet import __version__
from xraynet.findings import Finding, Reading
from xraynet.radiograph import SpacingPlane
from xraynet.reading_file import DISCLAIMER
from xraynet.reporting import dicom_codes as codes
from xraynet.reporting.dicom_object import (
    MANUFACTURER,
    MODEL_NAME,
    DicomObject,
    ResultContext,
    ResultModel,
    evidence_of,
    finish_object,
    software_versions,
)
from xraynet.reporting.dicom_tree import build_tree, contain, measure_diameter, region_of, say, site_of
from xraynet.reporting.words import (
    NOT_LOOKED_FOR,
    OperatingFacts,
    describe_finding,
    describe_operating_point,
    describe_sensitivity,
    name_finding,
    summarise,
)

_SCORE_WORDS = "Certainty of Finding is the detector's score in percent: it ranks findings and is not a probability."
_DATE_WORDS = "The dates of this object are those of the film that it describes; when it was made is not recorded."


def make_report(reading: Reading, *, context: ResultContext, facts: OperatingFacts) -> DicomObject:
    """The report of a film that the detector, or its gate, has seen."""
    if reading.film_score is None:
        outcome = codes.NOT_ANALYSED
    else:
        outcome = codes.WITH_FINDINGS if reading.reported else codes.WITHOUT_FINDINGS
    groups = [
        _describe_region(number, finding, context=context, plane=reading.image.spacing_plane)
        for number, finding in enumerate(reading.detections, start=1)
        if finding.reported
    ]
    said = [summarise(reading, facts)]
    if reading.film_score is not None:
        if reading.reported:
            said += [f"Operating point: {describe_operating_point(facts)}.", describe_sensitivity(facts)]
        said += [_SCORE_WORDS, NOT_LOOKED_FOR]
    return _write(context, outcome=outcome, groups=groups, comments=(*said, *reading.warnings))


def make_refusal_report(reason: str, *, context: ResultContext) -> DicomObject:
    """The report of a radiograph that was refused before its pixels were looked at; ``reason`` says why."""
    return _write(context, outcome=codes.NOT_ANALYSED, groups=[], comments=(f"Not analysed: {reason}.",))


def _write(
    context: ResultContext,
    *,
    outcome: sr.CodedConcept,
    groups: Sequence[sr.PlanarROIMeasurementsAndQualitativeEvaluations],
    comments: Iterable[str],
) -> DicomObject:
    report = sr.ComprehensiveSR(
        evidence=[evidence_of(context.source)],
        content=build_tree(
            observer=_describe_observer(context.model),
            source=context.source,
            groups=groups,
            closing=_describe_film(context.model, outcome=outcome, comments=comments),
        ),
        series_instance_uid=context.series_uid("sr"),
        series_number=context.series_number("sr"),
        sop_instance_uid=context.instance_uid("sr"),
        instance_number=context.source.instance_number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL_NAME,
        software_versions=software_versions(context.model),
        device_serial_number=context.model.checkpoint.fingerprint[:16],
        is_complete=True,
        is_final=False,
        is_verified=False,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    return finish_object(report, context=context, kind="sr")


def _describe_observer(model: ResultModel) -> sr.ObserverContext:
    identity = model.checkpoint
    return sr.ObserverContext(
        observer_type=sr.CodedConcept("121007", "DCM", "Device"),
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=model.device_uid,
            name=f"xraynet {__version__}",
            manufacturer_name=MANUFACTURER,
            model_name=f"{identity.name} {identity.version}",
            serial_number=identity.fingerprint,
        ),
    )


def _algorithm(model: ResultModel) -> sr.AlgorithmIdentification:
    identity = model.checkpoint
    return sr.AlgorithmIdentification(
        name=f"xraynet {identity.name}",
        version=f"{identity.version} (xraynet {__version__})",
        parameters=[
            f"detector {identity.fingerprint}",
            f"lung fields {model.lungs}",
            *([model.configuration] if model.configuration else []),
        ],
        family=codes.ARTIFICIAL_INTELLIGENCE,
    )


def _describe_region(
    number: int, finding: Finding, *, context: ResultContext, plane: SpacingPlane | None
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    certainty = sr.Measurement(name=codes.CERTAINTY, value=round(100 * finding.score, 2), unit=codes.PERCENT)
    group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=context.tracking_uid(number), identifier=f"xraynet finding {number}"),
        referenced_region=region_of(finding.box, context.source),
        finding_type=codes.MASS if name_finding(finding) == "mass" else codes.NODULE,
        finding_category=codes.MORPHOLOGICALLY_ABNORMAL,
        algorithm_id=_algorithm(context.model),
        finding_sites=[site_of(finding.side)],
        measurements=[certainty, *measure_diameter(finding.diameter_mm, plane)],
    )
    group[0].ContentSequence.append(say(describe_finding(finding, plane=plane)))
    return group


def _describe_film(model: ResultModel, *, outcome: sr.CodedConcept, comments: Iterable[str]) -> sr.ContainerContentItem:
    """The outcome as a code, the detector, and sentences for a person (TID 1500, Qualitative Evaluations)."""
    items: list[sr.ContentItem] = [sr.CodeContentItem(name=codes.OUTCOME, value=outcome, relationship_type="CONTAINS")]
    for item in _algorithm(model):
        item.RelationshipType = "CONTAINS"
        items.append(item)
    items += [say(text) for text in (DISCLAIMER, *comments, _DATE_WORDS)]
    return contain(codes.QUALITATIVE_EVALUATIONS, items)
