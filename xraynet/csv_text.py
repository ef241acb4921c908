"""Tables as CSV text that a spreadsheet program opens without running anything in it."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "|", "%")


def guard_formula(text: str) -> str:
    """A cell that no spreadsheet takes for a formula (OWASP, CSV injection).

    >>> guard_formula("=HYPERLINK(1)"), guard_formula("ward/a.dcm")
    ("'=HYPERLINK(1)", 'ward/a.dcm')
    """
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[str | float | int | None]]) -> str:
    """A table as CSV text, its strings guarded; None is an empty cell."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if cell is None else guard_formula(cell) if isinstance(cell, str) else cell for cell in row])
    return stream.getvalue()
