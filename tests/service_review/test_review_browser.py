"""The review page in a real browser, on a real server: what a radiologist does on it, and what must not get lost."""

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import spots
from dicom_files import write_dicom
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from review_process import ReviewProcess

from xraynet.batch.folder import predict_folder
from xraynet.batch.options import FolderOptions
from xraynet.ingest.read import read_radiograph
from xraynet.service.review.look import Look
from xraynet.service.review.store import ReviewStore

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
EVIL = "<img src=x onerror=document.title='owned'>"
NAMES = {"two": "two.dcm", "oblong": "oblong.dcm", "bare": f"{EVIL}.dcm", "lateral": "lateral.dcm"}
DISCLAIMER = "Research use, not for diagnosis"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.network,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | Path]:
    """The folder of results, and the id of each film by its short name."""
    films, out = tmp_path_factory.mktemp("films"), tmp_path_factory.mktemp("results")
    tags = {"ImagerPixelSpacing": [0.8, 0.8], "ViewPosition": "PA", "BitsStored": 12}
    two = spots.spot_film((90, 120), (230, 290))
    write_dicom(films / NAMES["two"], two, WindowCenter=1400, WindowWidth=2000, **tags)
    oblong = spots.spot_film((100, 200), size=(400, 320), seed=1)
    calibrated = {"PixelSpacing": [0.4, 0.9], "PixelSpacingCalibrationType": "FIDUCIAL"}
    write_dicom(films / NAMES["oblong"], oblong, **{**tags, **calibrated})
    write_dicom(films / NAMES["bare"], spots.spot_film((160, 180), level=700, seed=2), **{**tags, "ImagerPixelSpacing": None})
    write_dicom(films / NAMES["lateral"], spots.spot_film(seed=3), **{**tags, "ViewPosition": "LL"})
    predict_folder([films], predictor=spots.make_predictor(), out=out, options=FolderOptions())
    return {"out": out, **{short: read_radiograph(films / name).id for short, name in NAMES.items()}}


@contextmanager
def serving(predicted: dict[str, str | Path], root: Path, *arguments: str) -> Iterator[ReviewProcess]:
    shutil.copytree(predicted["out"], root, dirs_exist_ok=True)
    server = ReviewProcess(root, arguments).start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def server(predicted: dict[str, str | Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewProcess]:
    with serving(predicted, tmp_path_factory.mktemp("served")) as started:
        yield started


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


class Complaints:
    """What the browser complained of, and every request that left the server's own origin."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.expected: list[str] = []

    def watch(self, context: BrowserContext, origin: str) -> None:
        context.on("console", lambda message: self.lines.append(message.text) if message.type in ("error", "warning") else None)
        context.on("weberror", lambda error: self.lines.append(str(error.error)))
        context.on("request", lambda request: self._look(request.url, origin))

    def _look(self, url: str, origin: str) -> None:
        if not url.startswith((f"{origin}/", "data:", "blob:")):
            self.lines.append(f"request to {url}")

    def check(self) -> None:
        assert [line for line in self.lines if not any(re.search(words, line) for words in self.expected)] == []


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    kept = Complaints()
    yield kept
    kept.check()


OpenPage = Callable[..., Page]


@pytest.fixture
def enter(browser: Browser, server: ReviewProcess, complaints: Complaints) -> Iterator[OpenPage]:
    """Opens the page as a reader, in a browser profile of its own (or in another page's)."""
    opened: list[BrowserContext] = []

    def come_in(
        reader: str,
        *,
        at: ReviewProcess = server,
        beside: Page | None = None,
        viewport: tuple[int, int] = (1360, 860),
        touch: bool = False,
    ) -> Page:
        size = {"width": viewport[0], "height": viewport[1]}
        context = beside.context if beside else browser.new_context(viewport=size, has_touch=touch)
        if beside is None:
            opened.append(context)
            complaints.watch(context, at.origin)
            context.set_default_timeout(15_000)
        page = context.new_page()
        page.goto(at.link if beside is None else at.origin)
        if beside is None:
            page.wait_for_selector("#name-dialog[open]")
            page.keyboard.type(reader)
            page.keyboard.press("Enter")
        page.wait_for_selector("#reader:not([hidden])")
        page.wait_for_selector(".row, #film[data-ready]")
        return page

    yield come_in
    for context in opened:
        context.close()


def settle(page: Page) -> None:
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)
    settle(page)


def saved(page: Page) -> None:
    try:
        page.wait_for_selector("#saving[data-state=saved]")
    except PlaywrightError:
        pytest.fail(f"not saved: {page.inner_text('.bar')} {page.inner_text('#trouble')}")


def open_film(page: Page, film: str) -> None:
    page.evaluate("id => { location.hash = `#/film/${id}`; }", film)
    page.wait_for_selector(f"#film[data-ready='{film}']")
    page.wait_for_function("() => document.activeElement.id === 'stage'")


def look(server: ReviewProcess, film: str, reader: str) -> Look:
    """The reading as it is on disk."""
    with ReviewStore(server.store, read_only=True) as store:
        found = store.read(film, reader)
    assert found is not None, f"{reader} has no reading of {film}"
    return found.history.look


def line_of(page: Page, key: str) -> tuple[float, float, float, float]:
    """Where a box is drawn, in CSS pixels of the page: x1, y1, x2, y2."""
    place = page.evaluate(
        """key => {
            const rect = document.querySelector(`.box[data-key='${key}'] .line`), stage = document.getElementById("stage");
            const at = stage.getBoundingClientRect(), read = (name) => Number(rect.getAttribute(name));
            return [at.x + read("x"), at.y + read("y"), at.x + read("x") + read("width"), at.y + read("y") + read("height")];
        }""",
        key,
    )
    return tuple(place)


def shown_pixels(page: Page) -> np.ndarray:
    """What the stage shows, as grey values of its device pixels."""
    packed = page.evaluate(
        """() => {
            const film = document.getElementById("film"), copy = new OffscreenCanvas(film.width, film.height);
            const pen = copy.getContext("2d", { willReadFrequently: true });
            pen.drawImage(film, 0, 0);
            const colours = pen.getImageData(0, 0, film.width, film.height).data;
            let greys = "";
            for (let at = 0; at < colours.length; at += 4) greys += String.fromCharCode(colours[at]);
            return [film.height, film.width, btoa(greys)];
        }"""
    )
    return np.frombuffer(base64.b64decode(packed[2]), dtype=np.uint8).reshape(packed[:2]).astype(float)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float], *, steps: int = 4) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=steps)
    page.mouse.up()
    settle(page)


