import stat
from pathlib import Path

import pytest

from xraynet.errors import CatalogueError
from xraynet.ingest.salt import default_salt_path, patient_key, read_or_make_salt, salt_fingerprint


def test_salt_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "site" / "salt"
    salt = read_or_make_salt(path)
    assert len(salt) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_or_make_salt(path) == salt
    assert read_or_make_salt(tmp_path / "other") != salt


def test_salt_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "salt"
    read_or_make_salt(path)
    path.chmod(0o644)
    with pytest.raises(CatalogueError, match="chmod 600"):
        read_or_make_salt(path)


@pytest.mark.parametrize("content", [b"not hex\n", b"abcd\n", b"\xff"])
def test_file_that_is_no_salt_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "salt"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(CatalogueError, match=r"were expected|cannot be read"):
        read_or_make_salt(path)


def test_salt_that_cannot_be_made_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogueError, match="--salt-file"):
        read_or_make_salt(tmp_path / "file" / "salt")


def test_key_depends_on_salt_issuer_and_patient_and_on_nothing_else() -> None:
    keys = {
        patient_key("1", issuer="a", salt=b"x"),
        patient_key("2", issuer="a", salt=b"x"),
        patient_key("1", issuer="b", salt=b"x"),
        patient_key("1", issuer="a", salt=b"y"),
        patient_key("a1", issuer="", salt=b"x"),
    }
    assert len(keys) == 5
    assert patient_key(" 1 ", issuer="a", salt=b"x") in keys
    assert all(len(key) == 32 for key in keys)


def test_fingerprint_of_a_salt_does_not_hold_the_salt() -> None:
    assert salt_fingerprint(b"x" * 32) != salt_fingerprint(b"y" * 32)
    assert (b"x" * 32).hex()[:16] != salt_fingerprint(b"x" * 32)


def test_default_salt_lies_in_the_users_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_salt_path() == tmp_path / "xraynet" / "patient-salt"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert default_salt_path() == Path.home() / ".config" / "xraynet" / "patient-salt"
