"""A whole node in this process, with a detector of spots: its worklist, its health, its ends."""

import io
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import spots
from node_peers import SEEDED, draw_film, run_stub_archive, send, write_film
from orthanc import find_free_port
from pydicom import dcmread
from pydicom.uid import DigitalXRayImageStorageForProcessing

from xraynet.batch.options import FolderOptions
from xraynet.errors import ServiceError
from xraynet.service.node.log import NodeLog, silence_libraries
from xraynet.service.node.options import NodeOptions, Retention
from xraynet.service.node.peers import Archive
from xraynet.service.node.run import Node
from xraynet.service.node.services import RESULT_CLASSES

pytestmark = pytest.mark.network

OPTIONS = NodeOptions(
    ae_title="XRAYNET",
    port=0,
    health_port=0,
    retention=Retention(min_free_gib=0),
    retry_first_s=0.05,
    retry_cap_s=0.2,
)
FOLDER = FolderOptions(hash_paths=True, dicom_results=frozenset({"sr", "sc", "pr"}))
CONTEXTS = [(str(sop_class), [str(syntax)]) for sop_class, syntax in RESULT_CLASSES.items()]


class Running:
    """A started node and what it says."""

    def __init__(self, node: Node, stream: io.StringIO) -> None:
        self.node, self.stream = node, stream

    def events(self, name: str) -> list[dict[str, object]]:
        return [line for line in map(json.loads, self.stream.getvalue().splitlines()) if line["event"] == name]

    def wait(self, num_concluded: int, limit_s: float = 60.0) -> None:
        deadline = time.monotonic() + limit_s
        while len(self.events("concluded")) < num_concluded or self.node.queue.figures().to_send:
            assert time.monotonic() < deadline, self.stream.getvalue()[-2000:]
            time.sleep(0.05)

    def get(self, path: str, host: str | None = None) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.node.health_port}{path}"
        request = urllib.request.Request(url, headers={"Host": host} if host else {})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@contextmanager
def run(out: Path, options: NodeOptions = OPTIONS, folder_options: FolderOptions = FOLDER) -> Iterator[Running]:
    stream = io.StringIO()
    log = NodeLog(stream.write)
    out.mkdir(exist_ok=True)
    with silence_libraries(log):
        node = Node(spots.make_predictor(), out=out, options=options, folder_options=folder_options, log=log)
        node.start()
        try:
            yield Running(node, stream)
        finally:
            node.stop()


def test_films_become_readings_a_worklist_and_results_in_the_archive(tmp_path: Path) -> None:
    good = write_film(tmp_path / "good.dcm", 1, pixels=spots.spot_film((100, 150)))
    raw = write_film(tmp_path / "raw.dcm", 2, SOPClassUID=DigitalXRayImageStorageForProcessing)
    cut = write_film(tmp_path / "cut.dcm", 3, PixelData=draw_film(3).tobytes()[:1000])
    again = write_film(tmp_path / "again.dcm", 1, pixels=spots.spot_film((100, 150)), PatientSex="F")
    out = tmp_path / "out"
    with run_stub_archive(contexts=CONTEXTS) as archive:
        options = replace(OPTIONS, forward=Archive("ARCHIVE", "127.0.0.1", archive.port))
        with run(out, options) as running:
            assert send(running.node.port, good, raw, cut, good, again) == [0] * 5
            running.wait(4)
            code, body = running.get("/healthz")
            health = json.loads(body)
            metrics = running.get("/metrics")[1]
        assert (
            len(archive.uids) == len(set(archive.uids)) == 4
        )  # three of the good film, a report that the raw one was not read
        sources = {str(dcmread(path).StudyInstanceUID) for path in (good, raw)}
        stored = [dcmread(io.BytesIO(content)) for _, _, content in archive.stored]
        assert {str(result.StudyInstanceUID) for result in stored} == sources
        assert {str(result.PatientID) for result in stored} == {SEEDED[1]}

    outcomes = [json.loads(line) for line in (out / "outcomes.jsonl").read_text().splitlines()]
    assert sorted(outcome["code"] for outcome in outcomes) == ["", "", "for-processing", "truncated"]
    assert len(list((out / "readings").glob("*/report.html"))) == 2
    assert not list((out / "readings").rglob("*.dcm"))  # they carry the patient, and readings are not swept
    page = (out / "index.html").read_text()
    assert "nodule suspected" in page
    for path in [*out.glob("*.*"), *(out / "readings").rglob("*"), *(out / "node" / "films").rglob("*.json")]:
        if path.is_file() and path.suffix in {".html", ".json", ".jsonl", ".csv"}:
            assert not [secret for secret in SEEDED if secret in path.read_text()], path

    queue = health["queue"]
    assert (code, health["state"], health["problems"]) == (200, "ok", [])
    assert (queue["ok"], queue["refused"], queue["failed"], queue["kept_apart"]) == (2, 1, 1, 1)
    assert (health["counts"]["received"], health["counts"]["received_again"]) == (4, 1)
    assert "xraynet_queue_results_stored 4\n" in metrics
    said = running.stream.getvalue()
    assert not [secret for secret in (*SEEDED, "1.2.826.0.1.3680043") if secret in said + body + metrics]


