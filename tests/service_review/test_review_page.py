"""The review page's files, before any browser: what they may not contain, and whether their colours can be read."""

import re
from importlib import resources
from itertools import product

import pytest

PAGE = resources.files("xraynet.service.review") / "page"
FILES = sorted(file.name for file in PAGE.iterdir() if file.name.endswith((".html", ".css", ".js")))
SCRIPTS = [name for name in FILES if name.endswith(".js")]


def read(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


def tokens() -> dict[str, str]:
    """The colours that the style sheet names."""
    return dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", read("review.css")))


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_black_on_white_has_the_contrast_that_the_standard_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize(
    ("ink", "ground"),
    [*product(("text", "quiet", "mark", "caution", "yes", "no", "other", "alarm"), ("ground", "panel", "raised"))],
)
def test_every_ink_can_be_read_on_every_ground(ink: str, ground: str) -> None:
    assert contrast(tokens()[ink], tokens()[ground]) >= 4.5


@pytest.mark.parametrize(("ink", "ground"), [("text", "pressed"), ("quiet", "line"), ("white", "main")])
def test_buttons_can_be_read_when_pressed_or_first(ink: str, ground: str) -> None:
    colours = {**tokens(), "white": "#ffffff"}
    assert contrast(colours[ink], colours[ground]) >= 4.5


def test_grounds_written_out_can_be_read_too() -> None:
    style, text = read("review.css"), tokens()["text"]
    written = re.findall(r"background: (#[0-9a-f]{6});", style)
    assert len(written) >= 5
    assert [ground for ground in written if contrast(text, ground) < 4.5 and ground != "#39444f"] == []


def test_focus_can_be_seen_on_every_ground() -> None:
    assert min(contrast(tokens()["mark"], tokens()[ground]) for ground in ("ground", "panel", "raised", "pressed", "main")) >= 3


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_loaded_from_elsewhere(name: str) -> None:
    addresses = set(re.findall(r"https?://[^\s\"'`]+", read(name))) - {"http://www.w3.org/2000/svg"}
    assert addresses == set()
    assert not re.search(r"@import|url\((?!#)", read(name))


def test_the_document_has_no_script_or_style_of_its_own() -> None:
    document = read("index.html")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+\s*=", document)
    assert re.findall(r"<script([^>]*)>(.*?)</script>", document, flags=re.DOTALL) == [
        (' type="module" src="/static/main.js"', "")
    ]
    assert "Research use, not for diagnosis" in document


@pytest.mark.parametrize("name", SCRIPTS)
def test_text_from_the_server_cannot_become_markup(name: str) -> None:
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(\"(style|on)", read(name)
    )


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_module_that_is_imported_is_there(name: str) -> None:
    shared = resources.files("xraynet.reporting") / "templates"
    for asked in re.findall(r'from "\./([a-z.]+)"', read(name)):
        assert (PAGE / asked).is_file() or (asked == "film.js" and (shared / asked).is_file())


def test_every_place_that_a_script_asks_for_is_in_the_document() -> None:
    ids = set(re.findall(r'\bid="([a-z-]+)"', read("index.html")))
    made = {
        name for script in SCRIPTS for name in re.findall(r'\["([a-z-]+)", "[^"]+", "[A-Z0-9]?", \(controls\)', read(script))
    }
    asked = {name for script in SCRIPTS for name in re.findall(r'\bby\("([a-z-]+)"\)', read(script))}
    assert asked - ids - made == set()
    assert len(asked) > 40


def test_every_key_names_something_that_can_be_done() -> None:
    rooms = {"FILM_KEYS": read("desk.js") + read("controls.js") + read("main.js"), "WORKLIST_KEYS": read("worklist.js")}
    for table, code in rooms.items():
        block = re.search(rf"const {table} = \[(.*?)\n\];", read("keys.js"), flags=re.DOTALL)
        assert block is not None
        lines = re.findall(r'\["([^"]*)", "([^"]*)", "([^"]*)", "([^"]*)"', block.group(1))
        named = {run for _, _, _, run in lines if run}
        assert len(named) >= 4
        assert {run for run in named if not re.search(rf"^(  |function ){run}\(", code, flags=re.MULTILINE)} == set()


def test_motion_is_left_out_for_those_who_ask_for_it() -> None:
    style = re.sub(r"@media \(prefers-reduced-motion: no-preference\) \{.*\}", "", read("review.css"))
    assert "transition" not in style
    assert "animation" not in style


def test_the_page_is_in_the_package() -> None:
    assert {"index.html", "review.css", "main.js"} <= set(FILES)
