"""Files are written whole or not at all."""

import hashlib
from pathlib import Path

import pytest

from xraynet.files import open_atomically, remove_torn_files, sha256_of_file, write_text_atomically


def test_a_write_that_fails_leaves_the_old_file_and_no_trace(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text_atomically(target, "old")
    with pytest.raises(RuntimeError, match="power"), open_atomically(target) as stream:
        stream.write(b"new")
        raise RuntimeError("power")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_only_halves_of_the_named_files_are_removed(tmp_path: Path) -> None:
    for name in (".a.txt.k3jx.part", ".b.txt.k3jx.part", "a.txt", "a.txt.part"):
        (tmp_path / name).write_text("x")
    remove_torn_files(tmp_path, ("a.*",))
    assert {path.name for path in tmp_path.iterdir()} == {".b.txt.k3jx.part", "a.txt", "a.txt.part"}


def test_written_files_are_readable_by_others_as_the_umask_allows(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "a.txt", "x")
    (tmp_path / "plain.txt").write_text("x")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain.txt").stat().st_mode


def test_sha256_is_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"film")
    assert sha256_of_file(tmp_path / "a") == hashlib.sha256(b"film").hexdigest()
