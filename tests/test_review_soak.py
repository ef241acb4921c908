"""A review server killed again and again while a reader works: nothing that was shown as saved is ever lost.

``make soak`` takes ten thousand actions, ``make test`` a twentieth of them, with the same code and the same seed.
"""

import http.client
import sqlite3
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soak
from review_folders import make_reading, write_folder
from review_server import ReviewClient, ReviewServer, start_server

NUM_ACTIONS, NUM_KILLS = (10_000, 60) if soak.IS_FULL else (500, 3)
NUM_FILMS = 12
READERS = ("Ada", "Ben", "Cy")
SEED = 21

pytestmark = [pytest.mark.soak, pytest.mark.network, pytest.mark.timeout(7200 if soak.IS_FULL else 600)]


@dataclass
class Told:
    """What the page had shown as saved: the last reading of every reader and film, and every action in order."""

    readings: dict[tuple[str, str], dict] = field(default_factory=dict)
    actions: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    num_saved: int = 0
    num_refused: int = 0
    num_asked_again: int = 0

    def keep(self, reader: str, film: str, action_id: str, reading: dict) -> None:
        self.readings[reader, film] = reading
        self.actions.setdefault((reader, film), []).append(action_id)
        self.num_saved += 1


def draw_step(rng: np.random.Generator, reading: dict | None) -> dict:
    """A step that a reader might take on a film as it stands; not always one that is possible."""
    marks = [] if reading is None else reading["marks"]
    if reading is not None and reading["verdict"] is not None:
        return {"kind": str(rng.choice(["reopen", "undo"]))}
    kind = str(rng.choice(["add", "accept", "reject", "clear", "move", "note", "remove", "verdict", "undo", "redo"]))
    x, y = (float(value) for value in rng.uniform(0, 60, 2))
    box = [x, y, x + float(rng.uniform(2, 40)), y + float(rng.uniform(2, 40))]
    detection = f"d{rng.integers(1, 4)}"
    mark = str(rng.choice([mark["id"] for mark in marks])) if marks else "none"
    match kind:
        case "add":
            return {"kind": kind, "mark": str(uuid.UUID(bytes=rng.bytes(16), version=4)), "box": box}
        case "accept" | "reject" | "clear":
            return {"kind": kind, "detection": detection}
        case "move":
            return {"kind": kind, "detection": detection, "box": box}
        case "note":
            return (
                {"kind": kind, "mark": mark, "text": f"note {rng.integers(1000)}"} if marks else {"kind": kind, "text": "film"}
            )
        case "remove":
            return {"kind": kind, "mark": mark}
        case "verdict":
            found = any(mark["state"] != "rejected" for mark in marks)
            return {"kind": kind, "verdict": "findings" if found else str(rng.choice(["normal", "unreadable"]))}
    return {"kind": kind}


class Sitting:
    """A reader at the page, whose server goes down at moments that the server cannot foresee."""

    def __init__(self, out: Path, log: Path) -> None:
        self.out, self.log = out, log
        self.server = start_server(out, log=log)
        self.clients = {reader: ReviewClient(self.server, reader).enter() for reader in READERS}

    def restart(self) -> None:
        self.server.process.wait()
        self.server = start_server(self.out, log=self.log)
        for client in self.clients.values():
            client.enter(self.server)

    def take(self, reader: str, film: str, step: dict, told: Told, rng: np.random.Generator) -> None:
        """Take one step, asking again with the same id for as long as no answer was heard."""
        action_id = str(uuid.UUID(bytes=rng.bytes(16), version=4))
        base = told.readings.get((reader, film), {"revision": 0})["revision"]
        while True:
            try:
                status, answer = self.clients[reader].act(film, action_id, base, step)
                break
            except (OSError, http.client.HTTPException):
                told.num_asked_again += 1
                self.restart()
        if status == 422:
            told.num_refused += 1
            return
        assert status == 200, answer
        assert answer["reading"]["revision"] == base + 1
        told.keep(reader, film, action_id, answer["reading"])

    def check(self, told: Told) -> None:
        """Everything that was shown as saved is there, as it was shown."""
        for (reader, film), reading in told.readings.items():
            assert self.clients[reader].get(f"/api/films/{film}")["mine"] == reading


def kill_later(server: ReviewServer, after_s: float) -> threading.Thread:
    def strike() -> None:
        time.sleep(after_s)
        server.process.kill()

    thread = threading.Thread(target=strike)
    thread.start()
    return thread


def test_nothing_that_was_shown_as_saved_is_lost(tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED)
    readings = [make_reading(number, scores=(0.9, 0.5, 0.2)) for number in range(NUM_FILMS)]
    out = write_folder(tmp_path / "out", readings)
    told = Told()
    started_at = time.monotonic()
    kills = sorted(int(at) for at in rng.choice(NUM_ACTIONS - 20, NUM_KILLS, replace=False))
    sitting = Sitting(out, tmp_path / "log")
    try:
        num_killed = 0
        striking: threading.Thread | None = None
        while told.num_saved < NUM_ACTIONS:
            if num_killed < NUM_KILLS and told.num_saved >= kills[num_killed] and (striking is None or not striking.is_alive()):
                striking = kill_later(sitting.server, float(rng.uniform(0, 0.05)))
                num_killed += 1
            reader, film = str(rng.choice(READERS)), readings[int(rng.integers(NUM_FILMS))].id
            sitting.take(reader, film, draw_step(rng, told.readings.get((reader, film))), told, rng)
        if striking is not None:
            striking.join()
        sitting.server.kill()
        sitting.restart()
        sitting.check(told)
        assert sitting.server.stop() in (0, -15)
    finally:
        sitting.server.kill()
        for client in sitting.clients.values():
            client.close()
    check_log(out / "review.sqlite", told)
    soak.keep_figures(
        "review-kills",
        {
            "actions": told.num_saved,
            "kills": num_killed + 1,
            "asked_again": told.num_asked_again,
            "refused": told.num_refused,
            "elapsed_s": round(time.monotonic() - started_at, 1),
            "lost": 0,
        },
    )


def check_log(path: Path, told: Told) -> None:
    """The log holds each action that was shown as saved, once, in order, and no other."""
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    kept: dict[tuple[str, str], list[str]] = {}
    for reader, film, action_id in connection.execute("SELECT reader, film, action_id FROM actions ORDER BY number"):
        kept.setdefault((reader, film), []).append(action_id)
    connection.close()
    assert kept == told.actions
