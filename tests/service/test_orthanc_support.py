"""The archive that other tests stand on: it stores, answers through DICOMweb, and keeps what it had over an outage."""

import urllib.error
from pathlib import Path

import pytest
import spots
from dicom_files import write_dicom
from orthanc import Modality, Orthanc, find_free_port

pytestmark = pytest.mark.tools
STUDY = "1.2.826.0.1.3680043.10.1"


@pytest.fixture
def film(tmp_path: Path) -> bytes:
    uids = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": f"{STUDY}.1", "SOPInstanceUID": f"{STUDY}.1.1"}
    return write_dicom(tmp_path / "film.dcm", spots.spot_film((90, 120)), **uids).read_bytes()


def test_what_is_stored_is_found_and_comes_back(orthanc_program: str, tmp_path: Path, film: bytes) -> None:
    with Orthanc.start(tmp_path / "archive") as archive:
        assert archive.list_studies() == []
        identifier = archive.upload(film)
        assert archive.upload(film) == identifier
        assert archive.list_studies() == [STUDY]
        assert [one["Modality"] for one in archive.list_series(STUDY)] == ["DX"]
        assert [one["SOPInstanceUID"] for one in archive.list_instances(study_uid=STUDY)] == [f"{STUDY}.1.1"]
        assert archive.list_instances(study_uid="1.2.3") == []
        assert len(archive.search_dicomweb(f"studies/{STUDY}/series", Modality="DX")) == 1
        assert archive.download(f"{STUDY}.1.1") == film


def test_an_outage_loses_nothing(orthanc_program: str, tmp_path: Path, film: bytes) -> None:
    with Orthanc.start(tmp_path / "archive") as archive:
        archive.upload(film)
        archive.stop(kill=True)
        with pytest.raises(urllib.error.URLError):
            archive.list_studies()
        archive.start_again()
        assert archive.list_studies() == [STUDY]
        assert len(archive.wait_for_instances(1)) == 1


def test_one_archive_sends_to_another(orthanc_program: str, tmp_path: Path, film: bytes) -> None:
    with Orthanc.start(tmp_path / "other", ae_title="OTHER") as other:
        modality = Modality(name="other", ae_title="OTHER", port=other.dicom_port)
        nobody = Modality(name="nobody", ae_title="NOBODY", port=find_free_port())
        with Orthanc.start(tmp_path / "archive", modalities=[modality, nobody]) as archive:
            assert archive.echo("other")
            assert not archive.echo("nobody")
            archive.send("other", archive.upload(film))
            assert other.list_studies() == [STUDY]
