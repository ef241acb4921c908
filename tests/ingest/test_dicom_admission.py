"""Which objects are films, which are not, and what is said about the odd ones."""

from pathlib import Path

import numpy as np
import pytest
from dicom_files import TagValue, write_dicom
from numpy.typing import NDArray
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)

from xraynet import read_radiograph
from xraynet.errors import FilmError, FilmRefused

REFUSED: dict[str, tuple[dict[str, TagValue], str]] = {
    "our own": ({"Manufacturer": " XRAYNET "}, "own-result"),
    "our own report": ({"Manufacturer": "xraynet", "Modality": "SR", "PixelData": None}, "own-result"),
    "a CT": ({"Modality": "CT", "SOPClassUID": CTImageStorage}, "not-a-radiograph"),
    "a CT called DX": ({"SOPClassUID": CTImageStorage}, "not-a-radiograph"),
    "a mammogram": ({"Modality": "MG"}, "not-a-radiograph"),
    "a captured scan": ({"Modality": "NM", "SOPClassUID": SecondaryCaptureImageStorage}, "not-a-radiograph"),
    "raw by intent": ({"PresentationIntentType": "FOR PROCESSING"}, "for-processing"),
    "raw by class": (
        {"SOPClassUID": DigitalXRayImageStorageForProcessing, "PresentationIntentType": None},
        "for-processing",
    ),
    "a derived capture": (
        {"SOPClassUID": SecondaryCaptureImageStorage, "Modality": "OT", "ImageType": ["DERIVED", "SECONDARY"]},
        "derived",
    ),
    "a palette": ({"PhotometricInterpretation": "PALETTE COLOR"}, "true-colour"),
    "a structured report": (
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33", "Modality": "SR", "PixelData": None, "Rows": None},
        "not-an-image",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_object_is_refused_with_its_own_code(name: str, film12: NDArray[np.uint16], tmp_path: Path) -> None:
    tags, code = REFUSED[name]
    with pytest.raises(FilmRefused) as caught:
        read_radiograph(write_dicom(tmp_path / "film.dcm", film12, **tags))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "tags",
    [
        {"SOPClassUID": ComputedRadiographyImageStorage, "Modality": "CR", "ImageType": ["DERIVED", "PRIMARY"]},
        {"Modality": "RG"},
        {"SOPClassUID": SecondaryCaptureImageStorage, "Modality": "CR", "ConversionType": "DF"},
        {"SOPClassUID": SecondaryCaptureImageStorage, "Modality": "OT", "ConversionType": "DF"},
        {"SOPClassUID": None, "Modality": None},
    ],
)
def test_film_of_any_honest_kind_is_read(tags: dict[str, TagValue], film12: NDArray[np.uint16], tmp_path: Path) -> None:
    radiograph = read_radiograph(write_dicom(tmp_path / "film.dcm", film12, **tags))
    assert radiograph.size == film12.shape


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"Modality": "OT"}, "Modality is OT"),
        ({"BodyPartExamined": "ANKLE"}, "Body Part Examined is ANKLE"),
        ({"PixelIntensityRelationship": "LIN"}, "LIN"),
        ({"PhotometricInterpretation": None}, "MONOCHROME2 was assumed"),
        ({"RescaleSlope": "0", "RescaleIntercept": "0"}, "not a usable line"),
        ({"WindowCenter": 100.0}, "Window Width is missing"),
        ({"WindowCenter": 100.0, "WindowWidth": 100.0, "VOILUTFunction": "CUBIC"}, "LINEAR was used"),
        ({"PixelPaddingValue": 9, "BitsStored": 16}, ""),
    ],
)
def test_odd_film_is_read_with_a_warning(
    tags: dict[str, TagValue], said: str, film12: NDArray[np.uint16], tmp_path: Path
) -> None:
    radiograph = read_radiograph(write_dicom(tmp_path / "film.dcm", film12, **tags))
    assert any(said in warning for warning in radiograph.warnings) or not said


