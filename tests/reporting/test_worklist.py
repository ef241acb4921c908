import csv
import html
import io
import re
from dataclasses import replace
from pathlib import Path

from xraynet.findings import CheckpointIdentity, FilmFacts, FilmSource, Finding, GateVerdict, Outcome, Reading
from xraynet.radiograph import PatientIdentity, ViewPosition
from xraynet.reporting.words import OperatingFacts
from xraynet.reporting.worklist import (
    WorklistRow,
    failures_csv,
    films_csv,
    findings_csv,
    page_names,
    render_worklist,
    sort_rows,
)

FACTS = OperatingFacts(threshold=0.3)
SPOT = Finding(box=(10, 20, 30, 40), score=0.8, reported=True, diameter_mm=14.2, side="right", zone="upper")
READING = Reading(
    source=FilmSource(path="a.dcm", sha256="0123456789abcdef" * 4),
    status="ok",
    image=FilmFacts(height=100, width=100, spacing_mm=(1, 1), spacing_plane="detector", view_position=ViewPosition.PA),
    gate=GateVerdict(passed=True),
    film_score=0.8,
    detections=(SPOT, replace(SPOT, score=0.2, reported=False)),
    warnings=(),
    checkpoint=CheckpointIdentity(name="demo", fingerprint="f" * 64, version="0.1.0"),
    operating_threshold=0.3,
)
WITHHELD = replace(READING, status="refused", film_score=None, detections=(), gate=GateVerdict(False, ("lateral",)))


def row(path: str, score: float | None = None, **facts: object) -> WorklistRow:
    reading = None
    if score is not None:
        reading = replace(READING, film_score=score, detections=(replace(SPOT, score=score, reported=score >= 0.3),))
    return WorklistRow(**{"paths": (path,), "status": "ok", "reading": reading, **facts})


def render(rows: list[WorklistRow], page: int = 0) -> str:
    return render_worklist(rows, page=page, facts=FACTS, model=READING.checkpoint)


def read_table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_most_suspicious_film_comes_first_and_failures_last() -> None:
    rows = [
        row("failed.dcm", status="failed", code="truncated", reason="the file ends too soon"),
        row("photo.jpg", status="refused", code="true-colour", reason="true colour"),
        row("lateral.dcm", reading=WITHHELD, status="refused", code="gate.lateral"),
        row("low.dcm", 0.1),
        row("high.dcm", 0.9),
        row("also-low.dcm", 0.1),
    ]
    order = [item.paths[0] for item in sort_rows(rows)]
    assert order == ["high.dcm", "also-low.dcm", "low.dcm", "lateral.dcm", "photo.jpg", "failed.dcm"]


def test_the_page_tells_findings_and_what_was_not_analysed(tmp_path: Path) -> None:
    (tmp_path / "small.jpg").write_bytes(b"jpeg")
    rows = sort_rows(
        [
            row("high.dcm", 0.9, report="readings/0123/report.html", thumbnail=tmp_path / "small.jpg"),
            row("low.dcm", 0.1, paths=("low.dcm", "copy.dcm")),
            row("lateral.dcm", reading=WITHHELD, status="refused", code="gate.lateral"),
            row("cut.dcm", status="failed", code="truncated", reason="the file ends too soon"),
        ]
    )
    page = render(rows)
    assert "1 of 2 analysed films with findings" in page
    assert "1 refused, 1 failed" in page
    assert '<a href="readings/0123/report.html">high.dcm</a>' in page
    assert "nodule suspected, right upper zone, 14 mm at the detector, score 0.90" in page
    assert "no finding above the operating point" in page
    assert "same file: copy.dcm" in page
    assert "it is a lateral" in page
    assert "the file ends too soon" in page
    assert "(truncated)" in page
    assert "data:image/jpeg;base64" in page
    assert "Research use, not for diagnosis." in page
    assert "script-src &#39;none&#39;" in page


