"""The structured report, read back with highdicom and pydicom."""

from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
import spots
from dicom_files import write_dicom
from made_results import HEADER, MadeResults, make_results, make_settings
from pydicom.dataset import Dataset

from xraynet.batch.dicom_results import results_of_refusal
from xraynet.dicom_source import DicomSource
from xraynet.errors import FilmFailed, FilmRefused
from xraynet.ingest.dicom_source import read_dicom_source


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeResults:
    film = spots.spot_film((90, 120), (230, 290))
    return make_results(write_dicom(tmp_path_factory.mktemp("film") / "a.dcm", film, **HEADER), kinds=("sr",))


def groups_of(dataset: Dataset) -> list[hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations]:
    report = hd.sr.ComprehensiveSR.from_dataset(dataset)
    return report.content.get_planar_roi_measurement_groups()


def texts_of(item: Dataset) -> list[str]:
    """All texts of a report, in order."""
    own = [str(item.TextValue)] if "TextValue" in item else []
    return own + [text for child in item.get("ContentSequence", []) for text in texts_of(child)]


def codes_of(item: Dataset, name: str) -> list[str]:
    """The code values under that concept name, in order."""
    own = []
    if item.get("ValueType") == "CODE" and item.ConceptNameCodeSequence[0].CodeValue == name:
        own = [str(item.ConceptCodeSequence[0].CodeValue)]
    return own + [code for child in item.get("ContentSequence", []) for code in codes_of(child, name)]


def test_every_reported_finding_is_a_region_where_its_box_is(made: MadeResults) -> None:
    groups = groups_of(made.dataset("sr"))
    assert len(groups) == len(made.reading.reported) == 2
    for finding, group in zip(made.reading.reported, groups, strict=True):
        assert group.roi.graphic_type is hd.sr.GraphicTypeValues.POLYLINE
        points = group.roi.value
        assert np.array_equal(points[0], points[-1])
        box = (*points.min(axis=0), *points.max(axis=0))
        assert np.abs(np.array(box) - np.array(finding.box)).max() < 0.01
        source = group.roi.ContentSequence[0].ReferencedSOPSequence[0]
        assert source.ReferencedSOPInstanceUID == HEADER["SOPInstanceUID"]


def test_a_region_holds_the_bright_spot_that_the_film_shows(made: MadeResults) -> None:
    """Column first, then row, counted from the outer corner of the first pixel: both spots lie inside their own region."""
    for x, y in ((90, 120), (230, 290)):
        inside = []
        for group in groups_of(made.dataset("sr")):
            (left, top), (right, bottom) = group.roi.value.min(axis=0), group.roi.value.max(axis=0)
            inside.append(left <= x + 0.5 <= right and top <= y + 0.5 <= bottom)
        assert inside.count(True) == 1


def test_a_box_at_the_films_border_ends_at_rows_and_columns(tmp_path: Path) -> None:
    film = spots.spot_film((4, 396), radius=14, level=3000)
    made = make_results(write_dicom(tmp_path / "a.dcm", film, **HEADER), kinds=("sr",))
    regions = [group.roi.value for group in groups_of(made.dataset("sr"))]
    assert min(points[:, 0].min() for points in regions) == 0
    assert max(points[:, 1].max() for points in regions) == film.shape[0]


def test_certainty_is_the_score_in_percent_and_the_diameter_says_its_plane(made: MadeResults) -> None:
    for finding, group in zip(made.reading.reported, groups_of(made.dataset("sr")), strict=True):
        values = {item.name.value: item for item in group.get_measurements()}
        assert set(values) == {"111012", "81827009"}
        assert values["111012"].value == pytest.approx(100 * finding.score, abs=0.01)
        assert values["111012"].unit.value == "%"
        assert values["81827009"].value == finding.diameter_mm
        assert values["81827009"].unit.value == "mm"
        assert values["81827009"].method.meaning == "Longer side of the box, at the detector (magnified)"


def test_no_millimetre_is_made_up(tmp_path: Path) -> None:
    header = HEADER | {"ImagerPixelSpacing": None, "PixelSpacing": [0, 0]}
    made = make_results(write_dicom(tmp_path / "a.dcm", spots.spot_film((90, 120)), **header), kinds=("sr",))
    (group,) = groups_of(made.dataset("sr"))
    assert [item.name.value for item in group.get_measurements()] == ["111012"]
    assert not any(" mm" in text for text in texts_of(made.dataset("sr")) if "suspected" in text)


