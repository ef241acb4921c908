"""A film in the queue as the node sees it, and the figures over all of them."""

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from xraynet.findings import OutcomeStatus
from xraynet.service.node.records import Concluded, Delivery, Received, ResultEntry


@dataclass
class QueuedFilm:
    """A film in the queue; only the queue changes it."""

    received: Received
    concluded: Concluded | None = None
    results: tuple[ResultEntry, ...] = ()
    deliveries: dict[str, Delivery] = field(default_factory=dict)

    @property
    def unsent(self) -> tuple[ResultEntry, ...]:
        """The results that the archive has not answered to."""
        return tuple(entry for entry in self.results if entry.name not in self.deliveries)

    @property
    def done_at(self) -> float:
        """When the last thing happened to it, in seconds since 1970."""
        concluded_at = self.concluded.concluded_at if self.concluded is not None else 0.0
        return max([concluded_at, *(delivery.delivered_at for delivery in self.deliveries.values())])


@dataclass(frozen=True)
class QueueFigures:
    """How many films are where, and how long the oldest has waited."""

    waiting: int
    oldest_waiting_s: float
    to_send: int
    oldest_to_send_s: float
    kept: int
    swept: int
    ok: int
    refused: int
    failed: int
    kept_apart: int
    results_stored: int
    results_refused: int


def measure_queue(
    films: Collection[QueuedFilm],
    *,
    waiting: Collection[QueuedFilm],
    to_send: Collection[QueuedFilm],
    swept: Counter[OutcomeStatus],
) -> QueueFigures:
    """The figures of these films; ``swept`` counts those whose files are gone."""
    now = time.time()
    oldest_waiting = min((film.received.received_ns / 1e9 for film in waiting), default=now)
    oldest_to_send = min((film.done_at for film in to_send), default=now)
    concluded = [film.concluded for film in films if film.concluded is not None]
    statuses = Counter(each.status for each in concluded) + swept
    answers = [delivery.state for film in films for delivery in film.deliveries.values()]
    return QueueFigures(
        waiting=len(waiting),
        oldest_waiting_s=max(0.0, now - oldest_waiting),
        to_send=len(to_send),
        oldest_to_send_s=max(0.0, now - oldest_to_send),
        kept=len(films),
        swept=sum(swept.values()),
        ok=statuses["ok"],
        refused=statuses["refused"],
        failed=statuses["failed"],
        kept_apart=sum(each.kept_apart for each in concluded),
        results_stored=answers.count("stored"),
        results_refused=answers.count("refused"),
    )
