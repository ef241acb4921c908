"""What is answered to an object that arrives: whether the node takes it in, and if not, why."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from xraynet.errors import FilmFailed
from xraynet.ingest.dicom_quiet import quiet_pydicom
from xraynet.ingest.dicom_tags import read_text
from xraynet.ingest.limits import inflate_at_most
from xraynet.reporting.dicom_object import IMPLEMENTATION_UID
from xraynet.service.node.counters import Counters
from xraynet.service.node.film_queue import Arrival, FilmQueue
from xraynet.service.node.log import NodeLog
from xraynet.service.node.services import (
    INTERNAL,
    MISMATCH,
    NOT_UNDERSTOOD,
    OTHER_INSTANCE,
    OUT_OF_RESOURCES,
    OWN_RESULT,
    STOPPING,
    STORED_BY,
    SUCCESS,
    Answer,
)

_MANUFACTURER: Final = "xraynet"
_MANUFACTURER_TAG: Final = 0x00080070
_HEAD_BYTES: Final = 1 << 20
_CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class Incoming:
    """An object as a C-STORE request brings it: what the command says, and the data set as it was sent."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    body: memoryview
    peer: str


@dataclass(frozen=True)
class ObjectHead:
    """The first elements of a data set: what it is, and who made it."""

    sop_class: str
    sop_instance: str
    manufacturer: str


def read_head(incoming: Incoming) -> ObjectHead:
    """The first elements of a data set, up to Manufacturer. Raises FilmFailed where they cannot be parsed."""
    syntax = UID(incoming.transfer_syntax)
    head = incoming.body[:_HEAD_BYTES]
    if syntax == DeflatedExplicitVRLittleEndian:
        unfolded, _ = inflate_at_most(incoming.body, max_bytes=_HEAD_BYTES, raw=True)
        head = memoryview(unfolded)
    try:
        with quiet_pydicom():
            dataset = read_dataset(
                BytesIO(head),
                is_implicit_VR=syntax == ImplicitVRLittleEndian,
                is_little_endian=syntax != ExplicitVRBigEndian,
                stop_when=lambda tag, _vr, _length: tag > _MANUFACTURER_TAG,
            )
            return ObjectHead(*(read_text(dataset, name) for name in ("SOPClassUID", "SOPInstanceUID", "Manufacturer")))
    except Exception as error:  # hostile bytes break a parser in ways that nobody lists (RecursionError among them)
        raise FilmFailed(f"the head cannot be parsed ({type(error).__name__})", code="damaged") from None


def write_part10(incoming: Incoming) -> Iterator[bytes | memoryview]:
    """The object as a Part 10 file, piece by piece; the same object is the same file whoever sends it, and whenever."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(incoming.sop_class)
    meta.MediaStorageSOPInstanceUID = UID(incoming.sop_instance)
    meta.TransferSyntaxUID = UID(incoming.transfer_syntax)
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = STORED_BY
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    with quiet_pydicom():
        write_file_meta_info(stream, meta)
    yield b"\0" * 128 + b"DICM"
    yield stream.getvalue()
    for start in range(0, len(incoming.body), _CHUNK):
        yield incoming.body[start : start + _CHUNK]


class Reception:
    """Decides on every object and takes in those that are for us. Answers from any thread."""

    def __init__(
        self,
        queue: FilmQueue,
        *,
        log: NodeLog,
        counters: Counters,
        min_free_bytes: float,
        find_free_bytes: Callable[[Path], float] | None = None,
    ) -> None:
        """``find_free_bytes``: how much of a folder's disk is free, by default what the system says."""
        self.queue, self.log, self.counters = queue, log, counters
        self.is_stopping = threading.Event()
        self._min_free_bytes = min_free_bytes
        self._find_free_bytes = find_free_bytes or (lambda folder: float(shutil.disk_usage(folder).free))

    @property
    def free_bytes(self) -> float:
        """Free space on the disk of the queue."""
        return self._find_free_bytes(self.queue.folder)

    @property
    def has_room(self) -> bool:
        """Whether films are accepted as far as the disk goes."""
        return self.free_bytes >= self._min_free_bytes

    def take_in(self, incoming: Incoming) -> Answer:
        """The answer to one object; with success it is on disk."""
        try:
            answer = self._decide(incoming) or self._keep(incoming)
        except OSError as error:
            self.log.error("store-failed", error=type(error).__name__, errno=error.errno)
            answer = OUT_OF_RESOURCES
        except Exception as error:  # one object, whatever is in it, never ends the node
            self.log.broke("store-broke", error)
            self.counters.count("broken")
            answer = INTERNAL
        if answer is not SUCCESS:
            self._refuse(answer, incoming)
        return answer

    def _decide(self, incoming: Incoming) -> Answer | None:
        """Why an object is not taken in; None where it is."""
        if self.is_stopping.is_set():
            return STOPPING
        if not self.has_room:
            return OUT_OF_RESOURCES
        try:
            head = read_head(incoming)
        except FilmFailed:
            return NOT_UNDERSTOOD
        if head.manufacturer.lower() == _MANUFACTURER or self.queue.is_own_result(incoming.sop_instance):
            return OWN_RESULT
        if not head.sop_class:
            return NOT_UNDERSTOOD
        if head.sop_class != incoming.sop_class.strip("\0 "):
            return MISMATCH
        if not head.sop_instance or head.sop_instance != incoming.sop_instance.strip("\0 "):
            return OTHER_INSTANCE
        return None

    def _keep(self, incoming: Incoming) -> Answer:
        received, arrival = self.queue.receive(
            write_part10(incoming),
            sop_instance_uid=incoming.sop_instance,
            sop_class=incoming.sop_class,
            transfer_syntax=incoming.transfer_syntax,
        )
        self._tell(arrival, film=received.id, num_bytes=received.num_bytes, peer=incoming.peer)
        return SUCCESS

    def _tell(self, arrival: Arrival, *, film: str, num_bytes: int, peer: str) -> None:
        if arrival == "again":
            self.counters.count("received_again")
            self.log.info("received-again", film=film, peer=peer)
            return
        self.counters.count("received")
        self.log.info("received", film=film, bytes=num_bytes, peer=peer)
        if arrival == "conflict":
            self.counters.count("received_conflicts")
            self.counters.note_error("uid-conflict")
            self.log.warning("uid-conflict", film=film, peer=peer, kept="apart; the first film's results stay the study's")

    def _refuse(self, answer: Answer, incoming: Incoming) -> None:
        is_full = answer in (OUT_OF_RESOURCES, STOPPING)
        own = answer is OWN_RESULT
        self.counters.count("refused_out_of_resources" if is_full else "refused_own_results" if own else "refused_other")
        if not own:
            self.counters.note_error(f"store-{answer.status:04X}")
        self.log.warning("refused", status=f"{answer.status:04X}", why=answer.comment, peer=incoming.peer)
