"""The stack of docker/compose.pacs.yaml without docker: its archive's configuration, its routing script, its node's command."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from dicom_files import write_dicom
from node_peers import draw_film
from orthanc import Modality, Orthanc, find_free_port
from tiny_models import TinyModels, write_tiny_models

from xraynet.cli.main import VERBS
from xraynet.ingest.read import read_radiograph

DOCKER = Path(__file__).resolve().parents[1] / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.pacs.yaml").read_text())
STUDY = "1.2.826.0.1.3680043.10.79"
OURS = {"SR", "OT", "PR"}


def test_only_the_gateway_has_a_door_and_it_is_on_loopback() -> None:
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    for name, service in COMPOSE["services"].items():
        assert service["networks"] == (["inside", "door"] if name == "gateway" else ["inside"])
        assert ("ports" in service) == (name == "gateway")
        assert not service.get("privileged")
    assert all(port.startswith("127.0.0.1:") for port in COMPOSE["services"]["gateway"]["ports"])


def test_images_have_versions_and_mounted_files_are_there_and_read_only() -> None:
    for service in COMPOSE["services"].values():
        assert re.fullmatch(r"[a-z/-]+:v?[0-9][0-9a-z.-]*", service["image"])
        for volume in service.get("volumes", ()):
            source, _, rest = volume.partition(":")
            if source.startswith("."):
                assert (DOCKER / source).is_file()
                assert rest.endswith(":ro")
            else:
                assert source in COMPOSE["volumes"]


def test_there_is_no_password_and_nobody_writes_through_the_gateway() -> None:
    texts = [path.read_text() for path in (DOCKER / "compose.pacs.yaml", *sorted((DOCKER / "pacs").iterdir()))]
    assert not [text for text in texts if re.search(r"passw|RegisteredUsers|secret", text, flags=re.IGNORECASE)]
    gateway = (DOCKER / "pacs" / "nginx.conf").read_text()
    assert re.search(r"limit_except GET \{\s+deny all;\s+\}", gateway)
    assert set(re.findall(r"location (?:= )?(\S+) ", gateway)) == {"/app-config.js", "/dicom-web/", "/"}
    assert set(re.findall(r"proxy_pass (\S+);", gateway)) == {"http://orthanc:8042", "http://ohif:80", "orthanc:4242"}


def test_the_viewer_asks_the_gateway_alone() -> None:
    config = (DOCKER / "pacs" / "ohif-app-config.js").read_text()
    assert not re.search(r"https?://", config)
    assert set(re.findall(r"(?:qido|wado)Root: '([^']*)'", config)) == {"/dicom-web"}
    node = shutil.which("node")
    if node is not None:
        script = f"global.window = {{}}; {config}; process.stdout.write(JSON.stringify(window.config))"
        told = json.loads(subprocess.run([node, "-e", script], capture_output=True, check=True, text=True).stdout)
        assert told["dataSources"][0]["configuration"]["supportsStow"] is False


def test_the_entry_point_knows_every_verb() -> None:
    known = re.search(r"^  (\S+)\)$", (DOCKER / "entrypoint.sh").read_text(), flags=re.MULTILINE)
    assert known is not None
    assert set(known[1].split("|")) == {*VERBS, "--help", '""'}


def test_the_images_can_listen() -> None:
    for name in ("Dockerfile.cpu", "Dockerfile.cuda"):
        assert re.search(r"'\.\[[a-z,]*pacs[a-z,]*\]'", (DOCKER / name).read_text())


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A CR, two DX, and an object that is no radiograph."""
    folder = tmp_path_factory.mktemp("films")
    paths = []
    for number, modality in enumerate(("CR", "DX", "DX", "MG"), start=1):
        cr = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "PresentationIntentType": None} if modality == "CR" else {}
        uids = {"StudyInstanceUID": f"{STUDY}.{number}", "SeriesInstanceUID": f"{STUDY}.{number}.1"}
        path = folder / f"{number}.dcm"
        uids["SOPInstanceUID"] = f"{STUDY}.{number}.1.1"
        paths.append(write_dicom(path, draw_film(number), BitsStored=12, Modality=modality, StudyID="1", **uids, **cr))
    return paths


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, films: list[Path]) -> TinyModels:
    return write_tiny_models(tmp_path_factory.mktemp("models"), [read_radiograph(path) for path in films[:3]])


