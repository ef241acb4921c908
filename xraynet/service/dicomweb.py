"""An archive behind DICOMweb: finds films (QIDO-RS), fetches them one at a time (WADO-RS), and stores results (STOW-RS).

Nothing that the archive answers is believed: a UID that is none never becomes part of an address, an object must be the
one that was asked for, and every answer has its limits. No message repeats a UID or a value of the search.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar
from xml.etree.ElementTree import ParseError

import pydicom
import requests
from dicomweb_client.web import DICOMwebClient

from xraynet.errors import ArchiveError, FilmError, FilmFailed, FilmRefused
from xraynet.files import open_atomically
from xraynet.ingest.dicom_admission import check_kind
from xraynet.ingest.dicom_parse import parse_dicom
from xraynet.ingest.dicom_quiet import quiet_pydicom
from xraynet.ingest.dicom_tags import read_text
from xraynet.ingest.limits import DecodeLimits
from xraynet.service.dicomweb_address import DicomwebAddress, is_uid
from xraynet.service.dicomweb_multipart import MalformedAnswer, write_single_part
from xraynet.service.dicomweb_session import DEFAULT_LIMITS, Access, AnswerTooLarge, DicomwebLimits, open_session
from xraynet.service.dicomweb_trouble import describe_trouble, is_transient, wished_pause_s

_STUDY_UID, _SERIES_UID, _SOP_UID = "0020000D", "0020000E", "00080018"
_SOP_CLASS, _MODALITY = "00080016", "00080060"
_PAGE: Final = 500
_CHUNK_BYTES: Final = 256 << 10
_LONGEST_PAUSE_S: Final = 60.0
_LOST_BEFORE_HASTE: Final = 3
_ANY_SYNTAX: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'

Answer = TypeVar("Answer")
Match = Mapping[str, object]


@dataclass(frozen=True)
class ArchivedFilm:
    """One instance that a search found. ``problem`` says why it is not worth or not possible fetching."""

    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    sop_uid: str = field(repr=False)
    problem: FilmError | None = None

    @property
    def has_uids(self) -> bool:
        """True where all three are UIDs, and so harmless wherever they are written."""
        return is_uid(self.study_uid) and is_uid(self.series_uid) and is_uid(self.sop_uid)

    @property
    def digest(self) -> str:
        """The SHA-256 of the SOP Instance UID, as 64 hex digits: a name that no archive can choose."""
        return _digest(self.sop_uid)

    @property
    def name(self) -> str:
        """What the film is called in outcomes; whoever knows the archive finds it again by hashing its UIDs."""
        return name_of_uid(self.sop_uid)


def name_of_uid(sop_uid: str) -> str:
    """What the object with this SOP Instance UID is called in outcomes.

    >>> name_of_uid("1.2.840.10008.1")
    'dicomweb:08a65d6d4c4c107f'
    """
    return f"dicomweb:{_digest(sop_uid)[:16]}"


def _digest(sop_uid: str) -> str:
    return hashlib.sha256(sop_uid.encode("utf-8", "surrogatepass")).hexdigest()


class Archive:
    """A connection to one archive.

    It retries what may pass, with growing pauses; after three films in a row that were lost so, it asks for each but once.
    """

    def __init__(
        self,
        address: DicomwebAddress,
        *,
        access: Access,
        limits: DicomwebLimits = DEFAULT_LIMITS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Raises ValueError where the address may not be spoken to (plain http beyond this machine)."""
        self.address = address
        self._limits = limits
        self._sleep = sleep
        self._num_lost = 0
        self._session = open_session(address, access=access, limits=limits)
        self._client = DICOMwebClient(
            address.url, session=self._session, chunk_size=limits.max_film_bytes, timeout=limits.silence_s
        )
        self._client.set_http_retry_params(retry=False)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._session.close()

    def search(self) -> list[ArchivedFilm]:
        """Every instance that the address asks for, each once, in the archive's order; those that are no films say so.

        Raises ArchiveError where the archive cannot be searched, or finds more than ``max_films``.
        """
        found: dict[str, ArchivedFilm] = {}
        try:
            with _quiet_libraries():
                for film in self._walk():
                    found.setdefault(film.sop_uid, film)
                    if len(found) > self._limits.max_films:
                        raise ArchiveError(
                            f"{self.address.url}: the search finds more than {self._limits.max_films} instances; "
                            "narrow it, or allow more (--max-films)"
                        )
        except (requests.RequestException, ValueError, RecursionError) as error:
            raise ArchiveError(f"{self.address.url}: the archive cannot be searched: {describe_trouble(error)}") from None
        return list(found.values())

    def fetch(self, film: ArchivedFilm, into: Path) -> None:
        """Write a film's DICOM file to ``into``, whole or not at all. Raises FilmError where it cannot be had."""
        if film.problem is not None:
            raise film.problem
        try:
            with _quiet_libraries():
                self._persist(lambda: self._download(film, into))
        except AnswerTooLarge:
            raise FilmFailed(
                f"the archive sends more than {self._limits.max_film_bytes} bytes; a film has at most that many",
                code="too-large",
            ) from None
        except (requests.RequestException, MalformedAnswer) as error:
            raise FilmFailed(f"the film could not be fetched: {describe_trouble(error)}", code="not-fetched") from None
        except OSError as error:
            raise FilmFailed(f"the film could not be kept on disk ({error.strerror})", code="not-fetched") from None
        self._check_is_asked_for(film, into)

    def store(self, path: Path) -> str:
        """Send a result (a DICOM file of ours) to the archive; returns the name under which searches find it.

        Sending it again is no error. Raises ArchiveError where the archive does not take it or does not say so, and where
        the file is damaged.
        """
        try:
            with quiet_pydicom():
                result = pydicom.dcmread(path)
                sop_uid = str(result.SOPInstanceUID)
        except Exception as error:  # damaged bytes break a parser in ways that nobody lists
            raise ArchiveError(f"{path.name} could not be stored: it cannot be read ({type(error).__name__})") from None
        try:
            with _quiet_libraries(), quiet_pydicom():
                answer = self._persist(lambda: self._client.store_instances([result]))
        except (requests.RequestException, ValueError, KeyError, TypeError, AttributeError, ParseError) as error:
            raise ArchiveError(f"{path.name} could not be stored: {describe_trouble(error)}") from None
        for failed in answer.get("FailedSOPSequence", ()):
            raise ArchiveError(f"{path.name} could not be stored: the archive gives reason {failed.get('FailureReason')}")
        if not answer.get("ReferencedSOPSequence"):  # a gateway's own page, perhaps, with status 200
            raise ArchiveError(f"{path.name} could not be stored: the answer does not say that it was")
        return name_of_uid(sop_uid)

    def _walk(self) -> Iterator[ArchivedFilm]:
        studies = self._find_studies()
        for study in [None] if studies is None else studies:
            for study_uid, series_uid, modality in self._find_series(study):
                yield from self._find_films(study_uid, series_uid, modality)

    def _find_studies(self) -> list[str] | None:
        """The studies to look into; None where only series or instances are named, and the archive knows whose they are."""
        address = self.address
        terms = {name: value for name, value in address.terms.items() if name not in ("SeriesInstanceUID", "SOPInstanceUID")}
        if not address.modalities_in_study:
            if terms.keys() <= {"StudyInstanceUID"}:
                return [terms["StudyInstanceUID"]] if terms else None
            return _uids(self._pages("studies", terms), _STUDY_UID)
        found: dict[str, None] = {}
        for modality in address.modalities_in_study:
            found |= dict.fromkeys(_uids(self._pages("studies", {**terms, "ModalitiesInStudy": modality}), _STUDY_UID))
        return list(found)

    def _find_series(self, study_uid: str | None) -> Iterator[tuple[str, str, str]]:
        """(study, series, modality) of what a study holds, or of the series that is named."""
        if study_uid is not None and not is_uid(study_uid):
            yield study_uid, "", ""
            return
        terms = {name: value for name, value in self.address.terms.items() if name == "SeriesInstanceUID"}
        if study_uid is None and not terms:
            for match in self._pages("instances", {"SOPInstanceUID": self.address.terms["SOPInstanceUID"]}):
                yield _value(match, _STUDY_UID), _value(match, _SERIES_UID), _value(match, _MODALITY)
            return
        for modality in self.address.modalities or ("",):
            asked = {**terms, "Modality": modality} if modality else terms
            for match in self._pages("series", asked, study_uid=study_uid):
                yield study_uid or _value(match, _STUDY_UID), _value(match, _SERIES_UID), _value(match, _MODALITY)

    def _find_films(self, study_uid: str, series_uid: str, modality: str) -> Iterator[ArchivedFilm]:
        if not (is_uid(study_uid) and is_uid(series_uid)):
            yield _unnamed(study_uid, series_uid, "")
            return
        terms = {name: value for name, value in self.address.terms.items() if name == "SOPInstanceUID"}
        for match in self._pages("instances", terms, study_uid=study_uid, series_uid=series_uid):
            sop_uid = _value(match, _SOP_UID)
            if not is_uid(sop_uid):
                yield _unnamed(study_uid, series_uid, sop_uid)
                continue
            problem = _refuse(sop_class=_value(match, _SOP_CLASS), modality=modality.upper())
            yield ArchivedFilm(study_uid, series_uid, sop_uid, problem)

    def _pages(
        self, level: str, terms: Mapping[str, str], *, study_uid: str | None = None, series_uid: str | None = None
    ) -> list[Match]:
        """All matches of a search, page by page; an archive that gives the same page for ever is left."""
        tag = {"studies": _STUDY_UID, "series": _SERIES_UID, "instances": _SOP_UID}[level]
        found: dict[str, Match] = {}

        def ask() -> Sequence[object]:
            return self._ask(level, terms, len(found), study_uid=study_uid, series_uid=series_uid)

        while True:
            page = self._persist(ask)
            fresh = {_value(match, tag): match for match in page if isinstance(match, Mapping)}
            fresh = {uid: match for uid, match in fresh.items() if uid not in found}
            found |= fresh
            if not fresh or len(found) > self._limits.max_films:
                return list(found.values())

    def _ask(
        self, level: str, terms: Mapping[str, str], offset: int, *, study_uid: str | None, series_uid: str | None
    ) -> Sequence[object]:
        client, asked = self._client, {**terms}
        answer: object
        if level == "studies":
            answer = client.search_for_studies(limit=_PAGE, offset=offset, search_filters=asked)
        elif level == "series":
            answer = client.search_for_series(study_uid, limit=_PAGE, offset=offset, search_filters=asked)
        else:
            answer = client.search_for_instances(study_uid, series_uid, limit=_PAGE, offset=offset, search_filters=asked)
        if not isinstance(answer, list):
            raise MalformedAnswer("the answer to a search is no list")
        return answer

    def _download(self, film: ArchivedFilm, into: Path) -> None:
        url = f"{self.address.url}/studies/{film.study_uid}/series/{film.series_uid}/instances/{film.sop_uid}"
        with self._session.get(url, headers={"Accept": _ANY_SYNTAX}, stream=True, timeout=self._limits.silence_s) as response:
            response.raise_for_status()
            with open_atomically(into) as stream:
                chunks = response.iter_content(_CHUNK_BYTES)
                write_single_part(chunks, content_type=response.headers.get("Content-Type", ""), write=stream.write)

    def _check_is_asked_for(self, film: ArchivedFilm, path: Path) -> None:
        """A result belongs to the film inside the file, so a file under another film's name must not pass."""
        limits = DecodeLimits(max_file_bytes=self._limits.max_film_bytes)
        try:
            found = read_text(parse_dicom(path.read_bytes(), limits=limits).dataset, "SOPInstanceUID")
        except FilmFailed:
            return  # damaged: the reader says how
        if found and found != film.sop_uid:
            path.unlink()
            raise FilmFailed("the archive sent another instance than the one that was asked for", code="not-fetched")

    def _persist(self, ask: Callable[[], Answer]) -> Answer:
        """Ask until it works, it cannot work, or the attempts are used up."""
        pause_s = self._limits.pause_s
        attempts = self._limits.attempts if self._num_lost < _LOST_BEFORE_HASTE else 1
        for left in reversed(range(attempts)):
            try:
                answer = ask()
            except (requests.RequestException, MalformedAnswer) as error:
                if left and is_transient(error):
                    self._sleep(min(max(pause_s, wished_pause_s(error)), _LONGEST_PAUSE_S))
                    pause_s *= 2
                    continue
                self._num_lost += is_transient(error)
                raise
            self._num_lost = 0
            return answer
        raise AssertionError("there is at least one attempt")


def _value(match: Match, tag: str) -> str:
    """The first value of an attribute in DICOM's JSON model (PS3.18 F.2), or ""."""
    element = match.get(tag)
    values = element.get("Value") if isinstance(element, Mapping) else None
    return values[0].strip(" \0") if isinstance(values, list) and values and isinstance(values[0], str) else ""


def _uids(matches: Sequence[Match], tag: str) -> list[str]:
    return [_value(match, tag) for match in matches]


def _refuse(*, sop_class: str, modality: str) -> FilmRefused | None:
    try:
        check_kind(sop_class=sop_class, modality=modality)
    except FilmRefused as error:
        return error
    return None


def _unnamed(study_uid: str, series_uid: str, sop_uid: str) -> ArchivedFilm:
    problem = FilmFailed("the archive names an object by something that is no UID; it was not asked for", code="not-fetched")
    return ArchivedFilm(study_uid, series_uid, sop_uid or f"{study_uid}/{series_uid}", problem)


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """The HTTP libraries log addresses, and so UIDs and searches; nothing of that is logged inside."""
    with ExitStack() as silence:
        for name in ("dicomweb_client", "retrying", "urllib3"):
            logger = logging.getLogger(name)
            silence.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL + 1)
        yield