def test_a_film_is_read_by_keyboard_alone(enter: OpenPage, server: ReviewProcess, predicted: dict[str, str]) -> None:
    page = enter("Keyboard")
    assert page.inner_text("#worklist-title") == "4 of 4 films left to read"
    assert page.evaluate("document.activeElement.id") == "rows"
    page.keyboard.press("Enter")
    page.wait_for_selector("#film[data-ready]")
    first = page.get_attribute("#film", "data-ready")
    assert first == predicted["two"]
    press(page, "n")
    press(page, "a", "n", "x", "m")
    assert page.locator(".finding").count() == 3
    press(page, *["ArrowLeft"] * 3, "Control+ArrowUp", "Shift+ArrowRight", "Control+Shift+ArrowDown", "t")
    page.keyboard.type("beside the spine")
    press(page, "Escape")
    saved(page)
    marks = look(server, first, "Keyboard").marks
    assert [(mark.detection, mark.state) for mark in marks] == [("d1", "accepted"), ("d2", "rejected"), (None, "added")]
    x1, y1, x2, y2 = marks[2].box
    assert (x2 - x1, y2 - y1) == (26, 35)
    assert marks[2].note == "beside the spine"
    press(page, "Enter")
    page.wait_for_function("first => document.getElementById('film').dataset.ready !== first", arg=first)
    saved(page)
    assert look(server, first, "Keyboard").verdict == "findings"
    assert page.inner_text("#left") == "3 left"
    second = page.get_attribute("#film", "data-ready")
    press(page, "0")
    page.wait_for_function("second => document.getElementById('film').dataset.ready !== second", arg=second)
    third = page.get_attribute("#film", "data-ready")
    press(page, "u")
    page.wait_for_function("third => document.getElementById('film').dataset.ready !== third", arg=third)
    press(page, "0")
    page.wait_for_selector("#worklist-view:not([hidden])")
    saved(page)
    assert page.inner_text("#worklist-title") == "All films are read"
    assert page.text_content("#live") == "Every film is read."
    assert look(server, second, "Keyboard").verdict == "normal"
    assert look(server, third, "Keyboard").verdict == "unreadable"
    assert len({first, second, third}) == 3


@pytest.mark.parametrize("film", ["two", "oblong"])
def test_a_drawn_box_is_stored_at_the_pixels_it_was_drawn_around(
    enter: OpenPage, server: ReviewProcess, predicted: dict[str, str], film: str
) -> None:
    """Where a spot is on the screen is found in the picture itself, not by the page's own arithmetic."""
    reader = f"Draws {film}"
    page = enter(reader)
    open_film(page, predicted[film])
    press(page, "h", "b")
    known = {"two": [(90, 120), (230, 290)], "oblong": [(100, 200)]}[film]
    press(page, "n")
    for keys in (["f"], ["1"], ["f", "z"]):
        press(page, *keys)
        x, y = brightest_spot(page)
        press(page, "d")
        drag(page, (x - 24, y - 20), (x + 24, y + 20))
        saved(page)
        box = look(server, predicted[film], reader).marks[-1].box
        centre = np.array([box[0] + box[2], box[1] + box[3]]) / 2
        assert np.abs(known - centre).max(axis=1).min() <= 1.5 + 2 * (box[2] - box[0]) / 48
    boxes = [mark.box for mark in look(server, predicted[film], reader).marks]
    row_mm, column_mm = {"two": (0.8, 0.8), "oblong": (0.4, 0.9)}[film]
    ratios = [((box[2] - box[0]) * column_mm) / ((box[3] - box[1]) * row_mm) for box in boxes]
    assert ratios == pytest.approx([48 / 40] * 3, rel=0.03)


