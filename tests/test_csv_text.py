"""CSV text for people who open it with a spreadsheet program."""

import pytest

from xraynet.csv_text import guard_formula, write_csv


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "＝1", "|cmd", "\r=1"])
def test_no_cell_is_taken_for_a_formula(text: str) -> None:
    assert guard_formula(text) == f"'{text}"
    assert guard_formula(f"x{text}") == f"x{text}"


def test_every_string_is_guarded_and_nothing_else() -> None:
    assert write_csv(("film", "score"), [("=1", -0.5), (None, 2)]) == "film,score\n'=1,-0.5\n,2\n"
