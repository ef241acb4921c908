"""The languages: that their files are whole, that mistakes in a hospital's own file are told, and how they write."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from xraynet.errors import ConfigError, FailureCode, RefusalCode
from xraynet.evaluation.rules import parse_rule
from xraynet.lungs.gate import GateReason
from xraynet.reading_file import DISCLAIMER
from xraynet.reporting.language import placeholders
from xraynet.reporting.language_files import english, find_language, list_languages, parse_language
from xraynet.reporting.words import NOT_LOOKED_FOR, describe_outcome, retell

PACKAGE = Path(__file__).resolve().parents[2] / "xraynet"
HEAD = '[language]\ncode = "{code}"\nname = "x"\ndate = "dd.MM.yyyy"\npaper = "a4"\n'


def parse(text: str, *, code: str = "fr"):  # type: ignore[no-untyped-def]
    return parse_language(HEAD.format(code=code) + text, where="ours.toml", fallback=english())


def forms(message: object) -> list[str]:
    return [message] if isinstance(message, str) else list(message.values())


def test_english_german_and_spanish_are_shipped_and_say_everything() -> None:
    assert list_languages() == ["de", "en", "es"]
    for code in list_languages():
        language = find_language(code)
        assert language.code == code
        assert language.messages.keys() == english().messages.keys()
        assert language.missing == ()


@pytest.mark.parametrize("code", ["de", "es"])
def test_every_message_has_the_placeholders_of_the_english_one(code: str) -> None:
    language = find_language(code)
    for key, message in english().messages.items():
        expected = set().union(*(placeholders(text) for text in forms(message)))
        assert set().union(*(placeholders(text) for text in forms(language.messages[key]))) == expected, key


@pytest.mark.parametrize("code", ["de", "es"])
def test_no_sentence_was_left_in_english(code: str) -> None:
    language = find_language(code)
    same = {
        key
        for key, message in english().messages.items()
        if message == language.messages[key] and any(len(re.findall(r"[^\W\d_]{3,}", text)) > 2 for text in forms(message))
    }
    assert same == set()


def test_what_people_and_machines_read_in_english_is_the_same() -> None:
    assert english().say("notice.disclaimer") == DISCLAIMER
    assert english().say("notice.not_looked_for") == NOT_LOOKED_FOR
    assert english().say("simulate.rule") == parse_rule("jsrt-inside").describe()


def test_the_disclaimer_is_said_in_every_language() -> None:
    assert find_language("de").say("notice.disclaimer") == "Nur für Forschungszwecke, nicht zur Diagnose."
    assert find_language("es").say("notice.disclaimer") == "Solo para investigación, no para diagnóstico."


def test_every_code_of_gate_and_outcome_has_words() -> None:
    for reason in GateReason.__args__:
        assert english().knows(f"gate.{reason}")
    for code in (*RefusalCode.__args__, *FailureCode.__args__):
        assert english().knows(f"outcome.{code}")
    assert describe_outcome("gate.blank", language=find_language("de")) == "sie zeigt nichts"
    assert describe_outcome("damaged", language=find_language("es")) == "está dañado"
    assert describe_outcome("a-new-code") == "a-new-code"


def test_every_message_that_templates_and_code_ask_for_exists_and_none_is_idle() -> None:
    sources = [*PACKAGE.rglob("*.j2"), *PACKAGE.rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    asked = set(re.findall(r"""\b(?:t|say|say_markup)\(\s*["']([a-z0-9_.-]+)["']\s*[,)]""", text))
    assert asked <= english().messages.keys()
    built = {
        "sentences",
        "groups",
        "gate",
        "outcome",
        "place",
        "size",
        "finding",
        "facts",
        "absence",
        "simulate",
        "keys",
        "identity",
        "visit",  # test_visit_page holds these to what the code asks for
    }
    idle = {key for key in english().messages if key not in asked and key.split(".")[0] not in built}
    assert {key for key in idle if f'"{key}"' not in text} == set()


def test_every_warning_of_the_readers_can_be_told_in_another_language() -> None:
    """Each text handed to ``warnings`` in the code is met by one of the sentences."""
    told = find_language("de")
    source = "\n".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "ingest").glob("*.py"))
    texts = re.findall(r'warnings\.append\(\s*f?"((?:[^"\\]|\\.)*)"', source)
    assert len(texts) > 20
    for text in texts:
        example = re.sub(r"\{[^{}]*\}", "lateral", text).replace("\\\\", "\\")
        assert told.retell(example) is not None, example
    gate = (PACKAGE / "lungs" / "gate.py").read_text(encoding="utf-8")
    for text in re.findall(r'warnings \+= \("([^"]+)",\)', gate):
        assert told.retell(text) is not None, text


def test_a_warning_carries_what_was_found_over() -> None:
    told = retell(["Body Part Examined is FOOT; a chest was expected.", "something new"], language=find_language("de"))
    assert [(one.text, one.language) for one in told] == [
        ("Body Part Examined ist FOOT; erwartet wurde ein Thorax.", "de"),
        ("something new", "en"),
    ]
    assert retell(["The VOI LUT cannot be read; it was ignored."], language=parse(""))[0].language == "en"
    assert find_language("es").retell("Window Width is 0.5; the window was ignored.") == (
        "Window Width es 0,5; la ventana se ha ignorado."
    )


