"""Films decoded ahead of the detector, in a process of their own: a codec that crashes or hangs costs one file, not the run.

The process is spawned, never forked from one with torch's threads, and never imports torch.
"""

import logging
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from xraynet.dicom_source import DicomSource, NoSource
from xraynet.errors import FilmError, FilmFailed
from xraynet.ingest.dicom_source import read_dicom_source
from xraynet.ingest.limits import DecodeLimits
from xraynet.ingest.read import read_radiograph
from xraynet.radiograph import Radiograph

_MEMORY_BYTES: Final = 6 << 30


@dataclass(frozen=True)
class DecodeRequest:
    """One file to decode, the limits that hold, and the spacing for a film that states none.

    ``with_source``: bring along what DICOM results must know of the film's header.
    """

    path: Path
    limits: DecodeLimits
    spacing_mm: tuple[float, float] | None
    with_source: bool = False


_UNASKED: Final = NoSource("it was not asked for", is_dicom=False)


@dataclass(frozen=True)
class DecodedFilm:
    """A film, or why there is none; and its DICOM source, or why it has none, where that was asked for."""

    film: Radiograph | FilmError
    source: DicomSource | NoSource = _UNASKED


def decode_film(request: DecodeRequest) -> Radiograph | FilmError:
    """The film, or why there is none (as a value: it crosses processes)."""
    try:
        return read_radiograph(request.path, limits=request.limits, spacing_mm=request.spacing_mm)
    except FilmError as error:
        return error
    except Exception as error:  # the per-file boundary of the run
        return FilmFailed(f"reading broke with {type(error).__name__}", code="internal-error")


def _decode_with_source(decode: Callable[[DecodeRequest], Radiograph | FilmError], request: DecodeRequest) -> DecodedFilm:
    film = decode(request)
    if not request.with_source or isinstance(film, FilmFailed):
        return DecodedFilm(film)
    try:
        return DecodedFilm(film, read_dicom_source(request.path, limits=request.limits))
    except Exception as error:  # the per-file boundary: the film stands, only its results have no place
        return DecodedFilm(film, NoSource(f"the header cannot be read again ({type(error).__name__})"))


def _prepare_worker() -> None:
    # Libraries complain about odd headers with the header's text, which may name a patient.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    # An interruption is the run's to handle, and a run that is killed must not leave its decoder behind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    except (ImportError, ValueError, OSError):  # no such limit on this system
        return


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class DecodeWorker:
    """Decodes films one after the other in a spawned process, which is replaced when it dies or hangs."""

    def __init__(self, *, limit_s: float, decode: Callable[[DecodeRequest], Radiograph | FilmError] = decode_film) -> None:
        self._limit_s = limit_s
        self._decode = decode
        self._pool = self._start()
        self._pending: dict[int, tuple[DecodeRequest, Future[DecodedFilm]]] = {}
        self._next = 0

    def __enter__(self) -> "DecodeWorker":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def ask(self, request: DecodeRequest) -> int:
        """Have a file decoded; returns the ticket to ``take`` it with. Tickets are taken in the order asked."""
        ticket = self._next
        self._next += 1
        self._pending[ticket] = (request, self._submit(request))
        return ticket

    def take(self, ticket: int) -> Radiograph | FilmError:
        """Wait for the film of a ticket. A worker that died or took too long is an error of this film alone."""
        return self.take_decoded(ticket).film

    def take_decoded(self, ticket: int) -> DecodedFilm:
        """``take``, with the film's DICOM source where the request asked for it."""
        _, future = self._pending.pop(ticket)
        try:
            return future.result(timeout=self._limit_s)
        except FutureTimeout:
            self._restart()
            return DecodedFilm(FilmFailed(f"the film was not read within {self._limit_s:g} s", code="time-limit"))
        except BrokenProcessPool:
            self._restart()
            return DecodedFilm(FilmFailed("the decoder died while it read the film", code="internal-error"))

    def _start(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(max_workers=1, mp_context=context, initializer=_prepare_worker)

    def _submit(self, request: DecodeRequest) -> "Future[DecodedFilm]":
        try:
            return self._pool.submit(_decode_with_source, self._decode, request)
        except BrokenProcessPool:
            # Whoever broke it has not been taken yet, and is told so; this file starts afresh.
            self._pool = self._start()
            return self._pool.submit(_decode_with_source, self._decode, request)

    def _restart(self) -> None:
        self._stop()
        self._pool = self._start()
        self._pending = {ticket: (request, self._submit(request)) for ticket, (request, _) in self._pending.items()}

    def _stop(self) -> None:
        for process in list((self._pool._processes or {}).values()):
            process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)
