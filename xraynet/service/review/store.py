"""The store of readers' actions: what it has answered as saved is on disk, and stays.

One action is one transaction: the log's row, and the looks and marks that follow from it. An action that comes twice (the
page asks again where it heard no answer) is kept once and answered as the first time.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from xraynet.errors import ActionRefused, ReviewError
from xraynet.reading_file import reading_from_dict
from xraynet.review_file import open_review_to_read
from xraynet.service.review.actions import parse_step
from xraynet.service.review.history import Action, History, Mode, replay
from xraynet.service.review.look import Mark, looks_of
from xraynet.service.review.measure import locate_mark, measure_mark, score_mark
from xraynet.service.review.results import DetectorResults
from xraynet.service.review.schema import open_store


class StaleRevision(ReviewError):
    """An action that was made on a state of the film that is no longer the present one."""


@dataclass(frozen=True)
class ReaderFilm:
    """Where a reader stands on a film, and what the detector had said of it as the reader began."""

    reader: str
    results: DetectorResults
    mode: Mode
    history: History


@dataclass(frozen=True)
class LookFacts:
    """What lists need of a look: whose, of which film, the verdict, and how far it is."""

    film: str
    reader: str
    look: str
    verdict: str | None
    finished_at: str | None


class ReviewStore:
    """A store, open. Safe to use from several threads; one server at a time writes it."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the store at ``path``, made if new. Raises ReviewError where it is no store, or of a later version."""
        self.path = path
        self._connection = open_review_to_read(path) if read_only else open_store(path)
        self._lock = threading.RLock()

    def __enter__(self) -> "ReviewStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; what was saved then lies in the one file."""
        with self._lock:
            self._connection.close()

    def read(self, film: str, reader: str) -> ReaderFilm | None:
        """Where a reader stands on a film; None where he has not begun."""
        with self._lock:
            actions = list(self._actions(film, reader))
            return self._replay(actions) if actions else None

    def read_every(self) -> Iterator[ReaderFilm]:
        """Every reader's every film, by film and reader."""
        with self._lock:
            pairs = self._connection.execute("SELECT DISTINCT film, reader FROM actions ORDER BY film, reader").fetchall()
        for film, reader in pairs:
            found = self.read(film, reader)
            assert found is not None
            yield found

    def looks(self, *, film: str | None = None) -> list[LookFacts]:
        """The looks at all films, or at one."""
        where = "" if film is None else "WHERE film = ?"
        with self._lock:
            rows = self._connection.execute(
                f"SELECT film, reader, look, verdict, finished_at FROM looks {where} ORDER BY film, reader, look",  # noqa: S608
                () if film is None else (film,),
            ).fetchall()
        return [LookFacts(*row) for row in rows]

    def revision(self) -> int:
        """How many actions were ever kept: it grows with every one."""
        with self._lock:
            return int(self._connection.execute("SELECT coalesce(max(number), 0) FROM actions").fetchone()[0])

    def store_id(self) -> str:
        """The id that this store was given when it was made."""
        with self._lock:
            return str(self._connection.execute("SELECT value FROM facts WHERE name = 'store_id'").fetchone()[0])

    def readers(self) -> list[str]:
        """Everyone who has done anything, by name."""
        with self._lock:
            return [row[0] for row in self._connection.execute("SELECT DISTINCT reader FROM looks ORDER BY reader")]

    def save(self, action: Action, *, results: DetectorResults) -> ReaderFilm:
        """Keep an action, on disk before this returns; where the film stands after it.

        ``action.results`` and ``action.mode`` count for a reader's first action on a film; later ones stay with what he
        began with. The same action again returns what it did the first time. Raises StaleRevision where the film has moved
        on, ActionRefused where the action is not allowed, ReviewError where the disk does not take it.
        """
        with self._lock:
            try:
                with self._transaction():
                    return self._save(action, results)
            except sqlite3.Error as error:
                raise ReviewError(f"the action could not be saved ({error}); nothing was changed") from error

    def backup(self, path: Path) -> None:
        """Write a whole copy of the store to ``path``, also while it is in use. Raises ReviewError where it cannot be."""
        if path.exists():
            raise ReviewError(f"{path}: exists already; a copy goes to a new file")
        with ReviewStore(path) as copy, self._lock:
            self._connection.backup(copy._connection)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _save(self, action: Action, results: DetectorResults) -> ReaderFilm:
        twin = self._find_action(action.id)
        if twin is not None:
            return self._answer_again(action, twin)
        earlier = list(self._actions(action.film, action.reader))
        now = self._replay(earlier) if earlier else None
        if now is None:
            now = ReaderFilm(action.reader, results, action.mode, History.begin(action.mode))
            self._keep_results(results)
        if action.base_revision != now.history.revision:
            raise StaleRevision(
                f"the film stands at revision {now.history.revision}, the action was made at {action.base_revision}"
            )
        history = now.history.advance(action.step, reading=now.results.reading, at=action.at)
        then = ReaderFilm(action.reader, now.results, now.mode, history)
        self._append(action, then)
        self._write_looks(then)
        return then

    def _answer_again(self, action: Action, twin: Action) -> ReaderFilm:
        if (twin.reader, twin.film, twin.step) != (action.reader, action.film, action.step):
            raise ActionRefused("this action id was used for another action")
        actions = [one for one in self._actions(twin.film, twin.reader) if one.base_revision <= twin.base_revision]
        return self._replay(actions)

    def _replay(self, actions: list[Action]) -> ReaderFilm:
        first = actions[0]
        results = self._read_results(first.results)
        history = replay(actions, mode=first.mode, reading=results.reading)
        return ReaderFilm(first.reader, results, first.mode, history)

    def _actions(self, film: str, reader: str) -> Iterator[Action]:
        rows = self._connection.execute(
            f"SELECT {_ACTION_COLUMNS} FROM actions WHERE film = ? AND reader = ? ORDER BY base_revision",  # noqa: S608
            (film, reader),
        )
        yield from (_action_of_row(row) for row in rows.fetchall())

    def _find_action(self, action_id: str) -> Action | None:
        row = self._connection.execute(
            f"SELECT {_ACTION_COLUMNS} FROM actions WHERE action_id = ?",  # noqa: S608 - our own column names
            (action_id,),
        ).fetchone()
        return _action_of_row(row) if row is not None else None

    def _read_results(self, digest: str) -> DetectorResults:
        row = self._connection.execute("SELECT reading FROM results WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            raise ReviewError(f"{self.path}: lacks the detector's results {digest}; the store is damaged")
        return DetectorResults(digest, reading_from_dict(json.loads(row[0]), where=f"{self.path}, results {digest}"))

    def _keep_results(self, results: DetectorResults) -> None:
        reading, spacing = results.reading, results.reading.image.spacing_mm
        self._connection.execute(
            "INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(results.digest, reading.id, reading.source.sha256, reading.source.path),
                *(reading.image.height, reading.image.width, *(spacing or (None, None)), reading.image.spacing_plane),
                results.text,
            ),
        )

    def _append(self, action: Action, then: ReaderFilm) -> None:
        self._connection.execute(
            "INSERT INTO actions (action_id, at, reader, film, sha256, results, mode, base_revision, kind, payload) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(action.id, action.at, action.reader, action.film, then.results.reading.source.sha256),
                *(then.results.digest, then.mode, action.base_revision, action.step.kind),
                json.dumps(action.step.to_tables(), ensure_ascii=False, allow_nan=False),
            ),
        )

    def _write_looks(self, film: ReaderFilm) -> None:
        key = (film.results.reading.id, film.reader)
        self._connection.execute("DELETE FROM marks WHERE film = ? AND reader = ?", key)
        self._connection.execute("DELETE FROM looks WHERE film = ? AND reader = ?", key)
        for name, look in looks_of(film.history.look):
            history = film.history
            self._connection.execute(
                "INSERT INTO looks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(*key, name, film.results.digest, film.mode, history.revision),
                    *(look.verdict, history.started_at, look.finished_at, look.note),
                ),
            )
            self._connection.executemany(
                f"INSERT INTO marks VALUES ({', '.join('?' * 17)})",  # noqa: S608 - question marks
                [(*key, name, *_cells_of_mark(number, mark, film)) for number, mark in enumerate(look.marks, start=1)],
            )


_ACTION_COLUMNS = "action_id, at, reader, film, results, mode, base_revision, kind, payload"


def _cells_of_mark(number: int, mark: Mark, film: ReaderFilm) -> tuple[str | int | float | None, ...]:
    reading = film.results.reading
    return (
        *(number, mark.id, mark.detection, mark.state, *mark.box, int(mark.moved)),
        *(measure_mark(mark, reading), *locate_mark(mark, reading), score_mark(mark, reading), mark.note),
    )


def _action_of_row(row: tuple[str, str, str, str, str, Mode, int, str, str]) -> Action:
    action_id, at, reader, film, results, mode, base_revision, kind, payload = row
    return Action(action_id, at, reader, film, results, mode, base_revision, parse_step({"kind": kind, **json.loads(payload)}))
