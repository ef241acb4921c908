"""Structured reports into a catalogue: films found by UID, readers under pseudonyms, and nothing that identifies anyone."""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import spots
from dicom_files import write_dicom
from made_results import HEADER, MadeResults, make_results
from reports import MASS, Region, group, person, square, write_report

from xraynet.ingest.build import IngestConfig, build_catalogue
from xraynet.ingest.catalogue import Catalogue
from xraynet.ingest.dicom_quiet import quiet_pydicom
from xraynet.ingest.labels.formats import LabelFormat
from xraynet.ingest.report import IngestReport
from xraynet.ingest.split import SplitConfig
from xraynet.reporting.dicom_reader_sr import ReaderFinding, ReaderReport, make_reader_report

UID = str(HEADER["SOPInstanceUID"])
IDENTITY = {"PatientName": "Seededson^Janetta", "PatientID": "SEEDID99"}


def write_film(path: Path, uid: str = UID, *, at: tuple[int, int] = (90, 120)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_dicom(path, spots.spot_film(at, (230, 290)), **(HEADER | IDENTITY | {"SOPInstanceUID": uid}))


def ingest(
    films: Path, labels: Path, *, out: Path, label_format: LabelFormat = LabelFormat.SR, salt: str = "salt", **config: object
) -> tuple[Catalogue, IngestReport]:
    wanted = IngestConfig(
        labels=(labels,), formats=(label_format,), split=SplitConfig((1.0, 0.0, 0.0)), num_workers=0, **config
    )
    return build_catalogue([films], out=out, salt_file=out.parent / salt, config=wanted)


def boxes_of(catalogue: Catalogue) -> np.ndarray:
    return catalogue.annotations[["x1", "y1", "x2", "y2"]].to_numpy()


@pytest.fixture
def made(tmp_path: Path) -> MadeResults:
    return make_results(write_film(tmp_path / "films" / "any name.dcm"), kinds=("sr",))


def test_what_predict_reported_comes_back_as_the_same_boxes(made: MadeResults, tmp_path: Path) -> None:
    made.write(tmp_path / "readings")
    catalogue, report = ingest(
        tmp_path / "films",
        tmp_path / "readings",
        out=tmp_path / "catalogue",
        target_classes=("detected nodule", "detected mass"),
    )
    assert report.issues == ()
    assert np.allclose(boxes_of(catalogue), [finding.box for finding in made.reading.reported], atol=0.01)
    assert np.allclose(catalogue.annotations["diameter_mm"], [finding.diameter_mm for finding in made.reading.reported])
    assert list(catalogue.films["label_state"]) == ["boxed"]


def test_a_detectors_report_is_no_truth_by_itself(made: MadeResults, tmp_path: Path) -> None:
    made.write(tmp_path / "readings")
    catalogue, _ = ingest(tmp_path / "films", tmp_path / "readings", out=tmp_path / "catalogue")
    assert list(catalogue.films["label_state"]) == ["unknown"]
    assert list(catalogue.entries("train")[0].annotations.class_names) == []


def test_persons_are_pseudonyms_and_films_are_found_by_uid(tmp_path: Path) -> None:
    write_film(tmp_path / "films" / "a.dcm")
    reports = tmp_path / "reports"
    reports.mkdir()
    write_report(reports / "1.dcm", *person("Reader^Rosa"), group(Region(square(10, 20, 40, 60), film=UID)))
    write_report(reports / "2.dcm", *person("Other^Otto"), group(Region(square(50, 20, 90, 60), film=UID, finding=MASS)))
    catalogue, report = ingest(tmp_path / "films", reports, out=tmp_path / "catalogue")
    assert report.issues == ()
    readers = list(catalogue.annotations["reader"])
    assert len(set(readers)) == 2
    assert all(reader.startswith("reader-") and len(reader) == len("reader-") + 12 for reader in readers)
    assert sorted(catalogue.annotations["class_name"]) == ["mass", "nodule"]
    assert list(catalogue.films["label_state"]) == ["boxed"]
    held = b"".join(path.read_bytes() for path in (tmp_path / "catalogue").iterdir())
    frames = catalogue.films.to_csv() + catalogue.annotations.to_csv()
    for secret in ("rosa", "otto", "seeded", UID.lower(), str(HEADER["StudyInstanceUID"])):
        assert secret.encode() not in held.lower()
        assert secret not in frames.lower()


def test_a_pseudonym_needs_the_sites_salt_and_the_fingerprint_does_not(tmp_path: Path) -> None:
    write_film(tmp_path / "films" / "a.dcm")
    reports = tmp_path / "reports"
    reports.mkdir()
    write_report(reports / "1.dcm", *person("Reader^Rosa"), group(Region(square(10, 20, 40, 60), film=UID)))
    write_report(reports / "2.dcm", *person("Other^Otto"), group(Region(square(50, 20, 90, 60), film=UID)))
    here, _ = ingest(tmp_path / "films", reports, out=tmp_path / "here", salt="salt 1")
    there, _ = ingest(tmp_path / "films", reports, out=tmp_path / "there", salt="salt 2")
    assert not set(here.annotations["reader"]) & set(there.annotations["reader"])
    assert here.fingerprint == there.fingerprint
    write_report(reports / "2.dcm", *person("Reader^Rosa"), group(Region(square(50, 20, 90, 60), film=UID)))
    other, _ = ingest(tmp_path / "films", reports, out=tmp_path / "other", salt="salt 1")
    assert other.fingerprint != here.fingerprint


def test_two_films_of_one_uid_are_ambiguous(tmp_path: Path) -> None:
    write_film(tmp_path / "films" / "a.dcm")
    write_film(tmp_path / "films" / "b.dcm", at=(100, 120))
    labels = write_report(tmp_path / "r.dcm", *person(), group(Region(square(10, 20, 40, 60), film=UID)))
    catalogue, report = ingest(tmp_path / "films", labels, out=tmp_path / "catalogue")
    assert len(catalogue.annotations) == 0
    assert "film-ambiguous" in {issue.kind for issue in report.issues}
    assert all(UID not in issue.message for issue in report.issues)


def test_a_report_of_a_film_that_is_not_there_is_told(tmp_path: Path) -> None:
    write_film(tmp_path / "films" / "a.dcm")
    labels = write_report(tmp_path / "r.dcm", *person(), group(Region(square(10, 20, 40, 60), film="1.2.999")))
    _, report = ingest(tmp_path / "films", labels, out=tmp_path / "catalogue")
    assert {issue.kind for issue in report.issues} == {"film-not-there", "film-without-label"}
    assert "1.2.999" not in json.dumps([issue.message for issue in report.issues])


def test_any_table_may_name_films_by_uid(tmp_path: Path) -> None:
    write_film(tmp_path / "films" / "a.dcm")
    write_film(tmp_path / "films" / "b.dcm", "1.2.826.9", at=(100, 120))
    labels = tmp_path / "labels.csv"
    labels.write_text(f"film,x1,y1,x2,y2\n{UID},10,20,40,60\n1.2.826.9,,,,\n")
    catalogue, report = ingest(tmp_path / "films", labels, out=tmp_path / "catalogue", label_format=LabelFormat.CSV)
    assert report.issues == ()
    assert sorted(catalogue.films["label_state"]) == ["boxed", "free"]


def test_boxes_outside_the_film_are_told_like_any_others(tmp_path: Path) -> None:
    write_film(tmp_path / "films" / "a.dcm")
    labels = write_report(tmp_path / "r.dcm", *person(), group(Region(square(-10, 20, 40, 9000), film=UID)))
    catalogue, report = ingest(tmp_path / "films", labels, out=tmp_path / "catalogue")
    assert [issue.kind for issue in report.issues] == ["box-clipped"]
    assert boxes_of(catalogue).tolist() == [[0, 20, 40, 400]]


@pytest.mark.parametrize(("verdict", "state"), [("findings", "boxed"), ("normal", "free"), ("unreadable", "unknown")])
def test_what_a_reader_said_on_the_review_page_comes_back(
    verdict: Literal["findings", "normal", "unreadable"], state: str, made: MadeResults, tmp_path: Path
) -> None:
    box = (80.0, 110.0, 101.5, 131.25)
    found = (ReaderFinding(mark="1", box=box, diameter_mm=17.0, side="right", words="nodule"),)
    report = ReaderReport(
        reader="Dr. Ada",
        look="final",
        way="Read unaided.",
        verdict=verdict,
        finished_at="2026-01-02T03:04:05+00:00",
        findings=found if verdict == "findings" else (),
        plane="detector",
        sha256=made.film.sha256,
    )
    with quiet_pydicom():
        (tmp_path / "reader.dcm").write_bytes(make_reader_report(report, source=made.source).content)
    catalogue, said = ingest(tmp_path / "films", tmp_path / "reader.dcm", out=tmp_path / "catalogue")
    assert said.issues == ()
    assert list(catalogue.films["label_state"]) == [state]
    assert boxes_of(catalogue).tolist() == ([list(box)] if verdict == "findings" else [])
    assert all(reader.startswith("reader-") for reader in catalogue.films["readers"][0])
