"""``xraynet review`` as a process of its own, that a test can kill and start again at the same place."""

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@dataclass
class ReviewProcess:
    """A review server over ``root``; ``link`` is the address that it printed when it was last started."""

    root: Path
    arguments: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    link: str = ""
    _process: subprocess.Popen[str] | None = None

    @property
    def origin(self) -> str:
        """Where all its pages are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> Path:
        """The file of readings."""
        return self.root / "review.sqlite"

    def start(self, *, timeout_s: float = 60) -> "ReviewProcess":
        """Start it and wait for its link."""
        command = [sys.executable, "-m", "xraynet", "review", str(self.root), "--port", str(self.port), *self.arguments]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "JAXTYPING_DISABLE": "1"}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        said: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, args=(self._process, said), daemon=True).start()
        lines = ""
        while not (found := re.search(r"review: (http\S+)", lines)):
            line = said.get(timeout=timeout_s)
            assert line, f"the server ended: {lines}"
            lines += line
        self.link = found.group(1)
        return self

    @staticmethod
    def _listen(process: subprocess.Popen[str], said: "queue.Queue[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said.put(line)
        said.put("")

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it, by default without a word of warning."""
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.wait(timeout=20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
