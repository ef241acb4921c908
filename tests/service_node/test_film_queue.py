import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from xraynet.service.node.film_queue import MOST_ATTEMPTS, FilmQueue
from xraynet.service.node.records import Concluded, Delivery, Received, ResultObject, digest_of_uid

SYNTAX = "1.2.840.10008.1.2.1"
RESULT = ResultObject(name="sr.dcm", sop_class_uid="1.2.3", sop_instance_uid="9.9.1", content=b"report")
PICTURE = ResultObject(name="sc.dcm", sop_class_uid="1.2.4", sop_instance_uid="9.9.2", content=b"picture")


def open_queue(folder: Path, *, delivers: bool = True, version: str = "1", retry_refused: bool = False) -> FilmQueue:
    return FilmQueue(folder, delivers=delivers, version=version, retry_refused=retry_refused)


def arrive(queue: FilmQueue, content: bytes = b"film", uid: str = "1.1") -> tuple[Received, str]:
    return queue.receive([content], sop_instance_uid=uid, sop_class="1.2", transfer_syntax=SYNTAX)


def conclude(queue: FilmQueue, sha256: str, *results: ResultObject, at: float = 100.0, **changes: object) -> None:
    facts = {"status": "ok", "code": "", "reason": "", "concluded_at": at, "version": "1", **changes}
    queue.conclude(sha256, Concluded(**facts), results)  # type: ignore[arg-type]


