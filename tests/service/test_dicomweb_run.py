"""A run over an archive: with a real one, through an outage, and with one that fails on demand."""

import io
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest
import spots
from dicom_files import write_dicom
from fake_archive import Answer, FakeArchive, Held
from orthanc import Orthanc
from tiny_models import write_tiny_models
from typer.testing import CliRunner, Result

from xraynet.batch.options import FolderOptions
from xraynet.cli.main import build_app
from xraynet.errors import ArchiveError
from xraynet.findings import Outcome
from xraynet.inference.predictor import Predictor
from xraynet.ingest.read import read_radiograph
from xraynet.service.dicomweb import Archive, name_of_uid
from xraynet.service.dicomweb_address import parse_address
from xraynet.service.dicomweb_run import STAGING_NAME, UIDS_NAME, ArchiveSummary, predict_archive
from xraynet.service.dicomweb_session import Access, DicomwebLimits

STUDY, SERIES = "1.2.826.0.1.3680043.10.78.20250203", "1.2.826.0.1.3680043.10.78.1"
SEEDED = ("Seededson", "SEEDID99", "19511213", "SEEDACC7", "20250203")
QUICK = DicomwebLimits(pause_s=0.01, attempts=2, silence_s=5.0)
Watch = Callable[[Outcome, bool], None]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return spots.make_predictor()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Held]:
    folder = tmp_path_factory.mktemp("films")
    identity = {
        "PatientName": "Seededson^Janetta",
        "PatientID": "SEEDID99",
        "PatientBirthDate": "19511213",
        "AccessionNumber": "SEEDACC7",
        "StudyDate": "20250203",
    }
    held = []
    for number in range(1, 7):
        sop = f"{SERIES}.{number}"
        path = write_dicom(
            folder / f"{number}.dcm",
            spots.spot_film((90, 120), seed=number),
            ImagerPixelSpacing=[0.8, 0.8],
            BitsStored=12,
            StudyInstanceUID=STUDY,
            SeriesInstanceUID=SERIES,
            SOPInstanceUID=sop,
            **identity,
        )
        held.append(Held(STUDY, SERIES, sop, path.read_bytes(), sop_class="1.2.840.10008.5.1.4.1.1.1.1"))
    return held


@pytest.fixture
def fake(films: list[Held]) -> Iterator[FakeArchive]:
    with FakeArchive(films[:3]).serve() as served:
        yield served


@pytest.fixture
def read(predictor: Predictor, tmp_path: Path) -> Callable[..., tuple[ArchiveSummary, dict[str, Outcome]]]:
    def run(
        url: str,
        *,
        query: str = f"StudyInstanceUID={STUDY}",
        watch: Watch | None = None,
        store_results: bool = False,
        identify: bool = False,
        outputs: frozenset[str] = frozenset({"csv"}),
    ) -> tuple[ArchiveSummary, dict[str, Outcome]]:
        outcomes: dict[str, Outcome] = {}

        def note(outcome: Outcome, kept: bool) -> None:
            outcomes[outcome.path] = outcome
            if watch is not None:
                watch(outcome, kept)

        asked = FolderOptions(
            outputs=outputs,  # type: ignore[arg-type]
            identify=identify,
            dicom_results=frozenset({"sr", "sc", "pr"}) if store_results else frozenset(),
        )
        with Archive(parse_address(f"dicomweb:{url}?{query}"), access=Access(), limits=QUICK) as archive:
            summary = predict_archive(
                archive,
                predictor=predictor,
                out=tmp_path / "out",
                options=asked,
                store_results=store_results,
                on_outcome=note,
            )
        return summary, outcomes

    return run


Read = Callable[..., tuple[ArchiveSummary, dict[str, Outcome]]]


@pytest.mark.tools
def test_results_come_back_into_the_study_once_however_often_it_is_run(
    orthanc_program: str, read: Read, films: list[Held], tmp_path: Path
) -> None:
    with Orthanc.start(tmp_path / "archive") as archive:
        for film in films[:2]:
            archive.upload(film.content)
        query = "StudyDate=20250101-20251231&ModalitiesInStudy=CR,DX"
        summary, outcomes = read(archive.dicomweb_url, query=query, store_results=True)
        assert set(outcomes) == {name_of_uid(film.sop) for film in films[:2]}
        assert summary.run.counts == {"ok": 2, "refused": 0, "failed": 0}
        assert (summary.num_stored, summary.not_stored) == (6, ())
        modalities = sorted(str(one["Modality"]) for one in archive.list_instances(study_uid=STUDY))
        assert modalities == sorted(["DX", "DX", "SR", "SR", "OT", "OT", "PR", "PR"])
        assert len(archive.search_dicomweb(f"studies/{STUDY}/instances", Modality="SR")) == 2
        again, _ = read(archive.dicomweb_url, query=query, store_results=True)
        assert (again.run.num_kept, again.num_stored) == (2, 0)
        assert sum(again.run.counts.values()) == 2
        (tmp_path / "out" / "dicomweb.jsonl").unlink()
        without_memory, outcomes = read(archive.dicomweb_url, query=query, store_results=True)
        assert without_memory.num_stored == 6
        assert len(archive.list_instances(study_uid=STUDY)) == 8
        assert sorted(outcome.code for outcome in outcomes.values() if outcome.status == "refused") == sorted(
            ["own-result"] * 2 + ["not-a-radiograph"] * 4
        )


