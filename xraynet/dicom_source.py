"""What a DICOM result must know of the film it is about: whose it is, which study, which object. Plain values, no DICOM.

A header is parsed where films are decoded, in a process that may crash; only what is in here, checked, comes back.
"""

import re
from dataclasses import dataclass
from typing import Final

_UID: Final = re.compile(r"[0-9.]{1,64}")
_DATE: Final = re.compile(r"\d{8}|")
_TIME: Final = re.compile(r"(\d{2}){1,3}(\.\d{1,6})?|")


@dataclass(frozen=True)
class ModalityTable:
    """The modality LUT of a film: ``entries[i]`` is the modality value of stored value ``first_value + i``."""

    first_value: int
    bits: int
    entries: tuple[int, ...]
    kind: str = "US"

    def __post_init__(self) -> None:
        if not 1 <= len(self.entries) <= 65536 or not 1 <= self.bits <= 16 or not 0 <= min(self.entries):
            raise ValueError(f"a modality table has {len(self.entries)} entries of {self.bits} bits; 1 to 65536 of 1 to 16")


@dataclass(frozen=True, repr=False)
class DicomSource:
    """The source of a result: its UIDs, patient, study and frame, as the file says them; "" where it does not.

    Names are Unicode, with ``^`` and ``=`` as in DICOM. ``image_date`` and ``image_time`` are when the film was made.
    ``rescale``: (slope, intercept) of the modality transform, None where there is none or ``modality_table`` holds it.
    Its text never shows a patient.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    modality: str = ""
    patient_name: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    birth_date: str = ""
    sex: str = ""
    age: str = ""
    study_date: str = ""
    study_time: str = ""
    study_id: str = ""
    accession_number: str = ""
    referring_physician: str = ""
    study_description: str = ""
    image_date: str = ""
    image_time: str = ""
    instance_number: int = 1
    patient_orientation: tuple[str, str] | None = None
    size: tuple[int, int] = (1, 1)
    rescale: tuple[float, float] | None = None
    modality_table: ModalityTable | None = None

    def __post_init__(self) -> None:
        for name in ("sop_class_uid", "sop_instance_uid", "study_instance_uid", "series_instance_uid"):
            if not _UID.fullmatch(getattr(self, name)):
                raise ValueError(f"{name} is no UID; digits and dots, at most 64, were expected")
        for name, form in (
            *((name, _DATE) for name in ("birth_date", "study_date", "image_date")),
            *((name, _TIME) for name in ("study_time", "image_time")),
        ):
            if not form.fullmatch(getattr(self, name)):
                raise ValueError(f"{name} is no DICOM date or time")
        if min(self.size) < 0 or self.instance_number < 1:
            raise ValueError("a size below 0, or an instance number below 1")

    def __repr__(self) -> str:
        return "DicomSource(withheld)"


@dataclass(frozen=True)
class NoSource:
    """Why a film cannot have DICOM results. ``is_dicom`` False: there is no header at all, which is no fault of the film."""

    reason: str
    is_dicom: bool = True
