"""The letters of a PDF: DejaVu, embedded, for most scripts; the reader's own fonts for Chinese, Japanese and Korean.

Scripts that are written from right to left, or whose letters take their form from their neighbours, cannot be set
letter by letter; neither can letters that no font here has. They are shown as ▯, and whoever calls is told.
"""

import unicodedata
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Final
from xml.sax.saxutils import escape

from reportlab import rl_config
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

from xraynet.reporting.fonts import find_font, font_letters, needs_shaping
from xraynet.reporting.language import Language

PLAIN: Final = "DejaVuSans"
BOLD: Final = "DejaVuSans-Bold"
MISSING: Final = "▯"
_JAPANESE: Final = "HeiseiKakuGo-W5"
_KOREAN: Final = "HYGothic-Medium"
_SIMPLIFIED: Final = "STSong-Light"
_TRADITIONAL: Final = "MSung-Light"
_EAST_ASIAN: Final = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH", "BOPOMOFO")


@cache
def prepare_reportlab() -> None:
    """Make all fonts known to reportlab, and let it write streams as they are; once a process."""
    # Its detour over printable characters is pure Python: most of the time, and a quarter more bytes.
    rl_config.useA85 = 0
    for name in (PLAIN, BOLD):
        pdfmetrics.registerFont(TTFont(name, str(find_font(name))))
    pdfmetrics.registerFontFamily(PLAIN, normal=PLAIN, bold=BOLD, italic=PLAIN, boldItalic=BOLD)
    for name in (_JAPANESE, _KOREAN, _SIMPLIFIED, _TRADITIONAL):
        pdfmetrics.registerFont(UnicodeCIDFont(name))


@dataclass(frozen=True)
class Run:
    """A stretch of text in one font; None stands for the paragraph's own."""

    text: str
    font: str | None


def split_by_font(text: str, *, language: Language) -> list[Run]:
    """The runs of a text, letters that cannot be set replaced by ▯; control characters are dropped."""
    east_asian = _east_asian_font(text, language)
    kept = [letter for letter in text if unicodedata.category(letter)[0] != "C"]
    marked = [(letter, None) if _has(letter) else _elsewhere(letter, east_asian) for letter in kept]
    return [
        Run("".join(letter for letter, _ in run), font) for font, run in groupby(marked, key=lambda letter_font: letter_font[1])
    ]


def _has(letter: str) -> bool:
    return ord(letter) in font_letters(PLAIN) and ord(letter) in font_letters(BOLD) and not needs_shaping(letter)


def _elsewhere(letter: str, east_asian: str) -> tuple[str, str | None]:
    return (letter, east_asian) if unicodedata.name(letter, "").startswith(_EAST_ASIAN) else (MISSING, None)


def _east_asian_font(text: str, language: Language) -> str:
    """Which font sets Chinese characters: told by kana and Hangul beside them, else by the page's language."""
    names = {unicodedata.name(letter, "").split(" ")[0] for letter in text}
    if "HANGUL" in names or language.code.startswith("ko"):
        return _KOREAN
    if names & {"HIRAGANA", "KATAKANA"} or language.code.startswith("ja"):
        return _JAPANESE
    return _TRADITIONAL if language.code in ("zh-Hant", "zh-TW", "zh-HK") else _SIMPLIFIED


def mark_up(text: str, *, language: Language) -> str:
    """A text for a reportlab paragraph: escaped, each run in its font."""
    runs = split_by_font(text, language=language)
    return "".join(
        escape(run.text) if run.font is None else f'<font name="{run.font}">{escape(run.text)}</font>' for run in runs
    )


def lacks_letters(text: str) -> bool:
    """Whether some letters of a text cannot be set.

    >>> lacks_letters("Größe, 山田"), lacks_letters("سارة")
    (False, True)
    """
    return any(
        unicodedata.category(letter)[0] != "C" and not _has(letter) and _elsewhere(letter, "")[1] is None for letter in text
    )


def has_east_asian(text: str) -> bool:
    """Whether letters of a text are left to the fonts of whoever opens the file."""
    return any(not _has(letter) and unicodedata.name(letter, "").startswith(_EAST_ASIAN) for letter in text)


@cache
def needs_east_asian(language: Language) -> bool:
    """Whether a language's own words need the fonts of whoever opens the file."""
    return any(has_east_asian(text) for text in _all_texts(language))


def _all_texts(language: Language) -> list[str]:
    texts: list[str] = []
    for message in language.messages.values():
        texts += [message] if isinstance(message, str) else message.values()
    return texts


@cache
def can_set(language: Language) -> bool:
    """Whether a whole language can be set: none of what it says lacks a letter."""
    return not any(lacks_letters(text) for text in _all_texts(language))