@pytest.mark.tools
def test_an_archive_that_goes_down_in_the_middle_costs_some_films_until_the_next_run(
    orthanc_program: str, read: Read, films: list[Held], tmp_path: Path
) -> None:
    with Orthanc.start(tmp_path / "archive") as archive:
        for film in films:
            archive.upload(film.content)

        def pull_the_plug(_outcome: Outcome, _kept: bool) -> None:
            archive.stop(kill=True)

        summary, outcomes = read(archive.dicomweb_url, watch=pull_the_plug, store_results=True)
        assert summary.run.counts["ok"] >= 1
        assert summary.run.counts["failed"] >= 2
        assert summary.run.counts["ok"] + summary.run.counts["failed"] == len(films)
        assert {outcome.code for outcome in outcomes.values() if outcome.status == "failed"} == {"not-fetched"}
        assert summary.num_stored == 0
        assert len(summary.not_stored) == 3 * summary.run.counts["ok"]
        archive.start_again()
        again, _ = read(archive.dicomweb_url, store_results=True)
        assert again.run.counts == {"ok": len(films), "refused": 0, "failed": 0}
        assert again.run.num_kept == summary.run.counts["ok"]
        assert (again.num_stored, again.not_stored) == (3 * len(films), ())
        assert len(archive.list_instances(study_uid=STUDY)) == 4 * len(films)


def test_one_film_that_cannot_be_had_fails_alone(fake: FakeArchive, read: Read, films: list[Held]) -> None:
    lost = films[2].sop
    fake.fault = lambda path, _before: Answer(status=500) if path.endswith(lost) else None
    summary, outcomes = read(fake.url)
    assert summary.run.counts == {"ok": 2, "refused": 0, "failed": 1}
    assert outcomes[name_of_uid(lost)].reason == "the film could not be fetched: it answers 500 (Internal Server Error)"
    fake.fault = lambda _path, _before: None
    fake.requests.clear()
    again, _ = read(fake.url)
    assert (again.run.counts["ok"], again.run.num_kept) == (3, 2)
    assert len([path for path in fake.requests if "/instances/" in path]) == 1


def test_films_lie_in_a_shut_folder_under_names_of_our_own_and_do_not_stay(
    fake: FakeArchive, read: Read, tmp_path: Path
) -> None:
    staging = tmp_path / "out" / STAGING_NAME
    staging.mkdir(parents=True)
    (staging / "left-by-a-killed-run.dcm").write_bytes(b"")
    seen: set[str] = set()

    def look(_outcome: Outcome, _kept: bool) -> None:
        seen.update(path.name for path in staging.iterdir())
        assert len(list(staging.iterdir())) <= 4
        assert stat.S_IMODE(staging.stat().st_mode) == 0o700

    read(fake.url, watch=look)
    assert seen
    assert all(len(name) == 36 and set(name[:32]) <= set("0123456789abcdef") for name in seen)
    assert not staging.exists()


def test_nothing_says_who_the_patient_is_unless_it_is_asked_for(fake: FakeArchive, read: Read, tmp_path: Path) -> None:
    everything = frozenset({"reading", "report", "index", "csv"})
    read(fake.url, outputs=everything)
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    for secret in (*SEEDED, STUDY, SERIES):
        assert secret.encode() not in written
    read(fake.url, outputs=everything, identify=True)
    table = tmp_path / "out" / UIDS_NAME
    assert stat.S_IMODE(table.stat().st_mode) == 0o600
    lines = table.read_text().splitlines()
    assert lines[0] == "path,StudyInstanceUID,SeriesInstanceUID,SOPInstanceUID"
    assert lines[1] == f"{name_of_uid(f'{SERIES}.1')},{STUDY},{SERIES},{SERIES}.1"
    read(fake.url, outputs=everything)
    assert not table.exists()


def test_a_search_that_finds_nothing_is_an_error(fake: FakeArchive, read: Read) -> None:
    with pytest.raises(ArchiveError, match="the search finds no film"):
        read(fake.url, query="StudyInstanceUID=1.2.3")


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(build_app(("predict", "doctor")), [str(argument) for argument in arguments])


def words_of(result: Result) -> str:
    return " ".join(result.output.replace("│", " ").split())


@pytest.fixture
def spot_predictor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Predictor, "from_checkpoint", lambda *_, **__: spots.make_predictor())


