"""What is written down of a received film on its way through the node: no name, no number, no UID, only fingerprints."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final, Literal, TypeVar

from xraynet.errors import ServiceError
from xraynet.findings import OutcomeStatus

FilmState = Literal["waiting", "to-send", "done"]
DeliveryState = Literal["stored", "refused"]
_Record = TypeVar("_Record")


def digest_of_uid(uid: str) -> str:
    """A UID as 32 hex digits: enough to know it again, nothing to read in it (and safe in a file's name)."""
    return hashlib.sha256(uid.strip("\0 ").encode("utf-8", "replace")).hexdigest()[:32]


@dataclass(frozen=True)
class Received:
    """A film as it arrived. ``received_ns`` since 1970, also the order in which films are read."""

    sha256: str
    uid_digest: str
    received_ns: int
    sop_class: str
    transfer_syntax: str
    num_bytes: int

    @property
    def id(self) -> str:
        """The name of the film in logs and in the folder of readings."""
        return self.sha256[:16]


@dataclass(frozen=True)
class Concluded:
    """What became of a film. ``kept_apart``: another film of the same SOP Instance UID has the results in the archive.

    ``version``: of xraynet; a film that failed is tried again by another one.
    """

    status: OutcomeStatus
    code: str
    reason: str
    concluded_at: float
    version: str
    kept_apart: bool = False


@dataclass(frozen=True)
class ResultObject:
    """One DICOM object made of a film, as a whole Part 10 file, under a plain name such as ``sr.dcm``."""

    name: str
    sop_class_uid: str
    sop_instance_uid: str
    content: bytes

    def __post_init__(self) -> None:
        if not self.name or set(self.name) - set("abcdefghijklmnopqrstuvwxyz0123456789-.") or self.name.startswith("."):
            raise ValueError(f"a result is named '{self.name}'; small letters, digits, '-' and '.' were expected")


@dataclass(frozen=True)
class ResultEntry:
    """A persisted result: its file's name, class, and the digest of its SOP Instance UID."""

    name: str
    sop_class: str
    uid_digest: str


@dataclass(frozen=True)
class Delivery:
    """What the archive answered to one result. ``status``: the DIMSE status, 0 where no context was accepted."""

    name: str
    state: DeliveryState
    status: int
    delivered_at: float


@dataclass(frozen=True)
class LedgerLine:
    """What stays of a film after its files are gone: enough to know it again."""

    sha256: str
    uid_digest: str
    has_results: bool
    status: OutcomeStatus


def to_json(record: object) -> str:
    """A record as one line of JSON, with its line break."""
    return json.dumps(asdict(record), sort_keys=True) + "\n"  # type: ignore[call-overload]


def from_json(kind: type[_Record], text: str, *, where: Path) -> _Record:
    """The record in a line. Raises ServiceError where it is none; ``where`` names the file."""
    try:
        values = json.loads(text)
        known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
        if not isinstance(values, dict) or not known >= values.keys():
            raise ValueError(f"an object with {', '.join(sorted(known))} was expected")
        return kind(**values)
    except (ValueError, TypeError) as error:
        raise ServiceError(f"{where}: not a {kind.__name__.lower()} record: {error}") from error


RECEIVED_NAME: Final = "received.json"
CONCLUDED_NAME: Final = "outcome.json"
RESULTS_NAME: Final = "results.json"
DELIVERIES_NAME: Final = "deliveries.jsonl"
ATTEMPTS_NAME: Final = "attempts"
FILM_NAME: Final = "film.dcm"
