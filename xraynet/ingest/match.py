"""Finds the film that a label means: by path below the source folder, by file name, or by name without suffix."""

from collections.abc import Iterable
from pathlib import PurePosixPath
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
        lowered = name.strip().replace("\\", "/").lower().removeprefix("./")
        if "/" in lowered and lowered in self._by_path:
            return frozenset(self._by_path[lowered])
        last = lowered.rsplit("/", 1)[-1]
        return frozenset(self._by_name.get(last) or self._by_stem.get(film_stem(last)) or set())
