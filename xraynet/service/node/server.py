"""The DICOM server: a peer is judged before anything of it is accepted, and no object is received beyond its limits."""

import threading
import time
from dataclasses import dataclass
from socketserver import BaseServer
from typing import Final, cast
from weakref import WeakKeyDictionary

from pydicom.dataset import Dataset
from pynetdicom import _config as pynetdicom_config
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import P_DATA_TF

from xraynet.errors import ServiceError
from xraynet.reporting.dicom_object import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from xraynet.service.node.counters import Counters
from xraynet.service.node.log import NodeLog
from xraynet.service.node.options import NodeOptions
from xraynet.service.node.peers import AllowList
from xraynet.service.node.reception import Incoming, Reception
from xraynet.service.node.services import (
    STORAGE_CLASSES,
    SUCCESS,
    TOO_LARGE,
    VERIFICATION,
    Answer,
    list_transfer_syntaxes,
)
from xraynet.service.node.sockets import BoundedServer, mend_closing
from xraynet.service.node.tls import make_server_context

_COMMAND_BYTES: Final = 4096
_PERMANENT, _TRANSIENT, _BY_USER, _CALLING_AE_UNKNOWN, _NO_REASON = 1, 2, 1, 3, 1


@dataclass
class _Transfer:
    """The message that an association is receiving."""

    num_bytes: int = 0
    started_at: float = 0.0
    was_cut: bool = False


