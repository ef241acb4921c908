"""The films between their arrival and the archive, on disk, so that a kill at any moment loses none and sends none twice.

A film is a folder ``films/<SHA-256>/`` below the node's folder; which files it holds is its state::

    film.dcm, received.json     waiting: acknowledged, to be read
    attempts                    how often reading it was begun (a film that kills the node again and again is given up)
    results/, results.json      what was made of it, whole once outcome.json is there
    outcome.json                concluded: its results wait for the archive
    deliveries.jsonl            what the archive answered, one line a result; with a line for each the film is done

A film that is done is removed after a while by ``upkeep`` and leaves a line in ``ledger.jsonl``, by which it is known again.

**Why each acknowledged film is in the archive exactly once.** (1) *At least once.* A film is written into ``incoming/``, its
files are flushed, the folder is renamed into ``films/`` and that is flushed too, all before the peer hears success; so what
was acknowledged is there after any crash, and what was not is sent again by the peer. A film without ``outcome.json`` is
read (again) after a start, one with ``outcome.json`` and a result without a line in ``deliveries.jsonl`` is sent (again).
Nothing but the archive's success, or its final refusal, writes such a line, and nothing but that ends the sending.
(2) *At most once.* Folders are named by content: a film sent again meets its own folder and is acknowledged without a second
one. Results are persisted before the first of them is sent, ``outcome.json`` being the last file written, and are never
made again after it; their UIDs follow from the film, the model and the configuration. So whatever is sent twice, because
the node died between the archive's answer and the line about it, is the same bytes under the same SOP Instance UID, which an
archive stores as one object (PS3.4 B.2: the instance is identified by its UID). (3) *One object, one set of results.* Where
two films of different bytes claim one SOP Instance UID, the first with results owns the UID; the other is read and kept
here, apart, and none of its results are sent (``is_kept_apart``).
"""

import hashlib
import math
import os
import shutil
import threading
import time
import uuid
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

from xraynet.errors import ServiceError
from xraynet.files import sync_folder, write_text_atomically
from xraynet.service.node.film_store import StoredFilm, append_line, read_film, write_results
from xraynet.service.node.ledger import Ledger
from xraynet.service.node.queue_figures import QueuedFilm, QueueFigures, measure_queue
from xraynet.service.node.records import (
    ATTEMPTS_NAME,
    CONCLUDED_NAME,
    DELIVERIES_NAME,
    FILM_NAME,
    RECEIVED_NAME,
    Concluded,
    Delivery,
    FilmState,
    LedgerLine,
    Received,
    ResultEntry,
    ResultObject,
    digest_of_uid,
    to_json,
)

Arrival = Literal["new", "again", "conflict"]
MOST_ATTEMPTS: Final = 5
"""A film that was begun this often without an end is concluded as failed: it kills whoever reads it."""
_TRIED_AGAIN: Final = frozenset({"internal-error", "time-limit"})


