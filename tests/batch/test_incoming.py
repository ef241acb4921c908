"""Films that are fetched when their turn comes: never more than a few at a time, and none that is done with."""

from collections.abc import Callable
from pathlib import Path

import pytest
import spots
from dicom_files import write_dicom

from xraynet.batch.folder import LOOK_AHEAD, predict_films
from xraynet.batch.incoming import IncomingFilm
from xraynet.batch.journal import hold_folder
from xraynet.batch.options import FolderOptions
from xraynet.errors import FilmFailed
from xraynet.findings import Outcome

Run = Callable[..., tuple[list[Outcome], list[bool]]]


class Shelf:
    """Films that are written when they are asked for and removed when they are given back."""

    def __init__(self, folder: Path, num: int) -> None:
        self.folder = folder
        self.fetched: list[int] = []
        self.most_at_once = 0
        self.films = [self.film(index) for index in range(num)]

    def film(self, index: int, *, sha256: str = "") -> IncomingFilm:
        path = self.folder / f"{index}.dcm"

        def fetch() -> Path:
            self.fetched.append(index)
            if index == 1:
                raise FilmFailed("the shelf is empty there", code="not-fetched")
            write_dicom(path, spots.spot_film((90, 120), seed=index))
            self.most_at_once = max(self.most_at_once, len(list(self.folder.iterdir())))
            return path

        release = lambda: path.unlink(missing_ok=True)  # noqa: E731
        return IncomingFilm(name=f"shelf:{index}", fetch=fetch, release=release, sha256=sha256, is_anonymous=True)


@pytest.fixture(scope="module")
def run() -> Run:
    predictor = spots.make_predictor()

    def read(films: list[IncomingFilm], out: Path, **options: object) -> tuple[list[Outcome], list[bool]]:
        outcomes: list[Outcome] = []
        kept: list[bool] = []

        def note(outcome: Outcome, is_kept: bool) -> None:
            outcomes.append(outcome)
            kept.append(is_kept)

        with hold_folder(out):
            asked = FolderOptions(outputs=frozenset({"csv"}), **options)  # type: ignore[arg-type]
            predict_films(films, predictor=predictor, out=out, options=asked, on_outcome=note)
        return outcomes, kept

    return read


def test_films_are_fetched_a_few_at_a_time_and_given_back(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "shelf"
    folder.mkdir()
    shelf = Shelf(folder, LOOK_AHEAD + 5)
    outcomes, _ = run(shelf.films, tmp_path / "out")
    assert [outcome.path for outcome in outcomes] == [film.name for film in shelf.films]
    assert [outcome.status for outcome in outcomes] == ["ok", "failed", *["ok"] * (LOOK_AHEAD + 3)]
    assert (outcomes[1].code, outcomes[1].reason, outcomes[1].sha256) == ("not-fetched", "the shelf is empty there", "")
    assert shelf.most_at_once <= LOOK_AHEAD + 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("hash_paths", [False, True])
def test_a_film_that_is_done_with_is_not_fetched_again(run: Run, tmp_path: Path, hash_paths: bool) -> None:
    folder = tmp_path / "shelf"
    folder.mkdir()
    shelf = Shelf(folder, 3)
    first, _ = run(shelf.films, tmp_path / "out", hash_paths=hash_paths)
    assert [outcome.path for outcome in first] == ["shelf:0", "shelf:1", "shelf:2"]
    shelf.fetched.clear()
    again, kept = run(
        [shelf.film(index, sha256=outcome.sha256) for index, outcome in enumerate(first)],
        tmp_path / "out",
        hash_paths=hash_paths,
    )
    assert shelf.fetched == [1]
    assert kept == [True, False, True]
    assert [outcome.status for outcome in again] == ["ok", "failed", "ok"]


def test_a_film_whose_reading_is_gone_or_that_has_changed_is_fetched(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "shelf"
    folder.mkdir()
    shelf = Shelf(folder, 1)
    (first,), _ = run(shelf.films, tmp_path / "out")
    shelf.fetched.clear()
    (again,), (kept,) = run([shelf.film(0, sha256="0" * 64)], tmp_path / "out")
    assert (again.sha256, kept, shelf.fetched) == (first.sha256, True, [0])
    (tmp_path / "out" / "readings" / first.id / "reading.json").unlink()
    (again,), (kept,) = run([shelf.film(0, sha256=first.sha256)], tmp_path / "out")
    assert (again.status, kept, shelf.fetched) == ("ok", False, [0, 0])
