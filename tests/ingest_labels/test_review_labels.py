import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from review_folders import make_reading

from xraynet.errors import LabelError
from xraynet.files import sha256_of_file
from xraynet.findings import Reading
from xraynet.geometry import Boxes
from xraynet.ingest.build import IngestConfig, build_catalogue
from xraynet.ingest.catalogue import Catalogue
from xraynet.ingest.labels.formats import LabelFormat
from xraynet.ingest.labels.review import read_review
from xraynet.ingest.report import IngestReport
from xraynet.service.review.actions import Step
from xraynet.service.review.history import Action, Mode
from xraynet.service.review.results import DetectorResults
from xraynet.service.review.store import ReviewStore

AT = "2026-11-26T07:00:00.000Z"
BOX = (10.296875, 20.40625, 40.703125, 50.09375)
Say = Callable[..., None]
Ingest = Callable[..., tuple[Catalogue, IngestReport]]

ACCEPT, REJECT = Step("accept", detection="d1"), Step("reject", detection="d2")
ADD = Step("add", mark="m", box=BOX)
FINDINGS, NORMAL, UNREADABLE = (Step("verdict", verdict=verdict) for verdict in ("findings", "normal", "unreadable"))
REVEAL = Step("reveal")


@pytest.fixture
def films(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "films" / f"{number}.png" for number in range(4)]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        assert cv2.imwrite(str(path), np.random.default_rng(number).integers(0, 256, (120, 100), dtype=np.uint8))
    return paths


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "review.sqlite"


@pytest.fixture
def say(store: Path) -> Say:
    """Has a reader take steps on a film."""

    def run(film: Path, reader: str, *steps: Step, mode: Mode = "plain") -> None:
        results = DetectorResults.of(reading_of(film))
        with ReviewStore(store) as opened:
            for base, step in enumerate(steps):
                action = Action(str(uuid.uuid4()), AT, reader, results.reading.id, results.digest, mode, base, step)
                opened.save(action, results=results)

    return run


@pytest.fixture
def ingest(tmp_path: Path, store: Path) -> Ingest:
    def run(form: LabelFormat = LabelFormat.REVIEW, *, name: str = "catalogue") -> tuple[Catalogue, IngestReport]:
        config = IngestConfig(labels=(store,), formats=(form,), num_workers=0)
        return build_catalogue([tmp_path / "films"], out=tmp_path / name, salt_file=tmp_path / "salt", config=config)

    return run


def reading_of(film: Path) -> Reading:
    return make_reading(sha256=sha256_of_file(film), path=film.name)


def states(catalogue: Catalogue) -> dict[str, str]:
    entries = catalogue.entries()
    return {entry.path.name: str(entry.annotations.state) for entry in entries}


def boxes_of(catalogue: Catalogue, name: str) -> Boxes:
    return next(entry for entry in catalogue.entries() if entry.path.name == name).annotations.boxes


def test_a_box_drawn_in_review_comes_back_at_the_same_stored_pixels(films: list[Path], say: Say, ingest: Ingest) -> None:
    say(films[0], "Ada", ADD, ACCEPT, REJECT, FINDINGS)
    films[0].rename(films[0].with_name("renamed.png"))  # found by its content
    catalogue, report = ingest()
    assert boxes_of(catalogue, "renamed.png").tolist() == [list(BOX), list(reading_of(films[1]).detections[0].box)]
    assert catalogue.annotations["diameter_mm"].tolist() == [14.8, 10.0]
    assert [issue.kind for issue in report.issues] == ["film-without-label"] * 3


def test_states_follow_the_verdicts(films: list[Path], say: Say, ingest: Ingest) -> None:
    say(films[0], "Ada", ADD, FINDINGS)
    say(films[1], "Ada", REJECT, NORMAL)
    say(films[2], "Ada", UNREADABLE)
    say(films[3], "Ada", ADD)  # not finished
    assert states(ingest()[0]) == {"0.png": "boxed", "1.png": "free", "2.png": "unknown", "3.png": "unknown"}