class FilmQueue:
    """The queue in one folder. All methods may be called from any thread; one node at a time may have the folder."""

    def __init__(self, folder: Path, *, delivers: bool, version: str, retry_refused: bool = False) -> None:
        """Open the queue. ``delivers``: results go to an archive; ``retry_refused``: those it refused are sent once more.

        Films whose records cannot be understood are put aside: ``damaged`` names their folders.
        """
        self.folder = folder
        self.films_folder, self.incoming = folder / "films", folder / "incoming"
        self._damaged_folder = folder / "damaged"
        self._delivers, self._version = delivers, version
        self._changed = threading.Condition()
        self._films: dict[str, QueuedFilm] = {}
        self._waiting: dict[str, QueuedFilm] = {}
        self._to_send: dict[str, QueuedFilm] = {}
        self._of_uid: dict[str, set[str]] = {}
        self._result_uids: set[str] = set()
        self.damaged: list[str] = []
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(self.incoming, ignore_errors=True)
        for each in (self.films_folder, self.incoming):
            each.mkdir(mode=0o700, exist_ok=True)
        self.ledger = Ledger(folder / "ledger.jsonl")
        self._load(retry_refused=retry_refused)

    # Arrival

    def receive(
        self, parts: Iterable[bytes | memoryview], *, sop_instance_uid: str, sop_class: str, transfer_syntax: str
    ) -> tuple[Received, Arrival]:
        """Take in one film, durably before this returns. An OSError (a full disk) leaves nothing behind."""
        draft = self.incoming / uuid.uuid4().hex
        draft.mkdir(mode=0o700)
        try:
            sha256, num_bytes = _write_through(draft / FILM_NAME, parts)
            received = Received(
                sha256=sha256,
                uid_digest=digest_of_uid(sop_instance_uid),
                received_ns=time.time_ns(),
                sop_class=sop_class,
                transfer_syntax=transfer_syntax,
                num_bytes=num_bytes,
            )
            write_text_atomically(draft / RECEIVED_NAME, to_json(received))
            sync_folder(draft)
            return received, self._admit(draft, received)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _admit(self, draft: Path, received: Received) -> Arrival:
        with self._changed:
            if received.sha256 in self._films or received.sha256 in self.ledger:
                return "again"
            others = self._of_uid.get(received.uid_digest, set()) | self.ledger.films_of(received.uid_digest)
            target = self.films_folder / received.sha256
            if not target.exists():  # it does where flushing failed below, and the peer tries again
                draft.rename(target)
            sync_folder(self.films_folder)
            film = QueuedFilm(received)
            self._films[received.sha256] = self._waiting[received.sha256] = film
            self._of_uid.setdefault(received.uid_digest, set()).add(received.sha256)
            self._changed.notify_all()
            return "conflict" if others else "new"

    def is_own_result(self, sop_instance_uid: str) -> bool:
        """Whether an object is a result that this node has made."""
        with self._changed:
            return digest_of_uid(sop_instance_uid) in self._result_uids

    # Reading

    def next_waiting(self, *, exclude: Collection[str] = ()) -> Received | None:
        """The film that has waited longest, but those excluded; None where there is none."""
        with self._changed:
            return next((film.received for sha256, film in self._waiting.items() if sha256 not in exclude), None)

    def path_of(self, sha256: str) -> Path:
        """The file of a film."""
        return self.films_folder / sha256 / FILM_NAME

    def begin(self, sha256: str) -> bool:
        """Write down that reading a film begins; False where that happened too often without an end."""
        attempts = self._count_attempts(sha256)
        if attempts >= MOST_ATTEMPTS:
            return False
        write_text_atomically(self.films_folder / sha256 / ATTEMPTS_NAME, str(attempts + 1))
        return True

    def take_back(self, sha256: str) -> None:
        """Undo ``begin``: the film did not end the node, the disk had no room for its reading."""
        path, attempts = self.films_folder / sha256 / ATTEMPTS_NAME, self._count_attempts(sha256)
        if attempts > 1:
            write_text_atomically(path, str(attempts - 1))
        else:  # which needs no room
            path.unlink(missing_ok=True)

    def _count_attempts(self, sha256: str) -> int:
        try:
            return int((self.films_folder / sha256 / ATTEMPTS_NAME).read_bytes())
        except (FileNotFoundError, ValueError):  # a count that the disk spoilt begins anew
            return 0

    def is_kept_apart(self, sha256: str) -> bool:
        """Whether another film of the same SOP Instance UID has its results in the archive, or on their way there."""
        with self._changed:
            uid_digest = self._films[sha256].received.uid_digest
            twins = self._of_uid[uid_digest] - {sha256}
            return self.ledger.has_results(uid_digest) or any(self._films[twin].results for twin in twins)

    def conclude(self, sha256: str, concluded: Concluded, results: Sequence[ResultObject] = ()) -> None:
        """Keep what became of a film; its results are whole on disk once this returns."""
        folder = self.films_folder / sha256
        entries = write_results(folder, results)
        write_text_atomically(folder / CONCLUDED_NAME, to_json(concluded))
        sync_folder(folder)
        with self._changed:
            film = self._films[sha256]
            film.concluded, film.results = concluded, entries
            self._waiting.pop(sha256, None)
            self._enter(film)
            self._changed.notify_all()

    # Sending

    def next_to_send(self, *, most: int) -> list[tuple[Received, tuple[ResultEntry, ...]]]:
        """The films whose results have waited longest, with what is left to send of each."""
        with self._changed:
            films = list(self._to_send.values())[:most]
            return [(film.received, film.unsent) for film in films]

    def put_last(self, sha256: str) -> None:
        """Let the other films that wait for the archive go first: something is wrong with a result of this one."""
        with self._changed:
            film = self._to_send.pop(sha256, None)
            if film is not None:
                self._to_send[sha256] = film

    def result_path(self, sha256: str, name: str) -> Path:
        """The file of a result."""
        return self.films_folder / sha256 / "results" / name

    def record_delivery(self, sha256: str, delivery: Delivery) -> None:
        """Keep what the archive said to one result, on disk before this returns."""
        append_line(self.films_folder / sha256 / DELIVERIES_NAME, to_json(delivery))
        with self._changed:
            film = self._films[sha256]
            film.deliveries[delivery.name] = delivery
            if not film.unsent:
                self._to_send.pop(sha256, None)
            self._changed.notify_all()

    # Upkeep and figures

    def sweep(self, *, done_before: float, failed_before: float) -> int:
        """Remove the files of films that were done before ``done_before`` (since 1970), failures before ``failed_before``.

        What was put aside for a damaged record goes with the failures. Returns how many were removed.
        """
        with self._changed:
            old = [film for film in self._films.values() if self._is_old(film, done_before, failed_before)]
        for film in old:
            self._remove(film)
        aside = [folder for folder in self._damaged_folder.glob("*-*") if _put_aside_at(folder) < failed_before]
        for folder in aside:
            shutil.rmtree(folder)
        return len(old) + len(aside)

    def wait(self, limit_s: float) -> None:
        """Wait until something changes, at most so long."""
        with self._changed:
            self._changed.wait(limit_s)

    def wake(self) -> None:
        """Have everybody who waits look again."""
        with self._changed:
            self._changed.notify_all()

    def figures(self) -> QueueFigures:
        """How many films are where."""
        with self._changed:
            return measure_queue(
                self._films.values(),
                waiting=self._waiting.values(),
                to_send=self._to_send.values(),
                swept=self.ledger.counts(),
            )

    def state_of(self, sha256: str) -> FilmState:
        """Where a film is on its way."""
        with self._changed:
            return "waiting" if sha256 in self._waiting else "to-send" if sha256 in self._to_send else "done"

    def _enter(self, film: QueuedFilm) -> None:
        """Put a film where its state belongs."""
        sha256 = film.received.sha256
        self._result_uids.update(entry.uid_digest for entry in film.results)
        if film.concluded is None:
            self._waiting[sha256] = film
        elif film.unsent and self._delivers:
            self._to_send[sha256] = film

    def _load(self, *, retry_refused: bool) -> None:
        films = [self._read(folder) for folder in list(self.films_folder.iterdir()) if folder.is_dir()]
        for stored in sorted(filter(None, films), key=lambda each: each.received.received_ns):
            film = QueuedFilm(stored.received, stored.concluded, stored.results, dict(stored.deliveries))
            if self._is_tried_again(film):
                self._forget_outcome(film)
            if retry_refused:
                film.deliveries = {name: each for name, each in film.deliveries.items() if each.state == "stored"}
            self._films[film.received.sha256] = film
            self._of_uid.setdefault(film.received.uid_digest, set()).add(film.received.sha256)
            self._enter(film)
        swept_late = [film for film in self._films.values() if film.received.sha256 in self.ledger]
        for film in swept_late:  # the node died between the ledger's line and the folder
            self._remove(film)

    def _read(self, folder: Path) -> StoredFilm | None:
        try:
            return read_film(folder)
        except ServiceError:
            self._damaged_folder.mkdir(mode=0o700, exist_ok=True)
            folder.rename(self._damaged_folder / f"{folder.name[:64]}-{time.time_ns()}")
            self.damaged.append(folder.name[:16])
            return None

    def _is_tried_again(self, film: QueuedFilm) -> bool:
        """A start is another chance for what failed by chance, a few times; another version for all that failed."""
        concluded = film.concluded
        if concluded is None or concluded.status != "failed":
            return False
        if concluded.version != self._version:
            return True
        return concluded.code in _TRIED_AGAIN and self._count_attempts(film.received.sha256) < MOST_ATTEMPTS

    def _forget_outcome(self, film: QueuedFilm) -> None:
        folder = self.films_folder / film.received.sha256
        if film.concluded is not None and film.concluded.version != self._version:
            (folder / ATTEMPTS_NAME).unlink(missing_ok=True)
        (folder / CONCLUDED_NAME).unlink()
        film.concluded, film.results = None, ()

    def _is_old(self, film: QueuedFilm, done_before: float, failed_before: float) -> bool:
        sha256 = film.received.sha256
        if film.concluded is None or sha256 in self._waiting or sha256 in self._to_send:
            return False
        has_trouble = film.concluded.status == "failed" or film.concluded.kept_apart
        has_trouble = has_trouble or any(delivery.state == "refused" for delivery in film.deliveries.values())
        return film.done_at < (failed_before if has_trouble else done_before)

    def _remove(self, film: QueuedFilm) -> None:
        sha256, uid_digest = film.received.sha256, film.received.uid_digest
        assert film.concluded is not None
        with self._changed:
            if sha256 not in self.ledger:
                self.ledger.append(LedgerLine(sha256, uid_digest, bool(film.results), film.concluded.status))
        shutil.rmtree(self.films_folder / sha256)
        with self._changed:
            self._films.pop(sha256, None)
            for each in (self._waiting, self._to_send):
                each.pop(sha256, None)
            self._of_uid[uid_digest].discard(sha256)
            if not self._of_uid[uid_digest]:
                del self._of_uid[uid_digest]


def _put_aside_at(folder: Path) -> float:
    """When a folder was put aside, in seconds since 1970: its name ends with it."""
    ending = folder.name.rpartition("-")[2]
    return int(ending) / 1e9 if ending.isdecimal() else math.inf


def _write_through(path: Path, parts: Iterable[bytes | memoryview]) -> tuple[str, int]:
    """Write a file and flush it to disk: (SHA-256, number of bytes)."""
    digest, num_bytes = hashlib.sha256(), 0
    with path.open("xb") as stream:
        for part in parts:
            stream.write(part)
            digest.update(part)
            num_bytes += len(part)
        stream.flush()
        os.fsync(stream.fileno())
    return digest.hexdigest(), num_bytes
