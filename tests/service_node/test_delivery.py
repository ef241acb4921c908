"""Results on their way to an archive that takes them, has no room, does not understand them, or is not there."""

import io
import json
import random
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_dicom
from node_peers import SEEDED, Certificates, run_stub_archive, write_result
from orthanc import find_free_port
from pydicom import dcmread
from pydicom.uid import (
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    SecondaryCaptureImageStorage,
)

from xraynet.service.node.counters import Counters
from xraynet.service.node.delivery import PROCESSING_FAILURES_BELIEVED, Backoff, Courier, judge_status
from xraynet.service.node.film_queue import FilmQueue
from xraynet.service.node.log import NodeLog, silence_libraries
from xraynet.service.node.options import NodeOptions, TlsFiles
from xraynet.service.node.peers import Archive
from xraynet.service.node.records import Concluded, ResultObject

pytestmark = pytest.mark.network

SR = str(ComprehensiveSRStorage)
REPORTS = [(SR, [str(ExplicitVRLittleEndian)])]
OPTIONS = NodeOptions(ae_title="XRAYNET", port=0, retry_first_s=0.02, retry_cap_s=0.1)


def fill(queue: FilmQueue, num: int, *, picture: bytes | None = None) -> list[str]:
    """``num`` films with a report each (and a picture): the SOP Instance UIDs of the reports."""
    uids = []
    for number in range(num):
        received, _ = queue.receive([bytes([number])], sop_instance_uid=f"1.{number}", sop_class="1", transfer_syntax="1")
        uid = f"9.9.{number + 1}"
        results = [ResultObject("sr.dcm", SR, uid, write_result("sr", uid, sop_class=SR))]
        if picture is not None:
            results.append(ResultObject("sc.dcm", str(SecondaryCaptureImageStorage), "9.8.1", picture))
        concluded = Concluded(status="ok", code="", reason="", concluded_at=time.time(), version="1")
        queue.conclude(received.sha256, concluded, results)
        uids.append(uid)
    return uids


class Post:
    """A courier with its queue and its log."""

    def __init__(self, folder: Path, port: int, options: NodeOptions = OPTIONS) -> None:
        self.queue = FilmQueue(folder, delivers=True, version="1")
        self.stream, self.counters = io.StringIO(), Counters()
        archive = Archive("ARCHIVE", "localhost" if options.forward_tls else "127.0.0.1", port)
        self.courier = Courier(self.queue, archive, options=options, log=NodeLog(self.stream.write), counters=self.counters)

    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @contextmanager
    def sending(self) -> Iterator[None]:
        with silence_libraries(NodeLog(self.stream.write)):
            self.courier.start()
            try:
                yield
            finally:
                self.courier.stop()

    def wait_until(self, done: Callable[[], bool], limit_s: float = 20.0) -> None:
        deadline = time.monotonic() + limit_s
        while not done():
            assert time.monotonic() < deadline, self.events()[-5:]
            time.sleep(0.01)

    def wait_for_end(self) -> None:
        self.wait_until(lambda: self.queue.figures().to_send == 0)


def test_results_arrive_in_order_over_one_association(tmp_path: Path) -> None:
    with run_stub_archive(contexts=REPORTS) as archive:
        post = Post(tmp_path, archive.port)
        uids = fill(post.queue, 5)
        with post.sending():
            post.wait_for_end()
        assert (archive.uids, archive.associations) == (uids, 1)
        assert post.queue.figures().results_stored == 5
        kept = dcmread(io.BytesIO(archive.stored[0][2]))
        assert kept.PatientID == SEEDED[1]


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ((0x0000, 0xB000, 0xB006, 0xB007, 0x0111), "stored"),
        ((0xA700, 0xA7FF, 0x0110), "again"),
        ((0xC000, 0xCFFF, 0xA900, 0x0122, 0x0124, 0x0117, 0xFE00), "refused"),
    ],
)
def test_statuses_mean_what_the_standard_says(statuses: tuple[int, ...], verdict: str) -> None:
    assert {judge_status(status) for status in statuses} == {verdict}


def test_an_archive_without_room_is_tried_until_it_has_some(tmp_path: Path) -> None:
    with run_stub_archive(contexts=REPORTS, answers=[0xA700] * 4) as archive:
        post = Post(tmp_path, archive.port)
        uids = fill(post.queue, 3)
        with post.sending():
            post.wait_for_end()
        assert archive.uids == uids
        assert post.counters.snapshot()["delivery_retries"] == 4
        assert {line["why"] for line in post.events() if line["event"] == "archive-not-now"} == {"status-A700"}


