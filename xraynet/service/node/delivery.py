"""Results on their way to the archive: C-STORE, again and again until the archive has an answer that counts."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import _config as pynetdicom_config
from pynetdicom.association import Association

from xraynet.ingest.dicom_codecs import install_decoders
from xraynet.ingest.dicom_quiet import quiet_pydicom
from xraynet.service.node.counters import Counters
from xraynet.service.node.film_queue import FilmQueue
from xraynet.service.node.log import NodeLog
from xraynet.service.node.options import NodeOptions
from xraynet.service.node.peers import Archive
from xraynet.service.node.records import Delivery, ResultEntry
from xraynet.service.node.server import make_entity
from xraynet.service.node.services import FALLBACK_SYNTAXES
from xraynet.service.node.sockets import mend_closing
from xraynet.service.node.tls import make_client_context

Verdict = Literal["stored", "again", "refused"]
_FILMS_AT_ONCE: Final = 16
PROCESSING_FAILURES_BELIEVED: Final = 10
_PROCESSING_FAILURE: Final = 0x0110
_NO_ROOM_BELIEVED: Final = 5
"""An archive that had no room for one result so often is asked about the others: some say so of what they cannot store."""


def judge_status(status: int) -> Verdict:
    """What an archive's C-STORE status means for a result (PS3.4 B.2.3, PS3.7 C).

    A warning says that it was stored, if not to the letter; a duplicate that it had been stored. Out of resources and a
    processing failure pass. All else will be the same next time.

    >>> [judge_status(status) for status in (0x0000, 0xB000, 0x0111, 0xA700, 0xC000)]
    ['stored', 'stored', 'stored', 'again', 'refused']
    """
    if status in (0x0000, 0x0001, 0x0107, 0x0111, 0x0116) or 0xB000 <= status <= 0xBFFF:
        return "stored"
    if 0xA700 <= status <= 0xA7FF or status in (_PROCESSING_FAILURE, 0x0213):
        return "again"
    return "refused"


class Backoff:
    """How long to wait after failures in a row: twice as long each time up to a cap, give or take a half."""

    def __init__(self, *, first_s: float, cap_s: float, rng: random.Random | None = None) -> None:
        """``rng`` draws the jitter, by which nodes that lost one archive do not all come back at once."""
        self._first_s, self._cap_s = first_s, cap_s
        self._rng = rng or random.Random()  # noqa: S311  no secret
        self.failures = 0

    def next_wait_s(self) -> float:
        """Count a failure; returns the seconds to wait."""
        self.failures += 1
        longest = min(self._cap_s, self._first_s * 2.0 ** min(self.failures - 1, 40))
        return longest * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """It worked."""
        self.failures = 0


@dataclass(frozen=True)
class _Parcel:
    """A result to be sent: of which film, its entry in the queue, its data set, and the transfer syntax that it is in."""

    sha256: str
    entry: ResultEntry
    dataset: Dataset
    syntax: UID


class _NotNow(Exception):
    """The archive cannot take results now; ``why`` is a code for the log."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Courier:
    """Sends results to one archive, in a thread of its own, until it is told to stop."""

    def __init__(
        self,
        queue: FilmQueue,
        archive: Archive,
        *,
        options: NodeOptions,
        log: NodeLog,
        counters: Counters,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Raises ServiceError where the TLS files are no good."""
        pynetdicom_config.LOG_HANDLER_LEVEL = "none"
        mend_closing()
        install_decoders()
        self._queue, self._archive, self._options = queue, archive, options
        self._log, self._counters, self._now = log, counters, now
        self._stopping = threading.Event()
        self._backoff = Backoff(first_s=options.retry_first_s, cap_s=options.retry_cap_s)
        self._failures: dict[tuple[str, str], int] = {}
        self._tls = None
        if options.forward_tls:
            assert options.tls is not None
            self._tls = (make_client_context(options.tls), archive.host)
        self._thread = threading.Thread(target=self._run, name="deliver")

    @property
    def is_alive(self) -> bool:
        """False once the thread has ended."""
        return self._thread.is_alive()

    @property
    def failures_in_a_row(self) -> int:
        """How often the archive could not be reached, or had no room, since it last took something."""
        return self._backoff.failures

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """End after the object that is being sent."""
        self._stopping.set()
        self._queue.wake()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            batch = self._queue.next_to_send(most=_FILMS_AT_ONCE)
            if not batch:
                self._queue.wait(1.0)
                continue
            try:
                self.send([(received.sha256, entry) for received, entries in batch for entry in entries])
                self._backoff.reset()
            except _NotNow as error:
                self._wait(error.why)
            except OSError as error:  # the disk of the queue, or the name of the archive's host
                self._wait(f"system-{type(error).__name__}")
            except Exception as error:  # whatever breaks on the way, results are sent again rather than lost
                self._log.broke("delivery-broke", error)
                self._counters.count("broken")
                self._wait("broken")

    def _wait(self, why: str) -> None:
        wait_s = self._backoff.next_wait_s()
        self._counters.count("delivery_retries")
        self._counters.note_error(f"archive-{why}")
        self._log.warning("archive-not-now", why=why, archive=self._archive.ae_title, again_in_s=wait_s)
        self._stopping.wait(wait_s)

    def send(self, results: list[tuple[str, ResultEntry]]) -> None:
        """Send results over one association and keep what the archive says. Raises _NotNow where it could not take all."""
        parcels = [parcel for sha256, entry in results if (parcel := self._read(sha256, entry)) is not None]
        if not parcels:
            return
        association = self._associate(parcels)
        try:
            troubles = []
            for parcel in parcels:
                if self._stopping.is_set():
                    return
                trouble = self._send(association, parcel)
                if trouble:
                    self._queue.put_last(parcel.sha256)
                    troubles.append(trouble)
            if troubles:
                raise _NotNow(troubles[0])
        finally:
            if association.is_established:
                association.release()

    def _read(self, sha256: str, entry: ResultEntry) -> _Parcel | None:
        """A result from the disk; None where it is there no more, or damaged: it holds up nobody."""
        try:
            with quiet_pydicom():
                dataset = dcmread(self._queue.result_path(sha256, entry.name))
                return _Parcel(
                    sha256=sha256, entry=entry, dataset=dataset, syntax=UID(str(dataset.file_meta.TransferSyntaxUID))
                )
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                raise
        except Exception:  # noqa: S110  damaged bytes break a parser in ways that nobody lists
            pass
        self._refuse(sha256, entry, 0, "the result cannot be read from the disk")
        return None

    def _associate(self, parcels: list[_Parcel]) -> Association:
        entity = make_entity(self._options)
        offered = {(UID(parcel.entry.sop_class), parcel.syntax) for parcel in parcels}
        for sop_class, syntax in sorted(offered):
            entity.add_requested_context(sop_class, [syntax])
        for sop_class in sorted({sop_class for sop_class, _ in offered}):
            for syntax in FALLBACK_SYNTAXES:
                if (sop_class, syntax) not in offered:
                    entity.add_requested_context(sop_class, [syntax])
        archive, here = self._archive, self._archive.loopback
        association = entity.associate(
            archive.host,
            archive.port,
            ae_title=archive.ae_title,
            tls_args=self._tls,
            # An archive on this machine is spoken to from nowhere else.
            bind_address=(here, 0) if here is not None else None,
        )
        if not association.is_established:
            raise _NotNow("rejected" if association.is_rejected else "unreachable")
        return association

    def _send(self, association: Association, parcel: _Parcel) -> str:
        """Send one result; returns why it could not be sent, and may be next time ("" where the archive has answered)."""
        if not association.is_established:
            raise _NotNow("connection-lost")
        try:
            with quiet_pydicom():
                dataset = _fit(parcel, association)
                if dataset is None:
                    self._refuse(parcel.sha256, parcel.entry, 0, "no presentation context was accepted")
                    return ""
                answer = association.send_c_store(dataset)
        except OSError:
            raise
        except Exception as error:  # what a damaged result breaks in decoding and encoding, nobody lists
            why = f"send-{type(error).__name__}"
            if not association.is_established:
                raise _NotNow(why) from None
            return self._doubt(parcel, 0, why=why)
        if "Status" not in answer:
            raise _NotNow("no-answer")
        return self._settle(parcel, int(answer.Status))

    def _settle(self, parcel: _Parcel, status: int) -> str:
        verdict, why = judge_status(status), f"status-{status:04X}"
        if verdict == "again" and status == _PROCESSING_FAILURE:
            return self._doubt(parcel, status, why=why)
        if verdict == "again":
            if self._count_failure(parcel) < _NO_ROOM_BELIEVED:
                raise _NotNow(why)
            return why
        if verdict == "refused":
            self._refuse(parcel.sha256, parcel.entry, status, "the archive does not take it")
            return ""
        self._queue.record_delivery(parcel.sha256, Delivery(parcel.entry.name, "stored", status, self._now()))
        self._failures.pop((parcel.sha256, parcel.entry.name), None)
        self._backoff.reset()
        self._counters.count("deliveries")
        level = self._log.warning if status else self._log.info
        level("delivered", film=parcel.sha256[:16], result=parcel.entry.name, status=f"{status:04X}")
        return ""

    def _doubt(self, parcel: _Parcel, status: int, *, why: str) -> str:
        """A failure at this one result may pass, but not for ever: after some the object itself is to blame."""
        if self._count_failure(parcel) < PROCESSING_FAILURES_BELIEVED:
            return why
        self._refuse(parcel.sha256, parcel.entry, status, f"it failed {PROCESSING_FAILURES_BELIEVED} times ({why})")
        return ""

    def _count_failure(self, parcel: _Parcel) -> int:
        key = (parcel.sha256, parcel.entry.name)
        self._failures[key] = self._failures.get(key, 0) + 1
        return self._failures[key]

    def _refuse(self, sha256: str, entry: ResultEntry, status: int, why: str) -> None:
        self._queue.record_delivery(sha256, Delivery(entry.name, "refused", status, self._now()))
        self._failures.pop((sha256, entry.name), None)
        self._counters.count("deliveries_refused")
        self._counters.note_error(f"archive-refused-{status:04X}")
        self._log.error("delivery-refused", film=sha256[:16], result=entry.name, status=f"{status:04X}", why=why)


def _fit(parcel: _Parcel, association: Association) -> Dataset | None:
    """The result in a transfer syntax that was accepted: its own, or uncompressed. None where neither was."""
    accepted = {
        UID(str(context.transfer_syntax[0]))
        for context in association.accepted_contexts
        if str(context.abstract_syntax) == parcel.entry.sop_class
    }
    if parcel.syntax in accepted:
        return parcel.dataset
    if not accepted & set(FALLBACK_SYNTAXES):
        return None
    if parcel.syntax.is_compressed:
        parcel.dataset.decompress(generate_instance_uid=False)
    return parcel.dataset  # pynetdicom encodes it as the context asks, explicit or implicit
