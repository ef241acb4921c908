"""The page of an evaluation: everything inside it, nothing executed, undefined said, names escaped."""

import io
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xraynet.evaluation.evaluate import ReportThreshold, evaluate_films
from xraynet.evaluation.examples import choose_examples
from xraynet.evaluation.intervals import Bootstrap
from xraynet.evaluation.matching import match_films
from xraynet.evaluation.results import EvaluationSubject
from xraynet.evaluation.rules import NODE21
from xraynet.radiograph import PixelSpacing, Radiograph
from xraynet.reporting.evaluation_filing import ExamplePicture, Filing, ShownExamples, describe_example, describe_limits
from xraynet.reporting.evaluation_plots import plot_froc
from xraynet.reporting.evaluation_report import render_evaluation
from xraynet.reporting.example_picture import choose_boxes, picture_example
from xraynet.reporting.html import read_part

EVIL = '<img src="https://example.org/x" onerror="alert(1)">'


@pytest.fixture(scope="module")
def result(random_films):
    films = [
        replace(film, attributes={"view": "PA", "sex": "F" if place % 2 else "M", "age_years": 50.0 + place})
        for place, film in enumerate(random_films(np.random.default_rng(4), 40, patients=15))
    ]
    subject = EvaluationSubject(detector=f"demo {EVIL}", films="split test of catalogue demo", catalogue_fingerprint="c" * 64)
    return evaluate_films(
        films, NODE21, subject=subject, operating=ReportThreshold(0.5, "demo"), bootstrap=Bootstrap(num_resamples=50)
    )


@pytest.fixture(scope="module")
def page(result) -> str:
    return render_evaluation(result)


class Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_element_is_closed_and_nothing_is_fetched_or_run(page: str) -> None:
    elements = Elements(page)
    assert elements.open == []
    assert page.startswith("<!doctype html>")
    tags = {tag for tag, _ in elements.seen}
    assert not tags & {"script", "iframe", "object", "form"}
    for tag, attributes in elements.seen:
        assert "style" not in attributes, "an inline style is refused by the page's own policy"
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#")), (tag, attributes)
    policy = next(attributes["content"] for tag, attributes in elements.seen if attributes.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy


def test_every_picture_says_in_words_what_it_shows(page: str, result) -> None:
    pictures = [attributes for tag, attributes in Elements(page).seen if tag == "img"]
    assert len(pictures) == 4 + len(result.subgroups)
    assert all(attributes["alt"].endswith(".") for attributes in pictures)
    assert f"{result.froc[0].sensitivity.value:.3f} at 0.125" in pictures[0]["alt"]


def test_names_are_escaped(page: str) -> None:
    assert EVIL not in page
    assert "&lt;img src=" in page


def test_figures_protocol_and_intervals_are_told(page: str, result) -> None:
    shown = re.sub(r"\s+", " ", page)
    for text in (
        "Research use, not for diagnosis",
        "nodule or mass",
        "Every further mark on a nodule already found counts as a false positive",
        "95 % percentile intervals from 50 bootstrap resamples of 15 patients",
        "over all 40 films",
        f"{result.average_precision.value:.3f}",
        f"[{result.film_auc.low:.3f}, {result.film_auc.high:.3f}]",
        "By view",
        "By sex",
        "By age",
        "not a probability",
    ):
        assert text in shown, text


def test_undefined_is_said_and_never_zero(make_film) -> None:
    result = evaluate_films([make_film("a")], NODE21, subject=EvaluationSubject(detector="demo", films="one film"))
    page = render_evaluation(result)
    assert page.count("undefined") > 10
    assert "There is no nodule to find" in page
    assert "No operating point was given" in page
    assert "Nothing is known of the nodules" in page
    assert ">0.000<" not in page


def test_a_group_without_a_nodule_is_drawn_as_undefined(make_film) -> None:
    films = [
        make_film("a", [(0, 0, 9, 9)], [((0, 0, 9, 9), 0.5)], attributes={"sex": "F"}),
        make_film("b", (), attributes={"sex": "M"}),
    ]
    page = render_evaluation(evaluate_films(films, NODE21, subject=EvaluationSubject(detector="demo", films="two films")))
    assert "male undefined" in page


def test_the_same_result_gives_the_same_page(result, page: str) -> None:
    assert render_evaluation(result) == page
    assert plot_froc(result).startswith(b"<?xml")


def test_text_stands_out_from_its_ground_by_at_least_4_5_to_1() -> None:
    def luminance(colour: str) -> float:
        digits = colour.lstrip("#")
        digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
        parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(first: str, second: str) -> float:
        light, dark = sorted((luminance(first), luminance(second)), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    style = (Path(__file__).parents[2] / "xraynet" / "reporting" / "templates" / "evaluation.css").read_text()
    colours = dict(re.findall(r"--(\w+): (#\w+)", style))
    for name in ("ink", "quiet", "caution", "accent"):
        for ground in ("#fff", colours["soft"], "#fdf5f0"):
            assert contrast(colours[name], ground) >= 4.5, (name, ground)


@pytest.mark.browser
def test_a_browser_shows_every_plot_without_a_word_on_its_console(page: str, tmp_path: Path) -> None:
    import os

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed (make test-tools)")
    from playwright.sync_api import sync_playwright

    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 800, "height": 900})
        said: list[str] = []
        asked: list[str] = []
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url) if not request.url.startswith("data:") else None)
        tab.goto((tmp_path / "report.html").as_uri())
        widths = tab.evaluate("Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth)))")
        overflow = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        browser.close()
    assert said == []
    assert asked == [(tmp_path / "report.html").as_uri()]
    assert all(width > 100 for width in widths)
    assert overflow <= 0


