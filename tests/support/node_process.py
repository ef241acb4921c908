"""``xraynet listen`` as a process that tests start, watch, kill and start again."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from orthanc import find_free_port

Json = dict[str, object]


@dataclass
class NodeProcess:
    """A node over one folder of results, always on the same ports. ``options`` are further words of the command line."""

    out: Path
    options: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=find_free_port)
    health_port: int = field(default_factory=find_free_port)
    _process: "subprocess.Popen[bytes] | None" = None

    def __enter__(self) -> "NodeProcess":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    @property
    def log_path(self) -> Path:
        """What the process writes to standard error, over all its lives."""
        return self.out.with_name(f"{self.out.name}.log")

    @property
    def said(self) -> str:
        """All that it has said."""
        return self.log_path.read_text(errors="replace") if self.log_path.is_file() else ""

    def events(self, name: str) -> list[Json]:
        """The events of one name in the log. A line that a kill cut short is left out."""
        lines = [line for line in self.said.splitlines() if line.startswith("{") and line.endswith("}")]
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def start(self, *, limit_s: float = 120.0) -> None:
        """Start it and wait until it answers."""
        words = [sys.executable, "-m", "xraynet", "listen", "--port", str(self.port), "--health-port", str(self.health_port)]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*words, "--out", str(self.out), *self.options],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", **self.environment},
            )
        num_before = len(self.events("listening"))
        deadline = time.monotonic() + limit_s
        while len(self.events("listening")) == num_before:
            assert self._process.poll() is None, f"the node ended at once:\n{self.said[-3000:]}"
            assert time.monotonic() < deadline, f"the node did not start within {limit_s:g} s:\n{self.said[-3000:]}"
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, as when the power goes."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def terminate(self, *, limit_s: float = 60.0) -> int:
        """SIGTERM; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(timeout=limit_s)
        self._process = None
        return code

    def ask(self, path: str = "/healthz") -> tuple[int, str]:
        """The status and body of the health page."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}{path}", timeout=10) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def health(self) -> Json:
        """The health page."""
        answer: Json = json.loads(self.ask()[1])
        return answer

    def figure(self, name: str) -> float:
        """A figure of the queue, from the health page."""
        queue = self.health()["queue"]
        assert isinstance(queue, dict)
        return float(queue[name])

    def count(self, name: str) -> int:
        """A count since the last start, from the health page."""
        counts = self.health()["counts"]
        assert isinstance(counts, dict)
        return int(counts[name])

    def wait_until_idle(self, *, limit_s: float = 120.0) -> None:
        """Wait until no film waits to be read and no result to be sent."""
        deadline = time.monotonic() + limit_s
        while True:
            waiting, to_send = self.figure("waiting"), self.figure("to_send")
            if not waiting and not to_send:
                return
            assert time.monotonic() < deadline, (
                f"{waiting:g} films wait, {to_send:g} have results to send:\n{self.said[-3000:]}"
            )
            time.sleep(0.1)
