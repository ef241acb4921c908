"""Whose film it is and of which visit, without saying so: keys and day numbers that only the site's salt can make.

A visit is a study: all films of one Study Instance UID, or, where a file has none, of one patient and study date. A day
number counts from an origin that the salt draws for each patient within a thousand years (keyed date shifting): the days
between two films of a patient are true, and no number gives a date or a day of the week away.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import date
from typing import Final

from xraynet.ingest.salt import patient_key
from xraynet.radiograph import PatientIdentity

_KEY_DIGITS: Final = 32
_ORIGIN_DAYS: Final = 365_250


@dataclass(frozen=True)
class VisitKeys:
    """Keys of patient and study (32 hex digits), and the day number; None where the file does not say."""

    patient_key: str | None = None
    study_key: str | None = None
    day: int | None = None

    def __post_init__(self) -> None:
        if self.day is not None and self.patient_key is None:
            raise ValueError("a day number has no meaning without its patient")


def visit_keys(identity: PatientIdentity, *, salt: bytes) -> VisitKeys:
    """The keys of a film from what its file says of patient and study."""
    patient = identity.patient_id.strip()
    return keys_of_film((identity.issuer, patient) if patient else None, identity.study_uid, identity.study_date, salt=salt)


def keys_of_film(patient: tuple[str, str] | None, study_uid: str, study_date: str, *, salt: bytes) -> VisitKeys:
    """The keys of a film of ``patient`` (issuer, identifier), its Study Instance UID and its study date (DICOM's form)."""
    day = _read_date(study_date)
    if patient is None:
        return VisitKeys(study_key=_key(["study", study_uid.strip()], salt=salt) if study_uid.strip() else None)
    whose = patient_key(patient[1], issuer=patient[0], salt=salt)
    told = ["study", study_uid.strip()] if study_uid.strip() else None
    if told is None and day is not None:
        told = ["visit", whose, day.isoformat()]
    return VisitKeys(
        patient_key=whose,
        study_key=None if told is None else _key(told, salt=salt),
        day=None if day is None else day.toordinal() - _origin(whose, salt=salt),
    )


def _key(parts: list[str], *, salt: bytes) -> str:
    return _digest(parts, salt=salt).hexdigest()[:_KEY_DIGITS]


def _origin(whose: str, *, salt: bytes) -> int:
    """The day, as an ordinal, from which a patient's films are counted."""
    return int.from_bytes(_digest(["origin", whose], salt=salt).digest()[:8], "big") % _ORIGIN_DAYS


def _digest(parts: list[str], *, salt: bytes) -> "hmac.HMAC":
    # A context word and JSON keep these messages apart from each other and from those of patient keys.
    message = json.dumps(["xraynet visit", *parts], ensure_ascii=True).encode("ascii")
    return hmac.new(salt, message, hashlib.sha256)


def _read_date(text: str) -> date | None:
    """A DICOM date (``yyyymmdd``, or the old ``yyyy.mm.dd``); None where it is none."""
    digits = text.strip().replace(".", "")
    if len(digits) != 8 or not (digits.isascii() and digits.isdigit()):
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
