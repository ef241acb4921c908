import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import brittle_decoder
import jsonschema
import numpy as np
import psutil
import pytest
import spots
from brittle_decoder import crash_on_cue
from dicom_files import write_dicom
from PIL import Image
from pydicom.uid import JPEGLosslessSV1

from xraynet.batch.decode import DecodeRequest, DecodeWorker, decode_film
from xraynet.batch.film_reader import facts_of_checkpoint
from xraynet.batch.folder import predict_folder
from xraynet.batch.journal import hold_folder
from xraynet.batch.options import FolderOptions
from xraynet.checkpoint import OperatingPoint
from xraynet.errors import FilmFailed, XraynetError
from xraynet.findings import Outcome
from xraynet.ingest.limits import DecodeLimits
from xraynet.ingest.read import sha256_of_film
from xraynet.radiograph import Radiograph
from xraynet.reading_file import read_reading, read_schema

Run = Callable[..., tuple[dict[str, Outcome], list[bool]]]
SEEDED = ("Seededson^Janetta", "SEEDID99", "19511213", "SEEDACC7", "20250203")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("films")
    (root / "ward").mkdir()
    tags = {"ImagerPixelSpacing": [0.8, 0.8], "ViewPosition": "PA", "BitsStored": 12}
    identity = dict(zip(("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "StudyDate"), SEEDED, strict=True))
    write_dicom(root / "ward" / "spot.dcm", spots.spot_film((90, 120)), **tags, **identity)
    write_dicom(root / "lossless.dcm", spots.spot_film((200, 300), seed=2), syntax=JPEGLosslessSV1, **tags, **identity)
    write_dicom(root / "lateral.dcm", spots.spot_film(seed=3), **{**tags, "ViewPosition": "LL"}, **identity)
    Image.fromarray((spots.spot_film(seed=4) >> 4).astype(np.uint8)).save(root / "plain.png")
    (root / "twin.dcm").write_bytes((root / "ward" / "spot.dcm").read_bytes())
    (root / "cut.dcm").write_bytes((root / "ward" / "spot.dcm").read_bytes()[:3000])
    (root / "words").write_text("no film at all")
    return root


@pytest.fixture(scope="module")
def worker() -> Iterator[DecodeWorker]:
    with DecodeWorker(limit_s=120) as shared:
        yield shared


@pytest.fixture(scope="module")
def run(worker: DecodeWorker) -> Run:
    return partial(run_with, worker)


def run_with(worker: DecodeWorker, films: Path, out: Path, **options: object) -> tuple[dict[str, Outcome], list[bool]]:
    outcomes, kept = {}, []

    def note(outcome: Outcome, was_kept: bool) -> None:
        outcomes[outcome.path] = outcome
        kept.append(was_kept)

    summary = predict_folder(
        [films], predictor=spots.make_predictor(), out=out, options=FolderOptions(**options), on_outcome=note
    )
    assert sum(summary.counts.values()) == len(kept)
    assert summary.num_kept == sum(kept)
    return outcomes, kept


@pytest.fixture(scope="module")
def results(run: Run, films: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Outcome]]:
    out = tmp_path_factory.mktemp("results")
    outcomes, _ = run(films, out, save_map=True)
    return out, outcomes


def lines_of(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "outcomes.jsonl").read_text().splitlines()]


def test_every_file_has_one_outcome(results: tuple[Path, dict[str, Outcome]]) -> None:
    out, outcomes = results
    assert {path: (item.status, item.code) for path, item in outcomes.items()} == {
        "cut.dcm": ("failed", "truncated"),
        "lateral.dcm": ("refused", "gate.lateral"),
        "lossless.dcm": ("ok", ""),
        "plain.png": ("ok", ""),
        "twin.dcm": ("ok", ""),
        "ward/spot.dcm": ("ok", ""),
        "words": ("refused", "not-an-image"),
    }
    lines = lines_of(out)
    assert [line["path"] for line in lines] == list(outcomes)
    assert set(lines[0]) == {"path", "id", "sha256", "status", "code", "reason", "elapsed_s"}


def test_readings_are_whole_and_fit_the_schema(results: tuple[Path, dict[str, Outcome]]) -> None:
    out, outcomes = results
    folders = {folder.name for folder in (out / "readings").iterdir()}
    assert folders == {item.id for item in outcomes.values() if item.status == "ok" or item.code.startswith("gate.")}
    for folder in sorted(folders):
        jsonschema.validate(json.loads((out / "readings" / folder / "reading.json").read_text()), read_schema())
    names = {path.name for path in (out / "readings" / outcomes["ward/spot.dcm"].id).iterdir()}
    assert names == {"reading.json", "heatmap.png", "overlay.png", "report.html", "thumbnail.jpg", "score_map.npz"}
    refused = {path.name for path in (out / "readings" / outcomes["lateral.dcm"].id).iterdir()}
    assert refused == {"reading.json", "overlay.png", "report.html", "thumbnail.jpg"}


def test_identical_files_share_a_reading(results: tuple[Path, dict[str, Outcome]]) -> None:
    out, outcomes = results
    assert outcomes["twin.dcm"].id == outcomes["ward/spot.dcm"].id
    reading = read_reading(out / "readings" / outcomes["twin.dcm"].id / "reading.json")
    assert reading.source.path == "twin.dcm"
    assert "same file: ward/spot.dcm" in (out / "index.html").read_text()


def test_pictures_have_the_films_own_proportions(results: tuple[Path, dict[str, Outcome]]) -> None:
    out, outcomes = results
    folder = out / "readings" / outcomes["ward/spot.dcm"].id
    with Image.open(folder / "heatmap.png") as heat, Image.open(folder / "overlay.png") as overlay:
        assert heat.size == overlay.size == (819, 1024)
        alpha = np.asarray(heat)[..., 3]
    row, column = np.unravel_index(alpha.argmax(), alpha.shape)
    assert abs(row / 2.56 - 120) < 15
    assert abs(column / 2.56 - 90) < 15


def test_the_kept_map_is_in_stored_pixels(results: tuple[Path, dict[str, Outcome]]) -> None:
    out, outcomes = results
    with np.load(out / "readings" / outcomes["ward/spot.dcm"].id / "score_map.npz") as stored:
        score_map = stored["score_map"]
    assert score_map.shape == (400, 320)
    assert score_map.dtype == np.float32
    assert np.abs(np.array(np.unravel_index(score_map.argmax(), score_map.shape)) - [120, 90]).max() <= 4


def test_tables_and_worklist_tell_the_whole_run(results: tuple[Path, dict[str, Outcome]]) -> None:
    out, _ = results
    with (out / "findings.csv").open() as stream:
        assert {line["path"] for line in csv.DictReader(stream)} == {"twin.dcm", "ward/spot.dcm", "lossless.dcm"}
    with (out / "failures.csv").open() as stream:
        assert {line["path"] for line in csv.DictReader(stream)} == {"cut.dcm", "lateral.dcm", "words"}
    page = (out / "index.html").read_text()
    assert "2 of 3 analysed films with findings" in page
    assert page.index("lossless.dcm") < page.index("plain.png") < page.index("lateral.dcm") < page.index("cut.dcm")


def everything_in(out: Path) -> bytes:
    return b"\n".join(path.name.encode() + path.read_bytes() for path in out.rglob("*") if path.is_file())


def test_no_identity_appears_anywhere_unasked(results: tuple[Path, dict[str, Outcome]]) -> None:
    content = everything_in(results[0])
    for value in SEEDED:
        for part in value.split("^"):
            assert part.encode() not in content


def test_identity_is_printed_where_it_was_asked_for(run: Run, films: Path, tmp_path: Path) -> None:
    run(films / "ward", tmp_path, identify=True)
    for page in (tmp_path / "index.html", next(tmp_path.rglob("report.html"))):
        text = page.read_text()
        for value in ("Seededson, Janetta", "SEEDID99", "1951-12-13", "SEEDACC7", "2025-02-03"):
            assert value in text
    assert not any(part.encode() in (tmp_path / "outcomes.jsonl").read_bytes() for part in SEEDED)
    identity = next(tmp_path.rglob("identity.json"))
    assert identity.stat().st_mode & 0o077 == 0
    _, kept = run(films / "ward", tmp_path, identify=True)
    assert kept == [True]
    assert "SEEDID99" in (tmp_path / "index.html").read_text()
    run(films / "ward", tmp_path)
    assert b"SEEDID99" not in everything_in(tmp_path)


def test_paths_can_be_left_out(run: Run, films: Path, tmp_path: Path) -> None:
    outcomes, _ = run(films, tmp_path, hash_paths=True, outputs=frozenset({"index", "csv"}))
    content = everything_in(tmp_path)
    for name in (b"ward", b"spot.dcm", b"twin", b"lossless", b"lateral.dcm", b"plain.png", b"cut.dcm", b"words"):
        assert name not in content
    assert len(outcomes) == 7
    assert read_reading(next(tmp_path.rglob("reading.json"))).source.path is None
    _, kept = run(films, tmp_path, hash_paths=True, outputs=frozenset({"index", "csv"}))
    assert sum(kept) == 6


def test_a_second_run_keeps_what_is_done_and_tries_failures_again(run: Run, films: Path, tmp_path: Path) -> None:
    run(films, tmp_path, outputs=frozenset({"csv"}))
    before = (tmp_path / "findings.csv").read_bytes()
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("reading.json")}
    outcomes, kept = run(films, tmp_path, outputs=frozenset({"csv"}))
    assert [item.path for item, was_kept in zip(outcomes.values(), kept, strict=True) if not was_kept] == ["cut.dcm"]
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("reading.json")}
    assert (tmp_path / "findings.csv").read_bytes() == before
    assert len(lines_of(tmp_path)) == 7


