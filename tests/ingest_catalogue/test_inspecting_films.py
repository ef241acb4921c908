from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from broken_films import read_or_die, read_or_raise
from dicom_files import write_dicom

from xraynet.ingest.discover import find_films
from xraynet.ingest.inspect_films import inspect_film, inspect_films
from xraynet.ingest.read import read_radiograph

MakeFilm = Callable[..., Path]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_one_bad_file_never_stops_the_rest_and_the_order_is_kept(tmp_path: Path, make_film: MakeFilm, num_workers: int) -> None:
    for number in range(5):
        make_film(tmp_path / f"f{number}.png", number)
    (tmp_path / "f2.png").write_bytes((tmp_path / "f2.png").read_bytes()[:100])
    (tmp_path / "f3.png").write_text("no film at all")
    films = list(inspect_films(list(find_films([tmp_path])), read_film=read_radiograph, num_workers=num_workers))
    assert [film.outcome.status for film in films] == ["ok", "ok", "failed", "refused", "ok"]
    assert [film.outcome.path for film in films] == [f"f{number}.png" for number in range(5)]
    assert all(len(film.outcome.sha256) == 64 and film.outcome.id == film.outcome.sha256[:16] for film in films)
    assert all(film.outcome.reason for film in films if film.outcome.status != "ok")
    assert films[0].record is not None
    assert films[0].record.key == films[0].outcome.id


def test_film_that_kills_its_worker_has_failed_and_the_others_are_read(tmp_path: Path, make_film: MakeFilm) -> None:
    for name in ("a", "b", "killer", "x", "y"):
        make_film(tmp_path / f"{name}.png", len(name) + ord(name[0]))
    films = {
        film.outcome.path: film.outcome
        for film in inspect_films(list(find_films([tmp_path])), read_film=read_or_die, num_workers=1)
    }
    assert {path for path, outcome in films.items() if outcome.status == "ok"} == {"a.png", "b.png", "x.png", "y.png"}
    assert (films["killer.png"].code, "died" in films["killer.png"].reason) == ("internal-error", True)


def test_unexpected_error_is_recorded_without_its_message(tmp_path: Path, make_film: MakeFilm) -> None:
    make_film(tmp_path / "surprise.png", 0)
    (film,) = inspect_films(list(find_films([tmp_path])), read_film=read_or_raise, num_workers=0)
    assert (film.outcome.status, film.outcome.code) == ("failed", "internal-error")
    assert "Doe" not in film.outcome.reason


def test_file_that_is_gone_has_failed(tmp_path: Path) -> None:
    (found,) = find_films([tmp_path / "gone.png"])
    film = inspect_film(found, read_film=read_radiograph)
    assert (film.outcome.status, film.outcome.code, film.outcome.sha256) == ("failed", "not-found", "")


def test_record_of_a_dicom_film_knows_its_patient_and_does_not_show_it(tmp_path: Path) -> None:
    pixels = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)
    write_dicom(tmp_path / "a.dcm", pixels, PatientID="Doe7", IssuerOfPatientID="Ward", PatientSex="F", PatientAge="061Y")
    (film,) = inspect_films(list(find_films([tmp_path])), read_film=read_radiograph, num_workers=0)
    assert film.record is not None
    assert film.record.patient == ("Ward", "Doe7")
    assert (film.record.sex, film.record.age_years, film.record.size) == ("F", 61.0, (64, 48))
    assert "Doe7" not in repr(film)
