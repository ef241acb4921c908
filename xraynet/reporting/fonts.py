"""The fonts in which xraynet writes on pictures and paper: DejaVu, which comes with matplotlib, and which letters they have."""

import unicodedata
from functools import cache
from pathlib import Path
from typing import Final

import matplotlib
from matplotlib.ft2font import FT2Font

# Scripts whose letters change with their neighbours, or are reordered: plain drawing, letter by letter, would be wrong.
_SHAPED: Final = (
    *("ARABIC", "SYRIAC", "THAANA", "NKO", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU"),
    *("KANNADA", "MALAYALAM", "SINHALA", "THAI", "LAO", "TIBETAN", "MYANMAR", "KHMER", "MONGOLIAN", "HEBREW"),
)


def find_font(name: str) -> Path:
    """The file of a DejaVu font (``DejaVuSans``, ``DejaVuSans-Bold``)."""
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"


@cache
def font_letters(name: str) -> frozenset[int]:
    """The code points that a DejaVu font can draw."""
    return frozenset(FT2Font(str(find_font(name))).get_charmap())


def needs_shaping(text: str) -> bool:
    """Whether a text runs from right to left, or its letters take their form from their neighbours."""
    return any(
        unicodedata.bidirectional(letter) in ("R", "AL") or unicodedata.name(letter, "").split(" ")[0] in _SHAPED
        for letter in text
    )
