"""The coded words of xraynet's reports: what is found, where, how sure, and what became of the film (PS3.16)."""

from typing import Final

from highdicom.sr import CodedConcept

from xraynet.findings import Side

PRIVATE_SCHEME: Final = "99XRAYNET"


def _dcm(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, "DCM", meaning)


def _sct(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, "SCT", meaning)


NODULE: Final = _sct("27925004", "Nodule")
MASS: Final = _sct("4147007", "Mass")
LUNG: Final = _sct("39607008", "Lung")
SIDES: Final[dict[Side, CodedConcept]] = {"right": _sct("24028007", "Right"), "left": _sct("7771000", "Left")}
CHEST_RADIOGRAPH: Final = _sct("399208008", "Plain X-ray of chest")
DIAMETER: Final = _sct("81827009", "Diameter")
MORPHOLOGICALLY_ABNORMAL: Final = _sct("49755003", "Morphologically Abnormal Structure")

CERTAINTY: Final = _dcm("111012", "Certainty of Finding")
ARTIFICIAL_INTELLIGENCE: Final = _dcm("123110", "Artificial Intelligence")
OUTCOME: Final = _dcm("111017", "CAD Processing and Findings Summary")
WITH_FINDINGS: Final = _dcm("111242", "All algorithms succeeded; with findings")
WITHOUT_FINDINGS: Final = _dcm("111241", "All algorithms succeeded; without findings")
NOT_ANALYSED: Final = _dcm("111245", "No algorithms succeeded; without findings")
COMMENT: Final = _dcm("121106", "Comment")
REPORT_TITLE: Final = _dcm("126000", "Imaging Measurement Report")
IMAGING_MEASUREMENTS: Final = _dcm("126010", "Imaging Measurements")
QUALITATIVE_EVALUATIONS: Final = CodedConcept("C0034375", "UMLS", "Qualitative Evaluations")
PROCEDURE_REPORTED: Final = _dcm("121058", "Procedure reported")
IMAGE_LIBRARY: Final = _dcm("111028", "Image Library")
IMAGE_LIBRARY_GROUP: Final = _dcm("126200", "Image Library Group")
SOURCE_IMAGE: Final = _dcm("121112", "Source of Measurement")

PERCENT: Final = CodedConcept("%", "UCUM", "Percent")
MILLIMETRE: Final = CodedConcept("mm", "UCUM", "mm")

PLANE_METHODS: Final = {
    "detector": CodedConcept("DETECTOR", PRIVATE_SCHEME, "Longer side of the box, at the detector (magnified)"),
    "calibrated": CodedConcept("CALIBRATED", PRIVATE_SCHEME, "Longer side of the box, calibrated"),
}
"""How a diameter was measured: no public code says in which plane a projected length holds."""

READER_VERDICT: Final = CodedConcept("VERDICT", PRIVATE_SCHEME, "Reader's verdict on nodules and masses")
READER_VERDICTS: Final = {
    "findings": CodedConcept("FINDINGS", PRIVATE_SCHEME, "Nodules or masses seen"),
    "normal": CodedConcept("NONE", PRIVATE_SCHEME, "No nodule or mass seen"),
    "unreadable": CodedConcept("UNREADABLE", PRIVATE_SCHEME, "The film cannot be read for nodules and masses"),
}
"""What a reader says of the film as a whole: of nodules and masses alone, so no public "normal" fits."""
