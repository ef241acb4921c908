"""How the node is: a page for machines on loopback, ``/healthz`` as JSON and ``/metrics`` as Prometheus reads it."""

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Literal

from xraynet.errors import ServiceError
from xraynet.service.node.queue_figures import QueueFigures

State = Literal["ok", "degraded", "failing", "stopping"]
_HOST: Final = "127.0.0.1"
_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Health:
    """The node at one moment. ``degraded``: it works, but a person should look (``problems`` says at what)."""

    state: State
    problems: tuple[str, ...]
    version: str
    uptime_s: float
    free_disk_bytes: float
    archive_failures_in_a_row: int
    last_error: str
    queue: QueueFigures
    counts: dict[str, int]

    def to_json(self) -> str:
        """The page for programs and people."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def to_metrics(self) -> str:
        """The page for Prometheus."""
        figures = {f"xraynet_queue_{name}": value for name, value in asdict(self.queue).items()}
        figures |= {f"xraynet_{name}_total": value for name, value in self.counts.items()}
        figures |= {
            "xraynet_up": int(self.state in ("ok", "degraded")),
            "xraynet_uptime_seconds": round(self.uptime_s, 1),
            "xraynet_free_disk_bytes": int(self.free_disk_bytes),
            "xraynet_archive_failures_in_a_row": self.archive_failures_in_a_row,
        }
        return "".join(f"{name} {value}\n" for name, value in figures.items())


class HealthServer:
    """Serves the node's health on loopback, from a thread of its own."""

    def __init__(self, port: int, measure: Callable[[], Health]) -> None:
        """Bind the port. Raises ServiceError where it is taken."""
        handler = type("_Handler", (_HealthHandler,), {"measure": staticmethod(measure)})
        try:
            self._server = ThreadingHTTPServer((_HOST, port), handler)
        except OSError as error:
            raise ServiceError(f"port {port} for the health page cannot be listened on: {error.strerror}") from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="health")

    @property
    def port(self) -> int:
        """The port of the page."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._thread.join()
        self.close()

    def close(self) -> None:
        """Give the port back."""
        self._server.server_close()


class _HealthHandler(BaseHTTPRequestHandler):
    measure: Callable[[], Health]
    timeout = 10
    server_version, sys_version = "xraynet", ""

    def do_GET(self) -> None:
        """Answer /healthz and /metrics; 503 where the node is failing."""
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        if host not in _NAMES:  # a page of somebody else's, under a name that leads here
            self._answer(403, "text/plain", "this page is for this machine only\n")
            return
        health = type(self).measure()
        code = 503 if health.state == "failing" else 200
        if self.path == "/healthz":
            self._answer(code, "application/json", health.to_json())
        elif self.path == "/metrics":
            self._answer(200, "text/plain; version=0.0.4", health.to_metrics())
        else:
            self._answer(404, "text/plain", "/healthz or /metrics\n")

    def _answer(self, code: int, kind: str, text: str) -> None:
        content = text.encode("utf-8")
        self.send_response(code)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Requests for the health page are no events."""
