import io
from pathlib import Path

import pytest

from xraynet.service.node.counters import Counters
from xraynet.service.node.film_queue import FilmQueue
from xraynet.service.node.log import NodeLog
from xraynet.service.node.options import Retention
from xraynet.service.node.records import Concluded
from xraynet.service.node.upkeep import Upkeep

DAY = 86400.0


def fill(queue: FilmQueue, uid: str, **facts: object) -> str:
    received, _ = queue.receive([uid.encode()], sop_instance_uid=uid, sop_class="1", transfer_syntax="1")
    values = {"status": "ok", "code": "", "reason": "", "concluded_at": 0.0, "version": "1", **facts}
    queue.conclude(received.sha256, Concluded(**values))  # type: ignore[arg-type]
    return received.sha256


def test_films_go_after_their_days_and_failures_after_theirs(tmp_path: Path) -> None:
    queue, clock, counters = FilmQueue(tmp_path, delivers=False, version="1"), [6.9 * DAY], Counters()
    fill(queue, "1.1")
    fill(queue, "1.2", status="failed", code="damaged")
    fill(queue, "1.3", kept_apart=True)
    upkeep = Upkeep(queue, Retention(), log=NodeLog(io.StringIO().write), counters=counters, now=lambda: clock[0])
    assert upkeep.run_if_due() == 0
    clock[0] = 7.1 * DAY
    assert upkeep.run_if_due() == 1
    assert upkeep.run_if_due() == 0
    clock[0] = 90.1 * DAY
    assert upkeep.run_if_due() == 2
    assert counters.snapshot()["swept"] == 3
    assert queue.figures().kept == 0


def test_a_sweep_is_not_due_all_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, clock = FilmQueue(tmp_path, delivers=False, version="1"), [0.0]
    sweeps: list[float] = []

    def sweep(**bounds: float) -> int:
        sweeps.append(clock[0])
        return 0

    monkeypatch.setattr(queue, "sweep", sweep)
    upkeep = Upkeep(queue, Retention(), log=NodeLog(io.StringIO().write), counters=Counters(), now=lambda: clock[0])
    for clock[0] in (0.0, 1.0, 599.0, 600.0, 700.0, 1201.0):
        upkeep.run_if_due()
    assert sweeps == [0.0, 600.0, 1201.0]


def test_a_disk_that_cannot_sweep_is_told_of_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, stream = FilmQueue(tmp_path, delivers=False, version="1"), io.StringIO()

    def fail(**bounds: float) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(queue, "sweep", fail)
    upkeep = Upkeep(queue, Retention(), log=NodeLog(stream.write), counters=Counters())
    assert upkeep.run_if_due() == 0
    assert "sweep-failed" in stream.getvalue()
