"""Runs the review page's server: binds, says where it is, serves until it is told to stop."""

import asyncio
import fcntl
import logging
import socket
import ssl
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn

from xraynet.errors import ReviewError
from xraynet.service.review.desk import ReviewDesk
from xraynet.service.review.door import Address, Door, is_loopback
from xraynet.service.review.films import FilmFolder
from xraynet.service.review.guard import Guard
from xraynet.service.review.history import Mode
from xraynet.service.review.routes import ReviewSite
from xraynet.service.review.store import ReviewStore

_MOST_CONNECTIONS: Final = 256
_STOP_S: Final = 3


@dataclass(frozen=True)
class ServerOptions:
    """Where the server listens and how it is reached.

    Beyond loopback only with ``allow_remote`` and a certificate (``tls_cert``, ``tls_key``: PEM files), or the origin of an
    encrypting proxy. Port 0: any free one.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    second_reader: bool = False
    allow_remote: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    proxy_origin: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port < 1 << 16:
            raise ValueError(f"port is {self.port}; 0 to 65535 was expected")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("a certificate needs its key: give --tls-cert and --tls-key together")
        if self.tls_cert is not None and self.proxy_origin is not None:
            raise ValueError("either the server encrypts (--tls-cert, --tls-key) or the proxy does (--behind-proxy), not both")
        if self.proxy_origin is not None:
            Address.behind_proxy(self.proxy_origin, host=self.host, port=self.port)  # raises ValueError for what is no origin
        if is_loopback(self.host):
            return
        if not self.allow_remote:
            raise ValueError(f"{self.host} can be reached from other machines; that needs --allow-remote")
        if self.tls_cert is None and self.proxy_origin is None:
            raise ValueError(
                "--allow-remote needs a certificate (--tls-cert, --tls-key) or an encrypting proxy (--behind-proxy ORIGIN): "
                "films never travel in the clear"
            )
        if self.proxy_origin is None and self.host in ("0.0.0.0", "::"):  # noqa: S104 - refused here
            raise ValueError(f"host is {self.host}; the name or address by which readers reach this machine was expected")

    def address(self, port: int) -> Address:
        """How browsers reach the server that listens on ``port``."""
        if self.proxy_origin is not None:
            return Address.behind_proxy(self.proxy_origin, host=self.host, port=port)
        return Address.direct(self.host, port, has_certificate=self.tls_cert is not None)


class _Server(uvicorn.Server):
    """uvicorn's server, whose open event streams end as soon as it is told to stop."""

    def __init__(self, config: uvicorn.Config, *, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: types.FrameType | None) -> None:
        """Told to stop by a signal."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._on_stop)
        super().handle_exit(sig, frame)


def serve(root: Path, *, store: Path, options: ServerOptions, on_ready: Callable[[str], None]) -> None:
    """Serve the folder of results ``root`` with the readers' actions in ``store``, until stopped.

    ``on_ready`` is told the link to open. Raises ReviewError where folder, store, port or certificate are unfit.
    """
    mode: Mode = "second-reader" if options.second_reader else "plain"
    folder = FilmFolder(root)
    with hold_store(store), ReviewStore(store) as opened, _listen(options) as listening:
        port = int(listening.getsockname()[1])
        scheme = "__Host-" if options.address(port).is_secure else ""
        door = Door(options.address(port), cookie_name=f"{scheme}xraynet-review-{port}")
        site = ReviewSite(ReviewDesk(folder, opened, mode=mode), door)
        server = _Server(_config(site, options), on_stop=site.hub.close)
        on_ready(door.url)
        server.run(sockets=[listening])


def _config(site: ReviewSite, options: ServerOptions) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config = uvicorn.Config(
        Guard(site.build_app(), door=site.door),
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_STOP_S,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise ReviewError(f"{options.tls_cert}: is no certificate that fits {options.tls_key}: {error}") from error
    return config


@contextmanager
def _listen(options: ServerOptions) -> Iterator[socket.socket]:
    try:
        host = options.host.strip("[]")
        family = socket.getaddrinfo(host, options.port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, options.port), family=family, backlog=128)
    except OSError as error:
        raise ReviewError(f"{options.host} port {options.port}: cannot be listened on: {error.strerror or error}") from error
    with listening:
        yield listening


@contextmanager
def hold_store(store: Path) -> Iterator[None]:
    """Keep other servers off a store while the block lasts. Raises ReviewError where one has it."""
    try:
        stream = store.with_name(f".{store.name}.lock").open("w")
    except OSError as error:
        raise ReviewError(f"{store}: cannot be opened: {error.strerror}") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ReviewError(f"{store}: another review server has it; open that one's page, or stop it") from None
        yield
