import contextlib
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from asgi_browser import AsgiBrowser
from pycocotools.coco import COCO
from review_folders import make_reading
from typer.testing import CliRunner

from xraynet.cli.main import build_app
from xraynet.errors import ReviewError
from xraynet.ingest.labels.coco import read_coco
from xraynet.service.review.routes import ReviewSite
from xraynet.service.review.store import ReviewStore

Enter = Callable[..., AsgiBrowser]
A, B, C = (make_reading(number).id for number in (1, 2, 3))
BOX = [10.25, 20.5, 40.75, 60.0]


@pytest.fixture
def read(enter: Enter, open_site: Callable[..., ReviewSite]) -> AsgiBrowser:
    """Ada marked two findings on A and read B as normal, Ben cannot read C and has not finished A."""
    site = open_site()
    ada, ben = enter("Ada", site=site), enter("=Ben", site=site)
    ada.act(A, "accept", detection="d1")
    ada.act(A, "reject", detection="d2")
    ada.act(A, "add", mark="m", box=BOX)
    ada.act(A, "note", mark="m", text="=1+1")
    ada.act(A, "verdict", verdict="findings")
    ada.act(B, "verdict", verdict="normal")
    ben.act(C, "verdict", verdict="unreadable")
    ben.act(A, "add", mark="n", box=BOX)
    return ada


def load_coco(text: str, tmp_path: Path) -> COCO:
    (tmp_path / "coco.json").write_text(text)
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(tmp_path / "coco.json"))


def test_coco_has_each_finding_with_its_reader_and_normal_films_without_any(read: AsgiBrowser, tmp_path: Path) -> None:
    coco = load_coco(read.get("/api/export/coco.json").body.decode(), tmp_path)
    names = {image["file_name"]: number for number, image in coco.imgs.items()}
    assert set(names) == {"a.dcm", "b.dcm"}  # nobody could read c.dcm
    assert coco.getAnnIds(imgIds=[names["b.dcm"]]) == []
    found = coco.loadAnns(coco.getAnnIds(imgIds=[names["a.dcm"]], catIds=coco.getCatIds(catNms=["nodule/mass"])))
    assert [(one["reader"], one["state"], one["bbox"]) for one in found] == [
        ("Ada", "accepted", [10.0, 20.0, 15.0, 20.0]),
        ("Ada", "added", [10.25, 20.5, 30.5, 39.5]),
    ]
    assert found[1]["area"] == 30.5 * 39.5
    assert coco.imgs[names["b.dcm"]]["readings"][0]["verdict"] == "normal"


def test_coco_comes_back_through_our_own_reader_at_the_same_pixels(read: AsgiBrowser, tmp_path: Path) -> None:
    (tmp_path / "coco.json").write_bytes(read.get("/api/export/coco.json").body)
    films = read_coco(tmp_path / "coco.json").films
    assert [box.xyxy for box in films["a.dcm"].boxes] == [(10.0, 20.0, 25.0, 40.0), tuple(BOX)]
    assert films["b.dcm"].boxes == ()
    assert films["b.dcm"].read_for == ("mass", "nodule")


