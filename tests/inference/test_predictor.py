import ast
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import spots
import torch

import xraynet.inference.predictor
from xraynet.checkpoint import Checkpoint, CheckpointSettings, OperatingPoint, write_checkpoint
from xraynet.detector.network import Detector, DetectorConfig
from xraynet.errors import CheckpointError
from xraynet.geometry import box_centres, intersection_over_union
from xraynet.inference.predictor import Predictor
from xraynet.radiograph import PixelSpacing, Radiograph, ViewPosition
from xraynet.reading_file import read_schema, reading_to_dict

SPACING = PixelSpacing(0.8, 0.8)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return spots.make_predictor()


def make_film(*places: tuple[int, int], **facts: object) -> Radiograph:
    pixels = spots.spot_film(*places).astype(np.float32) / 4095
    return Radiograph(**{"pixels": pixels, "spacing": SPACING, "sha256": "ab" * 32, **facts})


def test_a_spot_is_found_where_it_is(predictor: Predictor) -> None:
    reading = predictor.read(make_film((90, 120)))
    assert len(reading.reported) == 1
    finding = reading.reported[0]
    box = np.array([finding.box], dtype=np.float32)
    assert np.abs(box_centres(box) - [90, 120]).max() <= 3
    assert reading.film_score == finding.score
    assert (finding.side, finding.zone) == ("right", "upper")
    assert finding.diameter_mm == pytest.approx(16 * 0.8, abs=0.2)


def test_the_score_map_peaks_where_the_detection_is(predictor: Predictor) -> None:
    analysis = predictor.analyse(make_film((90, 120), (230, 290)))
    score_map = analysis.score_map
    assert score_map is not None
    assert score_map.shape == (400, 320)
    assert score_map.dtype == np.float32
    for finding in analysis.reading.reported:
        x1, y1, x2, y2 = (round(side) for side in finding.box)
        inside = score_map[y1:y2, x1:x2]
        row, column = np.unravel_index(inside.argmax(), inside.shape)
        assert abs(row + 0.5 - inside.shape[0] / 2) <= 2.5
        assert abs(column + 0.5 - inside.shape[1] / 2) <= 2.5
        assert inside.max() == pytest.approx(finding.score, abs=0.03)
    assert score_map.max() <= (analysis.reading.film_score or 0) + 1e-6


def test_the_map_in_another_size_shows_the_same_place(predictor: Predictor) -> None:
    heat = predictor.analyse(make_film((90, 120))).heat
    assert heat is not None
    half = heat.resized((200, 160))
    row, column = np.unravel_index(half.argmax(), half.shape)
    assert abs(row - 60) <= 2
    assert abs(column - 45) <= 2


def test_a_film_without_spots_has_no_findings_and_an_empty_map(predictor: Predictor) -> None:
    analysis = predictor.analyse(make_film())
    assert analysis.reading.reported == ()
    assert analysis.score_map is not None
    assert analysis.score_map.max() < 0.15


def test_a_squeezed_film_gives_round_sizes_and_boxes_in_its_own_pixels(predictor: Predictor) -> None:
    squeezed = Radiograph(
        pixels=np.ascontiguousarray(make_film((90, 120)).pixels[:, ::2]), spacing=PixelSpacing(0.8, 1.6), sha256="cd" * 32
    )
    finding = predictor.read(squeezed).reported[0]
    x1, y1, x2, y2 = finding.box
    assert (x1 + x2) / 2 == pytest.approx(45, abs=2)
    assert (y1 + y2) / 2 == pytest.approx(120, abs=3)
    assert (y2 - y1) / (x2 - x1) == pytest.approx(2, abs=0.1)


def test_without_spacing_sizes_are_unknown_and_a_warning_says_where_the_scale_came_from(predictor: Predictor) -> None:
    reading = predictor.read(make_film((90, 120), spacing=None))
    assert reading.image.spacing_mm is None
    assert all(finding.diameter_mm is None for finding in reading.detections)
    assert any("scale was taken from the lung fields" in warning for warning in reading.warnings)


def test_what_the_gate_holds_back_is_not_analysed(predictor: Predictor) -> None:
    analysis = predictor.analyse(make_film((90, 120), view_position=ViewPosition.LATERAL))
    reading = analysis.reading
    assert (reading.status, reading.film_score, reading.detections) == ("refused", None, ())
    assert reading.gate.reasons == ("lateral",)
    assert analysis.heat is None
    assert analysis.score_map is None


def test_without_the_gate_it_is_analysed_and_the_reading_says_so(predictor: Predictor) -> None:
    reading = predictor.read(make_film((90, 120), view_position=ViewPosition.LATERAL), enforce_gate=False)
    assert reading.status == "ok"
    assert not reading.gate.passed
    assert not reading.gate_enforced
    assert reading.reported


