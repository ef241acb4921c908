import json
import sqlite3
import stat
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from review_folders import make_reading

from xraynet.errors import ActionRefused, ReviewError
from xraynet.review_file import REVIEW_APPLICATION_ID, REVIEW_VERSION
from xraynet.service.review.actions import Step, apply_step, parse_step
from xraynet.service.review.history import Action, History, Mode, replay
from xraynet.service.review.look import Look, looks_of
from xraynet.service.review.results import DetectorResults
from xraynet.service.review.store import ReviewStore, StaleRevision

READING = make_reading(1, scores=(0.8, 0.4, 0.1))
RESULTS = DetectorResults.of(READING)
AT = "2026-11-26T07:00:00.000Z"

DETECTIONS = st.sampled_from(["d1", "d2", "d3"])
MARKS = st.sampled_from(["m1", "m2"])
BOXES = st.tuples(*[st.floats(0, 60, width=32)] * 2, *[st.floats(2, 40, width=32)] * 2).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)
STEPS = st.one_of(
    st.builds(Step, kind=st.sampled_from(["accept", "reject", "clear"]), detection=DETECTIONS),
    st.builds(Step, kind=st.just("add"), mark=MARKS, box=BOXES),
    st.builds(Step, kind=st.just("move"), mark=MARKS, box=BOXES),
    st.builds(Step, kind=st.just("move"), detection=DETECTIONS, box=BOXES),
    st.builds(Step, kind=st.just("remove"), mark=MARKS),
    st.builds(lambda mark, text: parse_step({"kind": "note", "mark": mark, "text": text}), MARKS, st.text(max_size=5)),
    st.builds(lambda text: parse_step({"kind": "note", "text": text}), st.text(max_size=5)),
    st.builds(Step, kind=st.just("verdict"), verdict=st.sampled_from(["findings", "normal", "unreadable"])),
    st.builds(Step, kind=st.sampled_from(["reopen", "reveal", "undo", "undo", "redo"])),
)
MODES = st.sampled_from(["plain", "second-reader"])


def take(history: History, steps: list[Step]) -> History:
    """The history after those of the steps that are possible."""
    for step in steps:
        try:
            history = history.advance(step, reading=READING, at=AT)
        except ActionRefused:
            continue
    return history


def act(store: ReviewStore, step: Step, *, base: int, reader: str = "Ada", mode: Mode = "plain") -> int:
    action = Action(str(uuid.uuid4()), AT, reader, READING.id, RESULTS.digest, mode, base, step)
    return store.save(action, results=RESULTS).history.revision


@settings(max_examples=60, deadline=None)
@given(mode=MODES, steps=st.lists(STEPS, max_size=25), step=STEPS)
def test_undo_after_any_step_leads_back_and_redo_leads_there_again(mode: Mode, steps: list[Step], step: Step) -> None:
    before = take(History.begin(mode), steps)
    if step.kind in ("undo", "redo", "reveal"):
        return
    try:
        after = before.advance(step, reading=READING, at=AT)
    except ActionRefused:
        return
    undone = after.advance(Step("undo"), reading=READING, at=AT)
    assert undone.look == before.look
    again = undone.advance(Step("redo"), reading=READING, at=AT)
    assert (again.look, again.looks, again.undone) == (after.look, after.looks, ())
    assert (before.revision, after.revision, undone.revision, again.revision) == tuple(
        range(before.revision, before.revision + 4)
    )


@settings(max_examples=60, deadline=None)
@given(mode=MODES, steps=st.lists(STEPS, max_size=25))
def test_undoing_all_leads_to_the_beginning_or_to_the_moment_of_the_reveal(mode: Mode, steps: list[Step]) -> None:
    history = take(History.begin(mode), steps)
    first = history.look.first
    while history.can_undo:
        history = history.advance(Step("undo"), reading=READING, at=AT)
    assert history.look.verdict is None
    assert history.look.first == first
    if first is None:
        assert history.look == History.begin(mode).look
    else:
        assert history.look.marks == first.marks


