"""The language that a command was asked to speak."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from xraynet.reporting.language import Language


def ask_language(code_or_path: str) -> "Language":
    """The language of that code or file; what a file lacks is said, and will be in English.

    Raises ConfigError where there is no such language, or the file is wrong.
    """
    from xraynet.reporting.language_files import find_language

    language = find_language(code_or_path)
    if language.missing:
        listed = ", ".join(language.missing[:5]) + (", …" if len(language.missing) > 5 else "")
        typer.echo(
            f"xraynet: warning: {code_or_path} lacks {len(language.missing)} messages, which are said in English: {listed}",
            err=True,
        )
    return language
