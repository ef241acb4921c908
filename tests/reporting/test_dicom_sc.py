"""The secondary capture: a picture that any viewer shows, and a film that stays readable on it."""

from pathlib import Path

import numpy as np
import pytest
import spots
from dicom_files import write_dicom
from made_results import HEADER, MadeResults, make_results

from xraynet.reporting.frame import SHORTEST_LONG_SIDE, DisplayFrame
from xraynet.reporting.overlay import BOX_COLOUR
from xraynet.reporting.window import show_film


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeResults:
    film = spots.spot_film((90, 120), (230, 290))
    return make_results(write_dicom(tmp_path_factory.mktemp("film") / "a.dcm", film, **HEADER))


def test_the_picture_says_of_itself_what_it_is(made: MadeResults) -> None:
    capture = made.dataset("sc")
    assert capture.BurnedInAnnotation == "YES"
    assert capture.ImageType[:2] == ["DERIVED", "SECONDARY"]
    assert (capture.LossyImageCompression, capture.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    assert capture.LossyImageCompressionRatio > 1
    assert "not for diagnosis" in capture.ImageComments
    assert len(capture.PixelData) < 0.3 * capture.Rows * capture.Columns * 3
    assert "PixelSpacing" not in capture
    (film,) = capture.SourceImageSequence
    assert film.ReferencedSOPInstanceUID == HEADER["SOPInstanceUID"]


def test_the_film_stands_whole_and_readable_at_the_left(made: MadeResults) -> None:
    picture = made.dataset("sc").pixel_array
    frame = DisplayFrame.of(made.film.size, spacing_mm=(0.8, 0.8), least=SHORTEST_LONG_SIDE)
    height, width = frame.size
    assert picture.shape[0] == height
    assert picture.shape[1] > width
    shown = frame.show(show_film(made.film)) * 255
    differs = np.abs(picture[:, :width].astype(np.float32) - shown[..., None]).max(axis=-1) > 24
    assert differs.mean() < 0.06, "boxes, labels and one line of words lie over the film, nothing else"


def test_boxes_stand_around_the_spots(made: MadeResults) -> None:
    picture = made.dataset("sc").pixel_array.astype(int)
    frame = DisplayFrame.of(made.film.size, spacing_mm=(0.8, 0.8), least=SHORTEST_LONG_SIDE)
    is_box = np.abs(picture - np.array(BOX_COLOUR)).max(axis=-1) < 40
    for box in frame.boxes(made.reading.to_detections().boxes)[: len(made.reading.reported)]:
        x1, y1, x2, y2 = (round(float(side)) for side in box)
        gap = round(6 * max(frame.size) / 1024)
        left = is_box[y1:y2, x1 - gap : x1 + 1].any(axis=1).mean()
        bottom = is_box[y2 : y2 + gap + 1, x1:x2].any(axis=0).mean()
        assert min(left, bottom) > 0.9
        assert not is_box[y1 + gap : y2 - gap, x1 + gap : x2 - gap].any()


def test_a_film_without_a_finding_gets_a_picture_that_does_not_call_it_normal(tmp_path: Path) -> None:
    made = make_results(write_dicom(tmp_path / "a.dcm", spots.spot_film(), **HEADER))
    assert set(made.objects) == {"sr", "sc", "pr"}
    picture = made.dataset("sc").pixel_array.astype(int)
    assert (np.abs(picture - np.array(BOX_COLOUR)).max(axis=-1) < 40).mean() < 0.02


def test_many_findings_and_a_narrow_film_do_not_break_the_picture(tmp_path: Path) -> None:
    places = [(x, y) for x in range(30, 110, 38) for y in range(40, 900, 60)]
    film = spots.spot_film(*places, size=(940, 130), radius=8)
    made = make_results(write_dicom(tmp_path / "a.dcm", film, **HEADER))
    assert len(made.reading.reported) > 12
    assert made.dataset("sc").pixel_array.ndim == 3


def test_a_film_squeezed_to_a_line_by_a_senseless_spacing_does_not_break_the_picture(tmp_path: Path) -> None:
    header = {**HEADER, "ImagerPixelSpacing": ["0.000012345", "0.8"]}
    made = make_results(write_dicom(tmp_path / "a.dcm", spots.spot_film(), **header))
    assert set(made.objects) == {"sr", "sc", "pr"}


def test_orientation_is_the_films_or_left_open(made: MadeResults, tmp_path: Path) -> None:
    assert list(made.dataset("sc").PatientOrientation) == ["L", "F"]
    header = HEADER | {"PatientOrientation": None}
    without = make_results(write_dicom(tmp_path / "a.dcm", spots.spot_film(), **header))
    assert not without.dataset("sc").PatientOrientation
