"""The page of a visit: letters, words, boxes, intervals; nothing executed, nothing fetched, names escaped."""

import html
import json
import os
import re
import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import jsonschema
import numpy as np
import pseudo
import pytest
from PIL import Image

import xraynet.reporting.visit_page
from xraynet.findings import (
    CheckpointIdentity,
    FilmFacts,
    FilmSource,
    Finding,
    GateVerdict,
    LabelState,
    NoduleAnnotations,
    Reading,
)
from xraynet.follow_up import Change, Comparison, WhyNotAligned, WhyNotSized, compare_readings
from xraynet.lung_frame import LungBoxes
from xraynet.radiograph import PatientIdentity, PixelSpacing, Radiograph, ViewPosition
from xraynet.reporting.html import content_policy, read_part
from xraynet.reporting.language_files import english, find_language, list_languages
from xraynet.reporting.visit import ComparedFilm, EarlierFilm, EarlierVisit, Visit, VisitFilm
from xraynet.reporting.visit_file import read_visit_schema, visit_to_json
from xraynet.reporting.visit_page import letter_findings, name_letter, render_visit
from xraynet.reporting.visit_picture import lay_box, picture_frame, render_plain_film
from xraynet.reporting.visit_words import describe_interval

EVIL = "<img src=x onerror=alert(1)>"
LUNGS = LungBoxes(right=(20, 20, 90, 180), left=(110, 20, 180, 180))
PICTURE = b"\xff\xd8jpeg"
GROWING, NEW, GONE, FAINT = (40, 60), (150, 120), (60, 150), (150, 60)


def reading(*spots: tuple[tuple[int, int], int, float], digit: str = "a") -> Reading:
    findings = tuple(
        Finding(
            box=(x - size / 2, y - size / 2, x + size / 2, y + size / 2),
            score=score,
            reported=score >= 0.3,
            diameter_mm=float(size),
            side="right" if x < 100 else "left",
            zone="upper" if y < 73 else "mid" if y < 127 else "lower",
        )
        for (x, y), size, score in sorted(spots, key=lambda spot: -spot[2])
    )
    return Reading(
        source=FilmSource(path=EVIL, sha256=digit * 64),
        status="ok",
        image=FilmFacts(height=200, width=200, spacing_mm=(1, 1), spacing_plane="detector", view_position=ViewPosition.PA),
        gate=GateVerdict(passed=True),
        film_score=max((spot[2] for spot in spots), default=0.0),
        detections=findings,
        warnings=(),
        checkpoint=CheckpointIdentity(name="demo", fingerprint="f" * 64, version="0.1.0"),
        operating_threshold=0.3,
        lungs=LUNGS,
    )


NOW = reading((GROWING, 14, 0.9), (NEW, 10, 0.8), (FAINT, 12, 0.7))
THEN = reading((GROWING, 9, 0.6), (GONE, 11, 0.5), (FAINT, 12, 0.12), digit="b")
BEFORE = reading((GONE, 11, 0.5), digit="c")


def compared(*then: Reading, now: Reading = NOW, annotations: NoduleAnnotations | None = None, **facts: object) -> Visit:
    earlier = []
    for place, one in enumerate(then):
        film = VisitFilm(one, PICTURE, annotations=annotations or NoduleAnnotations())
        visit = EarlierVisit(days_earlier=425 * (place + 1), films=(film,), **facts)
        marked = {0: 0} if annotations is not None else {}
        earlier.append(EarlierFilm(visit, film, compare_readings(now, one), marked))
    film = ComparedFilm(VisitFilm(now, PICTURE, "../readings/a/report.html"), tuple(earlier))
    visits = tuple(one.visit for one in earlier)
    return Visit(key="0123456789abcdef" * 2, films=(film,), earlier=visits, why_no_priors="" if visits else "none-known")


def text_of(page: str) -> str:
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


