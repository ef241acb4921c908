"""Every file of a folder that may be a film, in a fixed order, and none from outside it."""

import os
from pathlib import Path

import pytest

from xraynet.ingest.discover import find_films


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def relatives(*paths: Path, exclude: tuple[Path, ...] = ()) -> list[str]:
    return [found.relative for found in find_films(paths, exclude=exclude)]


def test_folder_is_walked_in_order_whatever_the_suffix(tmp_path: Path) -> None:
    for name in ("b/2.dcm", "b/1", "a.PNG", "c/deep/IM000001", "film.weird"):
        touch(tmp_path / name)
    assert relatives(tmp_path) == ["a.PNG", "film.weird", "b/1", "b/2.dcm", "c/deep/IM000001"]
    assert all(found.path.is_absolute() for found in find_films([tmp_path]))


def test_sidecars_hidden_files_and_dicomdir_are_passed_over(tmp_path: Path) -> None:
    for name in ("labels.csv", "notes.TXT", ".hidden", ".git/film.dcm", "DICOMDIR", "model.safetensors", "film"):
        touch(tmp_path / name)
    assert relatives(tmp_path) == ["film"]


def test_named_file_is_given_back_even_if_missing_or_a_sidecar(tmp_path: Path) -> None:
    text = touch(tmp_path / "notes.txt")
    assert relatives(tmp_path / "missing.dcm", text) == ["missing.dcm", "notes.txt"]


def test_each_file_comes_once(tmp_path: Path) -> None:
    film = touch(tmp_path / "film.dcm")
    assert relatives(tmp_path, film, tmp_path) == ["film.dcm"]


def test_excluded_folders_and_files_are_not_entered(tmp_path: Path) -> None:
    touch(tmp_path / "out" / "overlay.png")
    touch(tmp_path / "in" / "film.png")
    skipped = touch(tmp_path / "in" / "skip.png")
    assert relatives(tmp_path, exclude=(tmp_path / "out", skipped)) == ["in/film.png"]


def test_links_are_followed_only_to_files_inside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outside = touch(tmp_path / "outside" / "secret.dcm")
    folder = tmp_path / "folder"
    inside = touch(folder / "real" / "film.dcm")
    (folder / "alias.dcm").symlink_to(inside)
    (folder / "escape.dcm").symlink_to(outside)
    (folder / "escape").symlink_to(outside.parent)
    (folder / "loop").symlink_to(folder)
    (folder / "dangling.dcm").symlink_to(folder / "nowhere")
    assert relatives(folder) == ["alias.dcm", "real/film.dcm"]
    assert "escape.dcm is a symbolic link out of the folder" in caplog.text
    assert "loop is a symbolic link to a folder" in caplog.text
    assert "dangling.dcm is a symbolic link to nothing" in caplog.text


def test_folder_that_cannot_be_listed_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "shut" / "film.dcm")
    touch(tmp_path / "film.dcm")
    scandir = os.scandir

    def guarded(path: str) -> object:
        if Path(path).name == "shut":
            raise PermissionError(13, "no", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert relatives(tmp_path) == ["film.dcm"]
    assert "the folder shut cannot be listed (PermissionError)" in caplog.text


def test_pipes_are_no_films(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert relatives(tmp_path) == []


def test_pixel_file_of_a_metaimage_is_no_film_of_its_own(tmp_path: Path) -> None:
    touch(tmp_path / "film.mhd", b"ObjectType = Image\nNDims = 2\nDimSize = 2 2\nElementDataFile = film.raw\n")
    touch(tmp_path / "film.raw")
    touch(tmp_path / "other.mhd", b"nonsense")
    touch(tmp_path / "broken.mhd", b"ObjectType = Image\n")
    assert relatives(tmp_path) == ["broken.mhd", "film.mhd", "other.mhd"]
