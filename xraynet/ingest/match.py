"""Finds the film that a label means: by path below the source folder, by file name, or by name without suffix."""

from collections.abc import Iterable
from itertools import takewhile
from pathlib import PurePath, PurePosixPath
from typing import Final

_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".dic", ".img", ".mha", ".mhd", ".tif", ".tiff", ".bmp")


def film_stem(name: str) -> str:
    """A film's file name without folder and without a known suffix (other dots belong to the name).

    >>> film_stem("nodules/JPCLN001.IMG"), film_stem("1.2.840.10008")
    ('JPCLN001', '1.2.840.10008')
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    suffix = PurePosixPath(last).suffix
    return last[: -len(suffix)] if suffix.lower() in _SUFFIXES else last


class FilmIndex:
    """The films of a source, found by what a table calls them; upper and lower case are one."""

    def __init__(self, films: Iterable[tuple[str, str]]) -> None:
        """``films`` are (path below its source folder, with forward slashes; catalogue key)."""
        self._by_path: dict[str, set[str]] = {}
        self._by_name: dict[str, set[str]] = {}
        self._by_stem: dict[str, set[str]] = {}
        for path, key in films:
            lowered = path.lower()
            parts = lowered.split("/")
            for start in range(len(parts) - 1):
                self._by_path.setdefault("/".join(parts[start:]), set()).add(key)
            self._by_name.setdefault(parts[-1], set()).add(key)
            self._by_stem.setdefault(film_stem(lowered), set()).add(key)

    def find(self, name: str) -> frozenset[str]:
        """The keys of the films that ``name`` may mean: none, one, or several where it is ambiguous."""
        lowered = _lowered(name)
        parts = lowered.split("/")
        # The folders of another machine are left off one by one, so that those which both know still tell films apart.
        for start in range(len(parts) - 1):
            known = self._by_path.get("/".join(parts[start:]))
            if known:
                return frozenset(known)
        last = parts[-1]
        return frozenset(self._by_name.get(last) or self._by_stem.get(film_stem(last)) or set())


def folder_in_table(name: str) -> str:
    """The folder that a table names before a film's file name, in lower case; "" where it names none.

    >>> folder_in_table("./setA/0001.png"), folder_in_table("0001.png")
    ('seta', '')
    """
    return _lowered(name).rpartition("/")[0]


def count_shared_folders(folder: str, path: PurePath) -> int:
    """How many of the last folders of a film's path a table's folder has too.

    >>> count_shared_folders("x/setb", PurePosixPath("/films/setB/0001.png"))
    1
    """
    pairs = zip(reversed(folder.split("/")), reversed(path.parent.as_posix().lower().split("/")), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _lowered(name: str) -> str:
    return name.strip().replace("\\", "/").lower().removeprefix("./")