def test_every_finding_is_told_now_and_then() -> None:
    text = text_of(render_visit(compared(THEN), worklist="../index.html"))
    for said in (
        "Visit with 1 film and 1 earlier visit",
        "14 months earlier",
        "right upper zone: 14 mm at the detector, score 0.90 right upper zone: 9 mm at the detector, score 0.60. Grown by 5 mm",
        "left mid zone: 10 mm at the detector, score 0.80 Not marked then: new.",
        "left upper zone: 12 mm at the detector, below the operating point then (score 0.12). Unchanged within",
        "not marked now right lower zone: 11 mm at the detector, score 0.50. No longer marked.",
        "less than 12 % of the lung's height",
        "from 2 mm and 20 % on",
        "is for the radiologist to say",
        "Research use, not for diagnosis.",
    ):
        assert said in text, said


def test_a_letter_means_one_place_on_every_film() -> None:
    visit = compared(THEN, BEFORE)
    # A grown, B new, C faint then; D is gone, and was there on both earlier films.
    assert letter_findings(visit.films[0]) == [(0, (0, None)), (1, (None, None)), (2, (2, None)), (None, (1, 0))]
    page = render_visit(visit, worklist=None)
    now, then, before = re.findall(r"<figure.*?</figure>", page, flags=re.DOTALL)
    assert re.findall(r">([A-Z])</text>", now) == ["A", "B", "C"]
    assert re.findall(r">([A-Z])</text>", then) == ["A", "C", "D"]
    assert re.findall(r">([A-Z])</text>", before) == ["D"]
    assert 'class="faint"' in then
    assert 'class="faint"' not in now
    assert (name_letter(0), name_letter(27)) == ("A", "B2")


def test_a_film_without_earlier_ones_and_without_findings_is_a_page() -> None:
    text = text_of(render_visit(compared(now=reading()), worklist=None))
    assert "No earlier film of this patient is known." in text
    assert "Nothing is marked on this film" in text
    assert "does not rule out a nodule" in text
    assert "Fleischner" not in text
    with_faint_only = render_visit(compared(reading((FAINT, 12, 0.1)), now=reading((FAINT, 12, 0.1))), worklist=None)
    assert "Nothing is marked on this film" in with_faint_only


@pytest.mark.parametrize(("why", "words"), [("no-date", "has no date"), ("no-patient", "do not say whose they are")])
def test_why_no_film_is_earlier_is_said(why: str, words: str) -> None:
    assert words in text_of(render_visit(replace(compared(), why_no_priors=why), worklist=None))


def test_what_was_found_on_an_earlier_film_is_shown_where_the_two_cannot_be_compared() -> None:
    clear = reading(digit="d")
    page = render_visit(compared(replace(THEN, lungs=None), now=clear), worklist=None)
    assert "on this film or on the earlier ones" not in text_of(page)
    assert "Nothing is marked on this film above the operating point." in text_of(page)
    assert "Findings are not compared: the lung fields are not outlined" in text_of(page)
    assert page.count('<g class="reported"><rect class="halo"') == 2
    assert "2 places are marked on it." in page
    assert "on this film or on the earlier ones" in text_of(render_visit(compared(clear, now=clear), worklist=None))


def test_nothing_is_said_to_be_unmarked_where_a_reader_had_marked_something() -> None:
    marked = NoduleAnnotations.of_boxes(np.array([[140, 110, 160, 130]], dtype=np.float32))
    clear = reading(digit="d")
    text = text_of(render_visit(compared(clear, now=clear, annotations=marked), worklist=None))
    assert "Marked by a reader: nodule, left mid zone" in text
    assert "on this film or on the earlier ones" not in text


def test_a_film_that_was_not_analysed_is_shown_with_the_reason() -> None:
    withheld = replace(THEN, status="refused", film_score=None, detections=(), gate=GateVerdict(False, ("lateral",)))
    text = text_of(render_visit(compared(withheld), worklist=None))
    assert "Not analysed: it is a lateral or oblique view" in text
    assert "Findings are not compared: the earlier film was not analysed." in text
    assert "left mid zone: 10 mm at the detector, score 0.80 not compared" in text