def test_no_place_is_stated_on_a_film_that_the_gate_would_have_held_back(predictor: Predictor) -> None:
    reading = predictor.read(make_film((90, 120), view_position=ViewPosition.LATERAL), enforce_gate=False)
    assert {(finding.side, finding.zone) for finding in reading.detections} == {(None, None)}
    assert any("sides and zones are not stated" in warning for warning in reading.warnings)
    assert not any("not stated" in warning for warning in predictor.read(make_film((90, 120))).warnings)


def test_sides_are_not_stated_on_a_mirrored_film(predictor: Predictor) -> None:
    finding = predictor.read(make_film((90, 120), mirrored=True)).reported[0]
    assert (finding.side, finding.zone) == (None, "upper")


def test_low_scores_are_kept_but_not_reported(predictor: Predictor) -> None:
    strict = spots.make_predictor(operating_point=replace(spots.OPERATING_POINT, threshold=0.9999))
    film = make_film((90, 120))
    assert strict.read(film).reported == ()
    loose = predictor.read(film)
    assert [finding.score for finding in strict.read(film).detections] == [finding.score for finding in loose.detections]
    assert all(finding.score >= 0.001 for finding in loose.detections)
    assert len(loose.detections) <= 100


def test_readings_fit_the_schema(predictor: Predictor) -> None:
    for film in (make_film((90, 120)), make_film(spacing=None), make_film(view_position=ViewPosition.LATERAL)):
        jsonschema.validate(_as_json(reading_to_dict(predictor.read(film))), read_schema())


def _as_json(tables: dict[str, object]) -> object:
    import json

    return json.loads(json.dumps(tables, allow_nan=False))


def test_reading_twice_gives_the_same(predictor: Predictor) -> None:
    film = make_film((90, 120), (200, 300))
    assert predictor.read(film) == predictor.read(film)


def test_bfloat16_finds_the_same(predictor: Predictor) -> None:
    quick = replace(predictor, precision="bfloat16")
    film = make_film((90, 120), (230, 290))
    boxes = predictor.read(film).to_detections().boxes[:2]
    overlap = intersection_over_union(boxes, quick.read(film).to_detections().boxes[:2]).max(axis=1)
    assert (overlap > 0.6).all()


def test_other_lungs_than_the_checkpoint_was_made_with_are_a_warning(predictor: Predictor) -> None:
    assert predictor.warnings == ()
    other = spots.make_predictor(lungs_fingerprint="0" * 64)
    assert "0" * 16 in other.warnings[0]
    assert other.warnings[0] in other.read(make_film()).warnings
    same = spots.make_predictor(lungs_fingerprint=spots.make_lungs().fingerprint)
    assert same.warnings == ()


def test_warnings_of_the_film_reach_the_reading(predictor: Predictor) -> None:
    assert "odd header" in predictor.read(make_film(warnings=("odd header",))).warnings


@pytest.fixture(scope="module")
def checkpoint_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = DetectorConfig(channels=8, head_depth=0)
    checkpoint = Checkpoint(
        name="tiny",
        settings=CheckpointSettings(detector=config, operating_point=OperatingPoint(threshold=0.5)),
        weights=Detector(config).state_dict(),
    )
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    write_checkpoint(path, checkpoint)
    return path


def test_a_checkpoint_file_becomes_a_predictor(checkpoint_path: Path) -> None:
    predictor = Predictor.from_checkpoint(checkpoint_path, lungs=spots.make_lungs())
    reading = predictor.read(make_film((90, 120)))
    assert reading.checkpoint.name == "tiny"
    assert reading.checkpoint.fingerprint == predictor.checkpoint.fingerprint
    assert reading.film_score is not None


def test_a_missing_checkpoint_and_an_unknown_device_are_errors(checkpoint_path: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        Predictor.from_checkpoint(tmp_path / "none.safetensors", lungs=spots.make_lungs())
    with pytest.raises(ValueError, match="one that torch knows"):
        Predictor.from_checkpoint(checkpoint_path, lungs=spots.make_lungs(), device="toaster")
    with pytest.raises(ValueError, match="CUDA devices"):
        Predictor.from_checkpoint(checkpoint_path, lungs=spots.make_lungs(), device="cuda:99")


def test_no_hook_is_left_on_the_network(checkpoint_path: Path) -> None:
    predictor = Predictor.from_checkpoint(checkpoint_path, lungs=spots.make_lungs())
    predictor.read(make_film())
    assert not any(module._forward_hooks or module._backward_hooks for module in predictor.detector.modules())
    assert not any("register" in line for line in _calls(Path(xraynet.inference.predictor.__file__)))


def _calls(path: Path) -> list[str]:
    return [ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
