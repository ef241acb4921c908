"""A folder run over a hostile folder, killed again and again: in the end as if it had never been disturbed.

``make soak`` runs the large counts, ``make test`` a twentieth of them, with the same code and the same seeds.
"""

import csv
import hashlib
import html
import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import psutil
import pytest
import soak
from hostile_folder import HostileFolder, draw_bases, to_radiograph, vary, write_hostile_folder
from soak import Sitting, sit
from tiny_models import TinyModels, write_tiny_models

from xraynet.errors import EXIT_FAILED
from xraynet.reading_file import read_schema

NUM_FILES, NUM_KILLS = (2000, 40) if soak.IS_FULL else (100, 2)
SEED = 20
LARGEST_GROWTH = 1.15
"""Resident memory at its highest, over that of the first quarter of the files: what a run may keep of each film is little."""

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200 if soak.IS_FULL else 600)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    rng = np.random.default_rng(SEED)
    films = [to_radiograph(vary(base, rng)) for base in draw_bases() for _ in range(4)]
    return write_tiny_models(tmp_path_factory.mktemp("models"), films)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> HostileFolder:
    root = tmp_path_factory.mktemp("hospital") / "films"
    return write_hostile_folder(root, num=NUM_FILES, seed=SEED, bases=draw_bases())


@pytest.fixture(scope="module")
def whole(folder: HostileFolder, models: TinyModels, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sitting]:
    """The results of a run that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole") / "out"
    return out, predict(folder, models, out, progress=count_paths(out))


def predict(
    folder: HostileFolder,
    models: TinyModels,
    out: Path,
    *,
    progress: Callable[[], int],
    kill_at: int | None = None,
    after_s: float = 0.0,
) -> Sitting:
    arguments = ["predict", str(folder.root), "--out", str(out), *models.options]
    return sit(arguments, log=out.with_name("log"), progress=progress, kill_at=kill_at, after_s=after_s)


def count_paths(out: Path) -> Callable[[], int]:
    """Tells how many files have an outcome by now; reads only what was added since it was last asked."""
    paths: set[str] = set()
    state = {"inode": 0, "offset": 0}

    def count() -> int:
        try:
            with (out / "outcomes.jsonl").open("rb") as stream:
                inode = (out / "outcomes.jsonl").stat().st_ino
                state.update(inode=inode, offset=state["offset"] if inode == state["inode"] else 0)
                stream.seek(state["offset"])
                added = stream.read()
        except FileNotFoundError:
            return 0
        lines = added[: added.rfind(b"\n") + 1]
        state["offset"] += len(lines)
        paths.update(json.loads(line)["path"] for line in lines.splitlines())
        return len(paths)

    return count


def outcomes_of(out: Path) -> list[dict[str, object]]:
    """The lines of ``outcomes.jsonl`` without what the clock said."""
    lines = [json.loads(line) for line in (out / "outcomes.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "elapsed_s"} for line in lines]


def fingerprints(out: Path) -> dict[str, str]:
    """Every file of the results by its content, but the journal (it tells times) and the lock."""
    files = [path for path in out.rglob("*") if path.is_file() and path.name not in {"outcomes.jsonl", ".lock"}]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_file_of_a_hostile_folder_has_one_outcome(folder: HostileFolder, whole: tuple[Path, Sitting]) -> None:
    out, sitting = whole
    assert sitting.exit_code == EXIT_FAILED, sitting.said[-2000:]
    lines = outcomes_of(out)
    found = {str(line["path"]): f"{line['status']} {line['code']}".strip() for line in lines}
    assert len(lines) == len(found)
    assert found == folder.expected
    counts = [sum(status.startswith(word) for status in found.values()) for word in ("ok", "refused", "failed")]
    assert sitting.said.splitlines()[-1] == "{} ok, {} refused, {} failed".format(*counts)


def test_readings_are_whole_and_tables_agree_with_them(folder: HostileFolder, whole: tuple[Path, Sitting]) -> None:
    out, _ = whole
    lines = outcomes_of(out)
    schema = read_schema()
    readings = {path.parent.name: json.loads(path.read_text()) for path in out.glob("readings/*/reading.json")}
    for reading in readings.values():
        jsonschema.validate(reading, schema)
    analysed = [line for line in lines if line["status"] == "ok" or str(line["code"]).startswith("gate.")]
    assert {path.name for path in (out / "readings").iterdir()} == readings.keys() == {str(line["id"]) for line in analysed}
    assert len(readings) == folder.num_reading
    reported = {key: sum(found["reported"] for found in reading["detections"]) for key, reading in readings.items()}
    assert 0 < sum(num > 0 for num in reported.values()) < len(reported)

    findings = read_table(out / "findings.csv")
    assert len(findings) == sum(reported.get(str(line["id"]), 0) for line in lines)  # a twin has rows of its own
    for row in (*findings, *read_table(out / "failures.csv")):
        assert not row["path"].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert len(read_table(out / "failures.csv")) == sum(line["status"] != "ok" for line in lines)


def test_the_worklist_names_every_file_and_none_of_them_as_markup(folder: HostileFolder, whole: tuple[Path, Sitting]) -> None:
    out, _ = whole
    text = "".join(page.read_text(encoding="utf-8") for page in out.glob("index*.html"))
    assert "<img src=x" not in text
    assert "<b>day" not in text
    shown = html.unescape(text)
    missing = [path for path in folder.expected if path.rsplit("/")[-1] not in shown]
    assert not missing


def test_memory_does_not_grow_with_the_folder(folder: HostileFolder, whole: tuple[Path, Sitting]) -> None:
    _, sitting = whole
    early, highest = soak.memory_growth(sitting.memory, end=len(folder.expected))
    soak.keep_figures(
        "folder-memory",
        {
            "files": NUM_FILES,
            "readings": folder.num_reading,
            "elapsed_s": round(sitting.elapsed_s, 1),
            "highest_mib_in_the_first_quarter": round(early),
            "highest_mib": round(highest),
        },
    )
    assert highest <= early * LARGEST_GROWTH


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(
    folder: HostileFolder, models: TinyModels, whole: tuple[Path, Sitting], tmp_path: Path
) -> None:
    rng = np.random.default_rng(SEED)
    out, num_expected = tmp_path / "out", len(folder.expected)
    sittings: list[Sitting] = []
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    for kill in range(NUM_KILLS):
        # Most while a film is read; every fifth as the run starts; the last while pages and tables are written.
        place = (kill + 1) / (NUM_KILLS + 1) if kill + 1 < NUM_KILLS else 1.0
        kill_at, after_s = (0, rng.uniform(0.5, 4)) if kill % 5 == 3 else (int(place * num_expected), rng.uniform(0, 0.4))
        sitting = predict(folder, models, out, progress=count_paths(out), kill_at=kill_at, after_s=after_s * (place < 1))
        sittings.append(sitting)
        assert sitting.was_killed or (place == 1.0 and sitting.exit_code == EXIT_FAILED), sitting.said[-2000:]
    last = predict(folder, models, out, progress=count_paths(out))
    assert last.exit_code == EXIT_FAILED, last.said[-2000:]
    assert outcomes_of(out) == outcomes_of(whole[0])
    assert fingerprints(out) == fingerprints(whole[0])
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= before
    soak.keep_figures(
        "folder-kills",
        {
            "files": NUM_FILES,
            "kills": sum(sitting.was_killed for sitting in sittings),
            "elapsed_s": round(sum(sitting.elapsed_s for sitting in (*sittings, last)), 1),
            "differences": 0,
        },
    )


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))