def test_what_readers_marked_is_told_and_drawn() -> None:
    marks = NoduleAnnotations(
        boxes=np.array([[35, 55, 45, 65]], dtype=np.float32),
        class_names=(EVIL,),
        readers=("R1",),
        diameter_mm=(9.6,),
        subtlety=(None,),
        state=LabelState.BOXED,
    )
    page = render_visit(compared(THEN, annotations=marks, from_catalogue=True), worklist=None)
    assert f"Marked by a reader: {EVIL}, right upper zone, 10 mm" in text_of(page)
    assert "A reader marked this place then: 10 mm." in text_of(page)
    assert "From the catalogue, read now by the same detector." in text_of(page)
    assert re.search(r'class="annotated".*?>R</text>', page)
    unsized = replace(marks, diameter_mm=(None,))
    page = render_visit(compared(THEN, annotations=unsized), worklist=None)
    assert "A reader marked this place then." in text_of(page)
    assert EVIL not in page


def test_the_page_fetches_nothing_runs_nothing_and_escapes_names() -> None:
    visit = replace(compared(THEN), identity=PatientIdentity(name=EVIL, patient_id="ID77"))
    page = render_visit(visit, worklist="../index.html")
    assert EVIL not in page
    assert html.escape(EVIL) in page
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:|//)""", page)
    assert "<script" not in page
    assert " style=" not in page
    assert not re.search(r"\son[a-z]+\s*=", page.replace(html.escape(EVIL), ""))
    policy = html.unescape(re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page).group(1))
    assert policy == content_policy(style=read_part("visit.css"), script=None)
    assert all(re.search(r'alt="[^"]+"', tag) for tag in re.findall(r"<img\b[^>]*>", page))
    assert "ID77" in page
    assert "ID77" not in render_visit(compared(THEN), worklist=None)


def test_dates_stand_beside_intervals_only_where_they_were_given() -> None:
    assert "14 months earlier (2024-01-10)" in text_of(render_visit(compared(THEN, date="20240110"), worklist=None))
    assert "(20" not in text_of(render_visit(compared(THEN), worklist=None))


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (1, "1 day earlier"),
        (13, "13 days earlier"),
        (14, "2 weeks earlier"),
        (89, "13 weeks earlier"),
        (91, "3 months earlier"),
        (425, "14 months earlier"),
        (731, "2 years earlier"),
        (3650, "10 years earlier"),
    ],
)
def test_intervals_are_told_as_people_say_them(days: int, words: str) -> None:
    assert describe_interval(days, language=english()) == words


@pytest.mark.parametrize("code", list_languages())
def test_every_language_has_all_that_the_page_says(code: str) -> None:
    language = find_language(code)
    assert not [key for key in language.missing if key.startswith("visit.")]
    page = render_visit(compared(THEN, BEFORE), worklist=None, language=language)
    if code != "en":
        assert "earlier" not in text_of(page)


@pytest.mark.browser
def test_a_browser_shows_films_and_boxes_without_a_word_on_its_console(tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed (make test-tools)")
    from playwright.sync_api import sync_playwright

    film = render_plain_film(Radiograph(pixels=np.full((200, 200), 0.5, dtype=np.float32)))
    visit = compared(THEN, BEFORE)
    shown = [replace(one, film=replace(one.film, picture=film)) for one in visit.films[0].earlier]
    first = replace(visit.films[0], film=replace(visit.films[0].film, picture=film), earlier=tuple(shown))
    (tmp_path / "visit.html").write_text(render_visit(replace(visit, films=(first,)), worklist=None), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1000, "height": 900})
        said: list[str] = []
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto((tmp_path / "visit.html").as_uri())
        widths = tab.evaluate("Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth)))")
        stroke = tab.evaluate("getComputedStyle(document.querySelector('.frame .faint .line')).strokeDasharray")
        overflow = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        browser.close()
    assert said == []
    assert widths == [200, 200, 200]
    assert stroke != "none"
    assert overflow <= 0


