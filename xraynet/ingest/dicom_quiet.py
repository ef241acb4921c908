"""Keeps pydicom from repeating what a file says: its warnings and log lines quote values, and so the patient."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_lock = threading.Lock()
_silence = ExitStack()
_depth = 0


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """No warning is shown and nothing of pydicom's is logged inside; as before again once the last thread has left."""
    global _depth
    with _lock:
        _depth += 1
        if _depth == 1:
            _enter_silence()
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                _silence.close()


def _enter_silence() -> None:
    _silence.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    logger = logging.getLogger("pydicom")
    _silence.callback(logger.setLevel, logger.level)
    logger.setLevel(logging.CRITICAL + 1)
