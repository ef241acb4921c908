"""A whole node: its parts started in order, watched, and stopped in order."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import xraynet
from xraynet.batch.film_reader import FilmReader
from xraynet.batch.journal import NODE_NAME, Journal, hold_folder
from xraynet.batch.options import FolderOptions
from xraynet.errors import ServiceError
from xraynet.inference.predictor import Predictor
from xraynet.service.node.analysis import Analyst
from xraynet.service.node.counters import Counters
from xraynet.service.node.delivery import Courier
from xraynet.service.node.film_queue import FilmQueue
from xraynet.service.node.health import Health, HealthServer, State
from xraynet.service.node.log import NodeLog, silence_libraries
from xraynet.service.node.options import NodeOptions
from xraynet.service.node.reception import Reception
from xraynet.service.node.server import DicomServer
from xraynet.service.node.systemd import Notifier
from xraynet.service.node.upkeep import Upkeep

_GRACE_S: Final = 10.0
_ARCHIVE_TROUBLE: Final = 3
"""Failures in a row before an archive that does not answer is worth a person's look."""
_POLL_S: Final = 0.5


class Node:
    """A node over one folder of results. The caller holds the folder."""

    def __init__(
        self,
        predictor: Predictor,
        *,
        out: Path,
        options: NodeOptions,
        folder_options: FolderOptions,
        log: NodeLog,
    ) -> None:
        """Open the queue and bind the ports. Raises ServiceError where one of them cannot be had."""
        self._options, self._log, self._counters = options, log, Counters()
        self._started_at = time.monotonic()
        self._is_stopping = False
        self.queue = FilmQueue(
            out / NODE_NAME,
            delivers=options.forward is not None,
            version=xraynet.__version__,
            retry_refused=options.retry_refused,
        )
        for film in self.queue.damaged:
            log.error("put-aside", film=film, why="its record in the queue is damaged")
        reader = FilmReader.of(predictor, out=out, options=folder_options)
        journal = Journal(out, reader.key, other_key="keep")
        if journal.restarted:
            log.warning("model-changed", differs=", ".join(journal.restarted), kept="what was read before stays as it was read")
        retention = options.retention
        self._reception = Reception(self.queue, log=log, counters=self._counters, min_free_bytes=retention.min_free_bytes)
        self._analyst = Analyst(self.queue, reader, journal, log=log, counters=self._counters)
        self._courier = (
            Courier(self.queue, options.forward, options=options, log=log, counters=self._counters)
            if options.forward is not None
            else None
        )
        self._upkeep = Upkeep(self.queue, retention, log=log, counters=self._counters)
        self._health = HealthServer(options.health_port, self.measure)
        try:
            self._server = DicomServer(self._reception, options=options, log=log, counters=self._counters)
        except ServiceError:
            self._health.close()
            raise

    @property
    def port(self) -> int:
        """The port for DICOM."""
        return self._server.port

    @property
    def health_port(self) -> int:
        """The port of the health page."""
        return self._health.port

    def start(self) -> None:
        """Start all parts; peers are let in last."""
        self._health.start()
        self._analyst.start()
        if self._courier is not None:
            self._courier.start()
        self._server.start()
        options = self._options
        self._log.info(
            "listening",
            ae_title=options.ae_title,
            host=options.bind_host,
            port=self.port,
            health_port=self.health_port,
            tls=options.tls is not None,
            forward=f"{options.forward.ae_title}@{options.forward.host}:{options.forward.port}" if options.forward else None,
            waiting=self.queue.figures().waiting,
            version=xraynet.__version__,
        )

    def watch(self, stopping: threading.Event, *, notifier: Notifier) -> None:
        """Keep the house until ``stopping`` is set. Raises ServiceError where a part has died."""
        while not stopping.wait(_POLL_S):
            dead = self._find_dead()
            if dead:
                raise ServiceError(f"the node's {' and '.join(dead)} ended without being asked to")
            notifier.feed_watchdog()
            self._upkeep.run_if_due()

    def stop(self) -> None:
        """Let nobody in, finish the film and the object at hand, and end."""
        self._is_stopping = True
        self._log.info("stopping")
        self._server.stop(grace_s=_GRACE_S)
        self._reception.is_stopping.set()
        self._analyst.stop()
        if self._courier is not None:
            self._courier.stop()
        self._health.stop()
        figures = self.queue.figures()
        self._log.info("stopped", waiting=figures.waiting, to_send=figures.to_send)

    def measure(self) -> Health:
        """How the node is now."""
        figures = self.queue.figures()
        failures = self._courier.failures_in_a_row if self._courier is not None else 0
        dead = self._find_dead()
        free_bytes = self._reception.free_bytes
        problems = (
            *(f"the {part} ended" for part in dead),
            *(() if free_bytes >= self._options.retention.min_free_bytes else ("free disk space is below the floor",)),
            *(() if failures < _ARCHIVE_TROUBLE else ("the archive cannot be reached, or has no room",)),
            *(() if not figures.results_refused else ("the archive refused results",)),
            *(() if not self.queue.damaged else ("records of the queue were damaged",)),
        )
        state: State = "stopping" if self._is_stopping else "failing" if dead else "degraded" if problems else "ok"
        return Health(
            state=state,
            problems=problems,
            version=xraynet.__version__,
            uptime_s=time.monotonic() - self._started_at,
            free_disk_bytes=free_bytes,
            archive_failures_in_a_row=failures,
            last_error=self._counters.last_error,
            queue=figures,
            counts=self._counters.snapshot(),
        )

    def _find_dead(self) -> list[str]:
        parts = {"server": self._server.is_alive, "analysis": self._analyst.is_alive}
        if self._courier is not None:
            parts["delivery"] = self._courier.is_alive
        return [] if self._is_stopping else [name for name, is_alive in parts.items() if not is_alive]


def run_node(
    predictor: Predictor,
    *,
    out: Path,
    options: NodeOptions,
    folder_options: FolderOptions,
    log: NodeLog | None = None,
    on_start: Callable[[Node], None] | None = None,
) -> None:
    """Run a node until SIGTERM or SIGINT. Raises ServiceError where it cannot start, or where a part of it died."""
    log = log or NodeLog()
    notifier = Notifier()
    with ExitStack() as stack:
        stack.enter_context(silence_libraries(log))
        stack.enter_context(hold_folder(out))
        stopping = stack.enter_context(_stop_on_signals())
        node = Node(predictor, out=out, options=options, folder_options=folder_options, log=log)
        node.start()
        if on_start is not None:
            on_start(node)
        notifier.say("READY=1")
        try:
            node.watch(stopping, notifier=notifier)
        finally:
            notifier.say("STOPPING=1")
            node.stop()


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set."""
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        stopping.set()

    earlier = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