def test_every_word_of_the_page_comes_from_the_language_file() -> None:
    withheld = replace(THEN, status="refused", film_score=None, detections=(), gate=GateVerdict(False, ("lateral",)))
    unseen = VisitFilm(THEN)
    lost = EarlierFilm(EarlierVisit(9, (unseen,), num_not_read=1), unseen, Comparison(why_not_aligned="no-lungs"))
    visits = (
        replace(compared(THEN, BEFORE), identity=PatientIdentity("ZZ", "ZZ", "", "19500131", "ZZ", "20260102")),
        compared(withheld),
        compared(now=reading()),
        replace(compared(), why_no_priors="no-date"),
        Visit("0" * 32, (ComparedFilm(VisitFilm(NOW), (lost,)),), (lost.visit,)),
    )
    for visit in visits:
        page = render_visit(visit, worklist="../index.html", language=pseudo.pseudo_language())
        told = pseudo.texts_of_page(page)
        assert pseudo.untranslated(told, data=("xraynet", "0123456789abcdef", "ZZ", "PA", "AP", EVIL)) == set()


def test_every_change_and_reason_has_words_and_no_word_is_idle() -> None:
    folder = Path(xraynet.reporting.visit_page.__file__).parent
    sources = [folder / "visit_page.py", folder / "visit_words.py", folder / "html.py", *(folder / "templates").glob("*.j2")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    asked = set(re.findall(r"""["'](visit\.[a-z0-9_-]+)["']""", text)) - {"visit.css"}
    # A finding whose sizes are not compared says why instead.
    built = {f"visit.change_{change}" for change in Change.__args__ if change != "size-not-compared"}
    built |= {f"visit.sizes_{why}" for why in WhyNotSized.__args__ if why}
    built |= {f"visit.unaligned_{why}" for why in WhyNotAligned.__args__ if why}
    built |= {"visit.none-known", "visit.no-date", "visit.no-patient"}
    assert asked | built == {key for key in english().messages if key.startswith("visit.")}


def test_the_file_of_a_visit_is_what_its_schema_describes() -> None:
    visit = compared(THEN, BEFORE)
    content = json.loads(visit_to_json(visit))
    jsonschema.Draft202012Validator.check_schema(read_visit_schema())
    jsonschema.validate(content, read_visit_schema())
    first = content["films"][0]["compared_with"][0]
    assert [one["change"] for one in first["findings"]] == ["grown", "new", "unchanged", "not-seen-now"]
    assert (first["findings"][0]["growth_mm"], first["findings"][2]["then"]["reported"]) == (5.0, False)
    identified = replace(visit, identity=PatientIdentity(name="Doe^Jane", study_date="20260102"))
    assert visit_to_json(identified) == visit_to_json(visit)


def test_an_earlier_visit_lies_before() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        EarlierVisit(days_earlier=0)


def test_boxes_and_letters_stay_on_the_picture() -> None:
    frame = picture_frame(replace(NOW.image, spacing_mm=(1.0, 0.5)))
    assert frame.size == (400, 200)
    corner = lay_box((0, 0, 10, 10), frame, kind="reported", letter="A")
    assert corner.letter_at[1] >= 32
    edge = lay_box((190, 190, 200, 200), frame, kind="annotated", letter="R")
    assert edge.letter_at[0] <= frame.size[1] - 30
    assert edge.letter_at[1] <= frame.size[0]


def test_a_plain_film_has_nothing_drawn_on_it() -> None:
    film = Radiograph(pixels=np.full((300, 200), 0.5, dtype=np.float32), spacing=PixelSpacing(0.5, 1.0))
    with Image.open(BytesIO(render_plain_film(film))) as shown:
        assert shown.mode == "L"
        assert shown.size == picture_frame(replace(NOW.image, height=300, width=200, spacing_mm=(0.5, 1.0))).size[::-1]
        assert np.asarray(shown).std() < 1


def test_films_that_cannot_be_shown_say_so() -> None:
    film = VisitFilm(THEN)
    earlier = EarlierFilm(EarlierVisit(9, (film,), num_not_read=1), film, Comparison(why_not_aligned="no-lungs"))
    visit = Visit("0" * 32, (ComparedFilm(VisitFilm(NOW), (earlier,)),), (earlier.visit,))
    text = text_of(render_visit(visit, worklist=None))
    assert text.count("The film can no longer be shown.") == 2
    assert "1 earlier film could not be read and is not shown." in text
    assert "the lung fields are not outlined on both films" in text
