"""Makes the pictures that README and model card show, all of synthetic films: report, review page, evaluation, failures.

``make pictures`` runs it with the shipped detector; each picture is what a browser shows.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from review_process import ReviewProcess

FILMS = "phantoms films --num 3 --size 1400 --nodule-every 1 --diameter-mm 14 --seed 21"
SPACING = "0.285714,0.285714"  # 400 mm in 1400 pixels, which a PNG cannot say
EVALUATION = (
    "phantoms films --num 48 --size 640 --diameter-mm 13 --seed 100",
    "ingest films --labels films/labels.csv --format plain-csv --split 0,0,1 --out catalogue --salt-file salt",
    "evaluate --catalogue catalogue --split test --examples 2 --out figures --title Evaluation",
)
FAILURES = (
    "phantoms films --num 96 --size 640 --diameter-mm 9 --seed 300",
    "ingest films --labels films/labels.csv --format plain-csv --split 0,0,1 --out catalogue --salt-file salt",
    "evaluate --catalogue catalogue --split test --examples 4 --out figures --title Failures",
)
EXAMPLES = "Examples of misses and false alarms"
SHOWN_OF_EVALUATION = {"Summary", "Free-response ROC", EXAMPLES}
LEAVE_OTHERS_OUT = """(kept) => {
    let keep = true;
    for (const element of [...document.querySelector("main").children]) {
        if (element.tagName === "H2") keep = kept.includes(element.textContent);
        if (!keep || element.matches(".filing, .sign-off")) element.remove();
    }
    document.querySelector("footer").remove();
}"""


def main(folder: Path) -> None:
    """Make all pictures in ``folder``, in a working folder of its own."""
    with tempfile.TemporaryDirectory() as made:
        results = Path(made) / "results"
        run(FILMS, made)
        run(f"predict films --out results --spacing-mm {SPACING}", made)
        with shown(1280, 860) as page:
            page.goto((results / "index.html").as_uri())
            page.locator("tbody tr").first.locator("td.file a").click()
            page.wait_for_selector("#window-note:not(:empty)")
            keep(page, folder / "report.png")
        show_review(results, folder / "review.png")
    with tempfile.TemporaryDirectory() as made:
        for step in EVALUATION:
            run(step, made)
        with shown(1120, 900) as page:
            page.goto((Path(made) / "figures" / "report.html").as_uri())
            page.evaluate(LEAVE_OTHERS_OUT, sorted(SHOWN_OF_EVALUATION))
            keep(page, folder / "evaluation.png", full_page=True)
    with tempfile.TemporaryDirectory() as made:
        for step in FAILURES:
            run(step, made)
        with shown(1120, 900) as page:
            page.goto((Path(made) / "figures" / "report.html").as_uri())
            page.evaluate(LEAVE_OTHERS_OUT, [EXAMPLES])
            keep(page, folder / "failures.png", full_page=True)


def show_review(results: Path, out: Path) -> None:
    """The most suspicious film as a reader leaves it: the detector's finding accepted, one drawn beside it."""
    server = ReviewProcess(results).start()
    try:
        with shown(1360, 850) as page:
            page.goto(server.link)
            page.wait_for_selector("#name-dialog[open]")
            page.keyboard.type("Reader 1")
            page.keyboard.press("Enter")
            page.wait_for_selector("#rows [role=option]")
            page.keyboard.press("Enter")
            page.wait_for_selector("#findings li")
            page.wait_for_selector("#loading", state="hidden")
            page.keyboard.press("n")
            page.keyboard.press("a")
            page.wait_for_selector("#findings li:has-text('accepted')")
            page.keyboard.press("d")
            box = page.locator("#stage").bounding_box()
            assert box is not None
            x, y = box["x"] + 0.63 * box["width"], box["y"] + 0.44 * box["height"]
            page.mouse.move(x, y)
            page.mouse.down()
            page.mouse.move(x + 36, y + 32, steps=5)
            page.mouse.up()
            page.wait_for_selector("#findings li:has-text('added by you')")
            page.wait_for_selector("#saving[data-state=saved]")
            page.wait_for_selector("#message", state="hidden")
            keep(page, out)
    finally:
        server.kill()


def run(arguments: str, folder: Path | str) -> None:
    """A verb of xraynet in ``folder``."""
    subprocess.run([sys.executable, "-m", "xraynet", *arguments.split()], cwd=folder, check=True)


@contextmanager
def shown(width: int, height: int) -> Iterator[Page]:
    """An empty page in headless Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("chromium is missing: make test-tools installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": width, "height": height})
        browser.close()


def keep(page: Page, out: Path, *, full_page: bool = False) -> None:
    """What the page shows, as a small PNG."""
    with tempfile.TemporaryDirectory() as folder:
        page.screenshot(path=Path(folder) / "page.png", full_page=full_page)
        with Image.open(Path(folder) / "page.png") as picture:
            reduce_colours(picture.convert("RGB")).save(out, optimize=True)


def reduce_colours(picture: Image.Image, *, num_greys: int = 160, num_colours: int = 32) -> Image.Image:
    """The picture in few greys and few colours, a third of the size: films stay grey, and rare lines keep their colour."""
    pixels = np.asarray(picture).reshape(-1, 3)
    coloured = pixels[np.ptp(pixels.astype(np.int16), axis=1) > 40]
    found = Image.fromarray(coloured[None]).quantize(num_colours, method=Image.Quantize.MAXCOVERAGE).getpalette() or []
    greys = np.repeat(np.linspace(0, 255, num_greys).round().astype(int), 3).tolist()
    palette = Image.new("P", (1, 1))
    palette.putpalette(greys + found[: 3 * num_colours])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
