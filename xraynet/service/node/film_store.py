"""A film's folder in the queue, read and written; and files of lines that a crash may cut, but never spoil."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from xraynet.errors import ServiceError
from xraynet.files import remove_torn_files, sync_folder, write_bytes_atomically, write_text_atomically
from xraynet.service.node.records import (
    CONCLUDED_NAME,
    DELIVERIES_NAME,
    RECEIVED_NAME,
    RESULTS_NAME,
    Concluded,
    Delivery,
    Received,
    ResultEntry,
    ResultObject,
    digest_of_uid,
    from_json,
)


@dataclass(frozen=True)
class StoredFilm:
    """All that a film's folder says of it."""

    received: Received
    concluded: Concluded | None
    results: tuple[ResultEntry, ...]
    deliveries: dict[str, Delivery]


def read_film(folder: Path) -> StoredFilm:
    """What a film's folder says; halves that a kill left are removed. Raises ServiceError where a record is damaged."""
    remove_torn_files(folder, ("*",))
    received = from_json(Received, _read(folder / RECEIVED_NAME), where=folder / RECEIVED_NAME)
    if received.sha256 != folder.name:
        raise ServiceError(f"{folder}: its {RECEIVED_NAME} is about another film")
    path = folder / CONCLUDED_NAME
    if not path.is_file():
        return StoredFilm(received, None, (), {})
    concluded = from_json(Concluded, _read(path), where=path)
    results = _read_entries(folder / RESULTS_NAME)
    path = folder / DELIVERIES_NAME
    deliveries = [from_json(Delivery, text, where=path) for text in read_lines(path)]
    return StoredFilm(received, concluded, results, {each.name: each for each in deliveries})


def write_results(folder: Path, results: Sequence[ResultObject]) -> tuple[ResultEntry, ...]:
    """Write a film's results and their list, in place of those of an attempt that came to no end."""
    target = folder / "results"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700)
    for result in results:
        write_bytes_atomically(target / result.name, result.content)
    sync_folder(target)
    entries = tuple(ResultEntry(each.name, each.sop_class_uid, digest_of_uid(each.sop_instance_uid)) for each in results)
    write_text_atomically(folder / RESULTS_NAME, json.dumps([asdict(entry) for entry in entries]) + "\n")
    return entries


def append_line(path: Path, line: str) -> None:
    """Add one line to a file, on disk before this returns. A line that an earlier crash cut short is cut off first."""
    is_new = not path.exists()
    with path.open("ab+") as stream:
        size = stream.seek(0, os.SEEK_END)
        if size:
            stream.seek(size - 1)
            if stream.read(1) != b"\n":
                stream.seek(0)
                stream.truncate(stream.read().rfind(b"\n") + 1)
        stream.write(line.encode("utf-8"))
        stream.flush()
        os.fsync(stream.fileno())
    if is_new:
        sync_folder(path.parent)


def read_lines(path: Path) -> list[str]:
    """The whole lines of a file; one that was cut short by a crash was never acted upon, and is left out.

    Raises ServiceError where they are no text.
    """
    if not path.is_file():
        return []
    content = path.read_bytes()
    try:
        return content[: content.rfind(b"\n") + 1].decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ServiceError(f"{path}: not lines of text: {error.reason} at byte {error.start}") from error


def _read_entries(path: Path) -> tuple[ResultEntry, ...]:
    try:
        entries = json.loads(_read(path))
        return tuple(from_json(ResultEntry, json.dumps(entry), where=path) for entry in entries)
    except (ValueError, TypeError) as error:
        raise ServiceError(f"{path}: not a list of results: {error}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(f"{path}: cannot be read ({type(error).__name__})") from error