def test_an_archive_is_read_from_the_command_line(
    spot_predictor: None, fake: FakeArchive, films: list[Held], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("bearer SEEDTOKEN")
    secret.chmod(0o600)
    path = f"dicomweb:{fake.url}?StudyInstanceUID={STUDY}"
    options = ("--dicom-results", "sr,sc,pr", "--store-results", "--credentials", secret)
    done = ask("predict", path, "--out", tmp_path / "out", *options)
    assert done.exit_code == 0, done.output
    assert "9 results stored in the archive, 0 not taken" in done.output
    assert done.output.splitlines()[-1] == "3 ok, 0 refused, 0 failed"
    assert {headers["Authorization"] for headers in fake.headers} == {"Bearer SEEDTOKEN"}
    assert len(fake.stored) == 9
    written = done.output + "".join(one.read_text() for one in (tmp_path / "out").glob("*.json*"))
    for part in (*SEEDED, STUDY, "SEEDTOKEN"):
        assert part not in written


def test_results_that_are_not_taken_make_exit_code_three(spot_predictor: None, fake: FakeArchive, tmp_path: Path) -> None:
    fake.fault = lambda path, _before: (
        Answer(status=409) if path == "studies" and fake.headers[-1].get("Content-Type") else None
    )
    path = f"dicomweb:{fake.url}?StudyInstanceUID={STUDY}"
    done = ask("predict", path, "--out", tmp_path / "out", "--dicom-results", "sr,sc,pr", "--store-results")
    assert done.exit_code == 3
    assert "0 results stored in the archive, 9 not taken" in done.output
    assert "sr.dcm could not be stored: it answers 409 (Conflict)" in done.output
    assert done.output.splitlines()[-1] == "3 ok, 0 refused, 0 failed"


def test_a_run_that_was_killed_goes_on_where_it_was(fake: FakeArchive, films: list[Held], tmp_path: Path) -> None:
    models = write_tiny_models(tmp_path, [read_radiograph(write_content(tmp_path / "one.dcm", films[0].content))])
    out = tmp_path / "out"
    path = f"dicomweb:{fake.url}?StudyInstanceUID={STUDY}"
    options = ["--dicom-results", "sr", "--store-results", "--outputs", "csv", *models.options]
    command = [sys.executable, "-m", "xraynet", "predict", path, "--out", str(out), *options]
    running: list[subprocess.Popen[bytes]] = []

    def kill_at_the_second_result(asked: str, _before: int) -> Answer | None:
        if asked == "studies" and len(fake.stored) == 1:
            running[0].kill()
        return None

    fake.fault = kill_at_the_second_result
    running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    assert running[0].wait(timeout=120) == -signal.SIGKILL
    fake.fault = lambda _path, _before: None
    fake.requests.clear()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "3 ok, 0 refused, 0 failed"
    fetched = [asked for asked in fake.requests if "/instances/" in asked]
    assert 1 <= len(fetched) <= 2
    # The result that was on its way is sent once more, as the same object; the first is not.
    results = [pydicom.dcmread(io.BytesIO(body.split(b"\r\n\r\n", 1)[1])).SOPInstanceUID for body in fake.stored]
    assert len(set(results)) == 3
    assert results.count(results[0]) == 1
    assert not (out / STAGING_NAME).exists()


def write_content(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("films", "--store-results"), "--store-results goes with an archive"),
        (("films", "--max-films", "3", "--allow-http"), "--max-films, --allow-http goes with an archive"),
        (("films", "dicomweb:http://localhost/rs?StudyDate=20260101"), "an archive (dicomweb:…) is read alone"),
        (("dicomweb:http://localhost/rs?StudyDate=20260101", "--store-results"), "add --dicom-results sr,sc,pr"),
        (("dicomweb:http://localhost/rs?StudyDate=20260101", "--max-films", "0"), "--max-films is 0; at least 1"),
        (("dicomweb:http://pacs.example/rs?StudyDate=20260101",), "https was expected (--allow-http"),
        (("dicomweb:http://localhost/rs",), "nothing narrows the search"),
        (
            ("dicomweb:https://pacs.example/rs?StudyDate=20260101", "--ca-file", "none.pem"),
            "no file of certificates at none.pem",
        ),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = ask("predict", *arguments, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert words in words_of(done)
    assert not (tmp_path / "out").exists()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "dicomweb_client" else name)
    done = ask("predict", "dicomweb:http://localhost/rs?StudyDate=20260101", "--out", tmp_path / "out")
    assert isinstance(done.exception, Exception)
    assert "needs dicomweb_client, not installed here: pip install 'xraynet[pacs]'" in str(done.exception)


def test_credentials_in_the_address_are_not_repeated(tmp_path: Path) -> None:
    done = ask("predict", "dicomweb:https://ann:SEEDWORD@pacs.example/rs?StudyDate=20260101", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "XRAYNET_DICOMWEB_CREDENTIALS" in done.output
    assert "SEEDWORD" not in done.output


def test_the_ledger_names_nobody(fake: FakeArchive, read: Read, tmp_path: Path) -> None:
    read(fake.url)
    entries = [json.loads(line) for line in (tmp_path / "out" / "dicomweb.jsonl").read_text().splitlines()]
    assert len(entries) == 3
    assert all(set(entry) == {"archive", "name", "sha256"} for entry in entries)
    assert os.environ.get("XRAYNET_DICOMWEB_CREDENTIALS") is None