def test_a_node_goes_on_where_it_was_stopped_and_keeps_what_another_model_read(tmp_path: Path) -> None:
    out, port = tmp_path / "out", find_free_port()
    options = replace(OPTIONS, forward=Archive("ARCHIVE", "127.0.0.1", port))
    first, second = (write_film(tmp_path / f"{seed}.dcm", seed) for seed in (1, 2))
    with run(out, options) as running:
        send(running.node.port, first)
        deadline = time.monotonic() + 60
        while not running.events("archive-not-now"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    with run_stub_archive(contexts=CONTEXTS, port=port) as archive:
        with run(out, options, replace(FOLDER, max_megapixels=150.0)) as running:
            assert running.events("model-changed")
            running.wait(0)
            send(running.node.port, second)
            running.wait(1)
        assert len(archive.uids) == len(set(archive.uids)) == 6
    assert len((out / "outcomes.jsonl").read_text().splitlines()) == 2
    assert len(list((out / "readings").glob("*/reading.json"))) == 2


def test_a_full_disk_holds_the_film_back_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xraynet.service.node.analysis._DISK_WAIT_S", 0.1)
    from xraynet.batch import film_reader

    write, failures = film_reader.write_film, [OSError(28, "No space left on device")] * 12

    def fail_for_a_while(*arguments: object, **more: object) -> None:
        if failures:
            raise failures.pop()
        write(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(film_reader, "write_film", fail_for_a_while)
    with run(tmp_path / "out") as running:
        send(running.node.port, write_film(tmp_path / "film.dcm"))
        running.wait(1)
        assert len(running.events("analysis-waits")) == 12  # more often than a film may end the node
        assert running.node.queue.figures().ok == 1


def test_a_film_whose_reading_cannot_be_written_lets_others_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xraynet.service.node.analysis._DISK_WAIT_S", 0.1)
    from xraynet.batch import film_reader

    write, first, others = film_reader.write_film, [], []

    def fail_at_the_first(folder: Path, *arguments: object, **more: object) -> None:
        first.append(folder)
        if folder == first[0] and len(others) < 2:
            raise OSError(13, "Permission denied")
        others.append(folder)
        write(folder, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(film_reader, "write_film", fail_at_the_first)
    with run(tmp_path / "out") as running:
        send(running.node.port, *(write_film(tmp_path / f"{seed}.dcm", seed) for seed in (1, 2, 3)))
        running.wait(3)
        assert running.node.queue.figures().ok == 3
    assert others[-1] == first[0]


def test_a_film_that_breaks_the_detector_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films = [write_film(tmp_path / f"{seed}.dcm", seed) for seed in (1, 2)]
    from xraynet.inference.predictor import Predictor

    analyse, broken = Predictor.analyse, []

    def break_once(self: Predictor, *arguments: object, **more: object) -> object:
        if not broken:
            broken.append(1)
            raise RuntimeError(SEEDED[0])
        return analyse(self, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Predictor, "analyse", break_once)
    with run(tmp_path / "out") as running:
        send(running.node.port, *films)
        running.wait(2)
        figures = running.node.queue.figures()
        assert (figures.ok, figures.failed) == (1, 1)
        assert SEEDED[0] not in running.stream.getvalue()
    with run(tmp_path / "out") as running:  # a start is another chance
        running.wait(1)
        assert running.node.queue.figures().ok == 2


def test_films_go_when_their_time_is_over_and_readings_stay(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with run(out, replace(OPTIONS, retention=Retention(keep_days=0, min_free_gib=0))) as running:
        send(running.node.port, write_film(tmp_path / "film.dcm"))
        running.wait(1)
        running.node._upkeep._due_at = 0.0
        assert running.node._upkeep.run_if_due() == 1
        assert send(running.node.port, tmp_path / "film.dcm") == [0]
        assert running.node.queue.figures().waiting == 0
    assert not list((out / "node" / "films").iterdir())
    assert len(list((out / "readings").glob("*/reading.json"))) == 1
    assert "Research use, not for diagnosis." in (out / "index.html").read_text()


def test_the_health_page_is_for_this_machine_and_read_only(tmp_path: Path) -> None:
    with run(tmp_path / "out") as running:
        assert json.loads(running.get("/healthz")[1])["state"] == "ok"
        assert running.get("/healthz", host="rebound.example")[0] == 403
        assert running.get("/nothing")[0] == 404
        request = urllib.request.Request(f"http://127.0.0.1:{running.node.health_port}/healthz", data=b"x")
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(request, timeout=10)  # noqa: S310
        assert raised.value.code == 501
        raised.value.close()


def test_below_the_floor_of_free_space_the_node_is_degraded_and_accepts_nothing(tmp_path: Path) -> None:
    with run(tmp_path / "out", replace(OPTIONS, retention=Retention(min_free_gib=1e9))) as running:
        assert send(running.node.port, write_film(tmp_path / "film.dcm")) == [0xA700]
        health = json.loads(running.get("/healthz")[1])
        assert (health["state"], health["problems"]) == ("degraded", ["free disk space is below the floor"])


def test_a_part_that_dies_ends_the_node_with_an_error(tmp_path: Path) -> None:
    from xraynet.service.node.systemd import Notifier

    with run(tmp_path / "out") as running:
        running.node._analyst.stop()
        assert running.get("/healthz")[0] == 503
        with pytest.raises(ServiceError, match="analysis ended"):
            running.node.watch(threading.Event(), notifier=Notifier())


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with run(tmp_path / "out") as running:
        for number, (options, words) in enumerate(
            [
                (replace(OPTIONS, health_port=running.node.health_port), "health page"),
                (replace(OPTIONS, port=running.node.port), f"port {running.node.port}"),
            ]
        ):
            with pytest.raises(ServiceError, match=words), run(tmp_path / str(number), options):
                pass