def test_a_run_cut_off_in_the_middle_of_a_line_goes_on(run: Run, films: Path, tmp_path: Path) -> None:
    run(films, tmp_path, outputs=frozenset({"csv"}))
    whole = (tmp_path / "findings.csv").read_bytes()
    journal = (tmp_path / "outcomes.jsonl").read_bytes()
    (tmp_path / "outcomes.jsonl").write_bytes(journal[: journal.index(b"lossless") + 20])
    _, kept = run(films, tmp_path, outputs=frozenset({"csv"}))
    assert sum(kept) == 1
    assert (tmp_path / "findings.csv").read_bytes() == whole
    assert len(lines_of(tmp_path)) == 7


def test_a_reading_that_was_deleted_is_made_again(run: Run, films: Path, tmp_path: Path) -> None:
    outcomes, _ = run(films / "ward", tmp_path, outputs=frozenset({"csv"}))
    path = tmp_path / "readings" / outcomes["spot.dcm"].id / "reading.json"
    path.unlink()
    _, kept = run(films / "ward", tmp_path, outputs=frozenset({"csv"}))
    assert kept == [False]
    assert path.is_file()


def test_other_options_replace_the_results_and_say_what_differs(run: Run, films: Path, tmp_path: Path) -> None:
    run(films / "ward", tmp_path, save_map=True)
    (tmp_path / "readings" / "notes.txt").write_text("the user's own")
    heard: list[tuple[tuple[str, ...], int]] = []
    summary = predict_folder(
        [films / "ward"],
        predictor=spots.make_predictor(operating_point=OperatingPoint(threshold=0.5)),
        out=tmp_path,
        options=FolderOptions(outputs=frozenset({"csv"})),
        on_start=lambda restarted, num: heard.append((restarted, num)),
    )
    assert summary.restarted == ("checkpoint", "outputs", "save_map")
    assert heard == [(summary.restarted, 1)]
    assert summary.num_kept == 0
    assert (tmp_path / "readings" / "notes.txt").is_file()
    assert not list(tmp_path.rglob("report.html"))
    assert not (tmp_path / "index.html").exists()