class DicomServer:
    """Listens, judges peers, and hands objects to the reception."""

    def __init__(self, reception: Reception, *, options: NodeOptions, log: NodeLog, counters: Counters) -> None:
        """Bind the port. Raises ServiceError where it is taken, or where the TLS files are no good."""
        # The standard handlers log commands and negotiations in full.
        pynetdicom_config.LOG_HANDLER_LEVEL = "none"
        mend_closing()
        self._reception, self._log, self._counters = reception, log, counters
        self._limits = options.limits
        self._allow = AllowList(options.allow)
        self._transfers: WeakKeyDictionary[Association, _Transfer] = WeakKeyDictionary()
        entity = make_entity(options)
        entity.require_called_aet = True
        entity.add_supported_context(VERIFICATION)
        for sop_class in STORAGE_CLASSES:
            entity.add_supported_context(sop_class, list_transfer_syntaxes())
        context = make_server_context(options.tls) if options.tls is not None else None
        try:
            self._server = BoundedServer(
                entity,
                options=options,
                allow=self._allow,
                context=context,
                handlers=self._handlers(),
                log=log,
                counters=counters,
            )
        except OSError as error:
            raise ServiceError(f"port {options.port} of {options.bind_host} cannot be listened on: {error.strerror}") from error
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="listen")

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self._server.server_address[1])

    @property
    def is_alive(self) -> bool:
        """False once the thread that accepts connections has ended."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Accept connections, in a thread of its own."""
        self._thread.start()

    def stop(self, *, grace_s: float) -> None:
        """Accept no more; what is being received may end within the grace, then connections are cut."""
        # Not pynetdicom's own, which also takes the server out of a list that only start_server puts it into.
        BaseServer.shutdown(self._server)
        self._thread.join()
        self._server.server_close()
        deadline = time.monotonic() + grace_s
        while self._server.active_associations and time.monotonic() < deadline:
            time.sleep(0.05)
        for association in self._server.active_associations:
            association.abort()

    def _handlers(self) -> list[evt.EventHandlerType]:
        return [
            (evt.EVT_CONN_OPEN, self._open),
            (evt.EVT_REQUESTED, self._judge),
            (evt.EVT_PDU_RECV, self._measure),
            (evt.EVT_DIMSE_RECV, self._finish_message),
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_REJECTED, self._count_rejection),
        ]

    def _open(self, event: evt.Event) -> None:
        self._transfers[event.assoc] = _Transfer()

    def _judge(self, event: evt.Event) -> None:
        """Reject whoever is not listed, before anything is negotiated."""
        association = event.assoc
        title, address = _name_peer(association)
        if self._reception.is_stopping.is_set():
            association.acse.send_reject(_TRANSIENT, _BY_USER, _NO_REASON)
        elif not self._allow.admits(ae_title=title, address=address):
            self._log.warning("rejected", calling_ae=title, address=address, why="not an allowed peer")
            association.acse.send_reject(_PERMANENT, _BY_USER, _CALLING_AE_UNKNOWN)
        else:
            return
        self._counters.count("rejected_associations")
        association.kill()

    def _count_rejection(self, event: evt.Event) -> None:
        title, address = _name_peer(event.assoc)
        self._counters.count("rejected_associations")
        self._log.warning("rejected", calling_ae=title, address=address, why="another AE was called, or too many call")

    def _measure(self, event: evt.Event) -> None:
        """Abort while an object is still being received, once it is too large or takes too long."""
        transfer = self._transfers.get(event.assoc)
        if transfer is None or transfer.was_cut or not isinstance(event.pdu, P_DATA_TF):
            return
        now = time.monotonic()
        transfer.started_at = transfer.started_at or now
        values = (item.presentation_data_value or b"" for item in event.pdu.presentation_data_value_items)
        transfer.num_bytes += sum(max(0, len(value) - 1) for value in values)  # one byte is the fragment's header
        if transfer.num_bytes > self._limits.max_object_bytes + _COMMAND_BYTES:
            self._abort(event.assoc, "object over the size limit")
        elif now - transfer.started_at > self._limits.transfer_limit_s:
            self._abort(event.assoc, "object over the time limit")

    def _finish_message(self, event: evt.Event) -> None:
        if self._transfers[event.assoc].was_cut:
            return
        self._transfers[event.assoc] = _Transfer()
        # Who sends on without waiting for answers, though no such window was negotiated, would fill the memory.
        if event.assoc.dimse.msg_queue.qsize() > 1:
            self._abort(event.assoc, "requests sent on without waiting")

    def _abort(self, association: Association, why: str) -> None:
        # What the peer has sent before it hears of it still comes in, and is not counted again.
        self._transfers[association] = _Transfer(was_cut=True)
        self._counters.count("aborted_over_limit")
        self._counters.note_error("over-limit")
        self._log.warning("aborted", address=str(association.requestor.address), why=why)
        association.abort()

    def _echo(self, event: evt.Event) -> int:
        del event
        self._counters.count("echoes")
        return SUCCESS.status

    def _store(self, event: evt.Event) -> Dataset | int:
        if self._transfers[event.assoc].was_cut:  # its last piece was on the way already
            return TOO_LARGE.status
        request = cast(C_STORE, event.request)
        body = request.DataSet.getbuffer() if request.DataSet is not None else memoryview(b"")
        requestor = event.assoc.requestor
        answer = self._reception.take_in(
            Incoming(
                sop_class=str(request.AffectedSOPClassUID),
                sop_instance=str(request.AffectedSOPInstanceUID),
                transfer_syntax=str(event.context.transfer_syntax),
                body=body,
                peer=f"{requestor.ae_title}@{requestor.address}",
            )
        )
        return _to_response(answer)


def make_entity(options: NodeOptions) -> ApplicationEntity:
    """pynetdicom's application entity under the node's name and limits."""
    limits = options.limits
    entity = ApplicationEntity(options.ae_title)
    entity.implementation_class_uid = IMPLEMENTATION_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION
    entity.maximum_associations = limits.max_associations
    entity.maximum_pdu_size = limits.max_pdu_bytes
    entity.network_timeout = limits.network_timeout_s
    entity.acse_timeout = min(30.0, limits.network_timeout_s)
    entity.dimse_timeout = limits.network_timeout_s
    entity.connection_timeout = min(30.0, limits.network_timeout_s)
    return entity


def _name_peer(association: Association) -> tuple[str, str]:
    """The calling AE title and address of whoever asks for an association."""
    request = association.requestor.primitive
    return (str(request.calling_ae_title).strip() if request is not None else "", str(association.requestor.address))


def _to_response(answer: Answer) -> Dataset | int:
    if not answer.comment:
        return answer.status
    response = Dataset()
    response.Status = answer.status
    response.ErrorComment = answer.comment
    return response