def brightest_spot(page: Page) -> tuple[float, float]:
    """The page's point over the brightest small patch around the first finding's box (CSS pixels)."""
    pixels = shown_pixels(page)
    stage = page.locator("#stage").bounding_box()
    x1, y1, x2, y2 = line_of(page, "d1")
    left, top = max(0, int(x1 - stage["x"]) - 20), max(0, int(y1 - stage["y"]) - 20)
    part = pixels[top : int(y2 - stage["y"]) + 20, left : int(x2 - stage["x"]) + 20]
    level = np.quantile(part, 0.97)
    rows, columns = np.nonzero(part >= level)
    return stage["x"] + left + columns.mean() + 0.5, stage["y"] + top + rows.mean() + 0.5


def test_sizes_are_told_in_the_right_kind_of_millimetre(enter: OpenPage, predicted: dict[str, str]) -> None:
    page = enter("Sizes")
    expected = {
        "two": r"\d+ mm at the detector",
        "oblong": r"\d+ mm \(calibrated\)",
        "bare": r"\d+ pixels \(no millimetre scale\)",
    }
    for film, words in expected.items():
        open_film(page, predicted[film])
        assert re.fullmatch(words, page.inner_text(".finding .size >> nth=0"))
    open_film(page, predicted["two"])
    press(page, "d")
    stage = page.locator("#stage").bounding_box()
    x, y = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 30, steps=3)
    assert re.fullmatch(r"\d+ mm at the detector", page.inner_text("#frame-note"))
    page.mouse.up()
    saved(page)


def test_a_finding_is_moved_and_resized_by_mouse_and_all_is_undone(
    enter: OpenPage, server: ReviewProcess, predicted: dict[str, str]
) -> None:
    page = enter("Mover")
    film = predicted["two"]
    open_film(page, film)
    press(page, "f")
    x1, y1, x2, y2 = line_of(page, "d1")
    scale = page.evaluate("document.querySelector(\".box[data-key='d1'] .line\").getAttribute('width')")
    page.mouse.click((x1 + x2) / 2, (y1 + y2) / 2)
    assert page.locator(".finding.chosen").count() == 1
    drag(page, ((x1 + x2) / 2, (y1 + y2) / 2), ((x1 + x2) / 2 + 40, (y1 + y2) / 2 + 24))
    saved(page)
    moved = look(server, film, "Mover").marks[0]
    detection = json.loads(page.evaluate("id => fetch(`/api/films/${id}`).then((answer) => answer.text())", film))[
        "detections"
    ][0]
    per_pixel = float(scale) / (detection["box"][2] - detection["box"][0])
    assert moved.state == "accepted"
    assert moved.moved
    assert np.subtract(moved.box, detection["box"]) == pytest.approx([40 / per_pixel, 24 / per_pixel] * 2, abs=0.2)
    x1, y1, x2, y2 = line_of(page, "d1")
    assert page.locator(".handle").count() == 8
    drag(page, (x2 + 5, y2 + 5), (x2 + 35, y2 + 17))
    saved(page)
    resized = look(server, film, "Mover").marks[0].box
    assert np.subtract(resized, moved.box) == pytest.approx([0, 0, 30 / per_pixel, 12 / per_pixel], abs=0.3)
    press(page, "Control+z")
    saved(page)
    assert look(server, film, "Mover").marks[0].box == moved.box
    press(page, "Control+Shift+z")
    saved(page)
    assert look(server, film, "Mover").marks[0].box == resized
    press(page, "Control+z", "Control+z")
    saved(page)
    assert look(server, film, "Mover").marks == ()
    assert page.locator(".finding.accepted").count() == 0


def test_touch_draws_and_pinches(enter: OpenPage, server: ReviewProcess, predicted: dict[str, str]) -> None:
    page = enter("Finger", viewport=(768, 1024), touch=True)
    open_film(page, predicted["two"])
    zoom = page.inner_text("#frame-note")
    touch = page.context.new_cdp_session(page)
    stage = page.locator("#stage").bounding_box()
    x, y = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2

    def fingers(kind: str, *points: tuple[float, float]) -> None:
        touch.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": at[0], "y": at[1], "id": number} for number, at in enumerate(points)]},
        )

    fingers("touchStart", (x - 40, y), (x + 40, y))
    for step in range(1, 5):
        fingers("touchMove", (x - 40 - 15 * step, y), (x + 40 + 15 * step, y))
    fingers("touchEnd")
    settle(page)
    assert page.inner_text("#frame-note") != zoom
    page.tap("#tool-draw")
    fingers("touchStart", (x, y))
    fingers("touchMove", (x + 30, y + 20))
    fingers("touchMove", (x + 60, y + 50))
    fingers("touchEnd")
    page.wait_for_selector(".finding.added")
    saved(page)
    assert look(server, predicted["two"], "Finger").marks[0].state == "added"


