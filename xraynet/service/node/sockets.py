"""pynetdicom's sockets with the limits that it leaves to others: sizes, deadlines, and an end to every connection."""

import ssl
import time
from contextlib import suppress
from socket import socket as Socket  # noqa: N812
from typing import Final, cast

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from xraynet.service.node.counters import Counters
from xraynet.service.node.log import NodeLog
from xraynet.service.node.options import NodeLimits, NodeOptions
from xraynet.service.node.peers import AllowList

_LARGEST_NEGOTIATION: Final = 256 << 10
"""An A-ASSOCIATE-RQ may be larger than a P-DATA-TF: 128 contexts with 20 syntaxes each are about 80 KiB."""
_SPARE_CONNECTIONS: Final = 4
"""Connections beyond the associations: they get as far as being told that there are too many."""
_READ_BYTES: Final = 1 << 16


def mend_closing() -> None:
    """Have pynetdicom close its sockets in every case; where the peer hung up first, it leaves them to the collector."""
    AssociationSocket._shutdown_socket = _shut_down  # type: ignore[method-assign]


def _shut_down(self: AssociationSocket) -> None:
    connection = self.socket
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(2)  # SHUT_RDWR: whoever waits in recv is woken
        with suppress(OSError):
            connection.close()


class BoundedHandler(RequestHandler):
    """A connection whose PDUs are bounded in size, and in the time that each may take."""

    server: "BoundedServer"

    def _create_association(self) -> Association:
        association = super()._create_association()
        association.dul.event_queue.get_nowait()  # the new socket announces the connection once more
        association.dul.socket = BoundedSocket(association, cast(Socket, self.request), limits=self.server.limits)
        return association


class BoundedSocket(AssociationSocket):
    """Reads no PDU beyond its limit and waits for none beyond its time; closes for good."""

    def __init__(self, association: Association, connection: Socket, *, limits: NodeLimits) -> None:
        super().__init__(association, client_socket=connection)
        self._largest = max(limits.max_pdu_bytes, _LARGEST_NEGOTIATION)
        self._limit_s = limits.network_timeout_s

    def recv(self, nr_bytes: int) -> bytearray:
        """So many bytes, or what comes before the peer hangs up. An OSError ends the connection."""
        if nr_bytes > self._largest:
            raise OSError(f"a PDU of {nr_bytes} bytes was announced; at most {self._largest} are read")
        deadline = time.monotonic() + self._limit_s
        received = bytearray()
        while len(received) < nr_bytes:
            if self.socket is None or time.monotonic() > deadline:
                raise TimeoutError
            piece = self.socket.recv(min(nr_bytes - len(received), _READ_BYTES))
            if not piece:
                break
            received += piece
        return received


class BoundedServer(ThreadedAssociationServer):
    """Accepts connections; everything that a peer could draw out happens in the connection's own thread."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        entity: ApplicationEntity,
        *,
        options: NodeOptions,
        allow: AllowList,
        context: ssl.SSLContext | None,
        handlers: list[evt.EventHandlerType],
        log: NodeLog,
        counters: Counters,
    ) -> None:
        self.limits, self._log, self._counters = options.limits, log, counters
        self._allow = allow
        self._handshaking: set[int] = set()
        address = (options.bind_host, options.port)
        super().__init__(
            entity, address, options.ae_title, entity.supported_contexts, context, handlers, request_handler=BoundedHandler
        )

    def get_request(self) -> tuple[Socket, tuple[str, int]]:
        """Accept a connection; TLS comes later, in its own thread."""
        assert self.socket is not None
        connection, address = self.socket.accept()
        connection.settimeout(self.limits.network_timeout_s)
        return connection, address

    def verify_request(self, request: object, client_address: object) -> bool:
        """False for an address that nobody is listed at, which must not use up places, and where enough are taken."""
        del request
        address = str(cast(tuple[str, int], client_address)[0])
        if not self._allow.may_know(address):
            self._counters.count("rejected_associations")
            self._log.warning("rejected", why="nobody is listed at this address", address=address)
            return False
        num_open = len(self.active_associations) + len(self._handshaking)
        return num_open < self.limits.max_associations + _SPARE_CONNECTIONS

    def process_request(self, request: object, client_address: object) -> None:
        """Hand a connection to a thread of its own."""
        self._handshaking.add(id(request))
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Shake hands where TLS is asked for, then make an association of the connection."""
        address = cast(tuple[str, int], client_address)
        try:
            connection = self._shake_hands(cast(Socket, request), address)
            if connection is not None:
                super().process_request_thread(connection, address)
        finally:
            self._handshaking.discard(id(request))

    def _shake_hands(self, connection: Socket, address: tuple[str, int]) -> Socket | None:
        if self.ssl_context is None:
            return connection
        try:
            return self.ssl_context.wrap_socket(connection, server_side=True)
        except (OSError, ValueError) as error:
            self._counters.count("tls_failures")
            self._log.warning("tls-failed", address=str(address[0]), error=type(error).__name__)
            self.shutdown_request(connection)
            return None

    def handle_error(self, request: object, client_address: object) -> None:
        """Tell that a connection came to nothing, without a traceback."""
        del request, client_address
        self._log.warning("connection-broke", why="it could not be set up")