class Stack:
    """The archive with its own configuration and script, and the node by the command of the compose file."""

    def __init__(self, folder: Path, models: TinyModels) -> None:
        self.folder = folder
        self.node_port = find_free_port()
        self._models = models
        self._node: subprocess.Popen[bytes] | None = None
        settings = json.loads((DOCKER / "pacs" / "orthanc.json").read_text())
        modality = settings.pop("DicomModalities")["xraynet"]
        assert (modality["Host"], modality["Port"]) == ("xraynet", 11112)
        assert settings.pop("LuaScripts") == ["/etc/orthanc/route.lua"]
        for name in ("DicomPort", "HttpPort", "RemoteAccessAllowed"):
            settings.pop(name)
        settings["ExecuteLuaEnabled"] = True
        self.archive = Orthanc.start(
            folder / "archive",
            ae_title=settings["DicomAet"],
            modalities=[Modality(name="xraynet", ae_title=modality["AET"], port=self.node_port)],
            settings=settings,
            scripts=[DOCKER / "pacs" / "route.lua"],
        )

    def start_node(self) -> None:
        command = [word.replace("orthanc:4242", f"127.0.0.1:{self.archive.dicom_port}") for word in self._command()]
        with (self.folder / "node.log").open("ab") as log:
            self._node = subprocess.Popen([sys.executable, "-m", "xraynet", *command], stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.node_port), timeout=1).close()
                return
            except OSError:
                assert self._node.poll() is None, self.log
                assert time.monotonic() < deadline, self.log
                time.sleep(0.1)

    def _command(self) -> list[str]:
        asked = {
            "--port=11112": f"--port={self.node_port}",
            "--allow=ORTHANC@orthanc": "--allow=ORTHANC@127.0.0.1",
            "--out=/out": f"--out={self.folder / 'out'}",
        }
        words = list(COMPOSE["services"]["xraynet"]["command"])
        assert asked.keys() <= set(words)
        return [*(asked.get(word, word) for word in words), "--health-port=0", "--host=127.0.0.1", *self._models.options]

    @property
    def log(self) -> str:
        return (self.folder / "node.log").read_text(errors="replace")[-3000:]

    def stop_node(self) -> int:
        node, self._node = self._node, None
        if node is None:
            return 0
        node.send_signal(signal.SIGTERM)
        return node.wait(timeout=60)

    def stop(self) -> None:
        if self._node is not None:
            self._node.kill()
            self._node.wait()
        self.archive.stop(kill=True)

    def wait_for_results(self, number: int) -> list[str]:
        """The modalities of what the archive holds of a film's study, once its results are there."""
        study = f"{STUDY}.{number}"
        wait_until(lambda: self.modalities(study) >= OURS, lambda: f"{self.modalities(study)}\n{self.log}")
        return sorted(str(one["Modality"]) for one in self.archive.list_instances(study_uid=study))

    def modalities(self, study: str) -> set[str]:
        return {str(one["Modality"]) for one in self.archive.list_instances(study_uid=study)}

    def jobs(self) -> list[tuple[str, str]]:
        """(kind, state) of all that the archive did on its own account."""
        found = json.loads(self.archive.ask_bytes("/jobs?expand"))
        return sorted((job["Type"], job["State"]) for job in found)


def wait_until(holds: Callable[[], bool], tell: Callable[[], str], *, limit_s: float = 90.0) -> None:
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, tell()
        time.sleep(0.2)


@contextmanager
def run_stack(folder: Path, models: TinyModels) -> Iterator[Stack]:
    stack = Stack(folder, models)
    try:
        yield stack
    finally:
        stack.stop()


@pytest.mark.tools
def test_films_sent_to_the_archive_come_back_with_results_and_nothing_goes_round(
    orthanc_program: str, films: list[Path], models: TinyModels, tmp_path: Path
) -> None:
    with run_stack(tmp_path, models) as stack:
        # One comes while the node is down. Debian's Orthanc has no heartbeat yet; the call is what one does.
        stack.archive.upload(films[0].read_bytes())
        wait_until(lambda: stack.jobs() == [("DicomModalityStore", "Failure")], lambda: str(stack.jobs()))
        stack.start_node()
        stack.archive.execute_lua("OnHeartBeat()")
        assert stack.wait_for_results(1) == sorted(["CR", *OURS])
        for path in (films[1], films[3]):
            stack.archive.upload(path.read_bytes())
        assert stack.wait_for_results(2) == sorted(["DX", *OURS])
        assert len(stack.archive.search_dicomweb(f"studies/{STUDY}.2/instances", Modality="SR")) == 1
        # A second later still: the mammogram was not sent, and no result was sent on as if it were a film.
        time.sleep(1.0)
        assert stack.jobs() == [("DicomModalityStore", "Success")] * 2
        assert len(stack.archive.list_instances()) == 2 * 4 + 1
        assert stack.stop_node() == 0, stack.log


@pytest.mark.tools
def test_what_waited_when_the_archive_went_down_is_sent_with_the_next_film(
    orthanc_program: str, films: list[Path], models: TinyModels, tmp_path: Path
) -> None:
    with run_stack(tmp_path, models) as stack:
        stack.archive.upload(films[0].read_bytes())
        wait_until(lambda: stack.jobs() == [("DicomModalityStore", "Failure")], lambda: str(stack.jobs()))
        stack.archive.stop()
        stack.archive.start_again()
        stack.start_node()
        stack.archive.upload(films[1].read_bytes())
        assert stack.wait_for_results(2) == sorted(["DX", *OURS])
        assert stack.wait_for_results(1) == sorted(["CR", *OURS])


def test_the_compose_file_is_read_by_docker_where_there_is_one() -> None:
    program = shutil.which("docker")
    if program is None or subprocess.run([program, "compose", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("docker compose is not installed")
    command = [program, "compose", "-f", str(DOCKER / "compose.pacs.yaml"), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