@settings(max_examples=60, deadline=None)
@given(mode=MODES, steps=st.lists(STEPS, max_size=30))
def test_a_look_is_always_one_that_a_reader_can_mean(mode: Mode, steps: list[Step]) -> None:
    look = take(History.begin(mode), steps).look
    assert len({mark.id for mark in look.marks}) == len(look.marks)
    assert look.verdict != "findings" or look.findings
    assert look.verdict != "normal" or not look.findings
    for mark in look.marks:
        x1, y1, x2, y2 = mark.box
        assert 0 <= x1 < x2 <= 100
        assert 0 <= y1 < y2 <= 120
        assert (mark.detection is None) == (mark.state == "added")
    if look.phase == "first":
        assert not any(mark.detection for mark in look.marks)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(mode=MODES, turns=st.lists(st.tuples(st.sampled_from(["Ada", "Ben"]), STEPS), max_size=25))
def test_what_the_store_keeps_is_what_replaying_its_log_gives(
    tmp_path: Path, mode: Mode, turns: list[tuple[str, Step]]
) -> None:
    path = tmp_path / f"{uuid.uuid4()}.sqlite"
    expected = {"Ada": History.begin(mode), "Ben": History.begin(mode)}
    with ReviewStore(path) as store:
        for reader, step in turns:
            base = expected[reader].revision
            try:
                expected[reader] = expected[reader].advance(step, reading=READING, at=AT)
            except ActionRefused:
                with pytest.raises(ActionRefused):
                    act(store, step, base=base, reader=reader, mode=mode)
            else:
                assert act(store, step, base=base, reader=reader, mode=mode) == base + 1
    with ReviewStore(path, read_only=True) as store:
        for reader, history in expected.items():
            found = store.read(READING.id, reader)
            assert (found.history if found is not None else History.begin(mode)) == history
            if found is not None:
                actions = list(store._actions(READING.id, reader))
                assert replay(actions, mode=mode, reading=READING) == history
                check_tables(store, reader, history.look)


def check_tables(store: ReviewStore, reader: str, look: Look) -> None:
    named = dict(looks_of(look))
    rows = {facts.look: facts.verdict for facts in store.looks() if facts.reader == reader}
    assert rows == {name: one.verdict for name, one in named.items()}
    for name, one in named.items():
        marks = store._connection.execute(
            "SELECT mark, state, x1, y1, x2, y2 FROM marks WHERE reader = ? AND look = ? ORDER BY position", (reader, name)
        ).fetchall()
        assert marks == [(mark.id, mark.state, *mark.box) for mark in one.marks]


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    with ReviewStore(tmp_path / "review.sqlite") as store:
        act(store, Step("accept", detection="d1"), base=0)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert "review.sqlite-wal" in modes
    assert set(modes.values()) == {0o600}


