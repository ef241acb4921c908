"""Report, worklist and the page of simulated nodules in other languages: nothing stays behind in English by mistake."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pseudo
import pytest
from readings import FACTS, HELD_BACK, IDENTITY, READING, READINGS, SCALE, WORDS_OF_DATA

from xraynet.batch.simulate_site import MissedNodule, SiteRun
from xraynet.batch.site_report import render_site_run
from xraynet.batch.site_results import NoduleRecord, SiteFilm, SiteResult
from xraynet.findings import Outcome, Reading
from xraynet.radiograph import GreyScale, Radiograph
from xraynet.reporting.frame import DisplayFrame
from xraynet.reporting.html import ReportPicture, render_report
from xraynet.reporting.language import Language
from xraynet.reporting.language_files import english, find_language, parse_language
from xraynet.reporting.overlay import draw_overlay, render_heatmap
from xraynet.reporting.packing import pack_film
from xraynet.reporting.worklist import WorklistRow, render_worklist, sort_rows

RIGHT_TO_LEFT = '[language]\ncode = "ar"\nname = "x"\ndate = "dd/MM/yyyy"\npaper = "a4"\n'


def report(language: Language, reading: Reading = READING) -> str:
    pixels = np.random.default_rng(0).random((120, 100)).astype(np.float32)
    film = Radiograph(pixels=pixels, grey=GreyScale(slope=4095, bits_stored=12))
    frame = DisplayFrame.of(film.size, spacing_mm=(0.5, 0.4))
    heat = render_heatmap(np.zeros(frame.size, dtype=np.float32), SCALE) if reading.film_score is not None else None
    picture = ReportPicture(film=pack_film(film, frame), frame=frame, heatmap=heat)
    return render_report(
        reading, picture, facts=FACTS, scale=SCALE, identity=IDENTITY, worklist="../../index.html", language=language
    )


def worklist(language: Language) -> str:
    rows = [
        WorklistRow(paths=("ZZfilm.dcm", "ZZ2.dcm"), status="ok", reading=READING, report="ZZ.html", identity=IDENTITY),
        WorklistRow(paths=("ZZfilm.dcm",), status="ok", reading=READINGS["no finding"]),
        WorklistRow(paths=("ZZfilm.dcm",), status="ok", reading=READINGS["no spacing"]),
        WorklistRow(paths=("ZZfilm.dcm",), status="refused", code="gate.lateral", reading=HELD_BACK),
        WorklistRow(paths=("ZZfilm.dcm",), status="failed", code="truncated", reason="ZZ"),
    ]
    return "".join(
        render_worklist(sort_rows(rows), page=page, facts=FACTS, model=READING.checkpoint, page_length=3, language=language)
        for page in (0, 1)
    )


def simulated(language: Language) -> str:
    record = NoduleRecord(
        path="ZZfilm.dcm", film_id="0" * 16, box=(0.0, 0.0, 9.0, 9.0), diameter_mm=9.0, contrast_to_noise=0.7,
        kind="part-solid", place="clear lung", score=0.1, score_before=None, found=False, found_before=False,
    )  # fmt: skip
    hidden = replace(record, place="behind heart or diaphragm", kind="cavity", diameter_mm=None, score=None, found_before=True)
    large = replace(record, kind="solid", diameter_mm=45.0, contrast_to_noise=0.2, found=True)
    small = replace(record, kind="calcified", diameter_mm=4.0, contrast_to_noise=4.0)
    film = SiteFilm("ZZfilm.dcm", "0" * 16, 120, 100, None, 0, 1, 1)
    outcomes = (
        Outcome("ZZfilm.dcm", "0" * 16, "0" * 64, "ok"),
        Outcome("ZZ2.dcm", "", "", "failed", "truncated", "ZZ"),
        Outcome("ZZ3.dcm", "", "", "refused", "gate.lateral", "ZZ"),
    )
    result = SiteResult(
        READING.checkpoint, 0.3, "0.1.0", {"num_per_film": 1, "seed": 0, "simulator_version": 1},
        nodules=(record, hidden, large, small, replace(record, kind="ground-glass")), films=(film,),
        outcomes=outcomes, num_duplicates=1,
        warnings=(f"The checkpoint was made with lung fields {'0' * 16}; {'1' * 16} are in use: "
                  "scales of films without spacing, zones and the gate may differ.",),
    )  # fmt: skip
    return render_site_run(
        SiteRun(result=result, missed=(MissedNodule(record, b"png"), MissedNodule(hidden, b"png"))), language=language
    )


def pages(language: Language) -> Iterator[tuple[str, str]]:
    for name, reading in READINGS.items():
        yield f"report, {name}", report(language, reading)
    yield "worklist", worklist(language)
    yield "simulate", simulated(language)


def test_every_word_of_every_page_comes_from_the_language_file() -> None:
    for name, page in pages(pseudo.pseudo_language()):
        assert pseudo.untranslated(pseudo.texts_of_page(page), data=WORDS_OF_DATA) == set(), name


def test_the_script_speaks_the_language_of_its_page() -> None:
    page = report(find_language("de"))
    for words in ('"level": "Lage"', '"width": "Breite"', '"inverted": "invertiert"', '"percent": "{value} %"'):
        assert words in page
    assert not re.search(r'"[A-Z][a-z]+ [a-z]+', (Path("xraynet/reporting/templates/report.js")).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("de", ("2 Befunde", "rechtes Oberfeld, 14 mm am Detektor", "0,81", "Verdacht auf Raumforderung", "31.01.1950",
                "Nur für Forschungszwecke, nicht zur Diagnose.", "Body Part Examined ist ZZ; erwartet wurde ein Thorax.",
                "0,500 × 0,400 mm, am Detektor", "Nach allem anderen, etwa Pneumonie")),
        ("es", ("2 hallazgos", "campo superior derecho, 14 mm en el detector", "0,81", "Sospecha de masa pulmonar",
                "31/01/1950", "Solo para investigación, no para diagnóstico.", "Solo se han buscado nódulos y masas.")),
        ("en", ("2 findings", "right upper zone, 14 mm at the detector", "0.81", "Mass suspected", "1950-01-31")),
    ],
)  # fmt: skip
def test_a_report_speaks_its_language(code: str, words: tuple[str, ...]) -> None:
    page = report(find_language(code))
    text = re.sub(r"\s+", " ", " ".join(pseudo.texts_of_page(page)))
    for part in words:
        assert part in text
    assert f'<html lang="{code}" dir="ltr">' in page


def test_a_german_worklist_says_why_a_film_has_no_analysis() -> None:
    text = " ".join(pseudo.texts_of_page(worklist(find_language("de"))))
    assert "3 analysierten Aufnahmen mit Befunden" in text
    assert "unvollständig, bricht vorzeitig ab" in text
    assert "um 90 Grad im Uhrzeigersinn gedreht" in text
    assert 'lang="en" dir="ltr">ZZ</div>' in worklist(find_language("de"))


def test_printed_pages_say_the_disclaimer_in_their_language() -> None:
    style = re.search(r"<style>(.*?)</style>", simulated(find_language("de")), flags=re.DOTALL).group(1)
    assert 'content: "Nur für Forschungszwecke\\2c  nicht zur Diagnose\\2e "' in style
    assert "Research use" not in style
    evil = parse_language(
        RIGHT_TO_LEFT.replace("ar", "fr") + "[notice]\ndisclaimer = '\" </style><b>'\n", where="fr", fallback=english()
    )
    assert "</style><b>" not in simulated(evil)


def test_a_right_to_left_language_turns_the_page_and_not_what_a_program_reads() -> None:
    arabic = parse_language(RIGHT_TO_LEFT + '[notice]\ndisclaimer = "للبحث فقط"\n', where="ar", fallback=english())
    page = report(arabic)
    assert '<html lang="ar" dir="rtl">' in page
    assert "للبحث فقط" in page
    assert 'viewBox="0 0 100 150"' in page


def test_markup_in_a_language_file_stays_text() -> None:
    evil = parse_language(
        RIGHT_TO_LEFT.replace("ar", "fr") + '[report]\nwarnings = "<b>x</b>"\nlevel = "</script><b>"\n',
        where="fr",
        fallback=english(),
    )
    page = report(evil)
    assert "<b>x</b>" not in page
    assert "</script><b>" not in page


def test_a_picture_speaks_the_language_where_its_font_has_the_letters() -> None:
    frame = DisplayFrame.of((120, 100), least=1024)
    shown = np.zeros(frame.size, dtype=np.float32)
    pictures = {
        name: np.asarray(draw_overlay(shown, None, reading=HELD_BACK, frame=frame, scale=SCALE, language=language))
        for name, language in {
            "en": english(),
            "de": find_language("de"),
            "ar": parse_language(RIGHT_TO_LEFT + '[notice]\ndisclaimer = "للبحث فقط"\n', where="ar", fallback=english()),
        }.items()
    }
    assert (pictures["de"] != pictures["en"]).any()
    assert (pictures["ar"] == pictures["en"]).all()