def test_site_and_side_are_stated(made: MadeResults) -> None:
    first, second = groups_of(made.dataset("sr"))
    sides = {}
    for group in (first, second):
        (site,) = group.finding_sites
        assert site.value.value == "39607008"
        sides[group.roi.value[0, 0] < 160] = site.laterality.value
    assert sides == {True: "24028007", False: "7771000"}


def test_no_side_is_stated_where_the_film_is_mirrored(tmp_path: Path) -> None:
    header = HEADER | {"PatientOrientation": ["R", "F"]}
    made = make_results(write_dicom(tmp_path / "a.dcm", spots.spot_film((90, 120)), **header), kinds=("sr",))
    (group,) = groups_of(made.dataset("sr"))
    assert group.finding_sites[0].laterality is None


def test_who_spoke_is_a_device_and_an_artificial_intelligence(made: MadeResults) -> None:
    report = made.dataset("sr")
    assert codes_of(report, "121005") == ["121007"]
    assert set(codes_of(report, "111000")) == {"123110"}
    said = texts_of(report)
    assert made.reading.checkpoint.fingerprint in said
    assert f"detector {made.reading.checkpoint.fingerprint}" in said
    assert (report.CompletionFlag, report.PreliminaryFlag, report.VerificationFlag) == (
        "COMPLETE",
        "PRELIMINARY",
        "UNVERIFIED",
    )


def test_the_report_says_what_it_is_not_for_and_how_sensitive_the_detector_is(made: MadeResults) -> None:
    said = texts_of(made.dataset("sr"))
    assert "Research use, not for diagnosis." in said
    at = said.index("Sensitivity there was 0.63 [0.51 to 0.74] on 120 synthetic films (rule node21).")
    assert said[at - 1] == "Operating point: score 0.30, 0.25 false marks a normal film."
    assert any(text.startswith("Only nodules and masses were looked for.") for text in said)


def test_outcome_codes(made: MadeResults, tmp_path: Path) -> None:
    empty = make_results(write_dicom(tmp_path / "empty.dcm", spots.spot_film(), **HEADER), kinds=("sr",))
    lateral = make_results(write_dicom(tmp_path / "lateral.dcm", spots.spot_film(), **HEADER | {"ViewPosition": "LL"}))
    assert codes_of(made.dataset("sr"), "111017") == ["111242"]
    assert codes_of(empty.dataset("sr"), "111017") == ["111241"]
    assert codes_of(lateral.dataset("sr"), "111017") == ["111245"]
    assert any(text.startswith("No finding above the operating point") for text in texts_of(empty.dataset("sr")))
    assert "Not analysed: it is a lateral or oblique view, by its header or its looks." in texts_of(lateral.dataset("sr"))
    assert set(lateral.objects) == {"sr"}
    assert not groups_of(empty.dataset("sr"))


def test_a_raw_film_gets_a_report_that_says_why_it_was_not_analysed(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "raw.dcm", spots.spot_film(), **HEADER | {"PresentationIntentType": "FOR PROCESSING"})
    source = read_dicom_source(path)
    assert isinstance(source, DicomSource)
    error = FilmRefused("the film is FOR PROCESSING (raw detector values)", code="for-processing")
    (report,) = results_of_refusal(source, error, sha256="0" * 64, settings=make_settings())
    dataset = MadeResults(None, source, None, {"sr": report}).dataset("sr")  # type: ignore[arg-type]
    assert codes_of(dataset, "111017") == ["111245"]
    assert "Not analysed: the film is FOR PROCESSING (raw detector values)." in texts_of(dataset)


@pytest.mark.parametrize(
    ("modality", "error"),
    [
        ("CT", FilmRefused("a CT", code="not-a-radiograph")),
        ("SR", FilmRefused("ours", code="own-result")),
        ("DX", FilmRefused("ours", code="own-result")),
        ("OT", FilmRefused("a colour picture", code="true-colour")),
        ("DX", FilmFailed("cut", code="truncated")),
    ],
)
def test_other_objects_and_failures_get_no_report(modality: str, error: FilmRefused, tmp_path: Path) -> None:
    source = DicomSource("1.2", "1.3", "1.4", "1.5", modality=modality)
    assert results_of_refusal(source, error, sha256="0" * 64, settings=make_settings()) == ()
