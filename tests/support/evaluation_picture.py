"""Makes .github/evaluation.png: parts of an evaluation report on synthetic films, as a browser shows them.

``make pictures`` runs it: films, catalogue, evaluation with the shipped detector, and the picture.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

SHOWN = {"Summary", "Free-response ROC", "Examples of misses and false alarms"}
STEPS = (
    "phantoms films --num 48 --size 640 --diameter-mm 13 --seed 100",
    "ingest films --labels films/labels.csv --format plain-csv --split 0,0,1 --out catalogue --salt-file salt",
    "evaluate --catalogue catalogue --split test --examples 2 --out figures --title Evaluation",
)
LEAVE_OTHERS_OUT = """(kept) => {
    let keep = true;
    for (const element of [...document.querySelector("main").children]) {
        if (element.tagName === "H2") keep = kept.includes(element.textContent);
        if (!keep || element.matches(".filing, .sign-off")) element.remove();
    }
    document.querySelector("footer").remove();
}"""


def make_picture(out: Path) -> None:
    """Evaluate on synthetic films in a folder of its own, and keep a picture of the report."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("chromium is missing: make test-tools installs it")
    with tempfile.TemporaryDirectory() as folder:
        for step in STEPS:
            subprocess.run([sys.executable, "-m", "xraynet", *step.split()], cwd=folder, check=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1120, "height": 900})
            page.goto((Path(folder) / "figures" / "report.html").as_uri())
            page.evaluate(LEAVE_OTHERS_OUT, sorted(SHOWN))
            page.screenshot(path=Path(folder) / "page.png", full_page=True)
            browser.close()
        with Image.open(Path(folder) / "page.png") as shown:
            reduce_colours(shown.convert("RGB")).save(out, optimize=True)


def reduce_colours(picture: Image.Image, *, num_greys: int = 96, num_colours: int = 32) -> Image.Image:
    """The picture in few greys and few colours, a third of the size: films stay grey, and rare lines keep their colour."""
    pixels = np.asarray(picture).reshape(-1, 3)
    coloured = pixels[np.ptp(pixels.astype(np.int16), axis=1) > 40]
    found = Image.fromarray(coloured[None]).quantize(num_colours, method=Image.Quantize.MAXCOVERAGE).getpalette() or []
    greys = np.repeat(np.linspace(0, 255, num_greys).round().astype(int), 3).tolist()
    palette = Image.new("P", (1, 1))
    palette.putpalette(greys + found[: 3 * num_colours])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


if __name__ == "__main__":
    make_picture(Path(sys.argv[1]))
