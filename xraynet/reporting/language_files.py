"""Language files: ``xraynet/reporting/languages/CODE.toml``, or a hospital's own, checked against the English one."""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, get_args

from babel import Locale, UnknownLocaleError

from xraynet.errors import ConfigError
from xraynet.reporting.language import Language, Message, Paper, placeholders

REFERENCE: Final = "en"
_PLURAL_FORMS: Final = frozenset({"zero", "one", "two", "few", "many", "other"})
_HEAD: Final = ("code", "name", "date", "paper")
# The counts by which a language's plural forms are asked for: rarer ones, such as Spanish's "many", begin at a million.
_COUNTS: Final = range(1000)


def languages_folder() -> Traversable:
    """Where the shipped language files lie, for whoever wants to copy one."""
    return resources.files("xraynet.reporting") / "languages"


def list_languages() -> list[str]:
    """The codes of the languages that xraynet ships."""
    return sorted(entry.name.removesuffix(".toml") for entry in languages_folder().iterdir() if entry.name.endswith(".toml"))


@cache
def english() -> Language:
    """English, the reference."""
    return shipped_language(REFERENCE)


@cache
def shipped_language(code: str) -> Language:
    """The language that xraynet ships under that code."""
    text = (languages_folder() / f"{code}.toml").read_text(encoding="utf-8")
    return parse_language(text, where=f"language {code}", fallback=english() if code != REFERENCE else None)


def find_language(code_or_path: str | Path) -> Language:
    """The shipped language of that code, or the one in that TOML file.

    Raises ConfigError where it is neither, or where the file has unknown keys, other placeholders, or lacks plural forms.
    """
    name = str(code_or_path)
    if name in list_languages():
        return shipped_language(name)
    path = Path(code_or_path)
    if not path.is_file():
        raise ConfigError(
            f"no language '{name}': neither a file nor a language that is shipped ({', '.join(list_languages())})"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text ({type(error).__name__})") from error
    return parse_language(text, where=str(path), fallback=english())


def parse_language(text: str, *, where: str, fallback: Language | None) -> Language:
    """The language in the text of a file; ``fallback`` is English, which it is checked against (None: it is English).

    Raises ConfigError, which names file, key, what was found and what was expected.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not TOML: {error}") from error
    code, name, date_pattern, paper = _read_head(tables.pop("language", None), where=where)
    locale = _find_locale(code, where=where)
    messages: dict[str, Message] = {}
    for key, message in _flatten(tables, where=where):
        _check_message(key, message, where=where)
        if fallback is not None:
            _check_against(key, message, fallback, where=where)
        _check_plurals(key, message, locale, where=where)
        messages[key] = message
    return Language(code=code, name=name, date_pattern=date_pattern, paper=paper, messages=messages, fallback=fallback)


def _read_head(head: object, *, where: str) -> tuple[str, str, str, Paper]:
    if not isinstance(head, dict) or set(head) != set(_HEAD) or not all(isinstance(value, str) for value in head.values()):
        raise ConfigError(f"{where}: a table [language] with the texts {', '.join(_HEAD)} was expected")
    date_pattern, paper = head["date"], head["paper"]
    if any(date_pattern.count(part) != 1 for part in ("yyyy", "MM", "dd")):
        raise ConfigError(f"{where}: key 'language.date' is '{date_pattern}'; yyyy, MM and dd, each once, were expected")
    if paper not in get_args(Paper):
        raise ConfigError(f"{where}: key 'language.paper' is '{paper}'; {' or '.join(get_args(Paper))} was expected")
    return head["code"], head["name"], date_pattern, "letter" if paper == "letter" else "a4"


def _find_locale(code: str, *, where: str) -> Locale:
    try:
        return Locale.parse(code, sep="-")
    except (UnknownLocaleError, ValueError) as error:
        raise ConfigError(
            f"{where}: key 'language.code' is '{code}'; a language tag such as fr or pt-BR was expected"
        ) from error


def _flatten(tables: Mapping[str, object], *, where: str, prefix: str = "") -> Iterator[tuple[str, Message]]:
    for name, value in tables.items():
        key = f"{prefix}{name}"
        if isinstance(value, str) or (isinstance(value, dict) and _is_plural(value)):
            yield key, value
        elif isinstance(value, dict):
            yield from _flatten(value, where=where, prefix=f"{key}.")
        else:
            raise ConfigError(f"{where}: key '{key}' is {value!r}; a text was expected")


def _is_plural(table: Mapping[str, object]) -> bool:
    return bool(table) and set(table) <= _PLURAL_FORMS and all(isinstance(text, str) for text in table.values())


def _texts(message: Message) -> list[tuple[str, str]]:
    """(what to add to the key, text) of a message."""
    return [("", message)] if isinstance(message, str) else [(f".{form}", text) for form, text in message.items()]


def _check_message(key: str, message: Message, *, where: str) -> None:
    for form, text in _texts(message):
        if not text.strip():
            raise ConfigError(f"{where}: key '{key}{form}' is empty; leave a key out to have it said in English")
        try:
            placeholders(text)
        except ValueError as error:
            raise ConfigError(f"{where}: key '{key}{form}': {error}; write {{name}}, and {{{{ }}}} for braces") from error


def _check_against(key: str, message: Message, english_: Language, *, where: str) -> None:
    reference = english_.messages.get(key)
    if reference is None:
        near = difflib.get_close_matches(key, english_.messages, n=3, cutoff=0.6)
        meant = f"did you mean {', '.join(near)}?" if near else f"{REFERENCE}.toml has every key"
        raise ConfigError(f"{where}: unknown key '{key}'; {meant}")
    if isinstance(reference, str) and not isinstance(message, str):
        raise ConfigError(f"{where}: key '{key}' has plural forms; one text was expected, since nothing is counted there")
    expected = set().union(*(placeholders(text) for _, text in _texts(reference)))
    optional = {"count"} if not isinstance(reference, str) else set()
    for form, text in _texts(message):
        found = placeholders(text)
        if not expected - optional <= found <= expected:
            raise ConfigError(f"{where}: key '{key}{form}' has {_list_names(found)}; {_list_names(expected)} was expected")


def _list_names(names: set[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names)) if names else "no placeholder"


def _check_plurals(key: str, message: Message, locale: Locale, *, where: str) -> None:
    if isinstance(message, str):
        return
    needed = sorted({locale.plural_form(count) for count in _COUNTS} | {"other"})
    lacking = [form for form in needed if form not in message]
    if lacking:
        raise ConfigError(
            f"{where}: key '{key}' lacks the plural form {', '.join(lacking)}; {locale.language} needs {', '.join(needed)}"
        )
