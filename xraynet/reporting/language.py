"""A language in which xraynet speaks to people: its messages, plural forms, numbers, dates, and direction of writing.

English is the reference. What another language does not say yet is said in English. Files that programs read
(``reading.json``, CSV, outcome codes, DICOM) are English whatever the language.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from string import Formatter
from typing import Final, Literal, TypeAlias

from babel import Locale
from babel.numbers import get_decimal_symbol
from markupsafe import Markup, escape

Paper = Literal["a4", "letter"]
Message: TypeAlias = str | Mapping[str, str]
"""A text, or one text for each plural form (CLDR's ``zero``, ``one``, ``two``, ``few``, ``many``, ``other``)."""

_DATE_PARTS: Final = re.compile(r"yyyy|MM|dd")
_DECIMAL: Final = re.compile(r"-?\d+\.\d+")


def placeholders(text: str) -> set[str]:
    """The names in braces. Raises ValueError where a brace holds anything but a plain name.

    >>> sorted(placeholders("{place}, {size}"))
    ['place', 'size']
    """
    names: set[str] = set()
    for _, name, form, conversion in Formatter().parse(text):
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            raise ValueError(
                f"'{{{name}{'!' + conversion if conversion else ''}{':' + form if form else ''}}}' is no plain name"
            )
        names.add(name)
    return names


@dataclass(frozen=True, eq=False)
class Language:
    """Everything that is said in one language, by key (``report.title``), and how it writes numbers and dates.

    ``code``: a BCP 47 tag (``de``, ``pt-BR``). ``date_pattern``: of ``yyyy``, ``MM`` and ``dd``. ``paper``: of its PDF.
    ``fallback`` says what ``messages`` lack (None for English itself).
    """

    code: str
    name: str
    date_pattern: str
    paper: Paper
    messages: Mapping[str, Message]
    fallback: "Language | None" = None

    @cached_property
    def locale(self) -> Locale:
        """The language's rules in CLDR."""
        return Locale.parse(self.code, sep="-")

    @property
    def direction(self) -> str:
        """``ltr`` or ``rtl``."""
        return str(self.locale.text_direction)

    @property
    def missing(self) -> tuple[str, ...]:
        """The keys that are said in English because the language's file lacks them."""
        return tuple(sorted(self.fallback.messages.keys() - self.messages.keys())) if self.fallback is not None else ()

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of everything that the language says."""
        content = [self.code, self.name, self.date_pattern, self.paper, dict(self.messages)]
        own = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return own if self.fallback is None else hashlib.sha256((own + self.fallback.fingerprint).encode()).hexdigest()

    def say(self, key: str, **facts: str | int) -> str:
        """The message of ``key`` with ``facts`` in its braces; ``count`` chooses the plural form.

        Raises KeyError for a key that English does not have.
        """
        return self._find(key, facts).format_map(facts)

    def say_markup(self, key: str, **facts: str | int) -> Markup:
        """``say`` for a page: the message and all facts escaped, except for facts that are Markup already."""
        return Markup(escape(self._find(key, facts))).format(**facts)  # noqa: S704 - escaped right here

    def _find(self, key: str, facts: Mapping[str, str | int]) -> str:
        message = self.messages.get(key)
        if message is None:
            if self.fallback is None:
                raise KeyError(key)
            return self.fallback._find(key, facts)
        if isinstance(message, str):
            return message
        return message.get(self.locale.plural_form(int(facts["count"])), message["other"])

    def knows(self, key: str) -> bool:
        """Whether there is a message of that key, be it in English."""
        return key in self.messages or (self.fallback is not None and self.fallback.knows(key))

    def retell(self, sentence: str, *, table: str = "sentences") -> str | None:
        """An English text of xraynet's own (a warning, a group's name) in this language; None where it has no words for it.

        The texts of that table in the English file are patterns: what stands in their braces is carried over.
        """
        for key, pattern in self._patterns(table):
            met = pattern.fullmatch(sentence)
            if met is not None and key in self.messages:
                return self.say(key, **{name: self._localise(value) for name, value in met.groupdict().items()})
        return None

    def _patterns(self, table: str) -> "list[tuple[str, re.Pattern[str]]]":
        reference = self.fallback if self.fallback is not None else self
        texts = [(key, text) for key, text in reference.messages.items() if key.startswith(f"{table}.")]
        return [(key, _as_pattern(text)) for key, text in texts if isinstance(text, str)]

    def _localise(self, value: str) -> str:
        return value.replace(".", self._decimal_sign) if _DECIMAL.fullmatch(value) else value

    def number(self, value: float, digits: int) -> str:
        """A number with so many decimals and the language's decimal sign."""
        return f"{value:.{digits}f}".replace(".", self._decimal_sign)

    def plain(self, value: float) -> str:
        """A number as short as it can be written, with the language's decimal sign."""
        return f"{value:g}".replace(".", self._decimal_sign)

    @cached_property
    def _decimal_sign(self) -> str:
        return get_decimal_symbol(self.locale)

    def date(self, text: str) -> str:
        """A DICOM date (``yyyymmdd``) as the language writes it; any other text as it is."""
        if len(text) != 8 or not text.isdigit():
            return text
        parts = {"yyyy": text[:4], "MM": text[4:6], "dd": text[6:]}
        return _DATE_PARTS.sub(lambda part: parts[part.group()], self.date_pattern)


@cache
def _as_pattern(text: str) -> re.Pattern[str]:
    pieces = ""
    met: set[str] = set()
    for literal, name, _, _ in Formatter().parse(text):
        pieces += re.escape(literal)
        if name is not None:
            pieces += f"(?P={name})" if name in met else f"(?P<{name}>.+?)"
            met.add(name)
    return re.compile(pieces, re.DOTALL)