def test_what_is_not_understood_is_kept_and_reported_and_holds_up_nobody(tmp_path: Path) -> None:
    with run_stub_archive(contexts=REPORTS, answers=[0, 0xC123]) as archive:
        post = Post(tmp_path, archive.port)
        uids = fill(post.queue, 3)
        with post.sending():
            post.wait_for_end()
        assert archive.uids == [uids[0], uids[2]]
        figures = post.queue.figures()
        assert (figures.results_stored, figures.results_refused) == (2, 1)
        [line] = [line for line in post.events() if line["level"] == "error"]
        assert (line["event"], line["status"]) == ("delivery-refused", "C123")
        assert post.counters.last_error == "archive-refused-C123"
    queue = FilmQueue(tmp_path, delivers=True, version="1", retry_refused=True)
    assert queue.figures().to_send == 1


def test_a_warning_is_stored_and_told(tmp_path: Path) -> None:
    with run_stub_archive(contexts=REPORTS, answers=[0xB000, 0x0111]) as archive:
        post = Post(tmp_path, archive.port)
        fill(post.queue, 2)
        with post.sending():
            post.wait_for_end()
    assert post.queue.figures().results_stored == 2
    told = [(line["status"], line["level"]) for line in post.events() if line["event"] == "delivered"]
    assert told == [("B000", "warning"), ("0111", "warning")]


def test_a_processing_failure_is_believed_for_a_while_and_lets_others_pass(tmp_path: Path) -> None:
    with run_stub_archive(contexts=REPORTS, answers=[0x0110, 0, *[0x0110] * PROCESSING_FAILURES_BELIEVED]) as archive:
        post = Post(tmp_path, archive.port)
        uids = fill(post.queue, 2)
        with post.sending():
            post.wait_for_end()
        assert archive.uids == [uids[1]]
    assert post.queue.figures().results_refused == 1
    assert post.counters.snapshot()["delivery_retries"] == PROCESSING_FAILURES_BELIEVED - 1


def test_an_archive_that_is_away_is_tried_until_it_comes_back(tmp_path: Path) -> None:
    port = find_free_port()
    post = Post(tmp_path, port)
    uids = fill(post.queue, 2)
    with post.sending():
        post.wait_until(lambda: post.courier.failures_in_a_row >= 4)
        with run_stub_archive(contexts=REPORTS, port=port) as archive:
            post.wait_for_end()
            assert archive.uids == uids
    assert post.courier.failures_in_a_row == 0
    assert post.counters.last_error == "archive-unreachable"


def test_a_connection_that_breaks_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    broken: list[int] = []

    def break_down() -> None:
        broken.append(1)
        if len(broken) in (2, 4):
            raise RuntimeError  # pynetdicom answers C211; the archive has not stored it

    with run_stub_archive(contexts=REPORTS, on_store=break_down, answers=[]) as archive:
        post = Post(tmp_path, archive.port)
        uids = fill(post.queue, 4)
        with post.sending():
            post.wait_until(lambda: len(archive.uids) == 2)
            post.wait_for_end()
        assert archive.uids == [uids[0], uids[2]]


def test_an_archive_that_takes_no_reports_is_told_of(tmp_path: Path) -> None:
    with run_stub_archive(contexts=[(str(SecondaryCaptureImageStorage), [str(ExplicitVRLittleEndian)])]) as archive:
        post = Post(tmp_path, archive.port)
        picture = write_dicom(
            tmp_path / "sc.dcm",
            np.arange(64, dtype=np.uint8).reshape(8, 8),
            syntax=JPEGBaseline8Bit,
            SOPClassUID=SecondaryCaptureImageStorage,
            SOPInstanceUID="9.8.1",
        ).read_bytes()
        fill(post.queue, 1, picture=picture)
        with post.sending():
            post.wait_for_end()
        assert archive.uids == ["9.8.1"]
        [(_, syntax, content)] = archive.stored
        assert syntax == ExplicitVRLittleEndian  # unpacked, for this archive takes no JPEG
        assert dcmread(io.BytesIO(content)).pixel_array.shape == (8, 8)
    [line] = [line for line in post.events() if line["event"] == "delivery-refused"]
    assert "no presentation context" in str(line["why"])


def test_results_that_are_gone_or_damaged_are_reported_and_hold_up_nobody(tmp_path: Path) -> None:
    with run_stub_archive(contexts=REPORTS) as archive:
        post = Post(tmp_path, archive.port)
        uids = fill(post.queue, 3)
        films = [received.sha256 for received, _ in post.queue.next_to_send(most=3)]
        post.queue.result_path(films[0], "sr.dcm").unlink()
        post.queue.result_path(films[1], "sr.dcm").write_bytes(b"no DICOM")
        with post.sending():
            post.wait_for_end()
        assert archive.uids == [uids[2]]
    assert post.queue.figures().results_refused == 2


