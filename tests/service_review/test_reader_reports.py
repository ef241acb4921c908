import io
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import spots
from asgi_browser import AsgiBrowser
from dicom_files import write_dicom
from made_results import HEADER, MadeResults, make_results
from pydicom.dataset import Dataset
from review_folders import make_reading, write_film
from typer.testing import CliRunner

from xraynet.batch.journal import NODE_NAME
from xraynet.cli.main import build_app
from xraynet.dicom_source import DicomSource, NoSource
from xraynet.errors import ReviewError
from xraynet.ingest.dicom_report_source import read_report_source
from xraynet.reporting.dicom_reader_sr import person_name
from xraynet.service.node.film_store import write_results
from xraynet.service.node.records import ResultObject

BOX = [30.25, 40.5, 70.75, 90.0]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeResults:
    film = spots.spot_film((90, 120), (230, 290))
    header = {
        **HEADER,
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": "山田^太郎",
        "PatientID": "P-1",
        "PatientBirthDate": "19500131",
        "PatientSex": "F",
    }
    return make_results(write_dicom(tmp_path_factory.mktemp("film") / "a.dcm", film, **header))


@pytest.fixture
def film(results: Path, made: MadeResults) -> str:
    """A film of the folder that came as DICOM, its report beside it."""
    write_film(results, made.reading, with_report=False)
    made.write(results / "readings" / made.reading.id)
    return made.reading.id


@pytest.fixture
def report(film: str, enter: Callable[..., AsgiBrowser], tmp_path: Path) -> Path:
    browser = enter("Dr. Ada^Doe")
    assert browser.get("/api/session").json()["outputs"] == {"sr": True}
    browser.act(film, "accept", detection="d1")
    browser.act(film, "add", mark="m", box=BOX)
    browser.act(film, "note", mark="m", text="behind the heart")
    browser.act(film, "verdict", verdict="findings")
    archive = zipfile.ZipFile(io.BytesIO(browser.get("/api/export/sr.zip").body))
    (name,) = [name for name in archive.namelist() if name.endswith(".dcm")]
    assert name.startswith("dr-ada-doe-")
    assert name.endswith(f"/{film}-final.dcm")
    (tmp_path / "report.dcm").write_bytes(archive.read(name))
    return tmp_path / "report.dcm"


def texts_of(item: Dataset) -> list[str]:
    own = [str(item.TextValue)] if "TextValue" in item else []
    return own + [text for child in item.get("ContentSequence", []) for text in texts_of(child)]


def test_the_film_of_a_report_is_read_back_from_it(made: MadeResults, tmp_path: Path) -> None:
    source = read_report_source(made.write(tmp_path)["sr"])
    assert isinstance(source, DicomSource)
    for name in (
        "sop_class_uid",
        "sop_instance_uid",
        "study_instance_uid",
        "series_instance_uid",
        "patient_name",
        "patient_id",
    ):
        assert getattr(source, name) == getattr(made.source, name), name
    assert (source.birth_date, source.accession_number, source.study_id) == ("19500131", "ACC-1", "7")
    (tmp_path / "sr.dcm").write_bytes(b"no report")
    assert isinstance(read_report_source(tmp_path / "sr.dcm"), NoSource)
    assert isinstance(read_report_source(tmp_path / "none.dcm"), NoSource)


def test_a_readers_marks_come_back_from_highdicom_where_they_were_drawn(report: Path, made: MadeResults) -> None:
    dataset = pydicom.dcmread(report)
    groups = hd.sr.ComprehensiveSR.from_dataset(dataset).content.get_planar_roi_measurement_groups()
    boxes = [(*group.roi.value.min(axis=0), *group.roi.value.max(axis=0)) for group in groups]
    np.testing.assert_allclose(boxes, [made.reading.detections[0].box, BOX], atol=0.01)
    for group in groups:
        assert group.roi.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == HEADER["SOPInstanceUID"]
        (diameter,) = group.get_measurements()
        assert diameter.name.value == "81827009"
        assert diameter.unit.value == "mm"
    assert groups[1].get_measurements()[0].value == 39.6  # 49.5 rows of 0.8 mm


