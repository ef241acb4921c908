"""The header of a DICOM film as plain, checked values, for the results that will be filed beside it."""

import re
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from xraynet.dicom_source import DicomSource, ModalityTable, NoSource
from xraynet.ingest.dicom_grey import read_modality
from xraynet.ingest.dicom_parse import looks_like_dicom, parse_dicom
from xraynet.ingest.dicom_quiet import quiet_pydicom
from xraynet.ingest.dicom_tags import read_integer, read_text, read_texts
from xraynet.ingest.grayscale import ModalityLut, StoredFormat
from xraynet.ingest.limits import DEFAULT_LIMITS, DecodeLimits

_UIDS: Final = {
    "sop_class_uid": ("SOPClassUID", "SOP Class UID"),
    "sop_instance_uid": ("SOPInstanceUID", "SOP Instance UID"),
    "study_instance_uid": ("StudyInstanceUID", "Study Instance UID"),
    "series_instance_uid": ("SeriesInstanceUID", "Series Instance UID"),
}
_DATES: Final = ("Content", "Acquisition", "Series", "Study")
"""In this order: the first that states a date says when the film was made."""
_LARGEST_NUMBER: Final = 2**31 - 1
_LONG: Final = 64
_SHORT: Final = 16


def read_dicom_source(path: Path, *, limits: DecodeLimits = DEFAULT_LIMITS) -> DicomSource | NoSource:
    """What results must know of the DICOM film at ``path``, or why they cannot be filed beside it.

    A film without Study, Series or SOP Instance UID has no place in an archive, so nothing can be filed there.
    Raises FilmFailed where the file cannot be parsed.
    """
    content = path.read_bytes()
    if not looks_like_dicom(content[:144]):
        return NoSource("no DICOM file", is_dicom=False)
    with quiet_pydicom():
        return source_of_dataset(parse_dicom(content, limits=limits).dataset)


def source_of_dataset(dataset: Dataset) -> DicomSource | NoSource:
    """The values of a parsed header. Dates, times and codes that are none are left out; identifiers stay as they are."""
    uids = {name: _read_uid(dataset, keyword) for name, (keyword, _) in _UIDS.items()}
    missing = [_UIDS[name][1] for name, value in uids.items() if not value]
    if missing:
        return NoSource(f"no usable {', '.join(missing)} in the header")
    image_date, image_time = _read_image_date(dataset)
    rescale, table = _read_modality(dataset)
    number = read_integer(dataset, "InstanceNumber") or 1
    return DicomSource(
        **uids,
        modality=_read_code(dataset, "Modality"),
        patient_name=_read_name(dataset, "PatientName"),
        patient_id=_clean(read_text(dataset, "PatientID")),
        issuer_of_patient_id=_clean(read_text(dataset, "IssuerOfPatientID")),
        birth_date=_read_date(dataset, "PatientBirthDate"),
        sex=_only(read_text(dataset, "PatientSex").upper(), "[FMO]"),
        age=_only(read_text(dataset, "PatientAge").upper(), r"\d{3}[DWMY]"),
        study_date=_read_date(dataset, "StudyDate"),
        study_time=_read_time(dataset, "StudyTime"),
        study_id=_clean(read_text(dataset, "StudyID"))[:_SHORT],
        accession_number=_clean(read_text(dataset, "AccessionNumber")),
        referring_physician=_read_name(dataset, "ReferringPhysicianName"),
        study_description=_clean(read_text(dataset, "StudyDescription"))[:_LONG],
        image_date=image_date,
        image_time=image_time,
        instance_number=number if 1 <= number <= _LARGEST_NUMBER else 1,
        patient_orientation=_read_orientation(dataset),
        size=(max(0, read_integer(dataset, "Rows") or 0), max(0, read_integer(dataset, "Columns") or 0)),
        rescale=rescale,
        modality_table=table,
    )


def _read_uid(dataset: Dataset, keyword: str) -> str:
    # Leading zeros are wrong in a UID and common in files: the study is found under what it calls itself.
    return _only(read_text(dataset, keyword), "[0-9.]{1,64}")


def _read_name(dataset: Dataset, keyword: str) -> str:
    """A person's name in all its writings (alphabetic, ideographic, phonetic), each within what DICOM allows."""
    writings = read_text(dataset, keyword).replace("\\", " ").split("=")[:3]
    return "=".join("^".join(_clean(writing).split("^")[:5])[:_LONG] for writing in writings).rstrip("=")


def _read_code(dataset: Dataset, keyword: str) -> str:
    return _only(read_text(dataset, keyword).upper(), "[A-Z0-9 _]{1,16}")


def _read_date(dataset: Dataset, keyword: str) -> str:
    return _only(read_text(dataset, keyword).replace(".", ""), r"[12]\d{3}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")


def _read_time(dataset: Dataset, keyword: str) -> str:
    return _only(read_text(dataset, keyword).replace(":", ""), r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")


def _read_image_date(dataset: Dataset) -> tuple[str, str]:
    for kind in _DATES:
        date = _read_date(dataset, f"{kind}Date")
        if date:
            return date, _read_time(dataset, f"{kind}Time")
    return "", ""


def _read_orientation(dataset: Dataset) -> tuple[str, str] | None:
    directions = read_texts(dataset, "PatientOrientation")
    if len(directions) != 2 or not all(re.fullmatch("[ALPRHF]{1,3}", direction) for direction in directions):
        return None
    return (directions[0], directions[1])


def _read_modality(dataset: Dataset) -> tuple[tuple[float, float] | None, ModalityTable | None]:
    stored = StoredFormat(16, 15, is_signed=read_integer(dataset, "PixelRepresentation") == 1)
    modality = read_modality(dataset, stored, [])
    if modality is None:
        return None, None
    if not isinstance(modality, ModalityLut):
        return (modality.slope, modality.intercept), None
    return None, ModalityTable(
        first_value=modality.first_value, bits=min(modality.bits, 16), entries=tuple(int(entry) for entry in modality.table)
    )


def _only(text: str, pattern: str) -> str:
    return text if re.fullmatch(pattern, text) else ""


def _clean(text: str) -> str:
    """Text without control characters and without the backslash that would make two values of it."""
    return "".join(letter for letter in text if letter.isprintable() and letter != "\\").strip()
