"""A film on its way into a run: a file that is there, or one that is fetched when its turn comes and released afterwards."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xraynet.errors import FilmError, FilmFailed
from xraynet.ingest.discover import FoundFile
from xraynet.ingest.read import sha256_of_film


def _keep() -> None:
    """A file of the user's own stays where it is."""


@dataclass(frozen=True)
class IncomingFilm:
    """One film of a run.

    ``name`` is what outcomes call it; ``is_anonymous`` says that it gives nothing away, so that ``--hash-paths`` leaves it.
    ``fetch`` puts the film on this machine's disk and says where, or raises FilmError; ``release`` is called once the film
    has its outcome. ``sha256``: what its content was in an earlier run, or "": a film that is done with is not fetched again.
    """

    name: str
    fetch: Callable[[], Path]
    release: Callable[[], None] = _keep
    sha256: str = ""
    is_anonymous: bool = False

    @classmethod
    def of_file(cls, file: FoundFile) -> "IncomingFilm":
        """A file that is there already."""
        return cls(name=_printable(file.relative), fetch=lambda: file.path)


def take_film(film: IncomingFilm) -> tuple[Path | None, str, FilmError | None]:
    """(where it lies, the SHA-256 of its content, what is wrong): a film that cannot be had has no SHA-256."""
    try:
        path = film.fetch()
        if not path.is_file():
            raise FilmFailed("there is no such file", code="not-found")
        return path, sha256_of_film(path), None
    except FilmError as error:
        return None, "", error
    except OSError as error:
        return None, "", FilmFailed(f"the file cannot be opened ({type(error).__name__})", code="not-found")


def _printable(name: str) -> str:
    """A file's name as text that can be written: bytes that are no UTF-8 become replacement characters."""
    return os.fsencode(name).decode("utf-8", "replace")
