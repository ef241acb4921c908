"""A review server in a process of its own, and a client that speaks to it as a browser would."""

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_URL = re.compile(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)")
_START_LIMIT_S = 120.0


@dataclass
class ReviewServer:
    """A running server: its process, where it listens, and the token that it printed."""

    process: subprocess.Popen
    port: int
    token: str
    log: Path

    def kill(self) -> None:
        """Take it down as a power cut would take a process down."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to stop; its exit status."""
        self.process.terminate()
        return self.process.wait(timeout=30)


def start_server(out: Path, *options: str, log: Path) -> ReviewServer:
    """Start ``xraynet review`` on a free port and wait until it says where it is."""
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "xraynet", "review", str(out), "--port", "0", *options]
        environment = {**os.environ, "JAXTYPING_DISABLE": "1"}
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=environment)
    limit = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < limit:
        found = _URL.search(log.read_text(errors="replace"))
        if found is not None:
            return ReviewServer(process, int(found[1]), found[2], log)
        if process.poll() is not None:
            raise AssertionError(f"the server ended with {process.returncode}: {log.read_text(errors='replace')}")
        time.sleep(0.02)
    process.kill()
    raise AssertionError("the server did not start")


@contextlib.contextmanager
def running_server(out: Path, *options: str, log: Path) -> Iterator[ReviewServer]:
    """A server for the length of a block."""
    server = start_server(out, *options, log=log)
    try:
        yield server
    finally:
        server.kill()


@dataclass
class ReviewClient:
    """One browser. ``revisions``: what it last heard of each film."""

    server: ReviewServer
    reader: str
    cookie: str = ""
    revisions: dict[str, int] = field(default_factory=dict)
    _connection: http.client.HTTPConnection | None = None
    _streams: list[http.client.HTTPConnection] = field(default_factory=list)

    def close(self) -> None:
        """Leave."""
        for connection in (self._connection, *self._streams):
            if connection is not None:
                connection.close()
        self._connection = None

    def enter(self, server: ReviewServer | None = None) -> "ReviewClient":
        """Come in by the printed link (of another start, where the server is given), and say who reads."""
        self.close()
        self.server = server or self.server
        self.cookie = ""
        status, headers, _ = self._ask("GET", f"/?token={self.server.token}")
        assert status == 303
        self.cookie = headers["set-cookie"].partition(";")[0]
        self.post("/api/reader", {"name": self.reader})
        return self

    def get(self, path: str) -> dict:
        """The JSON at a path."""
        status, _, body = self._ask("GET", path)
        assert status == 200, (status, body)
        return json.loads(body)

    def post(self, path: str, tables: object) -> tuple[int, dict]:
        """(status, JSON) of a change."""
        headers = {"Origin": f"http://127.0.0.1:{self.server.port}", "Content-Type": "application/json"}
        status, _, body = self._ask("POST", path, json.dumps(tables).encode(), headers)
        return status, json.loads(body)

    def act(self, film: str, action_id: str, base: int, step: dict) -> tuple[int, dict]:
        """(status, answer) of a step."""
        return self.post(f"/api/films/{film}/actions", {"action_id": action_id, "base_revision": base, **step})

    def step(self, film: str, kind: str, **facts: object) -> dict:
        """The reading after a step at the last revision that this browser heard of."""
        status, answer = self.act(film, str(uuid.uuid4()), self.revisions.get(film, 0), {"kind": kind, **facts})
        assert status == 200, answer
        self.revisions[film] = answer["reading"]["revision"]
        return answer["reading"]

    def listen(self) -> http.client.HTTPResponse:
        """The event stream."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        self._streams.append(connection)
        connection.request("GET", "/api/events", headers={"Cookie": self.cookie})
        return connection.getresponse()

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        cookie = {"Cookie": self.cookie} if self.cookie else {}
        self._connection.request(method, path, body, {**(headers or {}), **cookie})
        answer = self._connection.getresponse()
        return answer.status, answer.headers, answer.read()