def test_window_zoom_and_layers_answer(enter: OpenPage, predicted: dict[str, str]) -> None:
    page = enter("Viewer")
    open_film(page, predicted["two"])
    press(page, "b")
    assert not page.locator("#marks").is_visible()
    with_heat = shown_pixels(page)
    press(page, "h")
    start = shown_pixels(page)
    assert np.abs(with_heat - start).max() > 20
    press(page, "ArrowUp", "ArrowUp", "ArrowUp")
    darker = shown_pixels(page)
    assert darker.mean() < start.mean() - 1
    press(page, "i")
    film = darker != 0
    assert np.abs((shown_pixels(page) + darker - 255)[film]).mean() < 3
    press(page, "i", "r")
    assert np.array_equal(shown_pixels(page), start)
    stage = page.locator("#stage").bounding_box()
    middle = (stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2)
    drag(page, middle, (middle[0] + 60, middle[1] + 40))
    assert not np.array_equal(shown_pixels(page), start)
    press(page, "r", "b")
    before = line_of(page, "d1")
    page.mouse.move(before[0], before[1])
    page.mouse.wheel(0, -400)
    settle(page)
    after = line_of(page, "d1")
    assert after[:2] == pytest.approx(before[:2], abs=1.5)
    assert after[2] - after[0] > 2 * (before[2] - before[0])
    page.mouse.down(button="right")
    page.mouse.move(before[0] + 50, before[1] + 30, steps=2)
    page.mouse.up(button="right")
    settle(page)
    assert np.subtract(line_of(page, "d1")[:2], after[:2]) == pytest.approx([50, 30], abs=1)
    press(page, "f")
    assert line_of(page, "d1") == pytest.approx(before, abs=0.5)


def test_a_film_shown_as_its_file_asks_for(enter: OpenPage, predicted: dict[str, str], tmp_path: Path) -> None:
    page = enter("Grey")
    open_film(page, predicted["two"])
    press(page, "h", "b", "1")
    shown = shown_pixels(page)
    film = shown[:, shown.max(axis=0) > 0]
    expected = 255 * np.clip((spots.spot_film((90, 120), (230, 290)).astype(float) - 1399.5) / 1999 + 0.5, 0, 1)
    height, width = shown.shape
    assert height >= 400
    top, left = (height - 400) / 2, (width - 320) / 2
    assert film.size
    part = shown[round(top) : round(top) + 400, round(left) : round(left) + 320]
    assert np.corrcoef(part.ravel(), expected.ravel())[0, 1] > 0.99


def test_normal_is_not_said_over_a_finding_and_undo_goes_back(
    enter: OpenPage, server: ReviewProcess, predicted: dict[str, str]
) -> None:
    page = enter("Careful")
    open_film(page, predicted["two"])
    press(page, "n", "a", "0")
    assert "Not normal: 1 finding" in page.inner_text("#message")
    press(page, "Enter")
    assert "no answer yet" in page.inner_text("#message")
    assert page.get_attribute("#film", "data-ready") == predicted["two"]
    press(page, "Enter")
    page.wait_for_function("two => document.getElementById('film').dataset.ready !== two", arg=predicted["two"])
    saved(page)
    assert look(server, predicted["two"], "Careful").verdict == "findings"
    press(page, "Control+z")
    page.wait_for_selector(f"#film[data-ready='{predicted['two']}']")
    page.wait_for_function("() => document.getElementById('panel-title').textContent.includes('by the detector')")
    saved(page)
    undone = look(server, predicted["two"], "Careful")
    assert undone.verdict is None
    assert undone.marks[0].state == "accepted"


def test_a_change_to_a_finished_film_opens_it_again(enter: OpenPage, server: ReviewProcess, predicted: dict[str, str]) -> None:
    page = enter("Second thoughts")
    open_film(page, predicted["bare"])
    press(page, "0")
    page.wait_for_function("bare => document.getElementById('film').dataset.ready !== bare", arg=predicted["bare"])
    open_film(page, predicted["bare"])
    assert page.inner_text("#panel-title") == "Read: normal"
    press(page, "n", "a")
    saved(page)
    assert look(server, predicted["bare"], "Second thoughts").verdict is None
    assert look(server, predicted["bare"], "Second thoughts").marks[0].state == "accepted"


def test_a_key_pressed_while_the_next_film_comes_is_meant_for_neither(
    enter: OpenPage, server: ReviewProcess, predicted: dict[str, str]
) -> None:
    page = enter("Hasty")
    open_film(page, predicted["two"])
    waiting: list[Route] = []
    page.route(re.compile(r"/api/films/[0-9a-f]{16}$"), lambda route: waiting.append(route))
    press(page, "0")
    page.wait_for_selector("#loading:not([hidden])")
    press(page, "u", "m")
    saved(page)
    for route in waiting:
        route.continue_()
    page.unroute_all(behavior="ignoreErrors")
    page.wait_for_function("two => document.getElementById('film').dataset.ready !== two", arg=predicted["two"])
    first = look(server, predicted["two"], "Hasty")
    assert (first.verdict, first.marks) == ("normal", ())
    assert page.inner_text("#left") == "3 left"
    assert page.locator(".finding.added").count() == 0


