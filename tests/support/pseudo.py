"""A language in which every text stands in brackets, so that a text that came from nowhere else can be seen."""

import html
import re
from collections.abc import Collection
from dataclasses import replace

from xraynet.reporting.language import Language
from xraynet.reporting.language_files import english


def pseudo_language() -> Language:
    """English, each message between ⟦ and ⟧."""
    reference = english()
    messages = {
        key: f"⟦{text}⟧" if isinstance(text, str) else {form: f"⟦{one}⟧" for form, one in text.items()}
        for key, text in reference.messages.items()
    }
    return replace(reference, name="⟦English⟧", messages=messages, fallback=reference)


def texts_of_page(page: str) -> list[str]:
    """What a person reads or hears of a page: its text, titles, labels and alternative texts."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    attributes = re.findall(r'\b(?:aria-label|alt|title|placeholder|content)="([^"]*)"', re.sub(r"<meta[^>]*>", " ", body))
    return [html.unescape(text) for text in [*re.split(r"<[^>]+>", body), *attributes]]


def untranslated(texts: Collection[str], *, data: Collection[str]) -> set[str]:
    """The words of ``texts`` outside brackets that are not among ``data``."""
    left = " \n ".join(texts)
    while (shorter := re.sub(r"⟦[^⟦⟧]*⟧", " ", left)) != left:
        left = shorter
    for value in sorted(data, key=len, reverse=True):
        left = left.replace(value, " ")
    return set(re.findall(r"[^\W\d_]{2,}", left))
