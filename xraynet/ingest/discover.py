"""The files of a folder that may be films: sorted, none left out for its name, none from outside the folder."""

import logging
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xraynet.ingest.metaimage import find_data_file, looks_like_metaimage

_log = logging.getLogger(__name__)

SIDECAR_SUFFIXES: Final = frozenset(
    {
        *(".csv", ".tsv", ".txt", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".parquet", ".xlsx", ".sqlite"),
        *(".md", ".rst", ".html", ".htm", ".css", ".js", ".pdf", ".docx", ".log", ".py", ".ipynb", ".part"),
        *(".zip", ".gz", ".tar", ".xz", ".7z", ".safetensors", ".pt", ".onnx", ".npz", ".npy"),
    }
)
"""Suffixes of what lies beside films and never is one: tables, text, archives, models."""


@dataclass(frozen=True, order=True)
class FoundFile:
    """``path``: absolute. ``relative``: to the root that was given, with forward slashes; the name, for a single file."""

    path: Path
    relative: str


def find_films(paths: Iterable[str | Path], *, exclude: Collection[Path] = ()) -> Iterator[FoundFile]:
    """Every file that may be a film under ``paths``, each once, in a fixed order.

    A file that is named itself is always given back, even where it is missing: it needs an outcome. In a folder, hidden
    files, DICOMDIR, sidecars and the pixel files of ``.mhd`` headers are passed over, folders in ``exclude`` (xraynet's own
    output, for example) are not entered, and a symbolic link is followed only to a file inside the folder. A folder that
    cannot be listed and a link that is not followed are logged.
    """
    seen: set[Path] = set()
    shut = {Path(folder).resolve() for folder in exclude}
    for given in paths:
        root = Path(given)
        for found in _walk(root, shut) if root.is_dir() else (FoundFile(path=_absolute(root), relative=root.name),):
            if found.path not in seen:
                seen.add(found.path)
                yield found


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  Path.absolute keeps "..", Path.resolve follows links


def _walk(root: Path, shut: Collection[Path]) -> Iterator[FoundFile]:
    root = _absolute(root)
    real_root = root.resolve()
    for folder, folders, names in os.walk(root, followlinks=False, onerror=lambda error: _warn_unlisted(error, root)):
        here = Path(folder)
        for name in sorted(folders):
            if (here / name).is_symlink() and not name.startswith("."):
                _log.warning("%s is a symbolic link to a folder; it was not followed", (here / name).relative_to(root))
        folders[:] = sorted(name for name in folders if not name.startswith(".") and (here / name).resolve() not in shut)
        pixel_files = _find_pixel_files(here, names)
        for name in sorted(names):
            path = here / name
            if name.startswith(".") or name.upper() == "DICOMDIR" or path.suffix.lower() in SIDECAR_SUFFIXES:
                continue
            if name in pixel_files or path.resolve() in shut:
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(real_root):
                _log.warning("%s is a symbolic link out of the folder; it was not followed", path.relative_to(root))
                continue
            if path.is_file():
                yield FoundFile(path=path, relative=path.relative_to(root).as_posix())
            elif path.is_symlink():
                _log.warning("%s is a symbolic link to nothing; it was passed over", path.relative_to(root))


def _warn_unlisted(error: OSError, root: Path) -> None:
    shown = Path(str(error.filename)).relative_to(root).as_posix()
    _log.warning("the folder %s cannot be listed (%s); its files were passed over", shown, type(error).__name__)


def _find_pixel_files(folder: Path, names: Iterable[str]) -> set[str]:
    """Names of the files that the MetaImage headers of a folder point to: they are not films of their own."""
    named = set()
    for name in names:
        if name.lower().endswith(".mhd"):
            try:
                content = (folder / name).read_bytes()[:65536]
                data_file = find_data_file(content, folder / name) if looks_like_metaimage(content) else None
            except Exception:  # noqa: S112  what is wrong with the header comes out when it is read as a film
                continue
            if data_file is not None:
                named.add(data_file.name)
    return named
