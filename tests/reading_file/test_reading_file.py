import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from xraynet.errors import PredictionsError, XraynetError
from xraynet.findings import CheckpointIdentity, FilmFacts, FilmSource, Finding, GateVerdict, Reading
from xraynet.lung_frame import LungBoxes
from xraynet.radiograph import ViewPosition
from xraynet.reading_file import read_reading, read_schema, reading_to_dict, write_reading

SHA = "0123456789abcdef" * 4


def make_reading() -> Reading:
    return Reading(
        source=FilmSource(path="ward/a.dcm", sha256=SHA),
        status="ok",
        image=FilmFacts(height=200, width=100, spacing_mm=(0.5, 0.4), spacing_plane="detector", view_position=ViewPosition.PA),
        gate=GateVerdict(passed=True, warnings=("the film may be mirrored",)),
        film_score=0.81,
        detections=(
            Finding(box=(10.0, 20.0, 30.5, 40.0), score=0.81, reported=True, diameter_mm=14.0, side="right", zone="upper"),
            Finding(box=(0.0, 0.0, 5.0, 5.0), score=0.01, reported=False),
        ),
        warnings=("the spacing's plane is unknown",),
        checkpoint=CheckpointIdentity(name="demo", fingerprint="f" * 16, version="0.1.0"),
        operating_threshold=0.4,
    )


def test_a_reading_survives_the_way_through_its_file(tmp_path: Path) -> None:
    write_reading(tmp_path / "reading.json", make_reading())
    assert read_reading(tmp_path / "reading.json") == make_reading()


def test_a_refused_reading_survives_the_way_through_its_file(tmp_path: Path) -> None:
    refused = replace(
        make_reading(),
        source=FilmSource(path=None, sha256=SHA),
        status="refused",
        image=FilmFacts(height=2, width=1, spacing_mm=None, spacing_plane=None, view_position=ViewPosition.UNKNOWN),
        gate=GateVerdict(passed=False, reasons=("rotated-90",)),
        film_score=None,
        detections=(),
        gate_enforced=True,
    )
    write_reading(tmp_path / "reading.json", refused)
    assert read_reading(tmp_path / "reading.json") == refused
    jsonschema.validate(json.loads((tmp_path / "reading.json").read_text()), read_schema())


def test_a_film_read_without_the_gate_says_so(tmp_path: Path) -> None:
    reading = replace(make_reading(), gate=GateVerdict(passed=False, reasons=("inverted",)), gate_enforced=False)
    write_reading(tmp_path / "reading.json", reading)
    assert json.loads((tmp_path / "reading.json").read_text())["gate"]["enforced"] is False
    assert read_reading(tmp_path / "reading.json").gate_enforced is False


def test_what_is_written_is_what_the_schema_describes() -> None:
    schema = read_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(json.dumps(reading_to_dict(make_reading()))), schema)


def test_the_promised_keys_are_there() -> None:
    tables = reading_to_dict(make_reading())
    assert {"source", "status", "image", "gate", "film_score", "detections", "warnings", "checkpoint"} <= set(tables)
    assert tables["source"] == {"path": "ward/a.dcm", "sha256": SHA}
    assert tables["id"] == SHA[:16]


def test_keys_of_a_later_minor_version_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "reading.json"
    path.write_text(json.dumps({**reading_to_dict(make_reading()), "later": 1}))
    assert read_reading(path) == make_reading()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema_version is 2"),
        ({"schema_version": None}, "schema_version is None"),
        ({"film_score": "high"}, "not a reading"),
        ({"film_score": None}, "not analysed"),
        ({"status": "fine"}, "not a reading"),
        ({"gate": {"passed": True, "reasons": ["inverted"], "warnings": []}}, "fails for a reason"),
        ({"gate": 3}, "not a reading"),
        ({"detections": [{"box": [0, 0, 500, 5], "score": 0.2, "reported": False}]}, "does not lie in the film"),
        ({"detections": [{"box": [0, 0, 5], "score": 0.2, "reported": False}]}, "not a reading"),
        ({"detections": [{"box": [0, 0, 5, 5], "score": 1.5, "reported": False}]}, "a score is 1.5"),
        ({"image": {"height": 0, "width": 3, "spacing_mm": None, "spacing_plane": None, "view_position": "PA"}}, "at least 1"),
    ],
)
def test_a_damaged_reading_is_an_error_that_names_the_file(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "reading.json"
    path.write_text(json.dumps({**reading_to_dict(make_reading()), **change}))
    with pytest.raises(PredictionsError, match=message) as caught:
        read_reading(path)
    assert "reading.json" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": NaN}'])
def test_what_is_not_json_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "reading.json").write_text(text)
    with pytest.raises(XraynetError, match=r"reading\.json"):
        read_reading(tmp_path / "reading.json")


def test_a_missing_reading_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PredictionsError, match="cannot be read"):
        read_reading(tmp_path / "reading.json")


def test_lung_boxes_travel_with_a_reading_and_older_files_lack_them(tmp_path: Path) -> None:
    path = tmp_path / "reading.json"
    with_lungs = replace(make_reading(), lungs=LungBoxes(right=(5.0, 10.0, 45.5, 150.0), left=None, mirrored=True))
    write_reading(path, with_lungs)
    assert read_reading(path) == with_lungs
    tables = json.loads(path.read_text())
    jsonschema.validate(tables, read_schema())
    del tables["lungs"]
    jsonschema.validate(tables, read_schema())
    path.write_text(json.dumps(tables))
    assert read_reading(path) == make_reading()
    path.write_text(json.dumps({**tables, "lungs": {"right": [5, 10, 5, 150], "left": None, "mirrored": False}}))
    with pytest.raises(PredictionsError, match="a lung field's box"):
        read_reading(path)
