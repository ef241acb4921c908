"""Millimetres only where the file honestly says them, the plane they hold in, the view, and mirrored films."""

from pathlib import Path

import numpy as np
import pytest
from dicom_files import TagValue, write_dicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from xraynet import Radiograph, read_radiograph


@pytest.fixture
def read_with(film12: NDArray[np.uint16], tmp_path: Path):  # type: ignore[no-untyped-def]
    def read(**tags: TagValue) -> Radiograph:
        return read_radiograph(write_dicom(tmp_path / "film.dcm", film12, **tags))

    return read


@pytest.mark.parametrize(
    ("tags", "expected", "said"),
    [
        ({}, None, ""),
        ({"ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1, "detector"), ""),
        ({"PixelSpacing": [0.2, 0.1]}, (0.2, 0.1, "detector"), "does not say its plane"),
        ({"PixelSpacing": [0.2, 0.1], "ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1, "detector"), ""),
        ({"PixelSpacing": [0.18, 0.09], "ImagerPixelSpacing": [0.2, 0.1]}, (0.18, 0.09, "calibrated"), ""),
        (
            {"PixelSpacing": [0.2, 0.1], "ImagerPixelSpacing": [0.2, 0.1], "PixelSpacingCalibrationType": "FIDUCIAL"},
            (0.2, 0.1, "calibrated"),
            "",
        ),
        ({"PixelSpacing": [0.2, 0.1], "PixelSpacingCalibrationType": "GEOMETRY"}, (0.2, 0.1, "calibrated"), ""),
        ({"NominalScannedPixelSpacing": [0.175, 0.175]}, (0.175, 0.175, "detector"), ""),
        ({"PixelSpacing": [0.0, 0.0]}, None, "PixelSpacing is 0\\0"),
        ({"PixelSpacing": [0.0, 0.0], "ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1, "detector"), "PixelSpacing is 0\\0"),
        ({"ImagerPixelSpacing": [-1.0, 0.1]}, None, "ImagerPixelSpacing is -1\\0.1"),
        ({"ImagerPixelSpacing": [0.1, 500.0]}, None, "ImagerPixelSpacing is 0.1\\500"),
        ({"PixelAspectRatio": [4, 3]}, None, "Pixel Aspect Ratio is 4\\3"),
        (
            {"ImagerPixelSpacing": [0.2, 0.2], "EstimatedRadiographicMagnificationFactor": "1.1"},
            (0.2, 0.2, "detector"),
            "Magnification Factor is 1.1",
        ),
    ],
)
def test_spacing_and_its_plane(read_with, tags, expected, said) -> None:  # type: ignore[no-untyped-def]
    film = read_with(**tags)
    found = None if film.spacing is None else (film.spacing.row_mm, film.spacing.column_mm, film.spacing.plane)
    assert found == expected
    assert any(said in warning for warning in film.warnings) if said else film.warnings == ()


def code_item(value: str, meaning: str = "") -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodeMeaning = value, meaning
    return Sequence([item])


@pytest.mark.parametrize(
    ("tags", "view"),
    [
        ({}, "UNKNOWN"),
        ({"ViewPosition": "PA"}, "PA"),
        ({"ViewPosition": "AP SUPINE"}, "AP"),
        ({"ViewPosition": "CHEST_PA"}, "PA"),
        ({"ViewPosition": "--"}, "UNKNOWN"),
        ({"ViewPosition": "LL"}, "LATERAL"),
        ({"ViewPosition": "RLD"}, "LATERAL"),
        ({"ViewPosition": "LATERAL"}, "LATERAL"),
        ({"ViewPosition": "RAO"}, "OBLIQUE"),
        ({"ViewPosition": "YY"}, "OTHER"),
        ({"ViewCodeSequence": code_item("272479007")}, "PA"),
        ({"ViewCodeSequence": code_item("R-10206")}, "AP"),
        ({"ViewCodeSequence": code_item("local", "left lateral")}, "LATERAL"),
        ({"ViewCodeSequence": code_item("local", "postero-anterior oblique")}, "OBLIQUE"),
        ({"ViewCodeSequence": code_item("local", "Postero-anterior")}, "PA"),
        ({"ViewCodeSequence": code_item("local", "antero-posterior")}, "AP"),
        ({"ViewCodeSequence": code_item("local", "axial")}, "OTHER"),
        ({"ViewCodeSequence": code_item("local")}, "UNKNOWN"),
        ({"PatientOrientation": ["A", "F"]}, "LATERAL"),
        ({"PatientOrientation": ["L", "F"]}, "UNKNOWN"),
    ],
)
def test_view_comes_from_position_then_code_then_orientation(read_with, tags, view) -> None:  # type: ignore[no-untyped-def]
    film = read_with(**tags)
    assert film.view_position == view
    assert any("frontal" in warning for warning in film.warnings) == (film.view_position.is_frontal is False)


@pytest.mark.parametrize(
    ("orientation", "mirrored", "warns"),
    [
        (None, False, False),
        (["L", "F"], False, False),
        (["R", "F"], True, True),
        (["L", "H"], True, True),
        (["R", "H"], True, True),
        (["F", "R"], False, True),
        (["F", "L"], True, True),
        (["H", "L"], False, True),
        (["P", "F"], False, True),
    ],
)
def test_mirrored_film_is_flagged(read_with, orientation, mirrored, warns) -> None:  # type: ignore[no-untyped-def]
    film = read_with(PatientOrientation=orientation)
    assert film.mirrored is mirrored
    assert bool(film.warnings) is warns