def test_readers_are_kept_apart_and_none_by_name(films: list[Path], say: Say, ingest: Ingest) -> None:
    say(films[0], "Dr. Ada", ADD, FINDINGS)
    say(films[0], "Ben", NORMAL)
    say(films[1], "Ben", UNREADABLE)
    say(films[1], "Dr. Ada", NORMAL)
    catalogue, _ = ingest()
    readers = {entry.path.name: entry.readers for entry in catalogue.entries()}
    assert len(set(readers["0.png"])) == 2
    assert len(readers["1.png"]) == 1
    assert set(readers["1.png"]) < set(readers["0.png"])
    assert catalogue.annotations["reader"].tolist() == list(readers["1.png"])
    assert all(name.startswith("reader-") and len(name) == 19 for name in readers["0.png"])
    for path in catalogue.path.iterdir():
        assert b"Ada" not in path.read_bytes(), path.name
    again, _ = ingest(name="again")
    assert again.annotations["reader"].tolist() == catalogue.annotations["reader"].tolist()


def test_a_second_readers_final_look_counts_and_the_first_on_request(films: list[Path], say: Say, ingest: Ingest) -> None:
    say(films[0], "Ada", NORMAL, REVEAL, ACCEPT, FINDINGS, mode="second-reader")
    say(films[1], "Ada", ADD, FINDINGS, mode="second-reader")  # the marks were never shown
    final, _ = ingest()
    first, _ = ingest(LabelFormat.REVIEW_FIRST, name="first")
    assert states(final) == {"0.png": "boxed", "1.png": "unknown", "2.png": "unknown", "3.png": "unknown"}
    assert states(first) == {"0.png": "free", "1.png": "boxed", "2.png": "unknown", "3.png": "unknown"}


def test_a_film_that_is_not_among_the_sources_is_reported(films: list[Path], say: Say, ingest: Ingest) -> None:
    say(films[0], "Ada", ADD, FINDINGS)
    say(films[1], "Ada", NORMAL)
    films[0].write_bytes(films[1].read_bytes()[:50])
    films[1].unlink()
    _, report = ingest()
    kinds = [issue.kind for issue in report.issues]
    assert kinds.count("film-not-there") == 2


def test_a_film_that_cannot_be_read_any_more_is_told_apart(films: list[Path], say: Say, ingest: Ingest) -> None:
    films[0].write_bytes(films[0].read_bytes()[:300])
    say(films[0], "Ada", ADD, FINDINGS)
    _, report = ingest()
    assert "film-not-read" in [issue.kind for issue in report.issues]


def test_readings_and_a_table_about_one_film_are_merged(films: list[Path], say: Say, tmp_path: Path, store: Path) -> None:
    say(films[0], "Ada", ADD, FINDINGS)
    (tmp_path / "labels.csv").write_text("film,x1,y1,x2,y2,reader,patient\n0.png,1,1,9,9,R1,p\n")
    config = IngestConfig(labels=(store, tmp_path / "labels.csv"), formats=(LabelFormat.REVIEW, LabelFormat.CSV), num_workers=0)
    catalogue, _ = build_catalogue([tmp_path / "films"], out=tmp_path / "catalogue", salt_file=tmp_path / "salt", config=config)
    row = catalogue.films.set_index("key").loc[sha256_of_file(films[0])[:16]]
    assert row["num_boxes"] == 2
    assert len(row["readers"]) == 2
    assert isinstance(row["patient_key"], str)


def test_what_is_no_store_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("film\n")
    with pytest.raises(LabelError, match=r"a\.csv: is"):
        read_review(tmp_path / "a.csv", look="final")


def test_a_damaged_store_is_an_error_of_the_labels(store: Path, films: list[Path], say: Say) -> None:
    say(films[0], "Ada", ADD, FINDINGS)
    with sqlite3.connect(store) as connection:
        connection.execute("DROP VIEW annotations")
    connection.close()
    with pytest.raises(LabelError, match=r"review\.sqlite cannot be read"):
        read_review(store, look="final")


def test_readings_are_read_while_a_server_writes(store: Path, films: list[Path], say: Say) -> None:
    with ReviewStore(store):
        say(films[0], "Ada", NORMAL)
        assert [film.readers for film in read_review(store, look="final").films.values()] == [("Ada",)]
