import io
import json
from pathlib import Path

import pytest

from xraynet.training import journal as journal_module
from xraynet.training.journal import open_journal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_are_json_and_appended(tmp_path: Path) -> None:
    for step in (1, 2):
        with open_journal(tmp_path, voice=io.StringIO()) as journal:
            journal.write("train", step=step, figures={"loss": 0.5, "bad": float("nan"), "none": None, "text": "a"})
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert lines[0] == {"event": "train", "step": 1, "loss": 0.5, "bad": None, "none": None, "text": "a"}


def test_plain_lines_where_nobody_watches_a_terminal(tmp_path: Path) -> None:
    voice = io.StringIO()
    with open_journal(tmp_path, voice=voice) as journal:
        journal.plan(10)
        journal.advance(step=1, text="loss 0.5", plain=False)
        journal.advance(step=2, text="loss 0.4", plain=True)
    assert voice.getvalue() == "step 2: loss 0.4\n"


def test_bar_on_a_terminal(tmp_path: Path) -> None:
    voice = Terminal()
    with open_journal(tmp_path, voice=voice) as journal:
        journal.plan(10)
        journal.advance(step=4, text="loss 0.5", plain=False)
        journal.say("validation done")
    assert "4/10" in voice.getvalue()
    assert "validation done" in voice.getvalue()


def test_figures_reach_tensorboard_where_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with open_journal(tmp_path, voice=io.StringIO()) as journal:
        journal.write("train", step=1, figures={"loss": 0.5, "text": "a"})
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_run_goes_on_without_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module.importlib.util, "find_spec", lambda _: None)
    with open_journal(tmp_path, voice=io.StringIO()) as journal:
        journal.write("train", step=1, figures={"loss": 0.5})
    assert not (tmp_path / "tensorboard").exists()


def test_silent_rank_writes_nothing(tmp_path: Path) -> None:
    with open_journal(tmp_path, silent=True) as journal:
        journal.write("train", step=1, figures={"loss": 0.5})
        journal.say("hello")
    assert not list(tmp_path.iterdir())