def test_a_key_held_too_long_moves_a_box_on_but_finishes_no_second_film(
    enter: OpenPage, server: ReviewProcess, predicted: dict[str, str]
) -> None:
    page = enter("Heavy hand")
    open_film(page, predicted["two"])
    press(page, "m")
    saved(page)
    x1 = look(server, predicted["two"], "Heavy hand").marks[0].box[0]
    for _ in range(3):
        page.keyboard.down("ArrowRight")
    page.keyboard.up("ArrowRight")
    press(page, "Escape")
    saved(page)
    assert look(server, predicted["two"], "Heavy hand").marks[0].box[0] == x1 + 3
    press(page, "Control+z", "Control+z")
    saved(page)
    assert look(server, predicted["two"], "Heavy hand").marks == ()
    page.keyboard.down("0")
    page.wait_for_function("two => document.getElementById('film').dataset.ready !== two", arg=predicted["two"])
    for _ in range(5):
        page.keyboard.down("0")
        settle(page)
    page.keyboard.up("0")
    saved(page)
    assert look(server, predicted["two"], "Heavy hand").verdict == "normal"
    assert page.inner_text("#left") == "3 left"


def test_a_film_that_was_not_analysed_is_not_said_to_be_without_finding(enter: OpenPage, predicted: dict[str, str]) -> None:
    page = enter("Listener")
    open_film(page, predicted["lateral"])
    assert page.inner_text("#panel-title") == "Not analysed"
    assert "Not analysed by the detector." in page.text_content("#live")


def test_a_dozen_tabs_do_not_starve_each_other(enter: OpenPage, predicted: dict[str, str]) -> None:
    """A browser opens six connections to a server; a stream of news in each tab would use them up."""
    page = enter("Many")
    tabs = [page, *(enter("Many", beside=page) for _ in range(7))]
    for tab in (tabs[0], tabs[-1]):
        open_film(tab, predicted["two"])
    press(tabs[-1], "n", "a")
    saved(tabs[-1])
    tabs[0].wait_for_selector(".finding.accepted")
    tabs[1].close()
    tabs[0].close()
    press(tabs[-1], "n", "x")
    saved(tabs[-1])
    open_film(tabs[3], predicted["two"])
    press(tabs[3], "n", "c")
    saved(tabs[3])
    tabs[-1].wait_for_selector(".finding.undecided")


def test_two_tabs_see_each_other(enter: OpenPage, predicted: dict[str, str]) -> None:
    page = enter("Twice")
    other = enter("Twice", beside=page)
    open_film(page, predicted["two"])
    open_film(other, predicted["two"])
    press(page, "n", "a")
    other.wait_for_selector(".finding.accepted")
    press(other, "n", "n", "x")
    page.wait_for_selector(".finding.rejected")
    press(page, "Enter")
    saved(page)
    other.wait_for_function("() => document.getElementById('panel-title').textContent === 'Read: with findings'")
    press(other, "l")
    other.wait_for_function("() => document.getElementById('worklist-title').textContent === '3 of 4 films left to read'")


def test_a_conflict_is_explained_and_can_be_settled(
    enter: OpenPage, server: ReviewProcess, predicted: dict[str, str], complaints: Complaints
) -> None:
    complaints.expected += ["status of 409"]
    page = enter("Torn")
    deaf = page.context.new_page()
    deaf.add_init_script("window.BroadcastChannel = class { addEventListener() {} postMessage() {} };")
    deaf.goto(server.origin)
    deaf.wait_for_selector(".row")
    open_film(page, predicted["two"])
    open_film(deaf, predicted["two"])
    press(page, "n", "a")
    saved(page)
    press(deaf, "n", "n", "x")
    deaf.wait_for_selector("#conflict:not([hidden])")
    assert "changed elsewhere" in deaf.inner_text("#conflict")
    assert "reject finding 2" in deaf.inner_text("#conflict")
    assert deaf.locator(".finding.accepted").count() == 1
    assert deaf.locator(".finding.rejected").count() == 0
    deaf.click("text=Make these changes again")
    deaf.wait_for_selector(".finding.rejected")
    saved(deaf)
    assert {mark.detection: mark.state for mark in look(server, predicted["two"], "Torn").marks} == {
        "d1": "accepted",
        "d2": "rejected",
    }


