"""Removes what is no longer needed: the retention policy, carried out every so often."""

import time
from collections.abc import Callable
from typing import Final

from xraynet.service.node.counters import Counters
from xraynet.service.node.film_queue import FilmQueue
from xraynet.service.node.log import NodeLog
from xraynet.service.node.options import Retention

_EVERY_S: Final = 600.0
_DAY_S: Final = 86400.0


class Upkeep:
    """Sweeps the queue when it is due; called by the node's main loop."""

    def __init__(
        self, queue: FilmQueue, retention: Retention, *, log: NodeLog, counters: Counters, now: Callable[[], float] = time.time
    ) -> None:
        """``now``: seconds since 1970."""
        self._queue, self._retention = queue, retention
        self._log, self._counters, self._now = log, counters, now
        self._due_at = 0.0

    def run_if_due(self) -> int:
        """Remove the files of films that were done long enough ago; returns how many, 0 where it is not time yet."""
        now = self._now()
        if now < self._due_at:
            return 0
        # Kept for less than the usual interval, things go sooner than that.
        self._due_at = now + min(_EVERY_S, max(1.0, self._retention.keep_days * _DAY_S / 2))
        try:
            num_swept = self._queue.sweep(
                done_before=now - self._retention.keep_days * _DAY_S,
                failed_before=now - self._retention.keep_failed_days * _DAY_S,
            )
        except OSError as error:
            self._log.error("sweep-failed", error=type(error).__name__, errno=error.errno)
            return 0
        for _ in range(num_swept):
            self._counters.count("swept")
        if num_swept:
            self._log.info("swept", films=num_swept)
        return num_swept
