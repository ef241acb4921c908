"""The tables of ``review.sqlite``, and how a file of them is opened: made if new, refused if not ours or too new.

``actions`` is the truth: one row an action, never changed, never removed (triggers see to it). ``looks`` and ``marks`` are
what the actions led to, written in the same transaction, so that any program can read them: ``look`` is ``final``, or
``first`` for what a reader saw before the detector's marks were shown. The views ``readings`` and ``annotations`` join them
with the film; they are what other programs should use, and what ``xraynet ingest --format review`` does use.
"""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final

from xraynet.errors import ReviewError
from xraynet.files import sync_folder
from xraynet.review_file import REVIEW_APPLICATION_ID, REVIEW_VERSION, check_review_version

_SCHEMA: Final = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
INSERT INTO facts VALUES ('store_id', lower(hex(randomblob(16))));

CREATE TABLE results (
  digest TEXT PRIMARY KEY,
  film TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  path TEXT,
  height INTEGER NOT NULL,
  width INTEGER NOT NULL,
  row_mm REAL,
  column_mm REAL,
  spacing_plane TEXT,
  reading TEXT NOT NULL
) STRICT;

CREATE TABLE actions (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  action_id TEXT NOT NULL UNIQUE,
  at TEXT NOT NULL,
  reader TEXT NOT NULL,
  film TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  results TEXT NOT NULL REFERENCES results (digest),
  mode TEXT NOT NULL CHECK (mode IN ('plain', 'second-reader')),
  base_revision INTEGER NOT NULL,
  kind TEXT NOT NULL,
  payload TEXT NOT NULL,
  UNIQUE (film, reader, base_revision)
) STRICT;

CREATE TRIGGER actions_are_never_changed BEFORE UPDATE ON actions
BEGIN SELECT RAISE(ABORT, 'actions are never changed'); END;
CREATE TRIGGER actions_are_never_removed BEFORE DELETE ON actions
BEGIN SELECT RAISE(ABORT, 'actions are never removed'); END;

CREATE TABLE looks (
  film TEXT NOT NULL,
  reader TEXT NOT NULL,
  look TEXT NOT NULL CHECK (look IN ('first', 'final')),
  results TEXT NOT NULL REFERENCES results (digest),
  mode TEXT NOT NULL,
  revision INTEGER NOT NULL,
  verdict TEXT CHECK (verdict IN ('findings', 'normal', 'unreadable')),
  started_at TEXT NOT NULL,
  finished_at TEXT,
  note TEXT NOT NULL,
  PRIMARY KEY (film, reader, look)
) STRICT;
CREATE INDEX looks_of_reader ON looks (reader, look, verdict);

CREATE TABLE marks (
  film TEXT NOT NULL,
  reader TEXT NOT NULL,
  look TEXT NOT NULL,
  position INTEGER NOT NULL,
  mark TEXT NOT NULL,
  detection TEXT,
  state TEXT NOT NULL CHECK (state IN ('accepted', 'rejected', 'added')),
  x1 REAL NOT NULL,
  y1 REAL NOT NULL,
  x2 REAL NOT NULL,
  y2 REAL NOT NULL,
  moved INTEGER NOT NULL,
  diameter_mm REAL,
  side TEXT,
  zone TEXT,
  score REAL,
  note TEXT NOT NULL,
  PRIMARY KEY (film, reader, look, mark),
  FOREIGN KEY (film, reader, look) REFERENCES looks (film, reader, look)
) STRICT;

CREATE VIEW readings AS
  SELECT looks.film, results.sha256, results.path, results.height, results.width, results.row_mm, results.column_mm,
         results.spacing_plane, looks.reader, looks.look, looks.mode, looks.verdict, looks.started_at, looks.finished_at,
         looks.note
  FROM looks JOIN results ON results.digest = looks.results;

CREATE VIEW annotations AS
  SELECT marks.film, marks.reader, marks.look, marks.position, marks.mark, marks.detection, marks.state, marks.x1, marks.y1,
         marks.x2, marks.y2, marks.moved, marks.diameter_mm, marks.side, marks.zone, marks.score, marks.note
  FROM marks JOIN looks USING (film, reader, look)
  WHERE looks.verdict = 'findings' AND marks.state <> 'rejected';
"""


def open_store(path: Path) -> sqlite3.Connection:
    """A connection for writing, to a store that is made (readable by its owner alone) where it is not there.

    A commit is on disk before it returns, as far as the disk itself keeps its word: write-ahead log, synchronous FULL.
    Raises ReviewError where the file is no store, or of a later version than this program knows.
    """
    try:
        _make_file(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    except (OSError, sqlite3.Error) as error:
        raise ReviewError(f"{path}: cannot be opened: {error}") from error
    try:
        _prepare(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise ReviewError(f"{path}: is no store of readings, or a damaged one: {error}") from error
    except ReviewError:
        connection.close()
        raise
    return connection


def _make_file(path: Path) -> None:
    # SQLite gives its log files the mode of the database, but would make the database itself readable by all.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    if _is_empty(connection):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(
            f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {REVIEW_APPLICATION_ID}; "
            f"PRAGMA user_version = {REVIEW_VERSION}; COMMIT;"
        )
        sync_folder(path.parent)
    check_review_version(connection, path)
    found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if found != "ok":
        raise ReviewError(f"{path}: is damaged ({found}); put a copy in its place (--export backup makes them)")
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "fullfsync = ON", "foreign_keys = ON", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _is_empty(connection: sqlite3.Connection) -> bool:
    return int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]) == 0