@pytest.mark.parametrize("part", ["CHEST", "chest pa", "THORAX"])
def test_chest_words_are_no_reason_to_warn(part: str, film12: NDArray[np.uint16], tmp_path: Path) -> None:
    assert read_radiograph(write_dicom(tmp_path / "film.dcm", film12, BodyPartExamined=part)).warnings == ()


def test_ages_sexes_and_identity_come_along_and_stay_out_of_the_repr(film12: NDArray[np.uint16], tmp_path: Path) -> None:
    radiograph = read_radiograph(
        write_dicom(
            tmp_path / "film.dcm",
            film12,
            PatientName="Seeded^Name",
            PatientID="seed-77",
            PatientSex="F",
            PatientAge="067Y",
            AccessionNumber="acc-1",
        )
    )
    assert (radiograph.sex, radiograph.age_years) == ("F", 67.0)
    assert (radiograph.identity.name, radiograph.identity.patient_id) == ("Seeded^Name", "seed-77")
    assert "Seeded" not in repr(radiograph)


@pytest.mark.parametrize(
    ("tags", "years"),
    [
        ({"PatientAge": "006M"}, 0.5),
        ({"PatientAge": "010D"}, 10 / 365.25),
        ({"PatientAge": "999Y"}, None),
        ({"PatientAge": "about 60"}, None),
        ({"PatientBirthDate": "19600615", "StudyDate": "20200614"}, 59.0),
        ({"PatientBirthDate": "19600615", "StudyDate": "20200615"}, 60.0),
        ({"PatientBirthDate": "20300101", "StudyDate": "20200615"}, None),
    ],
)
def test_age_is_in_years_or_unknown(
    tags: dict[str, TagValue], years: float | None, film12: NDArray[np.uint16], tmp_path: Path
) -> None:
    assert read_radiograph(write_dicom(tmp_path / "film.dcm", film12, **tags)).age_years == years


def test_pydicoms_own_files_are_read_or_refused_as_what_they_are(pydicom_files: Path) -> None:
    read, refused, messages = [], {}, {}
    for path in sorted(pydicom_files.glob("*.dcm")):
        try:
            read.append((path.name, read_radiograph(path).size))
        except FilmError as error:
            refused[path.name] = error.code
            messages[path.name] = str(error)
    assert {name for name, _ in read} == {"JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm", "image_dfl.dcm"}
    assert refused["CT_small.dcm"] == "not-a-radiograph"
    assert refused["test-SR.dcm"] == "not-an-image"
    assert refused["SC_rgb_rle_2frame.dcm"] == "multi-frame"
    assert refused["SC_rgb_rle.dcm"] == "true-colour"
    assert "internal-error" not in refused.values()
    assert all(name in message for name, message in messages.items())


def test_real_chest_film_is_read_with_right_polarity_and_no_made_up_millimetres(data_store: Path) -> None:
    film = read_radiograph(data_store / "RG1_UNCR.dcm")
    assert film.size == (1955, 1841)
    assert film.spacing is None
    assert film.view_position == "PA"
    assert film.grey.is_inverted
    assert any("PixelSpacing is 0\\0" in warning for warning in film.warnings)
    shown = film.display()
    mediastinum, right_lung, air = (
        shown[900:1100, 850:950].mean(),
        shown[700:1000, 400:600].mean(),
        shown[60:160, 60:160].mean(),
    )
    assert mediastinum > right_lung > air


def test_real_ankle_is_mirrored_and_not_called_a_chest(data_store: Path) -> None:
    film = read_radiograph(data_store / "RG3_UNCR.dcm")
    assert film.mirrored
    assert any("EXTREMITY" in warning for warning in film.warnings)


def test_files_with_lookup_tables_use_them(data_store: Path) -> None:
    voi = read_radiograph(data_store / "vlut_04.dcm")
    assert np.unique(voi.display()).size > 2
    modality = read_radiograph(data_store / "mlut_18.dcm")
    assert (modality.grey.slope, modality.grey.intercept) == (65535.0, 0.0)
