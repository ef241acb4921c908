import uuid
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from asgi_browser import AsgiBrowser
from review_folders import make_reading, write_film

from xraynet.lung_frame import LungBoxes
from xraynet.radiograph import PatientIdentity
from xraynet.service.review.routes import ReviewSite

Enter = Callable[..., AsgiBrowser]
A, B, C = (make_reading(number).id for number in (1, 2, 3))
BOX = [10.25, 20.5, 40.75, 60.0]


def scan_always(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_RESCAN_S", "_SCAN_SHARE"):
        monkeypatch.setattr(f"xraynet.service.review.films.{name}", 0.0)


def test_the_worklist_begins_with_the_most_suspicious_film_and_ends_with_the_refused_one(enter: Enter) -> None:
    browser = enter()
    worklist = browser.get("/api/worklist").json()
    assert [film["path"] for film in worklist["films"]] == ["b.dcm", "a.dcm", "c.dcm"]
    assert [film["state"] for film in worklist["films"]] == ["unread"] * 3
    assert (worklist["num_unread"], worklist["num_not_films"]) == (3, 0)


def test_a_finished_film_goes_behind_the_unread_ones(enter: Enter) -> None:
    browser = enter()
    assert browser.act(B, "verdict", verdict="normal").json()["num_unread"] == 2
    worklist = browser.get("/api/worklist").json()
    assert [film["path"] for film in worklist["films"]] == ["a.dcm", "b.dcm", "c.dcm"]
    read = worklist["films"][1]
    assert (read["state"], read["verdict"], read["read_by"]) == ("read", "normal", ["Ada"])


def test_a_film_comes_with_its_pixels_its_detections_and_its_neighbours(enter: Enter) -> None:
    browser = enter()
    film = browser.get(f"/api/films/{A}").json()
    assert film["size"] == [120, 100]
    assert film["display_size"] == [150, 100]
    assert [found["id"] for found in film["detections"]] == ["d1", "d2"]
    assert film["detections"][0]["words"] == "nodule suspected, right upper zone, 10 mm at the detector, score 0.50"
    assert (film["previous"], film["next"]) == (B, C)
    planes = zlib.decompress(browser.get(f"/api/films/{A}/levels").body)
    assert len(planes) == 2 * 150 * 100
    assert browser.get(f"/api/films/{A}/table").status == 204
    assert browser.get(f"/api/films/{A}/heatmap.png").body.startswith(b"\x89PNG")


def test_a_session_tells_of_the_detector_and_its_sensitivity(enter: Enter) -> None:
    session = enter().get("/api/session").json()
    assert session["reader"] == "Ada"
    assert session["model"]["name"] == "demo"
    assert session["facts"]["sensitivity"] == "Sensitivity there was 0.63 [0.51 to 0.74] on 120 films."
    assert session["disclaimer"] == "Research use, not for diagnosis."


def test_findings_are_accepted_rejected_moved_and_added_with_their_size_in_millimetres(enter: Enter) -> None:
    browser = enter()
    browser.act(A, "accept", detection="d1")
    browser.act(A, "reject", detection="d2")
    browser.act(A, "add", mark="m", box=BOX)
    marks = {mark["id"]: mark for mark in browser.act(A, "move", detection="d1", box=[0, 0, 50, 20]).json()["reading"]["marks"]}
    assert [(mark["state"], mark["moved"]) for mark in marks.values()] == [
        ("accepted", True),
        ("rejected", False),
        ("added", False),
    ]
    assert marks["d1"]["diameter_mm"] == 20.0  # 50 columns of 0.4 mm
    assert marks["m"]["box"] == BOX
    assert marks["m"]["diameter_mm"] == 19.8  # 39.5 rows of 0.5 mm


def test_a_film_without_spacing_has_no_millimetres(results: Path, enter: Enter) -> None:
    film = write_film(results, make_reading(9, spacing_mm=None))
    browser = enter()
    marks = browser.act(film, "add", mark="m", box=BOX).json()["reading"]["marks"]
    assert marks[0]["diameter_mm"] is None


def test_a_verdict_must_fit_the_marks_and_closes_the_film(enter: Enter) -> None:
    browser = enter()
    assert browser.act(A, "verdict", verdict="findings").status == 422
    browser.act(A, "accept", detection="d1")
    assert browser.act(A, "verdict", verdict="normal").status == 422
    finished = browser.act(A, "verdict", verdict="findings").json()["reading"]
    assert finished["verdict"] == "findings"
    assert finished["finished_at"].endswith("Z")
    refused = browser.act(A, "reject", detection="d1")
    assert refused.status == 422
    assert refused.json()["reading"] == finished
    assert browser.act(A, "reopen").json()["reading"]["verdict"] is None
    assert browser.act(A, "reject", detection="d1").status == 200


def test_undo_takes_back_and_redo_does_again(enter: Enter) -> None:
    browser = enter()
    browser.act(A, "add", mark="m", box=BOX)
    before = browser.act(A, "verdict", verdict="findings").json()["reading"]
    undone = browser.act(A, "undo").json()["reading"]
    assert (undone["verdict"], undone["can_undo"], undone["can_redo"]) == (None, True, True)
    assert browser.act(A, "undo").json()["reading"]["marks"] == []
    browser.act(A, "redo")
    again = browser.act(A, "redo").json()["reading"]
    assert {**again, "revision": 0} == {**before, "revision": 0}
    assert browser.act(A, "redo").status == 422


def test_an_action_made_on_a_stale_state_changes_nothing(enter: Enter) -> None:
    browser = enter()
    browser.act(A, "accept", detection="d1")
    conflict = browser.act(A, "accept", detection="d2", base=0)
    assert conflict.status == 409
    assert conflict.json()["reading"]["revision"] == 1
    assert [mark["id"] for mark in conflict.json()["reading"]["marks"]] == ["d1"]


def test_the_same_action_twice_is_kept_once_and_answered_as_the_first_time(enter: Enter) -> None:
    browser = enter()
    action = str(uuid.uuid4())
    first = browser.act(A, "add", mark="m", box=BOX, action_id=action).json()["reading"]
    browser.act(A, "note", mark="m", text="behind the heart")
    again = browser.act(A, "add", mark="m", box=BOX, action_id=action, base=0)
    assert again.status == 200
    assert again.json()["reading"] == first
    other = browser.act(A, "add", mark="n", box=BOX, action_id=action)
    assert other.status == 422


def test_two_readers_of_one_film_are_kept_apart(enter: Enter, open_site: Callable[..., ReviewSite]) -> None:
    site = open_site()
    ada, ben = enter("Ada", site=site), enter("Ben", site=site)
    ada.act(A, "accept", detection="d1")
    ben.act(A, "verdict", verdict="normal")
    film = ada.get(f"/api/films/{A}").json()
    assert film["mine"]["marks"][0]["id"] == "d1"
    assert [(other["reader"], other["verdict"]) for other in film["others"]] == [("Ben", "normal")]
    assert ben.get(f"/api/films/{A}").json()["others"] == []  # Ada has not finished
    assert ada.get("/api/session").json()["readers"] == ["Ada", "Ben"]


def test_an_action_in_the_name_of_another_reader_than_the_one_who_sits_here_is_not_kept(enter: Enter) -> None:
    browser = enter("Ben")
    answer = browser.act(A, "accept", detection="d1", reader="Ada")
    assert (answer.status, answer.json()["reader"]) == (409, "Ben")
    assert browser.act(A, "accept", detection="d1", reader="Ben").status == 200


def test_added_and_moved_marks_have_side_and_zone_where_the_lungs_are_known(enter: Enter, results: Path) -> None:
    lungs = LungBoxes(right=(10, 10, 45, 110), left=(55, 10, 90, 110))
    film = write_film(results, replace(make_reading(9), lungs=lungs))
    browser = enter()
    browser.act(film, "add", mark="m", box=[60, 90, 70, 100])
    marks = browser.act(film, "move", detection="d1", box=[60, 20, 70, 30]).json()["reading"]["marks"]
    assert [(mark["side"], mark["zone"]) for mark in marks] == [("left", "lower"), ("left", "upper")]


def test_who_has_not_said_who_reads_cannot_change_anything(enter: Enter) -> None:
    answer = enter(None).act(A, "accept", detection="d1")
    assert answer.status == 422
    assert answer.json() == {"error": "say who reads first"}


def test_a_second_reader_reads_the_film_before_the_marks_are_shown(enter: Enter) -> None:
    browser = enter(mode="second-reader")
    row = browser.get("/api/worklist").json()["films"][0]
    assert (row["path"], row["film_score"], row["num_reported"], row["hidden"]) == ("a.dcm", None, None, True)
    film = browser.get(f"/api/films/{A}").json()
    assert (film["detections"], film["has_heatmap"], film["film_score"]) == ([], False, None)
    assert browser.get(f"/api/films/{A}/heatmap.png").status == 403
    assert browser.act(A, "accept", detection="d1").status == 422
    assert browser.act(A, "reveal").status == 422
    browser.act(A, "add", mark="m", box=BOX)
    browser.act(A, "verdict", verdict="findings")
    assert browser.get("/api/worklist").json()["films"][0]["state"] == "started"
    second = browser.act(A, "reveal").json()["reading"]
    assert (second["phase"], second["verdict"], second["can_undo"]) == ("second", None, False)
    assert second["first"]["verdict"] == "findings"
    film = browser.get(f"/api/films/{A}").json()
    assert len(film["detections"]) == 2
    assert film["has_heatmap"]
    browser.act(A, "accept", detection="d1")
    finished = browser.act(A, "verdict", verdict="findings").json()
    assert len(finished["reading"]["marks"]) == 2
    assert len(finished["reading"]["first"]["marks"]) == 1
    assert finished["num_unread"] == 2


def test_a_second_reader_sees_no_one_elses_reading_before_finishing(enter: Enter, open_site: Callable[..., ReviewSite]) -> None:
    site = open_site(mode="second-reader")
    ada, ben = enter("Ada", site=site), enter("Ben", site=site)
    for step in ({"kind": "verdict", "verdict": "normal"}, {"kind": "reveal"}, {"kind": "verdict", "verdict": "normal"}):
        assert ada.act(A, **step).status == 200
    assert ben.get(f"/api/films/{A}").json()["others"] == []
    for step in ({"kind": "verdict", "verdict": "normal"}, {"kind": "reveal"}):
        ben.act(A, **step)
    assert ben.get(f"/api/films/{A}").json()["others"] == []
    ben.act(A, "verdict", verdict="normal")
    assert [other["reader"] for other in ben.get(f"/api/films/{A}").json()["others"]] == ["Ada"]


def test_a_first_look_stays_unaided_where_the_server_is_started_again_without_the_mode(
    enter: Enter, open_site: Callable[..., ReviewSite]
) -> None:
    strict = open_site(mode="second-reader")
    ben = enter("Ben", site=strict)
    ben.act(A, "add", mark="m", box=BOX)
    ada = enter("Ada", site=open_site())
    ada.act(A, "accept", detection="d1")
    ada.act(A, "verdict", verdict="findings")
    later = enter("Ben", site=open_site())
    film = later.get(f"/api/films/{A}").json()
    assert (film["hidden"], film["detections"], film["others"]) == (True, [], [])
    assert [other["reader"] for other in enter("Eve", site=open_site()).get(f"/api/films/{A}").json()["others"]] == ["Ada"]


def test_new_films_appear_while_the_server_runs(enter: Enter, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan_always(monkeypatch)
    browser = enter()
    film = write_film(results, make_reading(7, scores=(0.95,)))
    assert browser.get("/api/worklist").json()["films"][0]["id"] == film
    assert browser.act(film, "verdict", verdict="normal").status == 200


def test_a_film_without_report_says_what_is_missing(enter: Enter, results: Path) -> None:
    film = write_film(results, make_reading(7), with_report=False)
    browser = enter()
    answer = browser.get(f"/api/films/{film}").json()
    assert answer["film"] is None
    assert "run predict with --outputs report" in answer["message"]
    assert browser.get(f"/api/films/{film}/levels").status == 404


def test_a_reading_stays_with_the_marks_that_the_reader_saw(
    enter: Enter, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan_always(monkeypatch)
    browser = enter()
    browser.act(A, "accept", detection="d2")
    write_film(results, make_reading(1, scores=(0.7,), path="a.dcm"))
    film = browser.get(f"/api/films/{A}").json()
    assert film["mine"]["model_changed"]
    assert [found["score"] for found in film["detections"]] == [0.5, 0.2]
    assert browser.act(A, "reject", detection="d2").status == 200


def test_identity_is_shown_only_where_predict_kept_it(enter: Enter, results: Path) -> None:
    film = write_film(results, make_reading(8), identity=PatientIdentity(name="Doe^Jane", patient_id="42"))
    browser = enter()
    assert browser.get(f"/api/films/{film}").json()["identity"] == [["Name", "Doe, Jane"], ["ID", "42"]]
    assert "identity" not in browser.get(f"/api/films/{A}").json()


def test_a_damaged_reading_is_no_film_until_it_is_whole_again(
    enter: Enter, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan_always(monkeypatch)
    damaged = results / "readings" / make_reading(7).id / "reading.json"
    damaged.parent.mkdir()
    damaged.write_text("{")
    (results / "readings" / "0123456789abcdef").mkdir()  # begun, and not yet written
    (results / "readings" / "notes").mkdir()
    browser = enter()
    for _ in range(2):
        assert len(browser.get("/api/worklist").json()["films"]) == 3
    write_film(results, make_reading(7))
    assert len(browser.get("/api/worklist").json()["films"]) == 4