def test_two_readers_are_kept_apart_and_shown_side_by_side(enter: OpenPage, predicted: dict[str, str]) -> None:
    anna = enter("Anna")
    film = predicted["two"]
    open_film(anna, film)
    press(anna, "n", "a", "n", "x", "m")
    saved(anna)
    press(anna, "Enter")
    saved(anna)
    ben = enter("Ben")
    open_film(ben, film)
    assert ben.locator(".finding.accepted, .finding.added").count() == 0
    assert "Anna" in ben.inner_text("#readers")
    assert "accepted" not in ben.inner_text("#readers")
    press(ben, "n", "x", "n", "a")
    assert ben.locator(".box.other").count() == 0
    press(ben, "o")
    labels = ben.locator(".box.other text").all_text_contents()
    assert [label for label in labels if label.startswith("Anna")] == ["Anna 1", "Anna A"]
    assert ben.evaluate("getComputedStyle(document.querySelector('.box.other .line')).strokeDasharray") != "none"
    head, first = (
        [cell.strip() for cell in ben.locator(f"#readers tr >> nth={at}").locator("th, td").all_inner_texts()] for at in (0, 1)
    )
    assert head[:2] == ["Finding", "you"]
    assert first[:2] == ["1", "✕ rejected"]
    assert "mm" in first[head.index("Anna")]


def test_what_was_saved_survives_a_killed_server_and_what_was_not_arrives_later(
    enter: OpenPage, predicted: dict[str, str], tmp_path: Path, complaints: Complaints
) -> None:
    complaints.expected += [
        "ERR_CONNECTION_REFUSED",
        "ERR_INCOMPLETE_CHUNKED",
        "ERR_EMPTY_RESPONSE",
        "status of 403",
        "ERR_CONNECTION_RESET",
    ]
    two, oblong = predicted["two"], predicted["oblong"]
    with serving(predicted, tmp_path / "served") as mortal:
        page, shut = enter("Storm", at=mortal), None
        open_film(page, two)
        shut = enter("Storm", at=mortal, beside=page)
        open_film(shut, oblong)
        press(page, "n", "a")
        saved(page)
        mortal.kill()
        press(page, "n", "x", "m")
        press(shut, "n", "a")
        page.wait_for_selector("#saving[data-state=not-saved]")
        shut.wait_for_selector("#saving[data-state=not-saved]")
        assert "retrying (2 kept here)" in page.inner_text("#saving")
        assert page.locator(".finding.accepted").count() == 1
        assert [mark.state for mark in look(mortal, two, "Storm").marks] == ["accepted"]
        shut.close(run_before_unload=False)
        mortal.start()
        page.wait_for_function("() => document.getElementById('saving').textContent.includes('not signed in')")
        again = page.context.new_page()
        again.goto(mortal.link)
        saved(page)
        assert [mark.state for mark in look(mortal, two, "Storm").marks] == ["accepted", "rejected", "added"]
        again.wait_for_selector("#reader:not([hidden]), #name-dialog[open]")
        if again.locator("#name-dialog[open]").count():
            assert "not saved" in again.inner_text("#known-readers")
            again.click("#known-readers >> text=Storm")
        again.wait_for_selector("#reader:not([hidden])")
        again.wait_for_selector(".row")
        saved(again)
        assert [mark.state for mark in look(mortal, oblong, "Storm").marks] == ["accepted"]


def test_what_is_not_saved_survives_a_reload(
    enter: OpenPage, server: ReviewProcess, predicted: dict[str, str], complaints: Complaints
) -> None:
    complaints.expected += ["ERR_FAILED", "net::ERR"]
    page = enter("Reloads")
    open_film(page, predicted["two"])
    page.route("**/actions", lambda route: route.abort())
    press(page, "n", "a")
    page.wait_for_selector("#saving[data-state=not-saved]")
    warned: list[str] = []
    page.on("dialog", lambda dialog: (warned.append(dialog.type), dialog.accept()))
    page.unroute("**/actions")
    page.route("**/actions", lambda route: route.abort() if not warned else route.continue_())
    page.reload()
    page.wait_for_selector(".finding.accepted")
    saved(page)
    assert warned == ["beforeunload"]
    assert look(server, predicted["two"], "Reloads").marks[0].state == "accepted"


def test_what_the_page_shows_while_it_waits_is_what_the_server_makes_of_it(
    enter: OpenPage, server: ReviewProcess, predicted: dict[str, str], complaints: Complaints
) -> None:
    complaints.expected += ["ERR_FAILED", "net::ERR"]
    page = enter("Waits")
    film = predicted["two"]
    open_film(page, film)
    page.route("**/actions", lambda route: route.abort())
    rng = np.random.default_rng(5)
    keys = [
        "n",
        "p",
        "a",
        "x",
        "c",
        "m",
        "Delete",
        "ArrowLeft",
        "Control+ArrowUp",
        "Shift+ArrowRight",
        "Control+z",
        "Control+Shift+z",
    ]
    press(page, "n", *(keys[at] for at in rng.integers(len(keys), size=60)), "Escape")

    def shown() -> list[tuple[str, str]]:
        rows = page.locator(".finding")
        return [(row.locator(".number").inner_text(), row.get_attribute("class").split()[1]) for row in rows.all()]

    page.wait_for_selector("#saving[data-state=not-saved]")
    foreseen, places = (
        shown(),
        [line_of(page, key) for key in page.eval_on_selector_all(".box", "all => all.map((box) => box.dataset.key)")],
    )
    assert len(foreseen) > 2
    page.unroute("**/actions")
    page.evaluate("dispatchEvent(new Event('online'))")
    saved(page)
    assert shown() == foreseen
    assert [
        line_of(page, key) for key in page.eval_on_selector_all(".box", "all => all.map((box) => box.dataset.key)")
    ] == places
    stored = {mark.detection: mark.state for mark in look(server, film, "Waits").marks if mark.detection}
    assert {label: state for label, state in foreseen if label.isdigit() and state != "undecided"} == {
        key.removeprefix("d"): state for key, state in stored.items()
    }


