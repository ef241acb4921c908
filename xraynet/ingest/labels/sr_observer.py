"""Who speaks in a structured report (TID 1001 to 1004): a person, under a pseudonym, or a device.

A radiologist's name identifies a person. It never reaches a catalogue: the caller turns it into a pseudonym.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from xraynet.ingest.sr_tree import ContentItem, StructuredReport

NamePerson = Callable[[str], str]
"""From a person's name to a pseudonym."""

_OBSERVER_TYPE: Final = ("121005", "DCM")
_PERSON_TYPE: Final = ("121006", "DCM")
_PERSON_NAME: Final = ("121008", "DCM")
_DEVICE_UID: Final = ("121012", "DCM")
_DEVICE_NAMES: Final = (("121013", "DCM"), ("121015", "DCM"), ("121014", "DCM"))


@dataclass(frozen=True)
class Observer:
    """Who marked something: ``reader`` as the catalogue calls them, ``is_trusted`` where a person answers for it.

    ``is_person`` where a person marked it, rather than a device whose report a person verified.
    """

    reader: str | None
    is_trusted: bool
    is_person: bool = False


def withhold_person(_name: str) -> str:
    """All persons as one, where no site's salt is at hand."""
    return "person"


def normalise_person_name(name: str) -> str:
    """A DICOM person name as one key: the first writing that is there, without case, blanks and empty parts.

    >>> normalise_person_name("DOE^Jane^^") == normalise_person_name("Doe ^jane")
    True
    """
    writing = next((part for part in name.split("=") if part.strip("^ ")), "")
    return "^".join(part.strip() for part in writing.casefold().split("^")).rstrip("^")


def find_observer(
    item: ContentItem, *, report: StructuredReport, name_person: NamePerson, otherwise: Observer | None = None
) -> Observer:
    """The observer that an item's own context states, else ``otherwise``, else whoever verified the report, else a device."""
    context = [child for child in item.children if child.relationship == "HAS OBS CONTEXT"]
    person = next((one.text for one in context if one.kind == "PNAME" and one.name.means(*_PERSON_NAME)), "")
    is_person = any(one.name.means(*_OBSERVER_TYPE) and one.code.means(*_PERSON_TYPE) for one in context)
    if person or is_person:
        name = normalise_person_name(person)
        return Observer(name_person(name) if name else "person", is_trusted=True, is_person=True)
    uid = next((one.text for one in context if one.kind == "UIDREF" and one.name.means(*_DEVICE_UID)), "")
    named = [one.text for wanted in _DEVICE_NAMES for one in context if one.kind == "TEXT" and one.name.means(*wanted)]
    if not uid and not named and otherwise is not None:
        return otherwise
    verifier = normalise_person_name(report.verifier)
    device = _name_device(named[0] if named else "", uid)
    if report.is_verified:
        answers = name_person(verifier) if verifier else "person"
        return Observer(f"{device}, verified by {answers}" if device else answers, is_trusted=True)
    return Observer(device or None, is_trusted=False)


def _name_device(name: str, uid: str) -> str:
    shown = "".join(letter for letter in name if letter.isprintable())[:32].strip()
    digits = hashlib.sha256(uid.encode()).hexdigest()[:8] if uid else ""
    return " ".join(part for part in ("device", shown, digits) if part) if shown or digits else ""
