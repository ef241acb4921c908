"""What one tab or reader changed, told to all the others as it happens (server-sent events)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from starlette.concurrency import run_in_threadpool

from xraynet.service.review.door import Session

_PING_S: Final = 15.0
_MOST_WAITING: Final = 200


class EventHub:
    """The open event streams. To be used from the server's event loop only."""

    def __init__(self) -> None:
        self._listeners: dict[asyncio.Queue[str | None], Session] = {}

    @property
    def is_heard(self) -> bool:
        """True where somebody listens."""
        return bool(self._listeners)

    async def announce(self, event: str, facts: Callable[[str | None], Mapping[str, object]]) -> None:
        """Send an event to every listener; ``facts`` are made for each reader (it may use the disk)."""
        readers = {session.reader for session in self._listeners.values()}
        texts = {
            reader: f"event: {event}\ndata: {json.dumps(await run_in_threadpool(facts, reader))}\n\n" for reader in readers
        }
        for queue, session in list(self._listeners.items()):
            if session.reader not in texts:  # sat down just now, and fetches everything anyway
                continue
            try:
                queue.put_nowait(texts[session.reader])
            except asyncio.QueueFull:
                self._end(queue)

    async def listen(self, session: Session) -> AsyncIterator[str]:
        """The events for one listener, until it goes or the server stops."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(maxsize=_MOST_WAITING)
        self._listeners[queue] = session
        try:
            yield ": listening\n\n"
            while True:
                try:
                    text = await asyncio.wait_for(queue.get(), timeout=_PING_S)
                except TimeoutError:
                    text = ": ping\n\n"
                if text is None:
                    return
                yield text
        finally:
            self._listeners.pop(queue, None)

    def close(self) -> None:
        """End all streams."""
        for queue in list(self._listeners):
            self._end(queue)

    def _end(self, queue: "asyncio.Queue[str | None]") -> None:
        # Whoever lags behind or is sent away connects again and fetches everything anew.
        self._listeners.pop(queue, None)
        while queue.full():
            queue.get_nowait()
        queue.put_nowait(None)