def test_a_changed_file_is_read_again(run: Run, tmp_path: Path) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    films.mkdir()
    for level in (60, 70):
        Image.fromarray(np.full((64, 64), level, dtype=np.uint8) + np.eye(64, dtype=np.uint8) * 90).save(films / "a.png")
        _, kept = run(films, out, outputs=frozenset({"csv"}))
        assert kept == [False]
    assert len(lines_of(out)) == 1


def test_the_gate_can_be_switched_off(run: Run, films: Path, tmp_path: Path) -> None:
    outcomes, _ = run(films, tmp_path, enforce_gate=False, outputs=frozenset({"reading"}))
    assert outcomes["lateral.dcm"].status == "ok"
    reading = read_reading(tmp_path / "readings" / outcomes["lateral.dcm"].id / "reading.json")
    assert not reading.gate.passed
    assert reading.film_score is not None


def test_a_given_spacing_reaches_films_without_one(run: Run, films: Path, tmp_path: Path) -> None:
    outcomes, _ = run(films, tmp_path, spacing_mm=(0.5, 0.4), outputs=frozenset({"reading"}))
    spacing = {
        name: read_reading(tmp_path / "readings" / outcomes[name].id / "reading.json").image.spacing_mm
        for name in ("plain.png", "lossless.dcm")
    }
    assert spacing == {"plain.png": (0.5, 0.4), "lossless.dcm": (0.8, 0.8)}


