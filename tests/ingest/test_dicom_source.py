"""The header of a film as plain values: whatever the file says, what comes back can be filed."""

from pathlib import Path

import numpy as np
import pytest
from dicom_files import TagValue, write_dicom
from made_results import HEADER
from numpy.typing import NDArray

from xraynet.dicom_source import DicomSource, NoSource
from xraynet.ingest.dicom_source import read_dicom_source

NAMES = {
    "SOPClassUID": "SOP Class UID",
    "SOPInstanceUID": "SOP Instance UID",
    "StudyInstanceUID": "Study Instance UID",
    "SeriesInstanceUID": "Series Instance UID",
}


def read(path: Path, pixels: NDArray[np.integer], **tags: TagValue) -> DicomSource | NoSource:
    return read_dicom_source(write_dicom(path / "film.dcm", pixels, **(HEADER | tags)))


@pytest.mark.parametrize(("keyword", "name"), NAMES.items())
@pytest.mark.parametrize("value", [None, "", "../../../../x", "1.2.x", "1" * 65])
def test_without_a_usable_uid_nothing_can_be_filed(
    keyword: str, name: str, value: str | None, film12: NDArray[np.uint16], tmp_path: Path
) -> None:
    source = read(tmp_path, film12, part10=False, **{keyword: value})
    assert isinstance(source, NoSource)
    assert source.is_dicom
    assert source.reason == f"no usable {name} in the header"


def test_what_is_no_dicom_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 200)
    assert read_dicom_source(tmp_path / "a.png") == NoSource("no DICOM file", is_dicom=False)


@pytest.mark.parametrize(
    ("tags", "attribute", "value"),
    [
        ({"PatientBirthDate": "19511332"}, "birth_date", ""),
        ({"PatientBirthDate": "1951.12.13"}, "birth_date", "19511213"),
        ({"StudyTime": "25:00"}, "study_time", ""),
        ({"StudyTime": "10:11:12"}, "study_time", "101112"),
        ({"PatientSex": "W"}, "sex", ""),
        ({"PatientAge": "67"}, "age", ""),
        ({"PatientID": " 007\n"}, "patient_id", "007"),
        ({"PatientName": "A^B^C^D^E^F"}, "patient_name", "A^B^C^D^E"),
        ({"PatientName": "Doe^Jane\x00\x1b"}, "patient_name", "Doe^Jane"),
        ({"InstanceNumber": -3}, "instance_number", 1),
        ({"PatientOrientation": ["L"]}, "patient_orientation", None),
        ({"PatientOrientation": ["L", "<b>"]}, "patient_orientation", None),
        ({"RescaleSlope": "0", "RescaleIntercept": "0"}, "rescale", None),
        ({"RescaleSlope": "2", "RescaleIntercept": "-7"}, "rescale", (2.0, -7.0)),
        ({"ContentDate": "20250101"}, "image_date", "20250101"),
        ({"AcquisitionDate": "20250102", "SeriesDate": "20250103"}, "image_date", "20250102"),
        ({}, "image_date", "20250203"),
    ],
)
def test_what_is_wrong_is_left_out_and_what_is_right_stays(
    tags: dict[str, TagValue], attribute: str, value: object, film12: NDArray[np.uint16], tmp_path: Path
) -> None:
    source = read(tmp_path, film12, **tags)
    assert isinstance(source, DicomSource)
    assert getattr(source, attribute) == value


def test_a_source_shows_nobody(film12: NDArray[np.uint16], tmp_path: Path) -> None:
    source = read(tmp_path, film12, PatientName="Seeded^Name")
    assert "Seeded" not in repr(source) + str(source)


def test_values_that_are_none_are_refused_at_the_door() -> None:
    with pytest.raises(ValueError, match="no UID"):
        DicomSource("1.2", "x", "1.3", "1.4")
    with pytest.raises(ValueError, match="date"):
        DicomSource("1.2", "1.5", "1.3", "1.4", study_date="tomorrow")