def test_csv_has_every_mark_and_no_formula(read: AsgiBrowser) -> None:
    answer = read.get("/api/export/findings.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="findings.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert [(row["path"], row["reader"], row["verdict"], row["state"]) for row in rows] == [
        ("a.dcm", "'=Ben", "", "added"),
        ("a.dcm", "Ada", "findings", "accepted"),
        ("a.dcm", "Ada", "findings", "rejected"),
        ("a.dcm", "Ada", "findings", "added"),
        ("b.dcm", "Ada", "normal", ""),
        ("c.dcm", "'=Ben", "unreadable", ""),
    ]
    assert rows[3]["note"] == "'=1+1"
    assert (rows[3]["x1"], rows[3]["y2"], rows[3]["diameter_mm"], rows[3]["spacing_plane"]) == (
        "10.25",
        "60.0",
        "19.8",
        "detector",
    )


def test_an_export_may_be_of_one_reader(read: AsgiBrowser) -> None:
    rows = list(csv.DictReader(io.StringIO(read.get("/api/export/findings.csv?reader=%3DBen").body.decode())))
    assert {row["reader"] for row in rows} == {"'=Ben"}
    assert json.loads(read.get("/api/export/coco.json?reader=nobody").body)["images"] == []
    assert read.get("/api/export/coco.json?look=third").status == 400


def test_first_and_final_looks_are_told_apart(enter: Enter) -> None:
    browser = enter(mode="second-reader")
    for step in (
        {"kind": "verdict", "verdict": "normal"},
        {"kind": "reveal"},
        {"kind": "accept", "detection": "d1"},
        {"kind": "verdict", "verdict": "findings"},
    ):
        assert browser.act(A, **step).status == 200
    rows = list(csv.DictReader(io.StringIO(browser.get("/api/export/findings.csv").body.decode())))
    assert [(row["mode"], row["look"], row["verdict"]) for row in rows] == [
        ("second-reader", "final", "findings"),
        ("second-reader", "first", "normal"),
    ]
    final, first = (browser.get(f"/api/export/coco.json?look={look}").json() for look in ("final", "first"))
    assert (len(final["annotations"]), len(first["annotations"])) == (1, 0)
    assert len(final["images"]) == len(first["images"]) == 1


def test_a_second_reader_downloads_nothing_of_others_before_finishing_a_film(
    enter: Enter, open_site: Callable[..., ReviewSite]
) -> None:
    site = open_site(mode="second-reader")
    ada, ben = enter("Ada", site=site), enter("Ben", site=site)
    look = ({"kind": "verdict", "verdict": "normal"}, {"kind": "reveal"}, {"kind": "accept", "detection": "d1"})
    for step in (*look, {"kind": "verdict", "verdict": "findings"}):
        ada.act(A, **step)
    ben.act(A, "note", text="seen")
    assert _readers(ben) == {"Ben"}
    assert ben.get("/api/export/coco.json").json()["images"] == []
    for step in (*look, {"kind": "verdict", "verdict": "findings"}):
        ben.act(A, **step)
    assert _readers(ben) == {"Ada", "Ben"}
    assert len(ben.get("/api/export/coco.json").json()["annotations"]) == 2
    assert _readers(enter(None, site=site)) == set()


def _readers(browser: AsgiBrowser) -> set[str]:
    rows = csv.DictReader(io.StringIO(browser.get("/api/export/findings.csv").body.decode()))
    return {row["reader"] for row in rows}


def run(*arguments: object) -> str:
    result = CliRunner().invoke(
        build_app(("review",)), ["review", *map(str, arguments)], prog_name="xraynet", catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


def test_exports_are_written_without_a_server(read: AsgiBrowser, results: Path, tmp_path: Path) -> None:
    assert "2 readings, 1 readers" in run(results, "--export", "coco", "--to", tmp_path / "c.json", "--reader", "Ada")
    assert len(load_coco((tmp_path / "c.json").read_text(), tmp_path).imgs) == 2
    run(results, "--export", "csv", "--to", tmp_path / "f.csv")
    assert (tmp_path / "f.csv").read_bytes() == read.get("/api/export/findings.csv").body
    assert "a copy of 8 actions" in run(results, "--export", "backup", "--to", tmp_path / "copy.sqlite")
    with ReviewStore(tmp_path / "copy.sqlite", read_only=True) as copy:
        assert copy.revision() == 8


def test_results_that_nobody_has_read_give_an_empty_export(results: Path, tmp_path: Path) -> None:
    assert "0 readings, 0 readers" in run(results, "--export", "csv", "--to", tmp_path / "f.csv")
    assert (tmp_path / "f.csv").read_text().count("\n") == 1
    assert "0 readings" in run(results, "--export", "coco", "--to", tmp_path / "c.json")
    assert load_coco((tmp_path / "c.json").read_text(), tmp_path).imgs == {}
    assert not (results / "review.sqlite").exists()


def test_an_export_that_cannot_be_says_why(read: AsgiBrowser, results: Path, tmp_path: Path) -> None:
    for arguments, said in (
        ((results, "--export", "csv", "--to", tmp_path / "none" / "f.csv"), "there is no folder"),
        ((results, "--export", "csv", "--to", tmp_path / "f.csv", "--reader", "Eve"), "no such reading of Eve"),
        ((tmp_path, "--export", "csv", "--to", tmp_path / "f.csv"), "holds no results"),
        ((results, "--export", "csv", "--to", tmp_path / "f.csv", "--store", tmp_path / "a.sqlite"), "there is no such file"),
    ):
        with pytest.raises(ReviewError, match=said):
            run(*arguments)
    for wrong in (("--export", "csv"), ("--to", "x"), ("--look", "first"), ("--export", "pdf", "--to", "x")):
        result = CliRunner().invoke(build_app(("review",)), ["review", str(results), *wrong], prog_name="xraynet")
        assert result.exit_code == 2, result.output