def test_a_film_over_the_limit_fails_alone(run: Run, films: Path, tmp_path: Path) -> None:
    outcomes, _ = run(films, tmp_path, max_megapixels=0.1, outputs=frozenset({"csv"}))
    assert {item.code for item in outcomes.values() if item.status == "failed"} <= {"too-large", "truncated"}
    assert outcomes["lossless.dcm"].code == "too-large"


def test_a_file_that_breaks_the_predictor_fails_alone(
    run: Run, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyse = type(spots.make_predictor()).analyse

    def brittle(self: object, radiograph: Radiograph, *, enforce_gate: bool = True) -> object:
        if radiograph.path == "plain.png":
            raise RuntimeError("SEEDID99")
        return analyse(self, radiograph, enforce_gate=enforce_gate)

    monkeypatch.setattr("xraynet.inference.predictor.Predictor.analyse", brittle)
    outcomes, _ = run(films, tmp_path, outputs=frozenset({"csv"}))
    broken = outcomes["plain.png"]
    assert (broken.status, broken.code) == ("failed", "internal-error")
    assert broken.reason == "xraynet broke on this film with RuntimeError"
    assert outcomes["twin.dcm"].status == "ok"


def test_a_missing_file_fails_and_no_file_at_all_is_an_error(films: Path, tmp_path: Path) -> None:
    outcomes: list[Outcome] = []
    predict_folder(
        [films / "none.dcm", films / "ward"],
        predictor=spots.make_predictor(),
        out=tmp_path / "out",
        options=FolderOptions(outputs=frozenset({"csv"})),
        on_outcome=lambda outcome, _: outcomes.append(outcome),
    )
    assert (outcomes[0].path, outcomes[0].status, outcomes[0].code) == ("none.dcm", "failed", "not-found")
    (tmp_path / "empty").mkdir()
    with pytest.raises(XraynetError, match="no files were found"):
        predict_folder([tmp_path / "empty"], predictor=spots.make_predictor(), out=tmp_path / "out")


def test_a_name_that_is_no_text_stops_nothing(run: Run, films: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    content = (films / "ward" / "spot.dcm").read_bytes()
    for name in (b"\xff\xfe.dcm", b"=cmd\n.dcm", "höhe.dcm".encode()):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(content)
    outcomes, _ = run(folder, tmp_path / "out")
    assert [item.status for item in outcomes.values()] == ["ok"] * 3
    with (tmp_path / "out" / "findings.csv").open(encoding="utf-8") as stream:
        assert {line["path"] for line in csv.DictReader(stream)} == {"'=cmd\n.dcm", "höhe.dcm", "\ufffd\ufffd.dcm"}
    _, kept = run(folder, tmp_path / "out")
    assert all(kept)


def test_results_beside_the_films_are_not_read_as_films(run: Run, films: Path, tmp_path: Path) -> None:
    (tmp_path / "spot.dcm").write_bytes((films / "ward" / "spot.dcm").read_bytes())
    for _ in range(2):
        outcomes, _ = run(tmp_path, tmp_path / "results")
        assert list(outcomes) == ["spot.dcm"]


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    with hold_folder(tmp_path), pytest.raises(XraynetError, match="another run"), hold_folder(tmp_path):
        pass
    with hold_folder(tmp_path):
        pass


def ask(worker: DecodeWorker, name: str) -> int:
    return worker.ask(DecodeRequest(path=Path(name), limits=DecodeLimits(), spacing_mm=None))


def test_a_codec_that_crashes_costs_one_film() -> None:
    with DecodeWorker(limit_s=60, decode=crash_on_cue) as worker:
        tickets = [ask(worker, name) for name in ("a", "crash", "b", "c")]
        taken = [worker.take(ticket) for ticket in tickets]
        later = worker.take(ask(worker, "d"))
    assert [item.reason for item in taken] == ["a", "the decoder died while it read the film", "b", "c"]
    assert later.reason == "d"


def test_a_codec_that_hangs_costs_one_film() -> None:
    with DecodeWorker(limit_s=15, decode=crash_on_cue) as worker:
        tickets = [ask(worker, name) for name in ("a", "hang", "b")]
        taken = [worker.take(ticket) for ticket in tickets]
    assert [item.code for item in taken] == ["damaged", "time-limit", "damaged"]


def test_a_film_asked_for_after_a_crash_is_still_read() -> None:
    with DecodeWorker(limit_s=60, decode=crash_on_cue) as worker:
        crashed = ask(worker, "crash")
        while not worker._pool._broken:
            time.sleep(0.05)
        later = ask(worker, "a")
        assert worker.take(crashed).code == "internal-error"
        assert worker.take(later).reason == "a"


def test_decoding_answers_with_the_film_or_the_reason(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def request(name: str) -> DecodeRequest:
        return DecodeRequest(path=films / name, limits=DecodeLimits(), spacing_mm=None)

    film = decode_film(request("ward/spot.dcm"))
    assert isinstance(film, Radiograph)
    assert film.size == (400, 320)
    assert decode_film(request("cut.dcm")).code == "truncated"
    monkeypatch.setattr("xraynet.batch.decode.read_radiograph", lambda *_, **__: 1 / 0)
    assert decode_film(request("cut.dcm")).reason == "reading broke with ZeroDivisionError"


def test_a_file_that_cannot_be_opened_fails_alone(
    run: Run, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def guarded(path: Path) -> str:
        if path.name == "plain.png":
            raise PermissionError(path)
        if path.name == "lossless.dcm":
            raise FilmFailed("damaged", code="damaged")
        return sha256_of_film(path)

    monkeypatch.setattr("xraynet.batch.incoming.sha256_of_film", guarded)
    outcomes, _ = run(films, tmp_path, outputs=frozenset({"csv"}))
    assert (outcomes["plain.png"].code, outcomes["plain.png"].id) == ("not-found", "")
    assert outcomes["plain.png"].reason == "the file cannot be opened (PermissionError)"
    assert outcomes["lossless.dcm"].code == "damaged"
    assert outcomes["twin.dcm"].status == "ok"


def test_a_reading_that_was_changed_by_hand_is_told_in_the_worklist(run: Run, films: Path, tmp_path: Path) -> None:
    run(films / "ward", tmp_path, outputs=frozenset({"index"}))
    next(tmp_path.rglob("reading.json")).write_text("{}")
    run(films / "ward", tmp_path, outputs=frozenset({"index"}))
    assert "reading.json was removed or changed" in (tmp_path / "index.html").read_text()


def test_a_worklist_that_shrinks_leaves_no_page_behind(run: Run, films: Path, tmp_path: Path) -> None:
    run(films / "ward", tmp_path, outputs=frozenset({"index"}))
    (tmp_path / "index-2.html").write_text("of an earlier, longer worklist")
    run(films / "ward", tmp_path, outputs=frozenset({"index"}))
    assert not (tmp_path / "index-2.html").exists()


def test_a_run_that_is_killed_leaves_no_decoder_behind(tmp_path: Path) -> None:
    code = (
        "import sys; from brittle_decoder import crash_on_cue; from pathlib import Path\n"
        "from xraynet.batch.decode import *\nfrom xraynet.ingest.limits import DecodeLimits\n"
        "if __name__ == '__main__':\n"
        "    worker = DecodeWorker(limit_s=60, decode=crash_on_cue)\n"
        "    worker.take(worker.ask(DecodeRequest(Path('a'), DecodeLimits(), None)))\n"
        "    print(next(iter(worker._pool._processes)), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(Path(brittle_decoder.__file__).parent)}
    with subprocess.Popen([sys.executable, script], stdin=-1, stdout=-1, stderr=-1, env=environment) as running:
        assert running.stdout is not None
        decoder = int(running.stdout.readline())
        running.kill()
    for _ in range(200):
        if not psutil.pid_exists(decoder) or psutil.Process(decoder).status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.05)
    else:
        pytest.fail("the decoder outlived its run by 10 s")


def test_the_decoder_never_loads_torch(
    run: Run,
) -> None:
    code = "import sys, xraynet.batch.decode; sys.exit(int('torch' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_facts_of_the_operating_point_reach_the_reports() -> None:
    facts = facts_of_checkpoint(spots.make_checkpoint())
    assert facts.operating.measured_on == "120 synthetic films (rule node21)"
    assert facts.scale.operating == 0.3
    bare = facts_of_checkpoint(spots.make_checkpoint(operating_point=OperatingPoint(threshold=0.5)))
    assert bare.operating.measured_on == ""