def test_many_findings_are_cut_short() -> None:
    many = replace(READING, detections=(SPOT,) * 5)
    page = render([row("many.dcm", reading=many)])
    assert page.count("<li>") == 3
    assert "and 2 more" in page


def test_the_worklist_is_paged_by_five_hundred() -> None:
    rows = sort_rows([row(f"film-{number:04d}.dcm", number / 2000) for number in range(1201)])
    assert page_names(len(rows)) == ["index.html", "index-2.html", "index-3.html"]
    pages = [render(rows, page=page) for page in range(3)]
    assert [page.count("<tr class=") for page in pages] == [500, 500, 201]
    assert "film-1200.dcm" in pages[0]
    assert "film-0000.dcm" in pages[2]
    assert 'rel="next" href="index-3.html"' in pages[1]
    assert 'rel="prev" href="index.html"' in pages[1]
    assert '<td class="rank">1001</td>' in pages[2]


def test_an_empty_worklist_is_a_page() -> None:
    assert page_names(0) == ["index.html"]
    assert "0 of 0 analysed films" in render([])


def test_names_and_paths_cannot_become_markup() -> None:
    evil = "<img src=x onerror=alert(1)>"
    page = render([row(evil, 0.9, identity=PatientIdentity(name=evil)), row("b", status="failed", reason=evil, code=evil)])
    assert "<img src=x" not in page
    assert html.escape(evil) in page


def test_identity_has_a_column_only_where_it_was_asked_for() -> None:
    identity = PatientIdentity(name="Doe^Jane", patient_id="ID77", accession_number="ACC9")
    named = render([row("a.dcm", 0.9, identity=identity)])
    assert "Doe, Jane" in named
    assert "Patient and study" in named
    assert "Patient and study" not in render([row("a.dcm", 0.9)])


def test_findings_are_a_table_of_what_was_reported() -> None:
    rows = [row("=HYPERLINK(1).dcm", 0.9, paths=("=HYPERLINK(1).dcm", "copy.dcm")), row("low.dcm", 0.1), row("cut.dcm")]
    table = read_table(findings_csv(rows))
    assert [line["path"] for line in table] == ["'=HYPERLINK(1).dcm", "copy.dcm"]
    assert table[0]["id"] == "0123456789abcdef"
    assert (table[0]["x1"], table[0]["y2"], table[0]["score"], table[0]["zone"]) == ("10", "40", "0.9", "upper")
    assert "patient_name" not in table[0]


def test_identity_in_tables_is_guarded_too() -> None:
    named = [row("a.dcm", 0.9, identity=PatientIdentity(name="=cmd|'/c calc'!A0", patient_id="ID77")), row("b.dcm", 0.8)]
    table = read_table(findings_csv(named, with_identity=True))
    assert table[0]["patient_name"] == "'=cmd|'/c calc'!A0"
    assert table[1]["patient_name"] == ""
    assert read_table(films_csv(named, with_identity=True))[0]["patient_id"] == "ID77"


def test_films_are_a_table_with_their_scores() -> None:
    table = read_table(films_csv([row("a.dcm", 0.9), row("l.dcm", reading=WITHHELD, status="refused"), row("cut.dcm")]))
    assert [(line["path"], line["film_score"], line["num_reported"]) for line in table] == [
        ("a.dcm", "0.9", "1"),
        ("l.dcm", "", "0"),
    ]
    assert table[1]["gate_reasons"] == "lateral"


def test_failures_are_a_table_with_reasons() -> None:
    outcomes = [
        Outcome(path="a.dcm", id="", sha256="", status="ok"),
        Outcome(path="-b.dcm", id="", sha256="", status="failed", code="truncated", reason="@too short"),
    ]
    table = read_table(failures_csv(outcomes))
    assert table == [{"path": "'-b.dcm", "id": "", "status": "failed", "code": "truncated", "reason": "'@too short"}]
    assert re.fullmatch("path,id,status,code,reason\n", failures_csv([]))
