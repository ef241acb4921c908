"""Predictions from readings, COCO results and NODE21's columns end at the same films; damage is told with its place."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from xraynet.errors import PredictionsError
from xraynet.evaluation.joining import AnnotatedFilm, join_predictions
from xraynet.evaluation.predictions import Predictions, guess_format, read_predictions
from xraynet.findings import (
    CheckpointIdentity,
    FilmFacts,
    FilmSource,
    Finding,
    GateVerdict,
    NoduleAnnotations,
    NoduleDetections,
    Reading,
)
from xraynet.lung_frame import LungBoxes
from xraynet.radiograph import PixelSpacing, ViewPosition
from xraynet.reading_file import write_reading


@dataclass(frozen=True)
class Film:
    key: str
    path: Path
    patient_key: str | None = "p"
    annotations: NoduleAnnotations = field(default_factory=NoduleAnnotations)
    view_position: ViewPosition = ViewPosition.PA
    sex: str | None = "F"
    age_years: float | None = 61.0
    spacing: PixelSpacing | None = None
    film_has_nodule: bool | None = None
    source_format: str = ""


def reading_of(sha256: str, path: str | None, *, declined: bool = False) -> Reading:
    return Reading(
        source=FilmSource(path=path, sha256=sha256),
        status="refused" if declined else "ok",
        image=FilmFacts(height=200, width=100, spacing_mm=None, spacing_plane=None, view_position=ViewPosition.PA),
        gate=GateVerdict(passed=not declined, reasons=("inverted",) if declined else ()),
        film_score=None if declined else 0.8,
        detections=() if declined else (Finding(box=(10.0, 20.0, 30.0, 40.0), score=0.8, reported=True),),
        warnings=(),
        checkpoint=CheckpointIdentity(name="demo", fingerprint="f" * 16, version="0.1.0"),
        operating_threshold=0.4,
    )


def write_readings(folder: Path, readings: list[Reading]) -> Path:
    for reading in readings:
        (folder / "readings" / reading.id).mkdir(parents=True)
        write_reading(folder / "readings" / reading.id / "reading.json", reading)
    return folder


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_readings_are_joined_by_key_and_a_declined_film_counts_as_not_analysed(tmp_path: Path) -> None:
    folder = write_readings(tmp_path, [reading_of("a" * 64, None), reading_of("b" * 64, None, declined=True)])
    predictions = read_predictions(folder, form="readings")
    assert predictions.operating_threshold == 0.4
    assert predictions.source == "demo 0.1.0"
    assert predictions.checkpoint_fingerprint == "f" * 16
    entries = [Film("a" * 16, Path("/films/x.png")), Film("b" * 16, Path("/films/y.png")), Film("c" * 16, Path("/films/z.png"))]
    joined = join_predictions(entries, predictions)
    assert [len(film.detections) for film in joined.films] == [1, 0, 0]
    assert [film.analysed for film in joined.films] == [True, False, True]
    assert (joined.num_without_predictions, joined.num_predictions_unused) == (1, 0)
    assert joined.not_analysed == (("gate.inverted", 1),)


def test_zone_and_source_come_with_the_films(tmp_path: Path) -> None:
    lungs = LungBoxes(right=(0.0, 0.0, 4.0, 9.0), left=(5.0, 0.0, 9.0, 9.0))
    folder = write_readings(tmp_path, [replace(reading_of("a" * 64, None), lungs=lungs), reading_of("b" * 64, None)])
    entries = [Film("a" * 16, Path("x.png"), source_format="dicom"), Film("b" * 16, Path("y.png"))]
    first, second = join_predictions(entries, read_predictions(folder, form="readings")).films
    assert (first.lungs, first.attributes["source"]) == (lungs, "dicom")
    assert (second.lungs, second.attributes["source"]) == (None, None)


def test_readings_are_joined_by_path_where_names_repeat_in_two_folders(tmp_path: Path) -> None:
    second = replace(reading_of("b" * 64, "two/x.png"), detections=(), film_score=0.0)
    predictions = read_predictions(write_readings(tmp_path, [reading_of("a" * 64, "one/x.png"), second]), form="readings")
    joined = join_predictions([Film("1", Path("/films/two/x.png")), Film("2", Path("/films/one/x.png"))], predictions)
    assert [len(film.detections) for film in joined.films] == [0, 1]


def test_readings_of_two_operating_points_are_an_error(tmp_path: Path) -> None:
    other = replace(reading_of("b" * 64, None), operating_threshold=0.5)
    folder = write_readings(tmp_path, [reading_of("a" * 64, None), other])
    with pytest.raises(PredictionsError, match="1 checkpoints at 2 operating points"):
        read_predictions(folder, form="readings")


def test_a_folder_without_readings_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PredictionsError, match=r"holds no reading\.json"):
        read_predictions(tmp_path, form="readings")


def test_coco_results_name_films_by_file_name_and_boxes_become_corners(tmp_path: Path) -> None:
    path = write(tmp_path / "r.json", [{"image_id": "x.png", "category_id": 1, "bbox": [10, 20, 5, 6], "score": 0.5}])
    (film,) = join_predictions([Film("1", Path("/films/x.png"))], read_predictions(path, form="coco")).films
    np.testing.assert_array_equal(film.detections.boxes, [[10, 20, 15, 26]])


def test_coco_numbers_need_the_images_and_categories_choose_the_classes(tmp_path: Path) -> None:
    rows = [
        {"image_id": 7, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.5},
        {"image_id": 7, "category_id": 2, "bbox": [0, 0, 5, 5], "score": 0.9},
    ]
    bare = write(tmp_path / "bare.json", rows)
    truth = {
        "images": [{"id": 7, "file_name": "x.png"}, {"id": 8, "file_name": "y.png"}],
        "categories": [{"id": 1, "name": "Nodule"}, {"id": 2, "name": "Effusion"}],
    }
    images = write(tmp_path / "truth.json", truth)
    with pytest.raises(PredictionsError, match="image_id 7 is a number"):
        read_predictions(bare, form="coco")
    for predictions in (
        read_predictions(bare, form="coco", images=images),
        read_predictions(write(tmp_path / "whole.json", {**truth, "annotations": rows}), form="coco"),
    ):
        joined = join_predictions([Film("1", Path("x.png")), Film("2", Path("y.png"))], predictions)
        assert [film.detections.scores.tolist() for film in joined.films] == [[0.5], []]
        assert joined.num_without_predictions == 0


def test_coco_results_of_several_unnamed_categories_are_an_error(tmp_path: Path) -> None:
    rows = [{"image_id": "x", "category_id": number, "bbox": [0, 0, 5, 5], "score": 0.5} for number in (1, 2)]
    with pytest.raises(PredictionsError, match="2 categories"):
        read_predictions(write(tmp_path / "r.json", rows), form="coco")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{not json", "not JSON"),
        ({"no": "rows"}, "a list of COCO results"),
        ([{"image_id": "x", "bbox": [0, 0, 5], "score": 0.5}], "result 1"),
        (["row"], "result 1"),
        ([{"image_id": "x", "bbox": [0, 0, -5, 5], "score": 0.5}], "negative"),
        ([{"image_id": "x", "bbox": [0, 0, 5, 5], "score": 1.5}], "outside 0..1"),
        ({"images": [{"id": 1}], "annotations": []}, "'images' needs 'id' and 'file_name'"),
    ],
)
def test_damaged_coco_is_told_with_its_place(tmp_path: Path, content: object, told: str) -> None:
    with pytest.raises(PredictionsError, match=told):
        read_predictions(write(tmp_path / "r.json", content), form="coco")


def test_node21_columns_with_a_score_and_mha_names(tmp_path: Path) -> None:
    table = "height,img_name,label,score,width,x,y\n6,n1.mha,1,0.5,5,10,20\n7,n1.mha,1,0.9,5,0,0\n,n2.mha,0,,,,\n"
    predictions = read_predictions(write(tmp_path / "p.csv", table), form="node21")
    joined = join_predictions([Film("1", Path("n1.png")), Film("2", Path("n2.png"))], predictions)
    assert [film.detections.scores.tolist() for film in joined.films] == [pytest.approx([0.9, 0.5]), []]
    np.testing.assert_array_equal(joined.films[0].detections.boxes[1], [10, 20, 15, 26])
    assert joined.num_without_predictions == 0


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("img_name,x,y,width,height\n", "score were expected"),
        ("", "has columns none"),
        ("img_name,x,y,width,height,score\na,1,2,3,4,0.5\nb,1,two,3,4,0.5\n", "line 3"),
        ("img_name,x,y,width,height,score\na,1,,3,4,0.5\n", "line 2"),
        ("img_name,x,y,width,height,score\na,1,2,3,4,7\n", "outside 0..1"),
    ],
)
def test_a_damaged_table_is_told_with_its_line(tmp_path: Path, table: str, told: str) -> None:
    with pytest.raises(PredictionsError, match=told):
        read_predictions(write(tmp_path / "p.csv", table), form="node21")


def test_a_table_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(b"\xff\xfe\x00img")
    with pytest.raises(PredictionsError, match=r"p\.csv"):
        read_predictions(tmp_path / "p.csv", form="node21")


def test_the_format_is_guessed_from_what_is_there(tmp_path: Path) -> None:
    assert guess_format(tmp_path) == "readings"
    assert guess_format(Path("a.json")) == "coco"
    assert guess_format(Path("a.CSV")) == "node21"
    with pytest.raises(PredictionsError, match=r"a\.xml"):
        guess_format(Path("a.xml"))
    with pytest.raises(PredictionsError, match="does not exist"):
        read_predictions(tmp_path / "none.json", form="coco")


def test_predictions_for_other_films_altogether_are_an_error_and_so_are_shared_names() -> None:
    predictions = Predictions({"x.png": NoduleDetections()})
    with pytest.raises(PredictionsError, match="none of 1 films"):
        join_predictions([Film("1", Path("y.png"))], predictions)
    with pytest.raises(PredictionsError, match="fit several films"):
        join_predictions([Film("1", Path("one/x.png")), Film("2", Path("two/x.png"))], predictions)
    assert join_predictions([], predictions).num_predictions_unused == 1


def test_a_films_own_spacing_goes_before_the_given_one() -> None:
    entries = [Film("1", Path("x"), spacing=PixelSpacing(0.1, 0.2)), Film("2", Path("y"))]
    joined = join_predictions(entries, Predictions({"x": NoduleDetections()}), spacing_mm=(0.5, 0.5))
    assert [film.spacing_mm for film in joined.films] == [(0.1, 0.2), (0.5, 0.5)]
    assert joined.films[0].attributes == {"view": "PA", "sex": "F", "age_years": 61.0, "source": None}
    assert isinstance(entries[0], AnnotatedFilm)
