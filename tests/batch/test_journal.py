import json
from dataclasses import replace
from pathlib import Path

import pytest

from xraynet.batch.journal import Journal, clear_results, read_outcomes
from xraynet.batch.options import FolderOptions, RunKey, differing_parts, parse_outputs, parse_spacing
from xraynet.errors import PredictionsError, XraynetError
from xraynet.findings import Outcome

KEY = RunKey(checkpoint="c", lungs="l", precision="float32", version="0.1.0", options=FolderOptions())
DONE = Outcome(path="a.dcm", id="0" * 16, sha256="0" * 64, status="ok")


def test_what_is_done_is_found_again(tmp_path: Path) -> None:
    Journal(tmp_path, KEY).append(DONE)
    journal = Journal(tmp_path, KEY)
    assert journal.find("a.dcm", DONE.sha256) == DONE
    assert journal.find("a.dcm", "1" * 64) is None
    assert journal.find("b.dcm", DONE.sha256) is None


def test_failures_are_tried_again_and_replace_their_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path, KEY)
    journal.append(replace(DONE, status="failed", code="time-limit"))
    assert journal.find("a.dcm", DONE.sha256) is None
    journal.append(DONE)
    assert len((tmp_path / "outcomes.jsonl").read_text().splitlines()) == 2
    assert list(read_outcomes(tmp_path / "outcomes.jsonl"))[-1] == DONE
    journal.compact()
    assert list(read_outcomes(tmp_path / "outcomes.jsonl")) == [DONE]


def test_a_torn_last_line_is_dropped_and_a_damaged_one_is_an_error(tmp_path: Path) -> None:
    Journal(tmp_path, KEY).append(DONE)
    path = tmp_path / "outcomes.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"path": "b')
    assert Journal(tmp_path, KEY).outcomes() == [DONE]
    assert path.read_bytes() == whole
    path.write_bytes(b"{}\n" + whole)
    with pytest.raises(PredictionsError, match="line 1"):
        list(read_outcomes(path))


@pytest.mark.parametrize("line", ['{"path": "a", "status": "fine"}', "[]", '{"status": "ok"}', '{"status": "ok", "odd": 1}'])
def test_a_line_that_is_no_outcome_is_an_error(tmp_path: Path, line: str) -> None:
    (tmp_path / "outcomes.jsonl").write_text(line + "\n")
    with pytest.raises(PredictionsError, match="not an outcome"):
        list(read_outcomes(tmp_path / "outcomes.jsonl"))


def test_no_file_holds_no_outcomes(tmp_path: Path) -> None:
    assert list(read_outcomes(tmp_path / "outcomes.jsonl")) == []


def test_another_key_clears_the_folder_and_says_what_differs(tmp_path: Path) -> None:
    Journal(tmp_path, KEY).append(DONE)
    other = replace(KEY, checkpoint="d", options=FolderOptions(identify=True))
    journal = Journal(tmp_path, other)
    assert journal.restarted == ("checkpoint", "identify")
    assert journal.outcomes() == []
    assert Journal(tmp_path, other).restarted == ()


def test_results_that_cannot_be_made_again_outlive_another_key(tmp_path: Path) -> None:
    Journal(tmp_path, KEY).append(DONE)
    other = replace(KEY, checkpoint="d")
    journal = Journal(tmp_path, other, other_key="keep")
    assert (journal.restarted, journal.outcomes()) == (("checkpoint",), [DONE])
    (tmp_path / "node").mkdir()
    with pytest.raises(XraynetError, match="xraynet listen"):
        Journal(tmp_path, KEY)
    assert Journal(tmp_path, other).outcomes() == [DONE]


def test_a_damaged_run_file_counts_as_another_key(tmp_path: Path) -> None:
    Journal(tmp_path, KEY).append(DONE)
    for text in ("{", "[]"):
        (tmp_path / "run.json").write_text(text)
        assert Journal(tmp_path, KEY).restarted
    assert json.loads((tmp_path / "run.json").read_text())["digest"] == KEY.digest


def test_clearing_removes_only_what_a_run_wrote(tmp_path: Path) -> None:
    reading = tmp_path / "readings" / ("0" * 16)
    reading.mkdir(parents=True)
    (reading / "report.html").write_text("x")
    kept = [tmp_path / "notes.html", tmp_path / "readings" / "mine.txt", tmp_path / "index.txt"]
    for path in (*kept, tmp_path / "index-2.html", tmp_path / "findings.csv"):
        path.write_text("x")
    clear_results(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


def test_halves_of_files_from_a_killed_run_are_removed_and_nothing_else(tmp_path: Path) -> None:
    reading = tmp_path / "readings" / ("0" * 16)
    reading.mkdir(parents=True)
    torn = [reading / ".identity.json.ab12cd34.part", tmp_path / ".outcomes.jsonl.x.part", tmp_path / ".index-2.html.x.part"]
    kept = [reading / "reading.json", tmp_path / ".download.x.part", tmp_path / "readings" / ".mine.x.part"]
    for path in (*torn, *kept):
        path.write_text("x")
    Journal(tmp_path, KEY)
    assert not any(path.exists() for path in torn)
    assert all(path.exists() for path in kept)


def test_outputs_and_spacing_are_read_from_the_command_line() -> None:
    assert parse_outputs("report,csv") == {"report", "csv"}
    assert parse_spacing("0.2,0.3") == (0.2, 0.3)
    for text in ("reprot", ""):
        with pytest.raises(ValueError, match="known outputs: reading"):
            parse_outputs(text)
    for text in ("0.2", "a,b", "1,2,3"):
        with pytest.raises(ValueError, match="two numbers"):
            parse_spacing(text)


@pytest.mark.parametrize(
    "options",
    [
        {"max_megapixels": 0},
        {"max_megapixels": float("nan")},
        {"decode_limit_s": float("inf")},
        {"decode_limit_s": -1.0},
        {"spacing_mm": (0.0, 1.0)},
    ],
)
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        FolderOptions(**options)


def test_equal_keys_differ_in_nothing() -> None:
    assert differing_parts(KEY.to_tables(), KEY.to_tables()) == []