def test_a_reader_takes_over_what_his_closed_tab_left_and_nothing_of_another_reader(
    enter: OpenPage, server: ReviewProcess, predicted: dict[str, str], complaints: Complaints
) -> None:
    complaints.expected += ["ERR_FAILED"]
    page = enter("Dr. Ada")
    page.context.route("**/actions", lambda route: route.abort())
    open_film(page, predicted["two"])
    press(page, "n", "a")
    page.wait_for_selector("#saving[data-state=not-saved]")
    beside = page.context.new_page()
    page.close(run_before_unload=False)
    beside.goto(server.origin)
    beside.wait_for_selector("#saving[data-state=not-saved]")
    beside.context.unroute("**/actions")
    beside.evaluate("dispatchEvent(new Event('online'))")
    saved(beside)
    assert look(server, predicted["two"], "Dr. Ada").marks[0].state == "accepted"
    beside.context.route("**/actions", lambda route: route.abort())
    open_film(beside, predicted["oblong"])
    press(beside, "n", "a")
    beside.wait_for_selector("#saving[data-state=not-saved]")
    other = beside.context.new_page()
    beside.close(run_before_unload=False)
    other.goto(server.link)
    other.wait_for_selector("#name-dialog[open], #reader:not([hidden])")
    if not other.locator("#name-dialog[open]").count():
        other.click("#reader")
    other.fill("#name", "Dr")
    other.keyboard.press("Enter")
    other.wait_for_function(
        "() => document.getElementById('reader').textContent === 'Dr' || document.getElementById('name-wrong').textContent"
    )
    assert "not saved" in other.inner_text("#name-wrong") or other.inner_text("#saving") == "Saved"
    with ReviewStore(server.store, read_only=True) as store:
        assert store.read(predicted["oblong"], "Dr") is None


def test_the_second_reader_sees_nothing_of_the_detector_before_the_first_look_is_finished(
    enter: OpenPage, predicted: dict[str, str], tmp_path: Path
) -> None:
    with serving(predicted, tmp_path / "served", "--second-reader") as second:
        page = enter("Blind", at=second)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        names = page.eval_on_selector_all(".row .name", "cells => cells.map((cell) => cell.textContent)")
        assert names[:3] == sorted(names[:3])
        assert not re.search(r"\d\.\d", page.inner_text("#rows"))
        film = predicted["two"]
        open_film(page, film)
        assert page.inner_text("#panel-title") == "First look"
        assert page.locator(".box").count() == 0
        assert page.locator(".finding").count() == 0
        assert not page.locator("#heat-switch").is_visible()
        assert not page.locator("#below").is_visible()
        press(page, "h", "n", "a")
        facts = json.loads(page.evaluate("id => fetch(`/api/films/${id}`).then((answer) => answer.text())", film))
        assert facts["detections"] == []
        assert facts["film_score"] is None
        assert not [url for url in asked if "heatmap" in url]
        press(page, "m", "Enter")
        page.wait_for_selector(".box.undecided")
        assert page.get_attribute("#film", "data-ready") == film
        assert page.locator(".finding").count() == 3
        assert "first look" in page.inner_text("#panel-lead").lower()
        press(page, "h")
        page.wait_for_function("() => document.getElementById('heat-switch').offsetParent !== null")
        first = look(second, film, "Blind").first
        assert first is not None
        assert [mark.state for mark in first.marks] == ["added"]
        press(page, "n", "a", "Enter", "Enter")
        page.wait_for_function("film => document.getElementById('film').dataset.ready !== film", arg=film)
        saved(page)
        final = look(second, film, "Blind")
        assert final.verdict == "findings"
        assert {mark.state for mark in final.marks} == {"accepted", "added"}
        assert final.first == first
        page.close()


def test_a_first_look_that_was_left_at_its_end_goes_on_to_the_second(
    enter: OpenPage, predicted: dict[str, str], tmp_path: Path
) -> None:
    with serving(predicted, tmp_path / "served", "--second-reader") as second:
        page = enter("Interrupted", at=second)
        page.evaluate(
            """film => fetch(`/api/films/${film}/actions`, {
                method: "POST", headers: { "Content-Type": "application/json" },
                body: JSON.stringify({ action_id: crypto.randomUUID(), base_revision: 0, kind: "verdict", verdict: "normal" }),
            })""",
            predicted["two"],
        )
        open_film(page, predicted["two"])
        assert page.inner_text("#panel-title") == "Read: normal"
        press(page, "0")
        page.wait_for_selector(".box.undecided")
        assert page.get_attribute("#film", "data-ready") == predicted["two"]
        saved(page)
        assert look(second, predicted["two"], "Interrupted").phase == "second"
        page.close()