def test_the_report_names_the_person_and_the_patient_and_claims_no_signature(report: Path) -> None:
    dataset = pydicom.dcmread(report)
    names = [str(item.PersonName) for item in dataset.ContentSequence if item.ValueType == "PNAME"]
    kinds = [item.ConceptCodeSequence[0].CodeValue for item in dataset.ContentSequence if item.ValueType == "CODE"]
    assert names == ["Dr. Ada Doe"]
    assert "121006" in kinds
    assert (str(dataset.PatientName), dataset.PatientID, dataset.StudyInstanceUID) == (
        "山田^太郎",
        "P-1",
        HEADER["StudyInstanceUID"],
    )
    assert (dataset.VerificationFlag, dataset.PreliminaryFlag, dataset.CompletionFlag) == (
        "UNVERIFIED",
        "PRELIMINARY",
        "COMPLETE",
    )
    assert dataset.SeriesNumber == 904
    said = texts_of(dataset)
    assert "Research use, not for diagnosis." in said
    assert "behind the heart" in said
    assert "Marked by the reader." in said
    assert any(
        text.startswith("Proposed by the detector (score ") and text.endswith("accepted by the reader.") for text in said
    )
    assert any(text.startswith("Read with the marks of the nodule detector shown. Finished at 2") for text in said)


def test_the_same_reading_exported_again_is_the_same_object(report: Path, results: Path, tmp_path: Path, film: str) -> None:
    folder = tmp_path / "reports"
    said = run(results, "--export", "sr", "--to", folder)
    assert said.startswith(f"{folder}: 1 reports, 0 readings left out")
    (again,) = folder.rglob("*.dcm")
    assert again.read_bytes() == report.read_bytes()
    with pytest.raises(ReviewError, match="exists already"):
        run(results, "--export", "sr", "--to", folder)
    assert "1 readings" in run(results, "--export", "sr", "--to", tmp_path / "reports.zip")


def test_a_film_that_never_was_dicom_is_listed_as_left_out(
    enter: Callable[..., AsgiBrowser], results: Path, tmp_path: Path
) -> None:
    browser = enter("Ada")
    browser.act(make_reading(1).id, "verdict", verdict="normal")
    assert browser.get("/api/session").json()["outputs"] == {"sr": False}
    run(results, "--export", "sr", "--to", tmp_path / "reports")
    assert [path.name for path in (tmp_path / "reports").rglob("*")] == ["left-out.csv"]
    assert "no DICOM film" in (tmp_path / "reports" / "left-out.csv").read_text()
    archive = zipfile.ZipFile(io.BytesIO(browser.get("/api/export/sr.zip").body))
    assert archive.namelist() == ["left-out.csv"]


def test_a_film_that_a_node_received_is_found_in_its_queue(
    enter: Callable[..., AsgiBrowser], results: Path, made: MadeResults, tmp_path: Path
) -> None:
    write_film(results, made.reading, with_report=False)
    queued = results / NODE_NAME / "films" / made.film.sha256
    queued.mkdir(parents=True)
    item = made.objects["sr"]
    write_results(queued, [ResultObject("sr.dcm", item.sop_class_uid, item.sop_instance_uid, item.content)])
    browser = enter("Ada")
    assert browser.get("/api/session").json()["outputs"] == {"sr": True}
    browser.act(made.reading.id, "verdict", verdict="normal")
    assert ": 1 reports, 0 readings left out" in run(results, "--export", "sr", "--to", tmp_path / "reports")


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed: make test-tools installs it")
def test_dciodvfy_finds_no_error_in_a_readers_report(report: Path) -> None:
    said = subprocess.run(["dciodvfy", str(report)], capture_output=True, text=True, check=False)
    assert [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")] == []


@pytest.mark.parametrize(("name", "written"), [("a^b=c\\d", "a b c d"), ("^", "reader"), ("x" * 70, "x" * 64)])
def test_a_readers_name_is_one_part_of_a_dicom_name(name: str, written: str) -> None:
    assert person_name(name) == written


def run(*arguments: object) -> str:
    command = ["review", *map(str, arguments)]
    result = CliRunner().invoke(build_app(("review",)), command, prog_name="xraynet", catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output