SPOT, ELSEWHERE = (40, 40, 60, 60), (100, 20, 120, 40)


def picture(example, *, threshold=0.5) -> ExamplePicture:
    pixels = np.random.default_rng(0).random((160, 140)).astype(np.float32)
    return picture_example(Radiograph(pixels=pixels, spacing=PixelSpacing(1.0, 0.8)), example, threshold=threshold)


def examples_of(films, *, num=5, pictured=True) -> ShownExamples:
    chosen = choose_examples(match_films(films, NODE21), threshold=0.5, num=num)
    gone = ExamplePicture(why_not="the film could not be read (not-found)")
    return ShownExamples(chosen, tuple(picture(one) if pictured else gone for one in chosen.every))


@pytest.fixture
def faulty(make_film):
    return [
        make_film("sick", [SPOT], [(SPOT, 0.2), (ELSEWHERE, 0.9)], diameter_mm=[14.2], subtlety=[2], attributes={"view": "PA"}),
        make_film("normal", (), [(ELSEWHERE, 0.7)], attributes={"view": EVIL}),
    ]


def test_examples_are_pictures_with_words_that_need_no_colour(result, faulty) -> None:
    shown = re.sub(r"\s+", " ", render_evaluation(result, examples=examples_of(faulty)))
    for text in (
        "Missed nodules: 1 of 1",
        "Missed nodule, 14 mm, subtlety 2 very subtle. The mark that meets it has a score of 0.20, below the operating point",
        "False alarms: the highest of 2 of the 2 films that have one",
        "False mark, score 0.90. The film has 1 annotated nodule, which this mark does not meet.",
        "False mark, score 0.70. The film was read as free of nodules.",
        "dashed, A: annotated by a reader",
        "dotted, score: mark below the operating point",
    ):
        assert text in shown, text
    assert shown.count("data:image/jpeg;base64,") == 6
    assert EVIL not in shown


def test_a_nodule_that_no_mark_meets_is_told_as_such(make_film) -> None:
    (miss,) = choose_examples(match_films([make_film("a", [SPOT])], NODE21), threshold=0.5, num=1).misses
    assert describe_example(miss, threshold=0.5) == "Missed nodule, 20 mm. No mark meets it at any score."
    assert describe_example(miss, threshold=None).endswith("No mark meets it at any score.")


def test_no_miss_and_no_false_alarm_is_said(result, make_film) -> None:
    page = render_evaluation(result, examples=examples_of([make_film("a", [SPOT], [(SPOT, 0.9)]), make_film("b")]))
    assert "No annotated nodule was missed." in page
    assert "No film has a false mark." in page
    assert "data:image/jpeg" not in page


def test_an_example_without_its_film_says_why(result, faulty) -> None:
    page = render_evaluation(result, examples=examples_of(faulty, pictured=False))
    assert page.count("No picture: the film could not be read (not-found).") == 3
    nothing = choose_examples(match_films(faulty, NODE21), threshold=0.5, num=0)
    assert "gone &lt;away&gt;" in render_evaluation(result, examples=ShownExamples(nothing, why_none="gone <away>"))
    assert "Examples of misses" not in render_evaluation(result)


