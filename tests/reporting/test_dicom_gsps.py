"""The presentation state: right side up in grey, marks in place, also as dcmtk understands it."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
import spots
from dicom_files import TagValue, write_dicom
from made_results import HEADER, MadeResults, make_results
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from tools import run_tool

from xraynet.reporting.window import show_film

FILM = spots.spot_film((90, 120), (230, 290))
WINDOW: dict[str, TagValue] = {"WindowCenter": 1500, "WindowWidth": 1800}
MONOCHROME1: dict[str, TagValue] = {"PhotometricInterpretation": "MONOCHROME1"}


def make_table(first: int, entries: NDArray[np.floating], **more: str) -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, 16]
    item["LUTDescriptor"].VR = "US" if first >= 0 else "SS"
    item.LUTData = entries.astype("<u2").tobytes()
    item["LUTData"].VR = "OW"
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return Sequence([item])


RISE = np.linspace(0, 1, 4096)
GREYS: dict[str, tuple[NDArray[np.integer], dict[str, TagValue]]] = {
    "no window": (FILM, {}),
    "MONOCHROME1 without a window": (4095 - FILM, MONOCHROME1),
    "a window": (FILM, WINDOW),
    "MONOCHROME1 with a window": (4095 - FILM, MONOCHROME1 | {"WindowCenter": 2500, "WindowWidth": 1800}),
    "an exact window": (FILM, WINDOW | {"VOILUTFunction": "LINEAR_EXACT"}),
    "several windows": (FILM, {"WindowCenter": [1500, 900], "WindowWidth": [1800, 500]}),
    "a width of 1": (FILM, {"WindowCenter": 1500, "WindowWidth": 1}),
    "a width of 0": (FILM, {"WindowCenter": 1500, "WindowWidth": 0}),
    "a rescale": (FILM, {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 2000, "WindowWidth": 3600}),
    "a falling rescale": (
        FILM,
        MONOCHROME1 | {"RescaleSlope": -1, "RescaleIntercept": 4095, "WindowCenter": 2500, "WindowWidth": 1800},
    ),
    "signed pixels": (
        FILM.astype(np.int16) - 2048,
        {"PixelRepresentation": 1, "WindowCenter": -500, "WindowWidth": 1800},
    ),
    "a VOI table": (FILM, {"VOILUTSequence": make_table(0, RISE**2 * 65535)}),
    "a VOI table below 0": (FILM.astype(np.int16) - 2048, {"VOILUTSequence": make_table(-2048, RISE**2 * 65535)}),
    "a modality table": (
        FILM,
        {
            "ModalityLUTSequence": make_table(0, np.sqrt(RISE) * 4095, ModalityLUTType="US"),
            "WindowCenter": 2000,
            "WindowWidth": 3000,
        },
    ),
    "8 bits": ((FILM >> 4).astype(np.uint8), {"BitsStored": 8, "WindowCenter": 100, "WindowWidth": 120}),
    "big endian": (FILM, WINDOW | {"syntax": ExplicitVRBigEndian}),  # type: ignore[dict-item]
    "implicit VR": (FILM, WINDOW | {"syntax": ImplicitVRLittleEndian}),  # type: ignore[dict-item]
    "deflated": (FILM, WINDOW | {"syntax": DeflatedExplicitVRLittleEndian}),  # type: ignore[dict-item]
    "no Part 10 header": (FILM, WINDOW | {"part10": False}),
    "pixels that are not square": (FILM, WINDOW | {"ImagerPixelSpacing": [0.8, 0.6]}),
}


def make(path: Path, name: str) -> MadeResults:
    pixels, tags = GREYS[name]
    return make_results(write_dicom(path, pixels, **(HEADER | tags)), kinds=("pr",))


@pytest.mark.tools
@pytest.mark.parametrize("name", GREYS)
def test_dcmtk_shows_the_film_through_its_marks_as_the_report_does(name: str, tmp_path: Path) -> None:
    """Within one grey level of 256: modality, window and polarity all come from the presentation state."""
    made = make(tmp_path / "film.dcm", name)
    state, shown = made.write(tmp_path)["pr"], tmp_path / "shown.pgm"
    _, said = run_tool("dcmp2pgm", "-p", state, tmp_path / "film.dcm", shown)
    assert shown.is_file(), said
    picture = np.asarray(Image.open(shown)).astype(np.float32) / 255
    assert np.abs(picture - show_film(made.film)).max() < 1.2 / 255
    middle, corner = picture[150:250, 110:210].mean(), picture[:20, :20].mean()
    assert middle > corner + 0.2, "what is dense is bright, air is black"


@pytest.mark.tools
@pytest.mark.parametrize("name", ["a window", "MONOCHROME1 with a window"])
def test_dcmtk_keeps_every_mark_where_the_bright_spot_is(name: str, tmp_path: Path) -> None:
    """dcmp2pgm renders grey values only: its own copy of the state (+S) says where it would draw the marks."""
    made = make(tmp_path / "film.dcm", name)
    state, shown, kept = made.write(tmp_path)["pr"], tmp_path / "shown.pgm", tmp_path / "kept.dcm"
    run_tool("dcmp2pgm", "-p", state, "+S", kept, tmp_path / "film.dcm", shown)
    picture = np.asarray(Image.open(shown))
    boxes = boxes_of(pydicom.dcmread(kept))
    assert len(boxes) == 2
    for (left, top, right, bottom), (x, y) in zip(sorted(boxes), ((90, 120), (230, 290)), strict=True):
        assert left < x < right and top < y < bottom
        inside = picture[round(top) : round(bottom), round(left) : round(right)]
        row, column = np.unravel_index(int(inside.argmax()), inside.shape)
        assert abs(left + column - x) < 6 and abs(top + row - y) < 6


def boxes_of(state: Dataset) -> list[tuple[float, float, float, float]]:
    """(left, top, right, bottom) of every closed outline."""
    found = []
    for item in state.GraphicAnnotationSequence[0].GraphicObjectSequence:
        points = np.array(item.GraphicData).reshape(-1, 2)
        assert item.GraphicAnnotationUnits == "PIXEL"
        assert item.GraphicType == "POLYLINE"
        assert np.array_equal(points[0], points[-1])
        found.append((*points.min(axis=0), *points.max(axis=0)))
    return found


@pytest.mark.parametrize(("name", "shape"), [("a window", "IDENTITY"), ("MONOCHROME1 with a window", "INVERSE")])
def test_polarity_is_stated_by_the_presentation(name: str, shape: str, tmp_path: Path) -> None:
    state = make(tmp_path / "film.dcm", name).dataset("pr")
    assert state.PresentationLUTShape == shape


def test_marks_are_the_reported_boxes_with_number_name_and_score(tmp_path: Path) -> None:
    made = make(tmp_path / "film.dcm", "a window")
    state = made.dataset("pr")
    assert np.allclose(boxes_of(state), [finding.box for finding in made.reading.reported], atol=0.01)
    texts = [str(item.UnformattedTextValue) for item in state.GraphicAnnotationSequence[0].TextObjectSequence]
    assert texts[0] == f"1 nodule {made.reading.reported[0].score:.2f}"
    assert texts[-1] == "xraynet: Research use, not for diagnosis."


def test_no_finding_is_said_in_words(tmp_path: Path) -> None:
    made = make_results(write_dicom(tmp_path / "a.dcm", spots.spot_film(), **HEADER), kinds=("pr",))
    (annotation,) = made.dataset("pr").GraphicAnnotationSequence
    assert "GraphicObjectSequence" not in annotation
    (text,) = annotation.TextObjectSequence
    assert text.UnformattedTextValue.startswith("xraynet: No finding above the operating point.")


def test_labels_stay_inside_the_film(tmp_path: Path) -> None:
    film = spots.spot_film((8, 8), (312, 392), (312, 8), radius=14, level=3000)
    made = make_results(write_dicom(tmp_path / "a.dcm", film, **HEADER), kinds=("pr",))
    labels = made.dataset("pr").GraphicAnnotationSequence[0].TextObjectSequence[:-1]
    assert labels
    for label in labels:
        left, top = label.BoundingBoxTopLeftHandCorner
        right, bottom = label.BoundingBoxBottomRightHandCorner
        assert 0 <= left < right <= film.shape[1] and 0 <= top < bottom <= film.shape[0]


def test_pixels_that_are_not_square_are_shown_by_their_spacing(tmp_path: Path) -> None:
    (area,) = make(tmp_path / "film.dcm", "pixels that are not square").dataset("pr").DisplayedAreaSelectionSequence
    assert list(area.PresentationPixelSpacing) == [0.8, 0.6]
    assert "PresentationPixelAspectRatio" not in area
