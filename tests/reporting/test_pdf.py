"""The report as a PDF: its text, pages, fonts and pictures, and that nobody's identity is in it unasked."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pseudo
import pypdf
import pytest
from readings import FACTS, IDENTITY, READING, READINGS, SCALE, WORDS_OF_DATA

from xraynet.findings import Finding, Reading
from xraynet.radiograph import PatientIdentity
from xraynet.reporting.frame import DisplayFrame
from xraynet.reporting.language import Language, Paper
from xraynet.reporting.language_files import english, find_language, parse_language
from xraynet.reporting.pdf import render_pdf
from xraynet.reporting.pdf_fonts import lacks_letters, mark_up, prepare_reportlab, split_by_font
from xraynet.reporting.pdf_pictures import PdfPicture

HEAD = '[language]\ncode = "{code}"\nname = "x"\ndate = "dd/MM/yyyy"\npaper = "{paper}"\n'


def make(
    reading: Reading = READING,
    *,
    language: Language | None = None,
    identity: PatientIdentity | None = None,
    paper: Paper | None = None,
    size: tuple[int, int] = (360, 300),
) -> bytes:
    shown = np.random.default_rng(0).random(size).astype(np.float32)
    heat = np.zeros(size, dtype=np.float32)
    heat[60:110, 30:90] = 0.8
    picture = PdfPicture(
        shown=shown,
        score_map=heat if reading.film_score is not None else None,
        reading=reading,
        frame=DisplayFrame((120, 100), size),
        window_source="film range",
    )
    return render_pdf(reading, picture, facts=FACTS, scale=SCALE, identity=identity, language=language, paper=paper)


def open_pdf(content: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(content), strict=True)


def text_of(content: bytes) -> str:
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in open_pdf(content).pages))


def fonts_of(content: bytes) -> Iterator[tuple[str, bool]]:
    """(name, embedded) of every font in a document."""
    for page in open_pdf(content).pages:
        for font in (item.get_object() for item in page["/Resources"]["/Font"].values()):
            inner = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
            descriptor = inner["/FontDescriptor"].get_object() if "/FontDescriptor" in inner else {}
            yield str(font["/BaseFont"]), "/FontFile2" in descriptor


def test_the_document_says_what_was_found_and_what_it_is_worth() -> None:
    text = text_of(make())
    for words in (
        "2 findings above the operating point",
        "Nodule suspected right upper zone, 14 mm at the detector score 0.81",
        "Mass suspected mid zone, side not stated, 44 mm at the detector score 0.40",
        "Highest score on the film: 0.81.",
        "1 further mark below the operating point is in reading.json",
        "Only nodules and masses were looked for.",
        "Body Part Examined is ZZ; a chest was expected.",
        "ZZmodel",
        "fedcba9876543210",
        "0.63 [0.51 to 0.74] on 120 ZZfilms",
        "Research use, not for diagnosis.",
        "page 1 of 1",
        "operating point 0.30",
        "No colour below a score of 0.15.",
    ):
        assert words in text, words


def test_a_document_is_the_same_bytes_for_the_same_film() -> None:
    assert make(identity=IDENTITY) == make(identity=IDENTITY)
    assert make() != make(language=find_language("de"))


@pytest.mark.parametrize(
    ("paper", "code", "size"),
    [(None, "en", (595, 842)), ("letter", "en", (612, 792)), ("a4", "us", (595, 842)), (None, "us", (612, 792))],
)
def test_the_paper_is_the_languages_own_or_the_one_asked_for(paper: Paper | None, code: str, size: tuple[int, int]) -> None:
    american = parse_language(HEAD.format(code="en-US", paper="letter"), where="us", fallback=english())
    page = open_pdf(make(paper=paper, language=american if code == "us" else english())).pages[0]
    assert (round(page.mediabox.width), round(page.mediabox.height)) == size


def test_every_font_is_embedded() -> None:
    for reading in READINGS.values():
        fonts = set(fonts_of(make(reading, language=find_language("de"), identity=IDENTITY)))
        assert {name.split("+")[1] for name, _ in fonts} == {"DejaVuSans", "DejaVuSans-Bold"}
        assert all(embedded for _, embedded in fonts)


def test_identity_is_in_the_document_only_where_it_was_asked_for() -> None:
    named, plain = make(identity=IDENTITY), make()
    for value in ("ZZDoe, Jane", "ZZID", "1950-01-31", "ZZACC", "2026-01-02"):
        assert value in text_of(named)
        assert value not in text_of(plain)
    for content in (named, plain):
        facts = open_pdf(content).metadata
        assert facts is not None
        assert "ZZ" not in " ".join(str(value) for value in facts.values())


def test_the_document_says_what_it_is_to_programs() -> None:
    document = open_pdf(make(language=find_language("de")))
    facts = document.metadata
    assert facts is not None
    assert facts.title == "Rundherdbericht 0123456789abcdef"
    assert facts.subject == "Nur für Forschungszwecke, nicht zur Diagnose."
    assert str(facts.producer).startswith("xraynet ")
    assert document.trailer["/Root"]["/Lang"] == "de"


def test_long_lists_flow_onto_further_pages_each_with_the_disclaimer() -> None:
    many = tuple(
        Finding(box=(10, 20, 30, 40), score=0.9 - 0.001 * number, reported=True, diameter_mm=10.0, side="left", zone="lower")
        for number in range(60)
    )
    content = make(replace(READING, detections=many, film_score=0.9), language=find_language("es"))
    pages = [page.extract_text() for page in open_pdf(content).pages]
    assert len(pages) >= 3
    for number, page in enumerate(pages, start=1):
        assert "Solo para investigación, no para diagnóstico." in page
        assert f"página {number} de {len(pages)}" in page
    assert text_of(content).count("Sospecha de nódulo pulmonar") == 60


def test_a_film_that_was_not_analysed_gets_a_page_that_says_so() -> None:
    text = text_of(make(READINGS["held back"], language=find_language("de")))
    assert "Nicht analysiert" in text
    assert "um 90 Grad im Uhrzeigersinn gedreht; ihre Grauwerte wirken invertiert" in text
    assert "gate.rotated-90, gate.inverted" in text
    assert "Heatmap" not in text


def test_a_film_without_findings_is_never_called_normal() -> None:
    text = text_of(make(READINGS["no finding"]))
    assert "No finding above the operating point" in text
    assert "That does not rule out a nodule." in text
    assert "Sensitivity there was 0.63 [0.51 to 0.74] on 120 ZZfilms." in text
    assert "normal" not in text.replace("a normal film", "")


def test_a_film_analysed_against_the_gate_says_so() -> None:
    assert "It was analysed because --no-gate asked for it." in text_of(make(READINGS["against the gate"]))


def test_every_word_of_the_document_comes_from_the_language_file() -> None:
    pseudo_language = pseudo.pseudo_language()
    brackets = {key: _with_guillemets(message) for key, message in pseudo_language.messages.items()}
    for name, reading in READINGS.items():
        text = text_of(make(reading, language=replace(pseudo_language, messages=brackets), identity=IDENTITY))
        assert pseudo.untranslated([text.replace("«", "⟦").replace("»", "⟧")], data=WORDS_OF_DATA) == set(), name


def _with_guillemets(message: object) -> object:
    # DejaVu has no white square brackets.
    if isinstance(message, str):
        return message.replace("⟦", "«").replace("⟧", "»")
    return {form: text.replace("⟦", "«").replace("⟧", "»") for form, text in message.items()}


def test_film_and_heatmap_are_pictures_of_a_reasonable_size() -> None:
    content = make(size=(1600, 1300))
    images = open_pdf(content).pages[0].images
    assert sorted(image.image.size for image in images) == [(650, 800), (1300, 1600)]
    film = next(image.image for image in images if image.image.size == (1300, 1600))
    assert film.mode == "L"
    smooth = make(size=(360, 300))
    assert len(smooth) < 1_000_000


def test_boxes_stand_over_the_film() -> None:
    drawn = open_pdf(make()).pages[0].get_contents().get_data().decode("latin-1")
    placed = re.search(r"([\d.]+) 0 0 ([\d.]+) ([\d.]+) ([\d.]+) cm\s+/\S+ Do", drawn)
    assert placed is not None
    width, height, left, bottom = (float(value) for value in placed.groups())
    assert width / height == pytest.approx(300 / 360, rel=1e-3)
    boxes = [[float(side) for side in found] for found in re.findall(r"n ([\d.]+) ([\d.]+) ([\d.]+) ([\d.]+) re S", drawn)]
    scale = width / 100
    expected = [left + 10 * scale - 1.5, bottom + height - 40 * height / 120 - 1.5, 20 * scale + 3, 20 * height / 120 + 3]
    assert any(np.allclose(box, expected, atol=0.05) for box in boxes)


def test_names_in_other_scripts_are_set_or_their_absence_is_stated() -> None:
    east = text_of(make(identity=PatientIdentity(name="Yamada^Tarou=山田^太郎=やまだ^たろう")))
    assert "Yamada, Tarou" in east
    assert "Chinese, Japanese and Korean letters are set in the fonts of whoever opens this PDF" in east
    arabic = text_of(make(identity=PatientIdentity(name="سارة^علي", patient_id="77")))
    assert "▯▯▯▯, ▯▯▯" in arabic
    assert "Letters that this PDF cannot set are shown as ▯" in arabic
    greek = text_of(make(identity=PatientIdentity(name="Παπαδόπουλος^Ιωάννης")))
    assert "Παπαδόπουλος, Ιωάννης" in greek
    assert "▯" not in greek


def test_each_script_has_its_font() -> None:
    prepare_reportlab()
    assert [(run.text, run.font) for run in split_by_font("Dr 김", language=english())] == [
        ("Dr ", None),
        ("김", "HYGothic-Medium"),
    ]
    assert split_by_font("山田たろう", language=english())[0].font == "HeiseiKakuGo-W5"
    assert split_by_font("王小东", language=english())[0].font == "STSong-Light"
    chinese = parse_language(HEAD.format(code="zh-TW", paper="a4"), where="zh", fallback=english())
    assert split_by_font("王小東", language=chinese)[0].font == "MSung-Light"
    assert split_by_font("a\x00b\nc", language=english())[0].text == "abc"
    assert lacks_letters("नमस्ते")


def test_what_a_file_says_cannot_become_markup() -> None:
    evil = "<font size=40>x</font> & </para>"
    assert mark_up(evil, language=english()) == "&lt;font size=40&gt;x&lt;/font&gt; &amp; &lt;/para&gt;"
    text = text_of(make(replace(READING, warnings=(evil,)), identity=PatientIdentity(name=evil)))
    assert evil in text


def test_a_language_that_cannot_be_set_is_replaced_by_english_and_the_document_says_so() -> None:
    arabic = parse_language(
        HEAD.format(code="ar", paper="a4") + '[notice]\ndisclaimer = "للبحث فقط"\n', where="ar", fallback=english()
    )
    text = text_of(make(language=arabic))
    assert "Research use, not for diagnosis." in text
    assert "This PDF is in English: it cannot set the script of the language ar." in text


def test_a_long_name_stays_on_its_page() -> None:
    content = make(identity=PatientIdentity(name="Wolfeschlegelsteinhausenbergerdorff^" * 3, patient_id="1" * 64))
    page = open_pdf(content).pages[0]
    right: list[float] = []

    def note(*seen: object) -> None:
        text, matrix = str(seen[0]), seen[2]
        if text.strip():
            right.append(float(matrix[4]))  # type: ignore[index]

    page.extract_text(visitor_text=note)
    assert max(right) < page.mediabox.width
