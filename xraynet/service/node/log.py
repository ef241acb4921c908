"""The node's log: one JSON object a line, from a fixed vocabulary, never with a patient's data.

A film is named by the start of its SHA-256, a peer by its AE title and address. What pynetdicom and pydicom would say of
their own is silenced: their lines quote elements and UIDs.
"""

import json
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, Literal

Level = Literal["info", "warning", "error"]
Value = str | int | float | bool | None
_LONGEST_TEXT: Final = 300
_LIBRARIES: Final = ("pynetdicom", "pydicom", "highdicom")


class NodeLog:
    """Writes events as JSON lines, from any thread."""

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        """``write`` is given each line with its line break; by default it goes to standard error."""
        self._write_line = write or _write_to_stderr
        self._lock = threading.Lock()

    def info(self, event: str, **fields: Value) -> None:
        """Something went as it should."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Value) -> None:
        """Something that a person should look at before long."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Value) -> None:
        """Something that does not work."""
        self._write("error", event, fields)

    def broke(self, event: str, error: BaseException) -> None:
        """An exception, by its kind and place only: its text may quote a film's header."""
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].name}:{frames[-1].lineno}" if frames else ""
        self._write("error", event, {"error": type(error).__name__, "place": place})

    def _write(self, level: Level, event: str, fields: dict[str, Value]) -> None:
        at = datetime.now(tz=UTC).isoformat(timespec="milliseconds")
        shown = {name: _plain(value) for name, value in fields.items() if value is not None}
        line = json.dumps({"at": at, "level": level, "event": event, **shown})
        with self._lock:
            try:
                self._write_line(line + "\n")
            except (OSError, ValueError):  # nobody reads the log any more; films are worth more
                return


def _write_to_stderr(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()


def _plain(value: Value) -> Value:
    if isinstance(value, float):
        return round(value, 3)
    if not isinstance(value, str):
        return value
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value[:_LONGEST_TEXT])


@contextmanager
def silence_libraries(log: NodeLog) -> Iterator[None]:
    """Nothing that a library, a warning or a dying thread says reaches a terminal or a file while the block lasts."""
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    levels = [logger.level for logger in loggers]
    hook = threading.excepthook

    def tell(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None and arguments.exc_type is not SystemExit:
            log.broke("thread-died", arguments.exc_value)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        threading.excepthook = tell
        try:
            yield
        finally:
            threading.excepthook = hook
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
