from pathlib import Path

from xraynet.service.dicomweb_ledger import LEDGER_NAME, Ledger

URL = "http://localhost/rs"


def test_what_was_noted_is_known_to_the_next_run(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, url=URL)
    assert ledger.find_content("dicomweb:a") == ""
    ledger.note_content("dicomweb:a", "1" * 64)
    ledger.note_content("dicomweb:a", "2" * 64)
    ledger.note_stored("3" * 64, name="dicomweb:b")
    again = Ledger(tmp_path, url=URL)
    assert again.find_content("dicomweb:a") == "2" * 64
    assert again.is_stored("3" * 64)
    assert again.is_own("dicomweb:b")
    assert not again.is_own("dicomweb:a")
    assert not again.is_stored("2" * 64)


def test_another_archive_has_its_own_lines(tmp_path: Path) -> None:
    Ledger(tmp_path, url=URL).note_stored("3" * 64, name="dicomweb:b")
    other = Ledger(tmp_path, url="http://localhost/other")
    assert not other.is_stored("3" * 64)
    other.note_content("dicomweb:a", "1" * 64)
    assert Ledger(tmp_path, url=URL).find_content("dicomweb:a") == ""
    assert "localhost" not in (tmp_path / LEDGER_NAME).read_text()


def test_a_line_that_was_cut_off_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / LEDGER_NAME
    ledger = Ledger(tmp_path, url=URL)
    ledger.note_content("dicomweb:a", "1" * 64)
    ledger.note_content("dicomweb:b", "2" * 64)
    path.write_bytes(path.read_bytes()[:-20])
    torn = Ledger(tmp_path, url=URL)
    assert torn.find_content("dicomweb:b") == ""
    torn.note_content("dicomweb:c", "3" * 64)
    whole = Ledger(tmp_path, url=URL)
    assert [whole.find_content(f"dicomweb:{name}") for name in "abc"] == ["1" * 64, "", "3" * 64]


def test_lines_of_any_other_kind_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / LEDGER_NAME).write_bytes(b'\xff\n[]\n{"archive": 3}\n{"name": 1, "sha256": 2}\n')
    Ledger(tmp_path, url=URL).note_content("dicomweb:a", "1" * 64)
    assert Ledger(tmp_path, url=URL).find_content("dicomweb:a") == "1" * 64
