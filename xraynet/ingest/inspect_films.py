"""Decodes every film once, in worker processes, and keeps what a catalogue needs of it; one bad file never stops the rest."""

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2

from xraynet.errors import FilmFailed, FilmRefused
from xraynet.findings import Outcome, OutcomeStatus
from xraynet.ingest.discover import FoundFile
from xraynet.ingest.labels.records import IdentityKind, Sex
from xraynet.ingest.pixel_hash import pixel_hash
from xraynet.ingest.read import sha256_of_film
from xraynet.radiograph import PixelSpacing, Radiograph, ViewPosition

ReadFilm = Callable[[Path], Radiograph]
_QUEUED_PER_WORKER: Final = 4


@dataclass(frozen=True)
class FilmRecord:
    """What a catalogue keeps of one decoded film.

    ``patient`` (issuer, id) and study are hashed before anything is written; ``sop_instance_uid`` finds the film's labels and
    is not written at all.
    """

    sha256: str
    pixel_hash: str
    size: tuple[int, int]
    bits_stored: int
    view_position: ViewPosition
    mirrored: bool
    sex: Sex | None
    age_years: float | None
    spacing: PixelSpacing | None
    source_format: str
    warnings: tuple[str, ...] = ()
    patient: tuple[str, str] | None = field(default=None, repr=False)
    study_uid: str = field(default="", repr=False)
    study_date: str = field(default="", repr=False)
    sop_instance_uid: str = field(default="", repr=False)

    @property
    def key(self) -> str:
        """The film's id: the first 16 hex digits of its file's SHA-256."""
        return self.sha256[:16]


@dataclass(frozen=True)
class InspectedFilm:
    """What became of one file: its outcome, and its record where it was read."""

    file: FoundFile
    outcome: Outcome
    record: FilmRecord | None

    @property
    def identities(self) -> tuple[tuple[IdentityKind, str], ...]:
        """All that the film is known by besides its name; none where the file could not even be opened."""
        uid = self.record.sop_instance_uid if self.record is not None else ""
        known: tuple[tuple[IdentityKind, str], ...] = (("sha256", self.outcome.sha256), ("sop-instance-uid", uid))
        return tuple((kind, value) for kind, value in known if value)


def inspect_film(file: FoundFile, *, read_film: ReadFilm) -> InspectedFilm:
    """Decode one file and tell what became of it; never raises for what the file is."""
    started = time.perf_counter()
    status: OutcomeStatus = "ok"
    code = reason = ""
    record = None
    try:
        record = _record_of(read_film(file.path))
    except FilmRefused as error:
        status, code, reason = "refused", error.code, error.reason
    except FilmFailed as error:
        status, code, reason = "failed", error.code, error.reason
    except Exception as error:  # the per-file boundary: recorded and counted, without the message, which may quote a header
        status, code, reason = "failed", "internal-error", f"unexpected {type(error).__name__} while the film was read"
    sha256 = record.sha256 if record else _hash_if_there(file.path)
    elapsed_s = time.perf_counter() - started
    outcome = Outcome(file.relative, sha256[:16], sha256, status, code, reason, round(elapsed_s, 4))
    return InspectedFilm(file, outcome, record)


def _hash_if_there(path: Path) -> str:
    try:
        return sha256_of_film(path)
    except (OSError, ValueError, FilmFailed, FilmRefused):
        return ""


def _record_of(radiograph: Radiograph) -> FilmRecord:
    identity = radiograph.identity
    return FilmRecord(
        sha256=radiograph.sha256,
        pixel_hash=pixel_hash(radiograph),
        size=radiograph.size,
        bits_stored=radiograph.grey.bits_stored,
        view_position=radiograph.view_position,
        mirrored=radiograph.mirrored,
        sex=radiograph.sex,
        age_years=radiograph.age_years,
        spacing=radiograph.spacing,
        source_format=radiograph.source_format,
        warnings=radiograph.warnings,
        patient=(identity.issuer, identity.patient_id) if identity.patient_id.strip() else None,
        study_uid=identity.study_uid,
        study_date=identity.study_date,
        sop_instance_uid=identity.sop_instance_uid,
    )


def inspect_films(files: Sequence[FoundFile], *, read_film: ReadFilm, num_workers: int) -> Iterator[InspectedFilm]:
    """Decode files in the order given: here (``num_workers`` 0), or in that many spawned processes.

    ``read_film`` must be importable by name for workers. A film that takes its worker down (killed for memory, a crash in
    a codec) is tried once more alone, and has failed if that ends the same way.
    """
    if num_workers == 0:
        yield from (inspect_film(file, read_film=read_film) for file in files)
        return
    waiting = deque(files)
    while waiting:
        suspects = yield from _inspect_until_broken(waiting, read_film=read_film, num_workers=num_workers)
        for file in suspects:
            yield _inspect_alone(file, read_film=read_film)


def _inspect_until_broken(
    waiting: deque[FoundFile], *, read_film: ReadFilm, num_workers: int
) -> Generator[InspectedFilm, None, list[FoundFile]]:
    in_flight: deque[tuple[FoundFile, Future[InspectedFilm]]] = deque()
    with _open_pool(num_workers) as pool:
        try:
            while waiting or in_flight:
                while waiting and len(in_flight) < _QUEUED_PER_WORKER * num_workers:
                    in_flight.append((waiting[0], pool.submit(inspect_film, waiting[0], read_film=read_film)))
                    waiting.popleft()
                yield in_flight[0][1].result()
                in_flight.popleft()
        except BrokenProcessPool:
            pass
    return [file for file, _ in in_flight]


def _inspect_alone(file: FoundFile, *, read_film: ReadFilm) -> InspectedFilm:
    with _open_pool(1) as pool:
        try:
            return pool.submit(inspect_film, file, read_film=read_film).result()
        except BrokenProcessPool:
            reason = "the process that decoded the film died (out of memory, or a codec crashed)"
            return InspectedFilm(file, Outcome(file.relative, "", "", "failed", "internal-error", reason), None)


def _open_pool(num_workers: int) -> ProcessPoolExecutor:
    # Spawned, never forked: a fork of a process with torch or codec threads can hang.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(num_workers, mp_context=context, initializer=_start_worker)


def _start_worker() -> None:
    cv2.setNumThreads(1)
