"""The page of an evaluation: everything inside it, nothing executed, undefined said, names escaped."""

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from xraynet.evaluation.evaluate import ReportThreshold, evaluate_films
from xraynet.evaluation.intervals import Bootstrap
from xraynet.evaluation.results import EvaluationSubject
from xraynet.evaluation.rules import NODE21
from xraynet.reporting.evaluation_plots import plot_froc
from xraynet.reporting.evaluation_report import render_evaluation

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
    assert len(pictures) == 3 + len(result.subgroups)
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
