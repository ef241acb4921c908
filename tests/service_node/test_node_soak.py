"""Films sent to a node that is killed again and again: what was sent is in the archive with its results, each exactly once.

``make soak`` runs the large counts, ``make test`` a twentieth of them, with the same code and the same seed.
"""

import threading
import time
import urllib.error
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soak
from dicom_files import write_dicom
from hostile_folder import draw_bases, to_radiograph, vary
from node_process import NodeProcess
from orthanc import Modality, Orthanc
from tiny_models import TinyModels, write_tiny_models

NUM_FILMS, NUM_KILLS = (200, 20) if soak.IS_FULL else (10, 1)
SEED = 21
RESULT_MODALITIES = {"SR", "OT", "PR"}

pytestmark = [
    pytest.mark.soak,
    pytest.mark.tools,
    pytest.mark.network,
    pytest.mark.timeout(7200 if soak.IS_FULL else 600),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    rng = np.random.default_rng(SEED)
    films = [to_radiograph(vary(base, rng)) for base in draw_bases() for _ in range(4)]
    return write_tiny_models(tmp_path_factory.mktemp("models"), films)


class Hospital:
    """Sends every film until it is acknowledged, some of them twice; never stops for a node that is down."""

    def __init__(self, archive: Orthanc, films: list[str], seed: int) -> None:
        self.acknowledged: list[str] = []
        self.num_tries = 0
        self._archive, self._films = archive, films
        self._rng = np.random.default_rng(seed)
        self._thread = threading.Thread(target=self._send_all, daemon=True)
        self._thread.start()

    def _send_all(self) -> None:
        for film in self._films:
            for _ in range(1 + (self._rng.random() < 0.15)):
                while not self._send(film):
                    time.sleep(0.1)
            self.acknowledged.append(film)
            time.sleep(self._rng.uniform(0, 0.6))

    def _send(self, film: str) -> bool:
        self.num_tries += 1
        try:
            self._archive.send("xraynet", film)
        except urllib.error.HTTPError:
            return False
        return True

    def wait(self, limit_s: float) -> None:
        self._thread.join(limit_s)
        assert not self._thread.is_alive(), f"{len(self.acknowledged)} films were acknowledged"


def count_files(out: Path, name: str) -> int:
    return sum(1 for _ in (out / "node" / "films").glob(f"*/{name}"))


def test_what_was_sent_is_in_the_archive_with_results_each_exactly_once(
    models: TinyModels, orthanc_program: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(SEED)
    bases = draw_bases()
    out, started_at = tmp_path / "out", time.monotonic()
    node = NodeProcess(out, [*models.options, "--retry-cap-s", "1", "--min-free-gib", "0"])
    with Orthanc.start(tmp_path / "archive", modalities=[Modality("xraynet", "XRAYNET", node.port)]) as archive:
        node.options += ["--forward", f"ORTHANC@127.0.0.1:{archive.dicom_port}"]
        films = [archive.upload(draw_source(bases[number % len(bases)], number, rng, tmp_path)) for number in range(NUM_FILMS)]
        with node:
            hospital = Hospital(archive, films, SEED)
            for kill in range(NUM_KILLS):
                wait_for_progress(out, kill, hospital)
                time.sleep(rng.uniform(0, 0.5))
                node.kill()
                node.start()
            hospital.wait(1800)
            node.wait_until_idle(limit_s=900)
            counts = check_archive(archive, out)
            num_refused = check_that_results_are_refused(archive, node)
            assert node.terminate() == 0, node.said[-3000:]
    assert len(hospital.acknowledged) == NUM_FILMS
    soak.keep_figures(
        "node-kills",
        {
            "films": NUM_FILMS,
            "kills": NUM_KILLS,
            "sends_until_all_were_acknowledged": hospital.num_tries,
            "results_in_the_archive": sum(counts[modality] for modality in RESULT_MODALITIES),
            "missing_or_doubled": 0,
            "results_refused_on_their_way_back": num_refused,
            "elapsed_s": round(time.monotonic() - started_at, 1),
        },
    )


def draw_source(
    base: "np.ndarray[tuple[int, int], np.dtype[np.uint16]]", number: int, rng: np.random.Generator, folder: Path
) -> bytes:
    path = folder / "source.dcm"
    write_dicom(
        path,
        vary(base, rng),
        ImagerPixelSpacing=[3.2, 3.2],
        BitsStored=12,
        ViewPosition="PA",
        SOPInstanceUID=f"1.2.826.0.1.3680043.8.498.5.{number + 1}",
        StudyInstanceUID=f"1.2.826.0.1.3680043.8.498.6.{number + 1}",
        SeriesInstanceUID=f"1.2.826.0.1.3680043.8.498.7.{number + 1}",
        PatientID=f"soak-{number}",
    )
    return path.read_bytes()


def wait_for_progress(out: Path, kill: int, hospital: Hospital, limit_s: float = 600.0) -> None:
    """Until the films that were received, concluded or answered by the archive, in turn, are so many."""
    name = ("received.json", "outcome.json", "deliveries.jsonl", "attempts")[kill % 4]
    wanted = max(1, round((kill + 1) / (NUM_KILLS + 1) * NUM_FILMS))
    deadline = time.monotonic() + limit_s
    while count_files(out, name) < wanted:
        assert time.monotonic() < deadline, f"{count_files(out, name)} of {wanted} films have {name}"
        time.sleep(0.01)


def check_archive(archive: Orthanc, out: Path) -> Counter[object]:
    """Every study holds its film and one result of each kind; nothing else is there, and nothing twice."""
    instances = archive.list_instances()
    uids = [instance["SOPInstanceUID"] for instance in instances]
    assert len(set(uids)) == len(uids)
    of_study: dict[object, list[object]] = {}
    for instance in instances:
        of_study.setdefault(instance["StudyInstanceUID"], []).append(instance["Modality"])
    assert len(of_study) == NUM_FILMS
    wrong = {study: found for study, found in of_study.items() if Counter(found) != Counter({"DX", *RESULT_MODALITIES})}
    assert not wrong
    assert len((out / "outcomes.jsonl").read_text().splitlines()) >= NUM_FILMS
    assert len(list((out / "readings").glob("*/reading.json"))) == NUM_FILMS
    return Counter(instance["Modality"] for instance in instances)


def check_that_results_are_refused(archive: Orthanc, node: NodeProcess) -> int:
    """The results of one study, sent to the node: none is taken in."""
    before = node.figure("kept")
    study = archive.list_studies()[0]
    refused = 0
    for instance in archive.list_instances(study_uid=study):
        if instance["Modality"] in RESULT_MODALITIES:
            [orthanc_id] = archive.find_ids(str(instance["SOPInstanceUID"]))
            with pytest.raises(urllib.error.HTTPError):
                archive.send("xraynet", orthanc_id)
            refused += 1
    assert refused == len(RESULT_MODALITIES)
    assert node.figure("kept") == before
    assert node.count("refused_own_results") == 1  # the picture; for the others not even a context is accepted
    return refused
