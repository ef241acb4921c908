"""``review.sqlite``: what readers said of films, as a file that any program can take up.

Its views ``readings`` (a reader's look at a film, by the film's SHA-256) and ``annotations`` (the findings of looks whose
verdict is findings, in stored pixels) are for other programs; ``xraynet review`` writes what is under them.
"""

import sqlite3
from pathlib import Path
from typing import Final

from xraynet.errors import ReviewError

REVIEW_VERSION: Final = 1
REVIEW_APPLICATION_ID: Final = 0x78725256
"""The letters xrRV in the file's header."""


def open_review_to_read(path: Path) -> sqlite3.Connection:
    """A connection that only reads, also while a server writes.

    Raises ReviewError where the file is no store of readings, or one of a later version than this program knows.
    """
    if not path.is_file():
        raise ReviewError(f"{path}: there is no such file; xraynet review OUT makes it")
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise ReviewError(f"{path}: cannot be opened: {error}") from error
    try:
        check_review_version(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise ReviewError(f"{path}: is no store of readings, or a damaged one: {error}") from error
    except ReviewError:
        connection.close()
        raise
    return connection


def check_review_version(connection: sqlite3.Connection, path: Path) -> None:
    """Raises ReviewError where the file is another program's, or of a later version than this program knows."""
    kind = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if kind != REVIEW_APPLICATION_ID:
        raise ReviewError(f"{path}: is a database of another program; a store of readings was expected")
    if version > REVIEW_VERSION:
        raise ReviewError(
            f"{path}: is a store of version {version}; this xraynet knows versions up to {REVIEW_VERSION}: install a newer one"
        )
