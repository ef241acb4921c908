"""A node's reception and server without anybody behind them, for tests of what peers are answered."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from xraynet.service.node.counters import Counters
from xraynet.service.node.film_queue import FilmQueue
from xraynet.service.node.log import NodeLog, silence_libraries
from xraynet.service.node.options import NodeOptions
from xraynet.service.node.reception import Reception
from xraynet.service.node.server import DicomServer


@dataclass
class Desk:
    """A node's reception and server without anybody behind them."""

    queue: FilmQueue
    reception: Reception
    server: DicomServer
    counters: Counters
    stream: io.StringIO

    @property
    def port(self) -> int:
        return self.server.port

    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def names(self) -> list[object]:
        return [line["event"] for line in self.events()]


@contextmanager
def open_desk(folder: Path, options: NodeOptions | None = None, *, free_bytes: float = 1e12) -> Iterator[Desk]:
    """Listen on a free port of loopback while the block lasts."""
    options = options or NodeOptions(ae_title="XRAYNET", port=0)
    stream = io.StringIO()
    log, counters = NodeLog(stream.write), Counters()
    queue = FilmQueue(folder, delivers=False, version="1")
    reception = Reception(queue, log=log, counters=counters, min_free_bytes=1e9, find_free_bytes=lambda _: free_bytes)
    with silence_libraries(log):
        server = DicomServer(reception, options=options, log=log, counters=counters)
        server.start()
        try:
            yield Desk(queue, reception, server, counters, stream)
        finally:
            server.stop(grace_s=0.5)
