"""``dicomweb:URL?StudyInstanceUID=…``: where an archive answers and which films it is asked for.

Read strictly, for a slip of the pen must not fetch a whole archive, and a password must not end in a command line.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlsplit

PREFIX: Final = "dicomweb:"
UID_PATTERN: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_DATE_PATTERN: Final = re.compile(r"[0-9]{8}|[0-9]{8}-([0-9]{8})?|-[0-9]{8}")
_ROOT_PATTERN: Final = re.compile(r"(/[A-Za-z0-9_~%-][A-Za-z0-9._~%-]*)*")
_CODE_PATTERN: Final = re.compile(r"[A-Z0-9_]{1,16}")
_UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_NARROWING: Final = (*_UIDS, "AccessionNumber", "PatientID", "StudyDate")
_MODALITIES: Final = ("ModalitiesInStudy", "Modality")
_TEXT_LENGTH: Final = {"AccessionNumber": 16, "PatientID": 64}
CREDENTIALS_HINT: Final = "give credentials in XRAYNET_DICOMWEB_CREDENTIALS or in the file that --credentials names"


def is_dicomweb_address(text: str) -> bool:
    """True where a PATH of the command line means an archive, not a file.

    >>> is_dicomweb_address("dicomweb:https://pacs.example/rs?StudyDate=20260101"), is_dicomweb_address("films")
    (True, False)
    """
    return text.lower().startswith(PREFIX)


def is_uid(text: str) -> bool:
    """True for a DICOM UID (PS3.5 section 9.1): digits and single dots, at most 64 characters.

    >>> is_uid("1.2.840.10008"), is_uid("../../etc/passwd"), is_uid("1..2")
    (True, False, False)
    """
    return len(text) <= 64 and UID_PATTERN.fullmatch(text) is not None


@dataclass(frozen=True)
class DicomwebAddress:
    """An archive's DICOMweb root and what it is searched for.

    ``terms`` are the attributes of the search (PS3.18 section 8.3.4) that narrow it; they may say who a patient is, so they
    are never printed. ``modalities_in_study`` chooses studies, ``modalities`` series; empty means any.
    """

    url: str
    terms: dict[str, str] = field(repr=False)
    modalities_in_study: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()

    @property
    def is_encrypted(self) -> bool:
        """True for https."""
        return self.url.startswith("https:")

    @property
    def is_loopback(self) -> bool:
        """True where the archive is on this very machine."""
        return _is_loopback(urlsplit(self.url).hostname or "")


def parse_address(text: str) -> DicomwebAddress:
    """The address in ``dicomweb:http[s]://HOST[:PORT]/ROOT?NAME=VALUE&…``.

    Known names: StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, AccessionNumber, PatientID, StudyDate (a day or a range
    ``20260101-20260131``), and ModalitiesInStudy and Modality (``CR,DX``). At least one of the first six must narrow the
    search. Raises ValueError with what was found and what was expected, and without any value of the search.
    """
    given = text[len(PREFIX) :] if is_dicomweb_address(text) else text
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        raise ValueError("the address after dicomweb: cannot be read; http[s]://HOST:PORT/ROOT?… was expected") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            f"the address after dicomweb: begins with '{parts.scheme}:'; http:// or https:// and a host were expected"
        )
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"the address holds a user name or password, which others could read; {CREDENTIALS_HINT}")
    if ":" in parts.hostname:
        raise ValueError("the host is a bare IPv6 address; a name or an IPv4 address was expected")
    if parts.fragment:
        raise ValueError("the address has a part after '#'; there is none in DICOMweb")
    if _ROOT_PATTERN.fullmatch(parts.path.rstrip("/")) is None:
        raise ValueError("the path of the address holds odd characters; letters, digits and slashes (/dicom-web) were expected")
    url = f"{parts.scheme}://{parts.hostname}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
    return _with_search(url, parts.query)


def _with_search(url: str, query: str) -> DicomwebAddress:
    terms: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _NARROWING + _MODALITIES:
            known = ", ".join(_NARROWING + _MODALITIES)
            raise ValueError(f"the search asks for '{name[:40]}'; known are {known}")
        if name in terms:
            raise ValueError(f"the search gives {name} twice; once was expected")
        terms[name] = _check_term(name, value.strip())
    modalities = {name: tuple(terms.pop(name).split(",")) if name in terms else () for name in _MODALITIES}
    if not terms:
        raise ValueError(f"nothing narrows the search, so it means the whole archive; give one of {', '.join(_NARROWING)}")
    return DicomwebAddress(
        url=url, terms=terms, modalities_in_study=modalities["ModalitiesInStudy"], modalities=modalities["Modality"]
    )


def _check_term(name: str, value: str) -> str:
    if not value:
        raise ValueError(f"{name} is empty; a value was expected")
    if name in _UIDS and not is_uid(value):
        raise ValueError(f"{name} is no UID; digits and dots, at most 64 characters, were expected")
    if name == "StudyDate" and _DATE_PATTERN.fullmatch(value) is None:
        raise ValueError("StudyDate is no date; YYYYMMDD or YYYYMMDD-YYYYMMDD was expected")
    if name in _MODALITIES and not all(_CODE_PATTERN.fullmatch(code) for code in value.split(",")):
        raise ValueError(f"{name} is no list of modalities; capital letters such as CR,DX were expected")
    if name in _TEXT_LENGTH and (len(value) > _TEXT_LENGTH[name] or re.search(r"[*?\\\x00-\x1f]", value)):
        raise ValueError(
            f"{name} has a wildcard, a backslash or more than {_TEXT_LENGTH[name]} characters; one exact value was expected"
        )
    return value


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