def test_a_film_is_on_disk_before_it_is_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    fsync = os.fsync

    def note(handle: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    queue = open_queue(tmp_path)
    monkeypatch.setattr(os, "fsync", note)
    received, arrival = arrive(queue)
    assert arrival == "new"
    assert queue.path_of(received.sha256).read_bytes() == b"film"
    assert [Path(path).name for path in flushed[:1]] == ["film.dcm"]
    assert flushed[-1] == str(tmp_path / "films")  # the rename itself, last of all
    assert not list((tmp_path / "incoming").iterdir())


def test_nothing_on_disk_tells_whose_film_it_is(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    uid = "../../../../1.2.3"
    received, _ = arrive(queue, uid=uid)
    names = {path.name for path in tmp_path.rglob("*")}
    assert names == {"films", "incoming", received.sha256, "film.dcm", "received.json"}
    record = (tmp_path / "films" / received.sha256 / "received.json").read_text()
    assert uid not in record and digest_of_uid(uid) in record
    assert (tmp_path / "films").stat().st_mode & 0o077 == 0


def test_films_are_read_in_the_order_of_their_arrival_also_after_a_start(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    films = [arrive(queue, bytes([number]), uid=f"1.{number}")[0] for number in range(4)]
    conclude(queue, films[0].sha256)
    for each in (queue, open_queue(tmp_path)):
        assert each.next_waiting() == films[1]
        assert each.next_waiting(exclude={films[1].sha256}) == films[2]
    assert open_queue(tmp_path).figures().waiting == 3


def test_the_same_film_again_is_acknowledged_and_stays_one_film(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    first, _ = arrive(queue)
    again, arrival = arrive(queue)
    assert (again.sha256, arrival) == (first.sha256, "again")
    conclude(queue, first.sha256, RESULT)
    assert arrive(open_queue(tmp_path))[1] == "again"
    assert queue.figures().kept == 1
    assert not list((tmp_path / "incoming").iterdir())


def test_other_bytes_under_one_uid_are_kept_apart_once_the_first_has_results(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    first, _ = arrive(queue, b"first")
    second, arrival = arrive(queue, b"second")
    assert arrival == "conflict"
    assert not queue.is_kept_apart(first.sha256)
    conclude(queue, first.sha256, RESULT)
    for each in (queue, open_queue(tmp_path)):
        assert each.is_kept_apart(second.sha256)
    conclude(queue, second.sha256, kept_apart=True)
    assert queue.figures().kept_apart == 1


def test_a_film_whose_twin_came_to_nothing_is_no_twin(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    first, _ = arrive(queue, b"cut")
    second, _ = arrive(queue, b"whole")
    conclude(queue, first.sha256, status="failed", code="truncated")
    assert not queue.is_kept_apart(second.sha256)


def test_results_are_whole_before_they_can_be_sent_and_sent_until_they_are_answered(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    received, _ = arrive(queue)
    assert queue.next_to_send(most=5) == []
    conclude(queue, received.sha256, RESULT, PICTURE)
    [(film, unsent)] = open_queue(tmp_path).next_to_send(most=5)
    assert (film, [entry.name for entry in unsent]) == (received, ["sr.dcm", "sc.dcm"])
    assert queue.result_path(received.sha256, "sr.dcm").read_bytes() == b"report"
    queue.record_delivery(received.sha256, Delivery("sr.dcm", "stored", 0, 200.0))
    [(_, unsent)] = open_queue(tmp_path).next_to_send(most=5)
    assert [entry.name for entry in unsent] == ["sc.dcm"]
    queue.record_delivery(received.sha256, Delivery("sc.dcm", "refused", 0xC000, 201.0))
    for each in (queue, open_queue(tmp_path)):
        assert each.next_to_send(most=5) == []
        assert each.state_of(received.sha256) == "done"
        assert (each.figures().results_stored, each.figures().results_refused) == (1, 1)
    [(_, unsent)] = open_queue(tmp_path, retry_refused=True).next_to_send(most=5)
    assert [entry.name for entry in unsent] == ["sc.dcm"]


def test_a_delivery_whose_line_was_cut_is_sent_again(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    received, _ = arrive(queue)
    conclude(queue, received.sha256, RESULT)
    queue.record_delivery(received.sha256, Delivery("sr.dcm", "stored", 0, 200.0))
    path = tmp_path / "films" / received.sha256 / "deliveries.jsonl"
    path.write_bytes(path.read_bytes()[:-3])
    queue = open_queue(tmp_path)
    assert len(queue.next_to_send(most=5)) == 1
    queue.record_delivery(received.sha256, Delivery("sr.dcm", "stored", 0, 201.0))
    assert len(path.read_text().splitlines()) == 1
    assert open_queue(tmp_path).state_of(received.sha256) == "done"


def test_an_end_before_the_outcome_means_that_the_film_is_read_again(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    received, _ = arrive(queue)
    conclude(queue, received.sha256, RESULT)
    (tmp_path / "films" / received.sha256 / "outcome.json").unlink()  # as if killed just before it
    queue = open_queue(tmp_path)
    assert queue.next_waiting() == received
    assert queue.next_to_send(most=5) == []
    conclude(queue, received.sha256, PICTURE)
    assert sorted(path.name for path in (tmp_path / "films" / received.sha256 / "results").iterdir()) == ["sc.dcm"]


@pytest.mark.parametrize("place", ["incoming", "film", "results"])
def test_halves_that_a_kill_left_are_removed(tmp_path: Path, place: str) -> None:
    queue = open_queue(tmp_path)
    received, _ = arrive(queue)
    film = tmp_path / "films" / received.sha256
    where = {"incoming": tmp_path / "incoming" / "x", "film": film, "results": film / "results"}[place]
    where.mkdir(exist_ok=True)
    torn = where / (".outcome.json.abc.part" if place != "results" else "sr.dcm")
    torn.write_bytes(b"half")
    queue = open_queue(tmp_path)
    assert queue.next_waiting() == received
    conclude(queue, received.sha256)
    assert not torn.exists()


def test_a_film_that_ends_the_node_again_and_again_is_given_up(tmp_path: Path) -> None:
    received, _ = arrive(open_queue(tmp_path))
    for _ in range(MOST_ATTEMPTS):
        assert open_queue(tmp_path).begin(received.sha256)
    assert not open_queue(tmp_path).begin(received.sha256)


def test_failures_by_chance_are_tried_again_after_a_start_and_others_by_another_version(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    chance, _ = arrive(queue, b"chance", uid="1.1")
    damage, _ = arrive(queue, b"damage", uid="1.2")
    conclude(queue, chance.sha256, status="failed", code="time-limit")
    conclude(queue, damage.sha256, status="failed", code="damaged")
    assert queue.figures().failed == 2
    queue = open_queue(tmp_path)
    assert queue.next_waiting(exclude={chance.sha256}) is None
    conclude(queue, chance.sha256, status="failed", code="time-limit")
    assert open_queue(tmp_path, version="2").figures().waiting == 2


def test_a_reading_for_which_the_disk_had_no_room_does_not_count_as_an_end_of_the_node(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    received, _ = arrive(queue)
    for _ in range(3 * MOST_ATTEMPTS):
        assert queue.begin(received.sha256)
        queue.take_back(received.sha256)
    for _ in range(MOST_ATTEMPTS - 1):
        assert queue.begin(received.sha256)
    queue.take_back(received.sha256)
    assert [queue.begin(received.sha256) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("name", ["received.json", "outcome.json", "deliveries.jsonl", "attempts"])
def test_a_record_of_random_bytes_costs_its_film_only(tmp_path: Path, name: str) -> None:
    queue = open_queue(tmp_path)
    spoilt, whole = (arrive(queue, content, uid)[0] for content, uid in ((b"one", "1.1"), (b"two", "1.2")))
    conclude(queue, spoilt.sha256, RESULT, status="failed", code="time-limit")
    conclude(queue, whole.sha256, RESULT)
    (tmp_path / "films" / spoilt.sha256 / name).write_bytes(b"\xff\xfe\x9c\n")
    again = open_queue(tmp_path)
    assert again.state_of(whole.sha256) == "to-send"
    if name == "attempts":
        assert again.begin(spoilt.sha256)
    else:
        assert again.damaged == [spoilt.id]


def test_another_chance_is_given_a_few_times_only(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    received, _ = arrive(queue)
    for _ in range(MOST_ATTEMPTS):
        assert queue.next_waiting() == received
        assert queue.begin(received.sha256)
        conclude(queue, received.sha256, status="failed", code="time-limit")
        queue = open_queue(tmp_path)
    assert queue.next_waiting() is None
    assert queue.figures().failed == 1
    assert open_queue(tmp_path, version="2").begin(received.sha256)


def test_without_an_archive_films_are_done_when_they_are_read_and_wait_for_one_that_comes(tmp_path: Path) -> None:
    queue = open_queue(tmp_path, delivers=False)
    received, _ = arrive(queue)
    conclude(queue, received.sha256, RESULT)
    assert (queue.state_of(received.sha256), queue.figures().to_send) == ("done", 0)
    assert open_queue(tmp_path).state_of(received.sha256) == "to-send"


def test_what_is_done_is_swept_in_its_time_and_still_known(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    done, _ = arrive(queue, b"done", uid="1.1")
    failed, _ = arrive(queue, b"failed", uid="1.2")
    unsent, _ = arrive(queue, b"unsent", uid="1.3")
    waiting, _ = arrive(queue, b"waiting", uid="1.4")
    conclude(queue, done.sha256, RESULT)
    queue.record_delivery(done.sha256, Delivery("sr.dcm", "stored", 0, 200.0))
    conclude(queue, failed.sha256, status="failed", code="damaged")
    conclude(queue, unsent.sha256, PICTURE)
    assert queue.sweep(done_before=200.0, failed_before=0.0) == 0  # counted from the archive's answer
    assert queue.sweep(done_before=201.0, failed_before=50.0) == 1
    assert queue.sweep(done_before=201.0, failed_before=101.0) == 1
    assert {path.name for path in (tmp_path / "films").iterdir()} == {unsent.sha256, waiting.sha256}
    for each in (queue, open_queue(tmp_path)):
        assert arrive(each, b"done", uid="1.1")[1] == "again"
        figures = each.figures()
        assert (figures.swept, figures.ok, figures.failed, figures.kept) == (2, 2, 1, 2)
    twin, arrival = arrive(queue, b"other bytes", uid="1.1")
    assert arrival == "conflict"
    assert queue.is_kept_apart(twin.sha256)


def test_an_end_between_the_ledger_and_the_folder_is_made_good(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    received, _ = arrive(queue)
    conclude(queue, received.sha256)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "films" / received.sha256).iterdir() if path.is_file()}
    queue.sweep(done_before=1000.0, failed_before=0.0)
    folder = tmp_path / "films" / received.sha256
    folder.mkdir()
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    queue = open_queue(tmp_path)
    assert not folder.exists()
    assert (queue.figures().kept, queue.figures().swept) == (0, 1)


def test_a_damaged_record_is_put_aside_and_stops_nobody(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    bad, _ = arrive(queue, b"bad", uid="1.1")
    good, _ = arrive(queue, b"good", uid="1.2")
    (tmp_path / "films" / bad.sha256 / "received.json").write_text("{")
    queue = open_queue(tmp_path)
    assert queue.damaged == [bad.id]
    assert queue.next_waiting() == good
    assert len(list((tmp_path / "damaged").iterdir())) == 1
    assert arrive(queue, b"bad", uid="1.1")[1] == "new"
    now = time.time()
    assert queue.sweep(done_before=now + 60, failed_before=now - 60) == 0
    assert queue.sweep(done_before=now - 60, failed_before=now + 60) == 1
    assert list((tmp_path / "damaged").iterdir()) == []


def fail_once(kind: str) -> Callable[..., None]:
    def fail(*arguments: object) -> None:
        raise OSError(28, kind)

    return fail


@pytest.mark.parametrize("name", ["write_text_atomically", "sync_folder"])
def test_a_full_disk_leaves_no_half_and_the_film_can_be_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    queue = open_queue(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(f"xraynet.service.node.film_queue.{name}", fail_once("No space left on device"))
        with pytest.raises(OSError, match="No space left"):
            arrive(queue)
    assert not list((tmp_path / "incoming").iterdir())
    assert queue.figures().waiting == 0
    assert arrive(queue)[1] == "new"
    assert arrive(queue)[1] == "again"


def test_a_flush_that_failed_after_the_rename_is_made_good_when_the_film_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = open_queue(tmp_path)
    with monkeypatch.context() as patch:
        original = queue.films_folder
        from xraynet.service.node import film_queue

        sync = film_queue.sync_folder

        def fail(folder: Path) -> None:
            if folder == original:
                raise OSError(5, "Input/output error")
            sync(folder)

        patch.setattr(film_queue, "sync_folder", fail)
        with pytest.raises(OSError, match="Input/output"):
            arrive(queue)
    received, arrival = arrive(queue)
    assert arrival == "new"
    assert queue.next_waiting() == received


def test_results_are_known_as_our_own(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    received, _ = arrive(queue)
    conclude(queue, received.sha256, RESULT)
    for each in (queue, open_queue(tmp_path)):
        assert each.is_own_result("9.9.1\0")
        assert not each.is_own_result("1.1")


@pytest.mark.parametrize("name", ["", "../sr.dcm", ".sr", "a/b", "SR.DCM"])
def test_a_result_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValueError, match="a result is named"):
        ResultObject(name=name, sop_class_uid="1", sop_instance_uid="2", content=b"")


def test_records_say_nothing_that_they_were_not_told(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    received, _ = arrive(queue)
    conclude(queue, received.sha256, RESULT)
    folder = tmp_path / "films" / received.sha256
    assert json.loads((folder / "results.json").read_text()) == [
        {"name": "sr.dcm", "sop_class": "1.2.3", "uid_digest": digest_of_uid("9.9.1")}
    ]
