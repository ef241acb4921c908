"""Films out of the queue, read by the same road as every other film, and their results into the queue."""

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Final

import xraynet
from xraynet.batch.decode import DecodedFilm, DecodeRequest, DecodeWorker
from xraynet.batch.film_reader import FilmReader
from xraynet.batch.journal import Journal
from xraynet.batch.worklist_files import write_worklist
from xraynet.errors import FilmFailed
from xraynet.findings import Outcome
from xraynet.ingest.limits import DecodeLimits
from xraynet.reporting.dicom_object import DicomObject
from xraynet.service.node.counters import Counters
from xraynet.service.node.film_queue import MOST_ATTEMPTS, FilmQueue
from xraynet.service.node.log import NodeLog
from xraynet.service.node.records import Concluded, Received, ResultObject

_LOOK_AHEAD: Final = 2
_DISK_WAIT_S: Final = 10.0
_WORKLIST_SHARE: Final = 20.0
"""The worklist is written again after at least so many times as long as writing it took: a long one costs little."""


@dataclass(frozen=True)
class _Ahead:
    received: Received
    ticket: int


class Analyst:
    """Reads films one after the other, in a thread of its own, until it is told to stop."""

    def __init__(
        self,
        queue: FilmQueue,
        reader: FilmReader,
        journal: Journal,
        *,
        log: NodeLog,
        counters: Counters,
    ) -> None:
        self._queue, self._journal = queue, journal
        # The results carry the patient: they stay in the queue, which is swept, and not beside the readings, which are not.
        self._reader = replace(reader, take_objects=self._take_objects)
        self._objects: tuple[DicomObject, ...] = ()
        self._log, self._counters = log, counters
        self._limits = DecodeLimits.of_megapixels(reader.options.max_megapixels)
        self._stopping = threading.Event()
        self._ahead: deque[_Ahead] = deque()
        self._put_off: set[str] = set()
        self._worklist_is_old = True
        self._worklist_due_at = 0.0
        self._thread = threading.Thread(target=self._run, name="analyse")

    @property
    def is_alive(self) -> bool:
        """False once the thread has ended."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End after the film that is being read."""
        self._stopping.set()
        self._queue.wake()
        self._thread.join()

    def _run(self) -> None:
        with DecodeWorker(limit_s=self._reader.options.decode_limit_s) as worker:
            while not self._stopping.is_set():
                try:
                    self._step(worker)
                except OSError as error:  # a full disk: the film stays in the queue until there is room
                    self._log.error("analysis-waits", error=type(error).__name__, errno=error.errno, again_in_s=_DISK_WAIT_S)
                    self._counters.note_error("disk")
                    self._stopping.wait(_DISK_WAIT_S)
        self._write_worklist()

    def _step(self, worker: DecodeWorker) -> None:
        """Read one film, or see to the worklist and wait for one."""
        self._look_ahead(worker)
        if not self._ahead:
            if self._worklist_is_old:
                self._write_worklist()
            self._queue.wait(1.0)
            return
        first = self._ahead.popleft()
        decoded = worker.take_decoded(first.ticket)
        started_at = time.perf_counter()
        received = first.received
        if not self._queue.begin(received.sha256):
            decoded = DecodedFilm(FilmFailed(f"reading it ended the node {MOST_ATTEMPTS} times", code="internal-error"))
        self._objects = ()
        try:
            outcome = self._reader.conclude(decoded, shown=received.id, sha256=received.sha256, started_at=started_at)
            self._conclude(received, outcome)
        except OSError:
            # Films behind it go first: it may be this one's folder that cannot be written.
            self._put_off.add(received.sha256)
            self._queue.take_back(received.sha256)
            raise
        if self._worklist_is_old and time.monotonic() >= self._worklist_due_at:
            self._write_worklist()

    def _look_ahead(self, worker: DecodeWorker) -> None:
        while len(self._ahead) < _LOOK_AHEAD:
            taken = {each.received.sha256 for each in self._ahead}
            received = self._queue.next_waiting(exclude=taken | self._put_off)
            if received is None and self._put_off:
                self._put_off.clear()
                received = self._queue.next_waiting(exclude=taken)
            if received is None:
                return
            path = self._queue.path_of(received.sha256)
            options = self._reader.options
            request = DecodeRequest(
                path=path,
                limits=self._limits,
                spacing_mm=options.spacing_mm,
                with_source=bool(options.dicom_results),
            )
            self._ahead.append(_Ahead(received, worker.ask(request)))

    def _take_objects(self, objects: tuple[DicomObject, ...]) -> None:
        self._objects = objects

    def _conclude(self, received: Received, outcome: Outcome) -> None:
        kept_apart = self._queue.is_kept_apart(received.sha256)
        results = () if kept_apart else tuple(map(_to_result, self._objects))
        self._journal.append(outcome)
        concluded = Concluded(
            status=outcome.status,
            code=outcome.code,
            reason=outcome.reason,
            concluded_at=time.time(),
            version=xraynet.__version__,
            kept_apart=kept_apart,
        )
        self._queue.conclude(received.sha256, concluded, results)
        self._worklist_is_old = True
        if outcome.status == "failed":
            self._counters.note_error(f"film-{outcome.code}")
        tell = self._log.warning if outcome.status == "failed" or kept_apart else self._log.info
        tell(
            "concluded",
            film=received.id,
            status=outcome.status,
            code=outcome.code or None,
            results=len(results),
            kept_apart=kept_apart or None,
            waited_s=time.time() - received.received_ns / 1e9,
            elapsed_s=outcome.elapsed_s,
        )

    def _write_worklist(self) -> None:
        started_at = time.monotonic()
        try:
            write_worklist(self._journal.outcomes(), reader=self._reader)
        except OSError as error:
            self._log.error("worklist-not-written", error=type(error).__name__, errno=error.errno)
        else:
            self._worklist_is_old = False
        took_s = time.monotonic() - started_at
        self._worklist_due_at = time.monotonic() + max(5.0, _WORKLIST_SHARE * took_s)


def _to_result(made: DicomObject) -> ResultObject:
    return ResultObject(
        name=made.name, sop_class_uid=made.sop_class_uid, sop_instance_uid=made.sop_instance_uid, content=made.content
    )
