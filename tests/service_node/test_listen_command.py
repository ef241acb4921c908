"""``xraynet listen`` as a site runs it: a process of its own, a real Orthanc as source and archive."""

import json
import os
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
import spots
from node_peers import SEEDED, write_film
from node_process import NodeProcess
from orthanc import Modality, Orthanc
from tiny_models import write_tiny_models
from typer.testing import CliRunner, Result

from xraynet.batch.journal import hold_folder
from xraynet.cli.main import build_app
from xraynet.ingest.read import read_radiograph

pytestmark = pytest.mark.network
GUARD = Path(__file__).resolve().parents[1] / "support" / "loopback"
Site = tuple[NodeProcess, Orthanc]
KINDS = {"SR", "OT", "PR"}


def ask(*words: object) -> Result:
    return CliRunner().invoke(build_app(("listen", "doctor")), ["listen", *map(str, words)])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("models")
    films = [read_radiograph(write_film(folder / f"{seed}.dcm", seed)) for seed in range(4)]
    return write_tiny_models(folder, films).options


@pytest.fixture(scope="module")
def site(models: list[str], orthanc_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    node = NodeProcess(folder / "out", [*models, "--retry-cap-s", "0.5", "--min-free-gib", "0"])
    paths = [str(GUARD), *filter(None, [os.environ.get("PYTHONPATH")])]
    node.environment = {"PYTHONPATH": os.pathsep.join(paths), "XRAYNET_SOCKET_LOG": str(folder / "sockets.log")}
    with Orthanc.start(folder / "archive", modalities=[Modality("xraynet", "XRAYNET", node.port)]) as archive:
        node.options += ["--forward", f"ORTHANC@127.0.0.1:{archive.dicom_port}"]
        with node:
            yield node, archive


@pytest.mark.tools
def test_a_film_that_orthanc_sends_comes_back_with_results_in_its_study(site: Site, tmp_path: Path) -> None:
    node, archive = site
    assert archive.echo("xraynet")
    chest = Path(str(files("data_store") / "data" / "RG1_UNCR.dcm"))
    archive.send("xraynet", archive.upload(chest.read_bytes()))
    [study] = archive.list_studies()
    archive.wait_for_instances(4, study_uid=study)
    found = archive.search_dicomweb(f"studies/{study}/series")
    modalities = {series["00080060"]["Value"][0] for series in found}  # type: ignore[index]
    assert modalities == {"CR", *KINDS}
    node.wait_until_idle()
    assert node.health()["state"] == "ok"


@pytest.mark.tools
def test_what_waits_while_the_archive_is_away_arrives_when_it_is_back(site: Site, tmp_path: Path) -> None:
    node, archive = site
    film = write_film(tmp_path / "film.dcm", 11)
    archive.upload(film.read_bytes())
    archive.stop()
    subprocess.run(
        [sys.executable, "-m", "pynetdicom", "storescu", "127.0.0.1", str(node.port), str(film), "-aec", "XRAYNET", "-cx"],
        check=True,
        capture_output=True,
    )
    deadline = time.monotonic() + 60
    while node.figure("to_send") == 0 or not node.events("archive-not-now"):
        assert time.monotonic() < deadline, node.said[-2000:]
        time.sleep(0.1)
    node.kill()
    node.start()
    assert node.figure("to_send") == 1
    archive.start_again()
    node.wait_until_idle()
    found = archive.list_instances(study_uid="1.2.826.0.1.3680043.8.498.2.12")
    assert sorted(str(instance["Modality"]) for instance in found) == ["DX", "OT", "PR", "SR"]


@pytest.mark.tools
def test_a_result_that_is_sent_back_is_refused(site: Site) -> None:
    node, archive = site
    results = [instance for instance in archive.list_instances() if instance["Modality"] in KINDS]
    assert len(results) >= 3
    kept, before = node.figure("kept"), node.count("refused_own_results")
    for instance in results[:3]:
        [orthanc_id] = archive.find_ids(str(instance["SOPInstanceUID"]))
        with pytest.raises(urllib.error.HTTPError):
            archive.send("xraynet", orthanc_id)
    assert node.figure("kept") == kept
    assert node.count("refused_own_results") == before + 1


@pytest.mark.tools
def test_the_node_has_spoken_to_this_machine_only(site: Site) -> None:
    node, _ = site
    noted = node.out.with_name("sockets.log").read_text().splitlines()
    assert set(noted) == {"guarded"}


@pytest.mark.tools
def test_the_node_ends_when_it_is_asked_to_and_has_named_nobody(site: Site) -> None:
    node, _ = site
    assert node.terminate() == 0
    # Python's tracker of semaphores outlives a killed node, and says that it cleaned up.
    lines = [line for line in node.said.splitlines() if "resource_tracker" not in line]
    assert all(line.startswith("{") for line in lines)
    assert json.loads(lines[-1])["event"] == "stopped"
    for secret in (*SEEDED, "1.2.826.0.1.3680043", "1.3.6.1.4.1.5962"):
        assert secret not in node.said
    assert (node.out / "index.html").is_file()
    node.start()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--out is missing"),
        (("--out", "o", "--allow", "CR1"), "AE@HOST was expected"),
        (("--out", "o", "--forward", "PACS@host"), "AE@HOST:PORT was expected"),
        (("--out", "o", "--ae-title", "SEVENTEEN-LETTERS"), "1 to 16 printable"),
        (("--out", "o", "--tls-cert", "c.pem"), "belong together"),
        (("--out", "o", "--forward-tls"), "needs a certificate"),
        (("--out", "o", "--dicom-results", "seg"), "unknown DICOM result seg"),
        (("--out", "o", "--keep-days", "-1"), "0 or more"),
        (("--out", "o", "--precision", "int4"), "float32 or bfloat16"),
        (("--out", "o", "--max-object-mib", "nan"), "above 0"),
    ],
)
def test_wrong_usage_is_named(words: tuple[str, ...], said: str) -> None:
    done = ask(*words)
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(name: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", find_nothing)
    done = ask("--conformance")
    assert "[pacs]" in str(done.exception)


def test_two_nodes_do_not_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from xraynet.inference.predictor import Predictor

    monkeypatch.setattr(Predictor, "from_checkpoint", lambda *_, **__: spots.make_predictor())
    with hold_folder(tmp_path):
        done = ask("--out", tmp_path, "--port", 0, "--health-port", 0)
    assert "another run writes its results there" in str(done.exception)


def test_the_pages_of_a_node_speak_the_language_that_was_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    heard = []
    monkeypatch.setattr("xraynet.cli.listen._load", lambda *_, **__: None)
    monkeypatch.setattr("xraynet.cli.listen._run", lambda *_, folder_options, **__: heard.append(folder_options.language.code))
    assert ask("--out", tmp_path, "--language", "de").exit_code == 0
    assert ask("--out", tmp_path).exit_code == 0
    assert heard == ["de", "en"]