def test_a_commit_is_on_disk_before_it_is_answered(tmp_path: Path) -> None:
    with ReviewStore(tmp_path / "review.sqlite") as store:
        ask = store._connection.execute
        assert ask("PRAGMA journal_mode").fetchone() == ("wal",)
        assert ask("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_no_program_changes_or_removes_an_action_by_mistake(tmp_path: Path) -> None:
    path = tmp_path / "review.sqlite"
    with ReviewStore(path) as store:
        act(store, Step("accept", detection="d1"), base=0)
    with sqlite3.connect(path) as other:
        for statement in ("DELETE FROM actions", "UPDATE actions SET reader = 'Eve'"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                other.execute(statement)
    other.close()


def test_a_newer_store_and_a_foreign_file_are_refused_by_name(tmp_path: Path) -> None:
    newer, foreign, text = tmp_path / "newer.sqlite", tmp_path / "foreign.sqlite", tmp_path / "text.sqlite"
    ReviewStore(newer).close()
    for path, statement in ((newer, f"PRAGMA user_version = {REVIEW_VERSION + 1}"), (foreign, "CREATE TABLE a (b)")):
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.close()
    text.write_text("these are no readings " * 100)
    for path, said in ((newer, "install a newer one"), (foreign, "another program"), (text, "no store of readings")):
        before = path.read_bytes()
        for read_only in (False, True):
            with pytest.raises(ReviewError, match=said) as refusal:
                ReviewStore(path, read_only=read_only)
            assert path.name in str(refusal.value)
        assert path.read_bytes() == before
    with pytest.raises(ReviewError, match="there is no such file"):
        ReviewStore(tmp_path / "none.sqlite", read_only=True)
    with pytest.raises(ReviewError, match="cannot be opened"):
        ReviewStore(tmp_path / "none" / "review.sqlite")


def test_a_store_whose_making_was_cut_off_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "review.sqlite"
    path.touch()
    with ReviewStore(path) as store:
        assert act(store, Step("accept", detection="d1"), base=0) == 1
        assert store._connection.execute("PRAGMA application_id").fetchone() == (REVIEW_APPLICATION_ID,)


def test_a_stale_action_is_refused_and_a_repeated_one_answered_again(tmp_path: Path) -> None:
    with ReviewStore(tmp_path / "review.sqlite") as store:
        action = Action(str(uuid.uuid4()), AT, "Ada", READING.id, RESULTS.digest, "plain", 0, Step("accept", detection="d1"))
        first = store.save(action, results=RESULTS)
        act(store, Step("reject", detection="d2"), base=1)
        assert store.save(action, results=RESULTS) == first
        with pytest.raises(StaleRevision, match="stands at revision 2"):
            act(store, Step("reject", detection="d1"), base=1)
        assert store.revision() == 2


def test_another_connection_that_writes_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "review.sqlite"
    with ReviewStore(path) as one, ReviewStore(path) as other:
        assert act(one, Step("accept", detection="d1"), base=0) == 1
        with pytest.raises(StaleRevision):
            act(other, Step("accept", detection="d1"), base=0)
        assert act(other, Step("accept", detection="d1"), base=0, reader="Ben") == 1


def test_a_copy_of_a_store_in_use_is_whole(tmp_path: Path) -> None:
    with ReviewStore(tmp_path / "review.sqlite") as store:
        act(store, Step("accept", detection="d1"), base=0)
        store.backup(tmp_path / "copy.sqlite")
        with ReviewStore(tmp_path / "copy.sqlite", read_only=True) as copy:
            assert copy.read(READING.id, "Ada") == store.read(READING.id, "Ada")
            assert copy.store_id() == store.store_id()
        assert stat.S_IMODE((tmp_path / "copy.sqlite").stat().st_mode) == 0o600
        with pytest.raises(ReviewError, match="exists already"):
            store.backup(tmp_path / "copy.sqlite")


def test_the_views_say_what_other_programs_need(tmp_path: Path) -> None:
    path = tmp_path / "review.sqlite"
    with ReviewStore(path) as store:
        act(store, Step("move", detection="d1", box=(0.0, 0.0, 50.0, 20.0)), base=0)
        act(store, Step("reject", detection="d2"), base=1)
        act(store, Step("verdict", verdict="findings"), base=2)
    connection = sqlite3.connect(path)
    marks = connection.execute(
        "SELECT reader, look, mark, x1, y1, x2, y2, moved, diameter_mm, score FROM annotations"
    ).fetchall()
    assert marks == [("Ada", "final", "d1", 0.0, 0.0, 50.0, 20.0, 1, 20.0, 0.8)]
    reading = connection.execute("SELECT film, sha256, height, width, verdict FROM readings").fetchall()
    assert reading == [(READING.id, READING.source.sha256, 120, 100, "findings")]
    kinds = [row[0] for row in connection.execute("SELECT kind FROM actions ORDER BY number")]
    payload = json.loads(connection.execute("SELECT payload FROM actions WHERE kind = 'move'").fetchone()[0])
    connection.close()
    assert kinds == ["move", "reject", "verdict"]
    assert payload == {"detection": "d1", "box": [0.0, 0.0, 50.0, 20.0]}


def test_a_step_that_belongs_to_the_history_is_none_of_a_look() -> None:
    with pytest.raises(ValueError, match="belongs to the history"):
        apply_step(Look(phase="final"), Step("undo"), reading=READING, at=AT)


def test_a_damaged_store_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "review.sqlite"
    with ReviewStore(path) as store:
        for base in range(60):
            act(store, Step("note", text="x" * 1500), base=base)
    content = bytearray(path.read_bytes())
    content[8192:40960] = b"\x55" * (40960 - 8192)
    path.write_bytes(bytes(content))
    with pytest.raises(ReviewError, match="damaged"):
        ReviewStore(path)
    assert path.read_bytes() == bytes(content)
