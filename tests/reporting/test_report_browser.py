"""The report in a real browser, from a file, as a radiologist opens it."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import spots
from dicom_files import write_dicom
from playwright.sync_api import Browser, Page, sync_playwright

from xraynet.batch.folder import predict_folder
from xraynet.batch.options import FolderOptions
from xraynet.ingest.read import read_radiograph
from xraynet.reporting.language import Language
from xraynet.reporting.language_files import english, find_language, parse_language

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
EVIL = "<img src=x onerror=document.title='owned'>"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, out = tmp_path_factory.mktemp("films"), tmp_path_factory.mktemp("results")
    film = spots.spot_film((90, 120), (230, 290), size=(400, 320))
    tags = {"ImagerPixelSpacing": [0.8, 0.8], "ViewPosition": "PA", "BitsStored": 12, "PatientName": EVIL}
    write_dicom(root / "two.dcm", film, WindowCenter=1400, WindowWidth=2000, **tags)
    write_dicom(root / "dense.dcm", 4095 - film, **{**tags, "PhotometricInterpretation": "MONOCHROME1"})
    write_dicom(root / "lateral.dcm", spots.spot_film(seed=3), **{**tags, "ViewPosition": "LL"})
    predict_folder([root], predictor=spots.make_predictor(), out=out, options=FolderOptions(identify=True))
    for name in ("two", "dense", "lateral"):
        shutil.copy(root / f"{name}.dcm", out)
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        import os

        if os.environ.get("CI") == "true":
            pytest.fail("chromium is missing: make test-tools installs it")
        pytest.skip("chromium is not installed: make test-tools installs it")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    """A page whose every complaint, and every request beyond files and data, is noted."""
    opened = browser.new_page(viewport={"width": 1360, "height": 860})
    opened.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "request",
        lambda request: complaints.append(request.url) if not request.url.startswith(("file:", "data:", "blob:")) else None,
    )
    yield opened
    opened.close()
    assert complaints == []


def open_report(page: Page, results: Path, name: str) -> None:
    film_id = read_radiograph(results / f"{name}.dcm").id
    page.goto((results / "readings" / film_id / "report.html").as_uri())
    page.wait_for_selector("canvas[data-ready=true]")


def film_pixels(page: Page) -> np.ndarray:
    """What the canvas shows, as grey values."""
    values = page.evaluate(
        """() => {
            const film = document.getElementById("film"), copy = new OffscreenCanvas(film.width, film.height);
            const pen = copy.getContext("2d", { willReadFrequently: true });
            pen.drawImage(film, 0, 0);
            return Array.from(pen.getImageData(0, 0, film.width, film.height).data.filter((_, at) => at % 4 === 0));
        }"""
    )
    return np.array(values, dtype=np.uint8).reshape(page.evaluate("[film.height, film.width]"))


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.mark.parametrize("name", ["two", "dense"])
def test_the_film_begins_as_its_file_asks_for(page: Page, results: Path, name: str) -> None:
    open_report(page, results, name)
    film = read_radiograph(results / f"{name}.dcm")
    shown = film_pixels(page).astype(float)
    expected = film.display() * 255
    if film.grey.voi is not None:
        assert np.abs(shown - expected).max() <= 1.5
    else:
        assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.999


def test_window_and_level_work_by_keyboard(page: Page, results: Path) -> None:
    open_report(page, results, "two")
    start = film_pixels(page)
    press(page, *["ArrowUp"] * 5)
    darker = film_pixels(page)
    assert darker.mean() < start.mean() - 3
    press(page, *["ArrowLeft"] * 8)
    harder = film_pixels(page)
    assert harder.std() > darker.std()
    press(page, "i")
    inverted = film_pixels(page)
    assert np.abs(inverted.astype(int) + harder - 255).max() <= 1
    assert page.get_attribute("#invert", "aria-pressed") == "true"
    press(page, "i", "r")
    assert (film_pixels(page) == start).all()
    assert page.inner_text("#window-note").split() == ["Level", "1400", "Width", "2000"]


def test_more_than_eight_bits_are_in_the_page(page: Page, results: Path) -> None:
    open_report(page, results, "two")
    page.evaluate(
        "document.getElementById('width').value = 60; document.getElementById('width').dispatchEvent(new Event('input'))"
    )
    page.evaluate(
        "document.getElementById('level').value = 1300; document.getElementById('level').dispatchEvent(new Event('input'))"
    )
    press(page)
    shown, film = film_pixels(page), read_radiograph(results / "two.dcm").modality_values()
    inside = (film > 1275) & (film < 1325)
    assert len(np.unique(shown[inside])) > 40


def test_an_inverted_film_answers_the_same_way(page: Page, results: Path) -> None:
    open_report(page, results, "dense")
    start = film_pixels(page)
    press(page, *["ArrowUp"] * 5)
    assert film_pixels(page).mean() > start.mean() + 3


def test_heatmap_and_boxes_can_be_switched_off(page: Page, results: Path) -> None:
    open_report(page, results, "two")
    heat, boxes = page.locator("#heat"), page.locator("#boxes")
    assert heat.is_visible()
    assert page.locator(".box").count() == 2
    press(page, "h", "b")
    assert not heat.is_visible()
    assert not boxes.is_visible()
    page.check("#show-heat")
    assert heat.is_visible()
    press(page, "]", "]")
    assert page.evaluate("getComputedStyle(heat).opacity") == "0.7"
    page.fill("#opacity", "0")
    assert page.evaluate("getComputedStyle(heat).opacity") == "0"


def test_boxes_stand_over_the_spots(page: Page, results: Path) -> None:
    open_report(page, results, "two")
    film = page.locator("#film").bounding_box()
    box = page.locator(".box .line").first.bounding_box()
    assert film is not None
    assert box is not None
    scale = film["width"] / 320
    centres = sorted(
        (
            round((mark["x"] + mark["width"] / 2 - film["x"]) / scale),
            round((mark["y"] + mark["height"] / 2 - film["y"]) / scale),
        )
        for mark in (page.locator(".box .line").nth(index).bounding_box() for index in range(2))
    )
    assert np.abs(np.array(centres) - [(90, 120), (230, 290)]).max() <= 4


def test_zoom_moves_and_comes_back(page: Page, results: Path) -> None:
    open_report(page, results, "two")
    fitted = page.locator("#film").bounding_box()
    press(page, "+", "+")
    assert page.locator("#film").bounding_box()["width"] > fitted["width"] * 1.4
    press(page, "n")
    assert page.locator(".finding.chosen").count() == 1
    assert page.locator(".box.chosen").count() == 1
    press(page, "1")
    assert page.locator("#film").bounding_box()["width"] == pytest.approx(320, abs=1)
    press(page, "f")
    assert page.locator("#film").bounding_box() == fitted
    page.mouse.move(400, 300)
    page.mouse.wheel(0, -300)
    assert page.locator("#film").bounding_box()["width"] > fitted["width"]


def test_dragging_changes_the_window(page: Page, results: Path) -> None:
    open_report(page, results, "two")
    start = film_pixels(page)
    page.mouse.move(400, 300)
    page.mouse.down()
    page.mouse.move(480, 380)
    page.mouse.up()
    press(page)
    assert not (film_pixels(page) == start).all()
    page.click("#reset")
    press(page)
    assert (film_pixels(page) == start).all()


def test_everything_can_be_reached_by_tab(page: Page, results: Path) -> None:
    open_report(page, results, "two")
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert {"stage", "level", "width", "reset", "invert", "finding", "show-heat", "show-boxes", "opacity"} <= reached


def test_a_film_that_was_not_analysed_can_still_be_looked_at(page: Page, results: Path) -> None:
    open_report(page, results, "lateral")
    assert page.inner_text("h1") == "Not analysed"
    assert film_pixels(page).std() > 5
    press(page, "h", "b", "n", "]", "?")
    assert page.evaluate("document.getElementById('keys').open")


def test_a_hostile_name_stays_text(page: Page, results: Path) -> None:
    open_report(page, results, "two")
    assert page.title().startswith("Nodule report")
    assert EVIL in page.inner_text(".identity")
    page.goto((results / "index.html").as_uri())
    assert page.title() == "Worklist"
    assert EVIL in page.inner_text("table")


def test_the_worklist_leads_to_the_report_and_back(page: Page, results: Path) -> None:
    page.goto((results / "index.html").as_uri())
    page.click("text=two.dcm")
    page.wait_for_selector("canvas[data-ready=true]")
    page.click("text=Worklist")
    assert page.title() == "Worklist"


def test_the_page_prints_on_paper(page: Page, results: Path, tmp_path: Path) -> None:
    open_report(page, results, "two")
    page.pdf(path=tmp_path / "report.pdf", format="A4", print_background=True)
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    page.emulate_media(media="print")
    assert not page.locator("#tools").is_visible()
    assert page.locator("#film").bounding_box()["width"] <= 1360
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_a_picture_of_the_report_shows_film_heat_and_boxes(page: Page, results: Path, tmp_path: Path) -> None:
    open_report(page, results, "two")
    page.screenshot(path=tmp_path / "report.png")
    from PIL import Image

    with Image.open(tmp_path / "report.png") as image:
        colours = np.asarray(image.convert("RGB")).astype(int)
    assert (np.abs(colours - (120, 225, 255)).max(axis=-1) < 12).sum() > 200
    assert ((colours[..., 0] - colours[..., 1]) > 40).sum() > 50


def read_one(tmp_path: Path, language: Language) -> tuple[Path, Path]:
    """The report and the worklist of one film in a language."""
    write_dicom(tmp_path / "two.dcm", spots.spot_film((90, 120), (230, 290), size=(400, 320)), ImagerPixelSpacing=[0.8, 0.8])
    out = tmp_path / "out"
    predict_folder([tmp_path / "two.dcm"], predictor=spots.make_predictor(), out=out, options=FolderOptions(language=language))
    return next(out.rglob("report.html")), out / "index.html"


@pytest.mark.parametrize("width", [1360, 820])
@pytest.mark.parametrize("code", ["de", "es"])
def test_long_words_stay_within_their_panels(page: Page, tmp_path: Path, code: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 860})
    for path in read_one(tmp_path, find_language(code)):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.lang") == code
        wide = page.evaluate(
            """[document.documentElement, ...document.querySelectorAll("aside *, .bar *, .tools *, th, td, h1")].filter(
                (item) => !(item instanceof SVGElement) && getComputedStyle(item).display !== "inline"
                    && item.scrollWidth > item.clientWidth + 1).map((item) => item.textContent.slice(0, 60))"""
        )
        assert wide == []


def test_level_and_width_are_written_in_the_pages_language(page: Page, tmp_path: Path) -> None:
    page.goto(read_one(tmp_path, find_language("de"))[0].as_uri())
    page.wait_for_selector("canvas[data-ready=true]")
    page.evaluate(
        "document.getElementById('width').value = 8.5; document.getElementById('width').dispatchEvent(new Event('input'))"
    )
    press(page, "i", "]")
    words = page.inner_text("#window-note").split()
    assert (words[0], words[2], words[4]) == ("Lage", "Breite", "invertiert")
    assert re.fullmatch(r"\d,\d\d|\d\d+", words[3])
    assert page.inner_text("#opacity-value") == "60 %"


def test_a_page_from_right_to_left_keeps_film_and_boxes_in_place(page: Page, tmp_path: Path) -> None:
    head = '[language]\ncode = "ar"\nname = "x"\ndate = "dd/MM/yyyy"\npaper = "a4"\n'
    for path in read_one(tmp_path, parse_language(head, where="ar", fallback=english())):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 1360
    page.goto(path.with_name("readings").joinpath(next(tmp_path.rglob("report.html")).parent.name, "report.html").as_uri())
    page.wait_for_selector("canvas[data-ready=true]")
    film, box = page.locator("#film").bounding_box(), page.locator(".box .line").first.bounding_box()
    assert film is not None
    assert box is not None
    assert film["x"] <= box["x"] <= film["x"] + film["width"]
    assert page.locator("aside").bounding_box()["x"] == 0
