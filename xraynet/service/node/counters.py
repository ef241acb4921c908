"""What the node has counted since it was started, for its health page."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

Counted = Literal[
    "received",
    "received_again",
    "received_conflicts",
    "refused_own_results",
    "refused_out_of_resources",
    "refused_other",
    "aborted_over_limit",
    "rejected_associations",
    "tls_failures",
    "echoes",
    "deliveries",
    "delivery_retries",
    "deliveries_refused",
    "swept",
    "broken",
]
COUNTED: Final[tuple[Counted, ...]] = get_args(Counted)


@dataclass
class Counters:
    """Counts by name, and the last thing that went wrong; safe from several threads."""

    last_error: str = ""
    _counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, name: Counted) -> None:
        """One more."""
        with self._lock:
            self._counts[name] += 1

    def note_error(self, code: str) -> None:
        """Remember the code of the last thing that went wrong."""
        with self._lock:
            self.last_error = code

    def snapshot(self) -> dict[str, int]:
        """All counts, zero where nothing was counted."""
        with self._lock:
            return {name: self._counts[name] for name in COUNTED}