def test_annotations_marks_and_near_misses_are_told_apart_by_line(faulty) -> None:
    miss, *alarms = choose_examples(match_films(faulty, NODE21), threshold=0.5, num=5).every
    drawn = [(one.style, one.label, one.is_subject) for one in choose_boxes(miss, threshold=0.5)]
    assert drawn == [("dashed", "A", True), ("solid", "0.90", False), ("dotted", "0.20", False)]
    drawn = [(one.style, one.label, one.is_subject) for one in choose_boxes(alarms[0], threshold=0.5)]
    assert drawn == [("dashed", "A", False), ("solid", "0.90", True)]


def test_a_close_up_is_centred_on_its_subject_and_square_in_millimetres(faulty) -> None:
    (miss,) = choose_examples(match_films(faulty[:1], NODE21), threshold=0.5, num=1).misses
    shown = picture(miss)
    with Image.open(io.BytesIO(shown.close)) as close, Image.open(io.BytesIO(shown.whole)) as whole:
        assert close.size == (320, 320)
        assert whole.size[0] / whole.size[1] == pytest.approx(140 * 0.8 / 160, rel=0.02)
        colours = np.asarray(close.convert("RGB")).astype(int)
    yellow = (colours[..., 0] > 200) & (colours[..., 2] < 120)
    rows, columns = np.flatnonzero(yellow.any(axis=1)), np.flatnonzero(yellow.any(axis=0))
    # 20 pixels of 1 x 0.8 mm in a window of 80 mm over 320 pixels: 80 rows by 64 columns, and the letter below.
    assert columns[-1] - columns[0] == pytest.approx(64 + 5, abs=4)
    assert (columns[0] + columns[-1]) / 2 == pytest.approx(160, abs=3)
    assert rows[0] == pytest.approx(160 - 42, abs=4)


def test_a_film_at_its_border_can_be_an_example(make_film) -> None:
    film = make_film("edge", [(0, 0, 12, 12)], [((130, 150, 140, 160), 0.9)])
    for example in choose_examples(match_films([film], NODE21), threshold=0.5, num=5).every:
        assert picture(example).close.startswith(b"\xff\xd8")


def test_examples_without_pictures_or_reasons_cannot_exist(faulty) -> None:
    with pytest.raises(ValueError, match="two pictures, or a reason"):
        ExamplePicture()
    with pytest.raises(ValueError, match="3 examples and 0 pictures"):
        ShownExamples(choose_examples(match_films(faulty, NODE21), threshold=0.5, num=5))


def test_what_is_filed_stands_on_the_page_and_is_escaped(result) -> None:
    filing = Filing(
        title=f"Acceptance {EVIL}",
        site="Ward 7",
        made_by=EVIL,
        made_on="2026-11-26",
        command="xraynet evaluate --out 'a b'",
        data=(("Labels", EVIL),),
        model=(("Learnt from", "synthetic films"),),
    )
    page = render_evaluation(replace(result, not_analysed=(("gate.lateral", 3),)), filing=filing)
    assert EVIL not in page
    for text in ("Ward 7", "2026-11-26", "xraynet evaluate --out &#39;a b&#39;", "synthetic films", "gate.lateral", "c" * 64):
        assert text in page, text
    for role in ("Carried out by", "Checked by", "Responsible radiologist"):
        assert f'<th scope="row">{role}</th>' in page


def test_films_are_counted_as_called_and_scores_as_right(result, page: str) -> None:
    calls = result.operating.film_calls
    assert f"{calls.num_true_positive}</td>" in page
    assert "Positive predictive value" in page
    assert "Scores and how often they are right" in page
    assert f"{result.score_bands[0].num_marks}</td>" in page
    assert "0.3 to 0.4" in page


def test_limits_are_told_and_few_nodules_first(make_film, result) -> None:
    assert describe_limits(result)[0].startswith(f"There are only {result.counts.num_nodules} nodules")
    none = evaluate_films([make_film("a")], NODE21, subject=EvaluationSubject(detector="demo", films="one film"))
    assert not any("There are only" in limit for limit in describe_limits(none))
    assert "How readers do with it was not measured." in render_evaluation(none)


def test_the_page_has_a_print_sheet_for_a4() -> None:
    style = read_part("evaluation.css").text
    assert "size: A4" in style
    assert "counter(pages)" in style
    assert "@media print" in style
