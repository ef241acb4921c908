"""``predict --dicom-results``: objects beside the readings, whatever the files are."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
import spots
from dicom_files import write_dicom
from made_results import HEADER
from PIL import Image
from typer.testing import CliRunner, Result

from xraynet.cli.main import build_app
from xraynet.inference.predictor import Predictor
from xraynet.ingest.read import sha256_of_film

IDENTITY = {"PatientName": "Seededson^Janetta", "PatientID": "SEEDID99", "PatientBirthDate": "19511213"}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("films")
    film = spots.spot_film((90, 120))

    def write(name: str, **tags: object) -> None:
        write_dicom(root / name, film, **(HEADER | IDENTITY | {"SOPInstanceUID": f"1.2.3.{len(list(root.iterdir()))}"} | tags))

    write("a.dcm")
    write("lateral.dcm", ViewPosition="LL")
    write("raw.dcm", PresentationIntentType="FOR PROCESSING")
    write("homeless.dcm", StudyInstanceUID=None)
    write("ct.dcm", Modality="CT")
    (root / "cut.dcm").write_bytes((root / "a.dcm").read_bytes()[:3000])
    Image.fromarray((film >> 4).astype(np.uint8)).save(root / "plain.png")
    return root


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(build_app(("predict", "doctor")), [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def done(films: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Predictor, "from_checkpoint", lambda *_, **__: spots.make_predictor())
        return out, ask("predict", films, "--out", out, "--dicom-results", "sr,sc,pr", "--outputs", "reading")


def results_of(out: Path, film: Path) -> set[str]:
    folder = out / "readings" / sha256_of_film(film)[:16]
    return {path.name for path in folder.glob("*")}


def test_each_film_has_what_it_can_have(films: Path, done: tuple[Path, Result]) -> None:
    out, _ = done
    assert {film.name: results_of(out, film) for film in sorted(films.iterdir())} == {
        "a.dcm": {"reading.json", "sr.dcm", "sc.dcm", "pr.dcm"},
        "lateral.dcm": {"reading.json", "sr.dcm"},
        "raw.dcm": {"sr.dcm"},
        "homeless.dcm": {"reading.json"},
        "ct.dcm": set(),
        "cut.dcm": set(),
        "plain.png": {"reading.json"},
    }


def test_films_without_a_place_are_told_once_with_the_reason(films: Path, done: tuple[Path, Result]) -> None:
    out, said = done
    assert "1 film has no DICOM results: no DICOM file" in said.output
    assert "1 film has no DICOM results: no usable Study Instance UID in the header" in said.output
    assert said.output.splitlines()[-1] == "3 ok, 3 refused, 1 failed"
    homeless = json.loads((out / "readings" / sha256_of_film(films / "homeless.dcm")[:16] / "reading.json").read_text())
    assert "The film has no DICOM results: no usable Study Instance UID in the header." in homeless["warnings"]
    plain = json.loads((out / "readings" / sha256_of_film(films / "plain.png")[:16] / "reading.json").read_text())
    assert not any("DICOM results" in warning for warning in plain["warnings"])


def test_nobody_is_named_outside_the_objects(done: tuple[Path, Result]) -> None:
    out, said = done
    assert "Seeded" not in said.output and "SEEDID99" not in said.output
    for path in out.rglob("*"):
        if path.is_file() and path.suffix != ".dcm":
            assert b"Seeded" not in path.read_bytes() and b"SEEDID99" not in path.read_bytes()


def test_another_request_runs_again_and_the_same_one_does_not(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "from_checkpoint", lambda *_, **__: spots.make_predictor())
    film = films / "a.dcm"
    ask("predict", film, "--out", tmp_path, "--outputs", "reading")
    assert results_of(tmp_path, film) == {"reading.json"}
    changed = ask("predict", film, "--out", tmp_path, "--outputs", "reading", "--dicom-results", "sr")
    assert "another dicom_results than in the earlier run there" in changed.output
    assert results_of(tmp_path, film) == {"reading.json", "sr.dcm"}
    again = ask("predict", film, "--out", tmp_path, "--outputs", "reading", "--dicom-results", "sr")
    assert "1 of 1 files were done by an earlier run and were kept" in again.output


def test_results_are_as_valid_as_they_are_in_one_process(films: Path, done: tuple[Path, Result]) -> None:
    out, _ = done
    folder = out / "readings" / sha256_of_film(films / "a.dcm")[:16]
    report = pydicom.dcmread(BytesIO((folder / "sr.dcm").read_bytes()))
    assert report.PatientID == "SEEDID99"
    assert report.StudyInstanceUID == HEADER["StudyInstanceUID"]


@pytest.mark.parametrize(("text", "words"), [("sr,seg", "unknown DICOM result seg"), (" , ", "no DICOM result is named")])
def test_wrong_names_are_wrong_usage(text: str, words: str, films: Path, tmp_path: Path) -> None:
    said = ask("predict", films, "--out", tmp_path, "--dicom-results", text)
    assert said.exit_code == 2
    assert words in " ".join(said.output.replace("│", " ").split())