def test_what_comes_from_files_and_readers_stays_text(
    enter: OpenPage, server: ReviewProcess, predicted: dict[str, str]
) -> None:
    page = enter(EVIL)
    assert page.inner_text("#reader") == EVIL
    assert EVIL in page.inner_text("#rows")
    open_film(page, predicted["bare"])
    assert EVIL in page.inner_text("#where")
    press(page, "n", "a", "t")
    page.keyboard.type(EVIL)
    press(page, "Escape", "Enter")
    page.wait_for_function("bare => document.getElementById('film').dataset.ready !== bare", arg=predicted["bare"])
    saved(page)
    assert page.title() != "owned"
    assert page.locator("img").count() == 0
    beside = enter("Curious")
    open_film(beside, predicted["bare"])
    press(beside, "o")
    assert EVIL in beside.inner_text("#readers")
    assert beside.title() != "owned"


def test_the_worklist_is_filtered_and_searched_by_keyboard(enter: OpenPage, predicted: dict[str, str]) -> None:
    page = enter("Lister")
    open_film(page, predicted["oblong"])
    press(page, "0")
    page.wait_for_function("film => document.getElementById('film').dataset.ready !== film", arg=predicted["oblong"])
    press(page, "l")
    assert page.locator(".row").count() == 3
    press(page, "ArrowLeft")
    assert page.inner_text("#filters [aria-pressed=true]").startswith("All")
    assert page.locator(".row").count() == 4
    counts = {
        words.split("\n")[0].rstrip("0123456789 "): int(re.search(r"\d+$", words).group())
        for words in page.locator("#filters button").all_inner_texts()
    }
    assert counts == {"All": 4, "Unread": 3, "Mine": 1, "With findings": 0, "Normal": 1, "Cannot read": 0, "Refused": 1}
    press(page, "/")
    page.keyboard.type("lateral")
    press(page, "Enter")
    assert page.locator(".row").count() == 1
    assert "not analysed" in page.inner_text(".row")
    press(page, "Enter")
    page.wait_for_selector(f"#film[data-ready='{predicted['lateral']}']")
    assert page.inner_text("#panel-title") == "Not analysed"
    press(page, "u")
    saved(page)


def test_what_readers_said_is_fetched_from_the_worklist(enter: OpenPage, predicted: dict[str, str]) -> None:
    page = enter("Exporter")
    open_film(page, predicted["two"])
    press(page, "n", "a", "l")
    saved(page)
    assert page.locator("#exports a").all_inner_texts()[:2] == ["COCO", "CSV"]
    with page.expect_download() as fetched:
        page.click("#exports >> text=CSV")
    table = fetched.value.path().read_text(encoding="utf-8")
    assert "Exporter" in table
    assert "accepted" in table


def test_every_key_is_listed_and_focus_reaches_everything(enter: OpenPage, predicted: dict[str, str]) -> None:
    page = enter("Tabber")
    open_film(page, predicted["two"])
    press(page, "?")
    assert page.locator("#keys-dialog").is_visible()
    assert page.locator("#keys dt").count() > 30
    press(page, "Escape")
    assert not page.locator("#keys-dialog").is_visible()
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.id || document.activeElement.dataset.focus || document.activeElement.tagName")
        )
    assert {
        *("skip", "to-worklist", "reader", "show-keys", "stage", "tool-window", "tool-draw", "invert", "fit"),
        *(
            "d1",
            "d1 accept",
            "d1 reject",
            "d2",
            "note",
            "show-heat",
            "show-boxes",
            "opacity",
            "normal",
            "findings",
            "unreadable",
        ),
    } <= reached
    page.focus("[data-focus='d1 accept']")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    press(page, "Enter")
    page.wait_for_selector(".finding.accepted")
    assert page.evaluate("document.activeElement.dataset.focus") == "d1 accept"
    saved(page)
    assert "accepted" in page.inner_text("#live")


def test_a_tablet_has_room_for_everything(enter: OpenPage, predicted: dict[str, str]) -> None:
    page = enter("Tablet", viewport=(768, 1024), touch=True)

    def check() -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= 768
        assert DISCLAIMER in page.inner_text(".notice")
        sizes = page.evaluate(
            """[...document.querySelectorAll("button, .row, summary, main a")].filter((item) => item.offsetParent)
                .map((item) => [item.textContent, item.getBoundingClientRect().height, item.getBoundingClientRect().right])"""
        )
        assert [name for name, height, right in sizes if height < 44 or right > 768] == []

    check()
    open_film(page, predicted["two"])
    check()
    assert page.locator("#stage").bounding_box()["height"] > 400
    assert page.locator("#finish").is_visible()
