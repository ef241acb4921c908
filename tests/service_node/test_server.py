"""What the node accepts from whom, and how it defends itself: on real connections."""

import socket
import ssl
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_dicom
from node_desk import Desk, open_desk
from node_peers import SEEDED, Certificates, ask_association, send, write_film
from pydicom import dcmread
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForProcessing,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    SecondaryCaptureImageStorage,
)

from xraynet.errors import ServiceError
from xraynet.service.node.options import NodeLimits, NodeOptions, TlsFiles
from xraynet.service.node.peers import AllowList

pytestmark = pytest.mark.network

OWN_RESULT, MISMATCH, NOT_UNDERSTOOD, OTHER_INSTANCE, FULL, STOPPING = 0xC101, 0xA900, 0xC000, 0xC001, 0xA700, 0xA701
LIMITED = NodeOptions(
    ae_title="XRAYNET", port=0, limits=NodeLimits(max_object_mib=0.25, max_associations=2, network_timeout_s=1.5)
)


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path / "node", LIMITED) as opened:
        yield opened


def wait_for(desk: Desk, event: str, limit_s: float = 10.0) -> None:
    deadline = time.monotonic() + limit_s
    while event not in desk.names():
        assert time.monotonic() < deadline, f"no {event} among {desk.names()}"
        time.sleep(0.02)


def test_an_echo_is_answered(desk: Desk) -> None:
    assert ask_association(desk.port) == (True, None)
    assert desk.counters.snapshot()["echoes"] == 1


def test_a_film_is_stored_as_it_was_sent(desk: Desk, tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.dcm")
    assert send(desk.port, path) == [0]
    received = desk.queue.next_waiting()
    assert received is not None
    kept, sent = dcmread(desk.queue.path_of(received.sha256)), dcmread(path)
    assert kept == sent
    assert kept.file_meta.MediaStorageSOPInstanceUID == sent.SOPInstanceUID
    assert kept.preamble == b"\0" * 128


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, JPEGLosslessSV1, JPEG2000Lossless],
)
def test_films_arrive_in_their_own_transfer_syntax(desk: Desk, tmp_path: Path, syntax: UID) -> None:
    path = write_film(tmp_path / "film.dcm", syntax=syntax)
    assert send(desk.port, path) == [0]
    received = desk.queue.next_waiting()
    assert received is not None
    assert received.transfer_syntax == syntax
    assert dcmread(desk.queue.path_of(received.sha256)).file_meta.TransferSyntaxUID == syntax


@pytest.mark.parametrize(
    ("sop_class", "status"),
    [
        (ComputedRadiographyImageStorage, 0),
        (DigitalXRayImageStorageForProcessing, 0),
        (SecondaryCaptureImageStorage, 0),
        (UID("1.2.840.10008.5.1.4.1.1.2"), None),  # CT: no context is accepted
        (UID("1.2.840.10008.5.1.4.1.1.88.33"), None),  # a report
    ],
)
def test_radiographs_are_taken_in_and_other_objects_find_no_context(
    desk: Desk, tmp_path: Path, sop_class: UID, status: int | None
) -> None:
    assert send(desk.port, write_film(tmp_path / "film.dcm", SOPClassUID=sop_class)) == [status]