def test_sentences_are_told_again_word_for_word_in_english() -> None:
    for key, message in english().messages.items():
        if key.startswith("sentences."):
            sentence = str(message).format_map(dict.fromkeys(placeholders(str(message)), "X7"))
            assert english().retell(sentence) == sentence


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 Befunde"), (1, "1 Befund"), (2, "2 Befunde")],
)
def test_german_counts(count: int, words: str) -> None:
    assert find_language("de").say("report.findings", count=count) == words


def test_a_language_with_more_plural_forms_says_each_of_them() -> None:
    polish = parse(
        '[report]\nfindings = { one = "{count} zmiana", few = "{count} zmiany", '
        'many = "{count} zmian", other = "{count} zmiany" }',
        code="pl",
    )
    assert [polish.say("report.findings", count=count) for count in (1, 3, 5, 22)] == [
        "1 zmiana",
        "3 zmiany",
        "5 zmian",
        "22 zmiany",
    ]
    japanese = parse('[report]\nfindings = "所見 {count} 件"', code="ja")
    assert japanese.say("report.findings", count=1) == "所見 1 件"


def test_numbers_and_dates_are_written_as_the_language_writes_them() -> None:
    for code, number, date in (("en", "0.81", "1950-01-31"), ("de", "0,81", "31.01.1950"), ("es", "0,81", "31/01/1950")):
        language = find_language(code)
        assert language.number(0.812, 2) == number
        assert language.date("19500131") == date
        assert language.date("1950") == "1950"
    assert find_language("de").plain(0.5) == "0,5"


def test_a_hospitals_own_file_is_taken_and_what_it_lacks_is_said_in_english(tmp_path: Path) -> None:
    path = tmp_path / "fr.toml"
    path.write_text(HEAD.format(code="fr") + '[report]\nno_finding = "Aucune anomalie"\n', encoding="utf-8")
    french = find_language(path)
    assert french.say("report.no_finding") == "Aucune anomalie"
    assert french.say("report.findings", count=2) == "2 findings"
    assert french.number(0.5, 2) == "0,50"
    assert len(french.missing) == len(english().messages) - 1
    assert "report.no_finding" not in french.missing
    assert french.fingerprint not in (english().fingerprint, find_language("de").fingerprint)


def test_another_text_is_another_fingerprint() -> None:
    first, second = parse('[notice]\ndisclaimer = "a"'), parse('[notice]\ndisclaimer = "b"')
    assert first.fingerprint != second.fingerprint
    assert first.fingerprint == parse('[notice]\ndisclaimer = "a"').fingerprint
    changed = replace(english(), messages={**english().messages, "report.fit": "Fit it"})
    assert replace(first, fallback=changed).fingerprint != first.fingerprint


def test_direction_follows_the_language() -> None:
    assert parse("", code="ar").direction == "rtl"
    assert parse("", code="de").direction == "ltr"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[report]\nfindngs = "x"', "unknown key 'report.findngs'; did you mean report.findings"),
        ('[reprot]\nfit = "x"', "unknown key 'reprot.fit'"),
        ('[finding]\nscore = "Wert"', "key 'finding.score' has no placeholder; {score} was expected"),
        ('[finding]\nscore = "{score} {size}"', "key 'finding.score' has {score}, {size}; {score} was expected"),
        ('[finding]\nscore = "{score"', "key 'finding.score': "),
        ('[finding]\nscore = "{score.__class__}"', "is no plain name"),
        ('[finding]\nscore = "{score!r}"', "is no plain name"),
        ('[finding]\nscore = "{0}"', "is no plain name"),
        ('[finding]\nscore = "  "', "key 'finding.score' is empty"),
        ("[finding]\nscore = 3", "key 'finding.score' is 3; a text was expected"),
        ('[finding]\nscore = { one = "{score}", other = "{score}" }', "one text was expected"),
        ('[report]\nfindings = { other = "{count}" }', "lacks the plural form one; fr needs one, other"),
        ("[report\n", "ours.toml: not TOML"),
    ],
)
def test_a_mistake_names_file_key_found_and_expected(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)) as error:
        parse(text)
    assert str(error.value).startswith("ours.toml: ")


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("", "a table [language] with the texts code, name, date, paper was expected"),
        ('[language]\ncode = "de"', "a table [language]"),
        (HEAD.format(code="klingon tongue"), "a language tag such as fr"),
        (HEAD.format(code="xx"), "a language tag such as fr"),
        (HEAD.format(code="fr").replace("dd.MM.yyyy", "d.M.y"), "yyyy, MM and dd, each once, were expected"),
        (HEAD.format(code="fr").replace("a4", "a3"), "'a3'; a4 or letter was expected"),
    ],
)
def test_a_wrong_head_is_an_error(head: str, words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        parse_language(head, where="ours.toml", fallback=english())


def test_a_language_that_nobody_has_is_an_error_that_lists_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no language 'fr': neither a file nor a language that is shipped \(de, en, es\)"):
        find_language("fr")
    (tmp_path / "latin1.toml").write_bytes("ü".encode("latin-1"))
    with pytest.raises(ConfigError, match="cannot be read as UTF-8"):
        find_language(tmp_path / "latin1.toml")