def test_a_result_that_cannot_be_encoded_or_unpacked_is_given_up_and_holds_up_nobody(tmp_path: Path) -> None:
    with run_stub_archive(contexts=[*REPORTS, (str(SecondaryCaptureImageStorage), [str(ExplicitVRLittleEndian)])]) as archive:
        post = Post(tmp_path, archive.port)
        picture = write_dicom(
            tmp_path / "sc.dcm",
            np.arange(64, dtype=np.uint8).reshape(8, 8),
            syntax=JPEGBaseline8Bit,
            SOPClassUID=SecondaryCaptureImageStorage,
            SOPInstanceUID="9.8.1",
        ).read_bytes()
        uids = fill(post.queue, 3, picture=picture)
        films = [received.sha256 for received, _ in post.queue.next_to_send(most=3)]
        spoilt = post.queue.result_path(films[0], "sc.dcm")
        spoilt.write_bytes(spoilt.read_bytes().replace(b"\xff\xd8\xff", b"\x00\x00\x00"))
        report = post.queue.result_path(films[1], "sr.dcm")
        nameless = dcmread(report)
        del nameless.SOPInstanceUID
        nameless.save_as(report)
        post.queue.result_path(films[2], "sc.dcm").write_bytes(b"\0" * 128 + b"DICM\x02\x00")
        with post.sending():
            post.wait_for_end()
        assert sorted(archive.uids) == sorted([uids[0], uids[2], "9.8.1"])
    assert (post.queue.figures().results_stored, post.queue.figures().results_refused) == (3, 3)


def test_a_result_for_which_there_is_never_room_does_not_hold_up_the_others(tmp_path: Path) -> None:
    with run_stub_archive(contexts=REPORTS, answers=[0xA700] * 5) as archive:
        post = Post(tmp_path, archive.port)
        uids = fill(post.queue, 3)
        with post.sending():
            post.wait_for_end()
        assert archive.uids == [uids[1], uids[2], uids[0]]  # and it is never given up


def test_a_report_is_sent_as_implicit_vr_where_nothing_else_is_taken(tmp_path: Path) -> None:
    with run_stub_archive(contexts=[(SR, [str(ImplicitVRLittleEndian)])]) as archive:
        post = Post(tmp_path, archive.port)
        [uid] = fill(post.queue, 1)
        with post.sending():
            post.wait_for_end()
        [(stored, syntax, content)] = archive.stored
    assert (stored, syntax) == (uid, ImplicitVRLittleEndian)
    assert dcmread(io.BytesIO(content)).PatientID == SEEDED[1]


def test_a_disk_that_cannot_keep_the_answer_means_that_it_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_stub_archive(contexts=REPORTS) as archive:
        post = Post(tmp_path, archive.port)
        [uid] = fill(post.queue, 1)
        record, failures = post.queue.record_delivery, [OSError(28, "No space left on device")] * 2

        def fail_twice(sha256: str, delivery: object) -> None:
            if failures:
                raise failures.pop()
            record(sha256, delivery)  # type: ignore[arg-type]

        monkeypatch.setattr(post.queue, "record_delivery", fail_twice)
        with post.sending():
            post.wait_for_end()
        assert archive.uids == [uid] * 3  # the same object each time: an archive keeps it once


def test_over_tls_the_archive_must_be_the_one_that_is_meant(tmp_path: Path, certificates: Certificates) -> None:
    files = TlsFiles(certificates.certificate, certificates.key, certificates.ca)
    options = replace(OPTIONS, tls=files, forward_tls=True)
    for number, (certificate, key) in enumerate(
        [(certificates.certificate, certificates.key), (certificates.stranger, certificates.stranger_key)]
    ):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        with run_stub_archive(contexts=REPORTS, tls=context) as archive:
            post = Post(tmp_path / str(number), archive.port, options)
            fill(post.queue, 1)
            with post.sending():
                post.wait_until(lambda post=post: post.courier.failures_in_a_row >= 2 or not post.queue.figures().to_send)
            assert len(archive.uids) == (1 if number == 0 else 0)


def test_pauses_grow_to_a_cap_and_are_never_all_the_same() -> None:
    backoff = Backoff(first_s=1.0, cap_s=60.0, rng=random.Random(1))
    waits = [backoff.next_wait_s() for _ in range(2000)]
    for number, wait in enumerate(waits):
        longest = min(60.0, 2.0 ** min(number, 10))
        assert longest / 2 <= wait <= longest
    assert len(set(waits[10:20])) == 10
    backoff.reset()
    assert backoff.next_wait_s() <= 1.0


def test_the_log_of_the_delivery_names_nobody(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with run_stub_archive(contexts=REPORTS, answers=[0xA700, 0xC000]) as archive:
        post = Post(tmp_path, archive.port)
        uids = fill(post.queue, 2)
        with post.sending():
            post.wait_for_end()
    said = post.stream.getvalue() + "".join(capfd.readouterr())
    assert not [secret for secret in (*SEEDED, *uids) if secret in said]