def test_a_film_sent_again_is_acknowledged_once_more(desk: Desk, tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.dcm")
    assert send(desk.port, path, path) == [0, 0]
    assert send(desk.port, path, calling="OTHER") == [0]
    counts = desk.counters.snapshot()
    assert (counts["received"], counts["received_again"]) == (1, 2)
    assert desk.queue.figures().waiting == 1


def test_other_bytes_under_the_same_uid_are_taken_in_and_reported(desk: Desk, tmp_path: Path) -> None:
    first = write_film(tmp_path / "first.dcm", 1)
    other = write_film(tmp_path / "other.dcm", 1, PatientSex="F")
    assert send(desk.port, first, other) == [0, 0]
    assert desk.queue.figures().waiting == 2
    assert desk.counters.snapshot()["received_conflicts"] == 1
    assert [line["level"] for line in desk.events() if line["event"] == "uid-conflict"] == ["warning"]
    assert desk.counters.last_error == "uid-conflict"


def test_a_result_of_ours_is_refused(desk: Desk, tmp_path: Path) -> None:
    result = write_film(tmp_path / "sc.dcm", SOPClassUID=SecondaryCaptureImageStorage, Manufacturer="xraynet")
    assert send(desk.port, result) == [OWN_RESULT]
    assert desk.queue.figures().waiting == 0
    assert desk.counters.snapshot()["refused_own_results"] == 1


def test_a_data_set_that_is_not_what_the_command_says_is_refused(desk: Desk, tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.dcm")
    assert send_as(desk.port, path, sop_class=ComputedRadiographyImageStorage) == MISMATCH
    assert send_as(desk.port, path, sop_instance=UID("1.2.3.4")) == OTHER_INSTANCE
    assert send_as(desk.port, path, body=b"no data set at all") == NOT_UNDERSTOOD
    assert send_as(desk.port, path, body=b"\x08\x00\x06\x00SQ\x00\x00\xff\xff\xff\xff" * 5000) == NOT_UNDERSTOOD
    assert desk.queue.figures().waiting == 0


def send_as(
    port: int, path: Path, *, sop_class: UID | None = None, sop_instance: UID | None = None, body: bytes | None = None
) -> int:
    """C-STORE with a command of our own over a film's data set, or over other bytes."""
    from io import BytesIO

    from pynetdicom import AE
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.dsutils import encode

    dataset = dcmread(path)
    entity = AE("SENDER")
    entity.add_requested_context(sop_class or dataset.SOPClassUID, "1.2.840.10008.1.2.1")
    association = entity.associate("127.0.0.1", port, ae_title="XRAYNET")
    assert association.is_established
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = sop_class or dataset.SOPClassUID
    request.AffectedSOPInstanceUID = sop_instance or dataset.SOPInstanceUID
    request.DataSet = BytesIO(body if body is not None else encode(dataset, False, True) or b"")
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        time.sleep(0.001)
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id or 1)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    association.release()
    assert answer is not None
    return int(answer.Status)


def test_a_full_disk_takes_no_film_in(tmp_path: Path) -> None:
    with open_desk(tmp_path / "node", free_bytes=1e6) as full:
        assert send(full.port, write_film(tmp_path / "film.dcm")) == [FULL]
        assert full.counters.snapshot()["refused_out_of_resources"] == 1
        assert full.queue.figures().waiting == 0


def test_a_disk_that_fills_up_while_writing_is_out_of_resources_too(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_film(tmp_path / "film.dcm")

    def fail(*arguments: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("xraynet.service.node.film_queue._write_through", fail)
        assert send(desk.port, path) == [FULL]
    assert not list((tmp_path / "node" / "incoming").iterdir())
    assert send(desk.port, path) == [0]


def test_a_handler_that_breaks_costs_one_object(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_film(tmp_path / "film.dcm")

    def break_down(*arguments: object, **more: object) -> None:
        raise RuntimeError(SEEDED[0])

    with monkeypatch.context() as patch:
        patch.setattr(desk.queue, "receive", break_down)
        assert send(desk.port, path) == [0x0110]
    assert send(desk.port, path) == [0]
    assert SEEDED[0] not in desk.stream.getvalue()


def test_a_node_that_stops_takes_nothing_in(desk: Desk, tmp_path: Path) -> None:
    desk.reception.is_stopping.set()
    assert ask_association(desk.port) == (False, (2, 1, 1))


def test_who_calls_somebody_else_is_rejected(desk: Desk) -> None:
    assert ask_association(desk.port, called="OTHER") == (False, (1, 1, 7))
    assert "rejected" in desk.names()


def test_who_is_not_listed_is_rejected(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def admits(self: AllowList, *, ae_title: str, address: str) -> bool:
        return (ae_title, address) == ("FRIEND", "127.0.0.1")

    monkeypatch.setattr(AllowList, "admits", admits)
    assert ask_association(desk.port, calling="STRANGER") == (False, (1, 1, 3))
    assert ask_association(desk.port, calling="FRIEND") == (True, None)
    [line] = [line for line in desk.events() if line["event"] == "rejected"]
    assert (line["calling_ae"], line["address"]) == ("STRANGER", "127.0.0.1")


def test_an_address_that_nobody_is_listed_at_takes_no_place(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def may_know(self: AllowList, address: str) -> bool:
        return address != "127.0.0.1"

    monkeypatch.setattr(AllowList, "may_know", may_know)
    with socket.create_connection(("127.0.0.1", desk.port), timeout=10) as stranger:
        assert stranger.recv(1) == b""
    [line] = [line for line in desk.events() if line["event"] == "rejected"]
    assert (line["address"], line["why"]) == ("127.0.0.1", "nobody is listed at this address")


def test_an_object_over_the_limit_is_cut_off_while_it_is_sent(limited: Desk, tmp_path: Path) -> None:
    large = write_dicom(tmp_path / "large.dcm", np.zeros((1000, 1000), dtype=np.uint16), StudyInstanceUID="1.2.3")
    started_at = time.monotonic()
    assert send(limited.port, large) == [None]
    assert time.monotonic() - started_at < 15
    [line] = [line for line in limited.events() if line["event"] == "aborted"]
    assert line["why"] == "object over the size limit"
    assert limited.queue.figures().waiting == 0
    assert send(limited.port, write_film(tmp_path / "small.dcm")) == [0]


def test_too_many_associations_are_rejected_and_the_node_goes_on(limited: Desk) -> None:
    from pynetdicom import AE
    from pynetdicom.sop_class import Verification

    entity = AE("SENDER")
    entity.add_requested_context(Verification)
    held = [entity.associate("127.0.0.1", limited.port, ae_title="XRAYNET") for _ in range(2)]
    assert all(association.is_established for association in held)
    assert ask_association(limited.port) == (False, (2, 3, 2))
    for association in held:
        association.release()
    deadline = time.monotonic() + 10
    while ask_association(limited.port) != (True, None):
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    "words",
    [
        b"",  # says nothing
        b"\x01\x00\x00",  # stops within the PDU's head
        b"\x01\x00\x00\x00\x10\x00" + b"x" * 10,  # stops within the PDU
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x01\x00\xff\xff\xff\xff" + b"x" * 100,  # announces 4 GiB
        b"\x04\x00\x00\x00\x00\x04abcd",  # data before an association
    ],
)
def test_a_connection_that_leads_nowhere_is_closed_in_time(limited: Desk, words: bytes) -> None:
    with socket.create_connection(("127.0.0.1", limited.port)) as connection:
        connection.settimeout(15)
        connection.sendall(words)
        started_at = time.monotonic()
        while connection.recv(4096):
            pass
        assert time.monotonic() - started_at < 10
    assert ask_association(limited.port) == (True, None)


def test_a_crowd_that_says_nothing_keeps_nobody_out_for_long(limited: Desk) -> None:
    crowd = [socket.create_connection(("127.0.0.1", limited.port)) for _ in range(20)]
    try:
        deadline = time.monotonic() + 15
        while ask_association(limited.port) != (True, None):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        for connection in crowd:
            connection.close()


def test_a_sender_that_does_not_wait_for_answers_is_cut_off(desk: Desk, tmp_path: Path) -> None:
    from pynetdicom import AE
    from pynetdicom.dimse_primitives import C_ECHO
    from pynetdicom.sop_class import Verification

    entity = AE("SENDER")
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", desk.port, ae_title="XRAYNET")
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = 1, Verification
    for _ in range(300):
        if association.is_established:
            association.dimse.send_msg(request, 1)
    wait_for(desk, "aborted")
    assert ask_association(desk.port) == (True, None)


def test_over_tls_films_arrive_and_plain_connections_do_not(tmp_path: Path, certificates: Certificates) -> None:
    options = NodeOptions(ae_title="XRAYNET", port=0, tls=TlsFiles(certificates.certificate, certificates.key))
    client = ssl.create_default_context(cafile=str(certificates.ca))
    with open_desk(tmp_path / "node", options) as desk:
        assert send(desk.port, write_film(tmp_path / "film.dcm"), tls=client) == [0]
        assert ask_association(desk.port) == (False, None)
        wait_for(desk, "tls-failed")
        assert desk.counters.snapshot()["tls_failures"] == 1
        old = ssl.create_default_context(cafile=str(certificates.ca))
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        assert ask_association(desk.port, tls=old)[0] is False


def test_with_a_ca_only_its_certificates_may_call(tmp_path: Path, certificates: Certificates) -> None:
    files = TlsFiles(certificates.certificate, certificates.key, certificates.ca)
    with open_desk(tmp_path / "node", NodeOptions(ae_title="XRAYNET", port=0, tls=files)) as desk:
        client = ssl.create_default_context(cafile=str(certificates.ca))
        assert ask_association(desk.port, tls=client)[0] is False
        client.load_cert_chain(certificates.stranger, certificates.stranger_key)
        assert ask_association(desk.port, tls=client)[0] is False
        client = ssl.create_default_context(cafile=str(certificates.ca))
        client.load_cert_chain(certificates.certificate, certificates.key)
        assert ask_association(desk.port, tls=client) == (True, None)


def test_a_handshake_that_never_ends_keeps_nobody_out(tmp_path: Path, certificates: Certificates) -> None:
    options = NodeOptions(
        ae_title="XRAYNET",
        port=0,
        tls=TlsFiles(certificates.certificate, certificates.key),
        limits=NodeLimits(network_timeout_s=1.5),
    )
    client = ssl.create_default_context(cafile=str(certificates.ca))
    with open_desk(tmp_path / "node", options) as desk, socket.create_connection(("127.0.0.1", desk.port)) as silent:
        assert ask_association(desk.port, tls=client) == (True, None)
        silent.settimeout(15)
        assert silent.recv(1) == b""


@pytest.mark.parametrize("missing", ["certificate", "key", "ca"])
def test_tls_files_that_are_no_good_are_named(tmp_path: Path, certificates: Certificates, missing: str) -> None:
    good = {"certificate": certificates.certificate, "key": certificates.key, "ca": certificates.ca}
    files = TlsFiles(**{**good, missing: tmp_path / "nothing.pem"})
    with (
        pytest.raises(ServiceError, match=r"nothing\.pem"),
        open_desk(tmp_path / "node", NodeOptions(ae_title="X", port=0, tls=files)),
    ):
        pass


def test_a_port_that_is_taken_is_named(desk: Desk, tmp_path: Path) -> None:
    with (
        pytest.raises(ServiceError, match=str(desk.port)),
        open_desk(tmp_path / "other", NodeOptions(ae_title="X", port=desk.port)),
    ):
        pass


def test_the_log_never_names_a_patient(desk: Desk, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_film(tmp_path / "film.dcm")
    send(desk.port, path, path, write_film(tmp_path / "other.dcm", PatientSex="F"))
    send(desk.port, write_film(tmp_path / "own.dcm", 2, Manufacturer="xraynet"))
    send_as(desk.port, path, sop_instance=UID("1.2.3.4"))
    said = desk.stream.getvalue() + "".join(capfd.readouterr())
    dataset = dcmread(path)
    for secret in (*SEEDED, "Seededson", str(dataset.SOPInstanceUID), str(dataset.StudyInstanceUID)):
        assert secret not in said
    assert {line["event"] for line in desk.events()} == {"received", "received-again", "uid-conflict", "refused"}


def test_a_pdu_within_the_limit_is_read_in_one_piece(desk: Desk) -> None:
    with socket.create_connection(("127.0.0.1", desk.port)) as connection:
        connection.settimeout(10)
        connection.sendall(struct.pack(">BBL", 1, 0, 68) + b"\0" * 68)
        assert connection.recv(1) in (b"\x07", b"")  # an abort, or the end: no association is made of zeros
