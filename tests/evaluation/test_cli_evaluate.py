"""``xraynet evaluate`` from a catalogue to metrics.json and report.html, with a stand-in for the detector."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from xraynet.cli.main import build_app
from xraynet.errors import CatalogueError, FilmFailed, PredictionsError
from xraynet.evaluation.results import read_metrics
from xraynet.findings import CheckpointIdentity, FilmFacts, FilmSource, Finding, GateVerdict, Reading
from xraynet.ingest.build import IngestConfig, build_catalogue
from xraynet.ingest.catalogue import read_catalogue
from xraynet.ingest.labels.formats import LabelFormat
from xraynet.ingest.split import SplitConfig
from xraynet.radiograph import Radiograph
from xraynet.reading_file import read_reading

NUM_FILMS = 12
BOX = (20.0, 30.0, 40.0, 50.0)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve noise films, every third with a box, all in the test split; no spacing."""
    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    lines = ["film,x1,y1,x2,y2,class,patient"]
    for number in range(NUM_FILMS):
        name = f"film{number:02d}.png"
        Image.fromarray(rng.integers(0, 255, size=(80, 70), dtype=np.uint8)).save(folder / name)
        box = ",".join(f"{side:g}" for side in BOX) + ",nodule" if number % 3 == 0 else ",,,,"
        lines.append(f"{name},{box},p{number // 2}")
    labels = folder.parent / "labels.csv"
    labels.write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def catalogue(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("catalogues") / "site"
    config = IngestConfig(
        labels=(films.parent / "labels.csv",),
        formats=(LabelFormat.CSV,),
        split=SplitConfig(fractions=(0.0, 0.0, 1.0)),
        num_workers=0,
    )
    build_catalogue([films], out=out, salt_file=out.parent / "salt", config=config)
    return out


@pytest.fixture
def coco(films: Path, tmp_path: Path) -> Path:
    """Every nodule found at 0.9, and a false mark at 0.3 on every film."""
    rows = []
    for number in range(NUM_FILMS):
        if number % 3 == 0:
            rows.append({"image_id": f"film{number:02d}.png", "bbox": [20, 30, 20, 20], "score": 0.9})
        rows.append({"image_id": f"film{number:02d}.png", "bbox": [0, 0, 9, 9], "score": 0.3})
    (tmp_path / "coco.json").write_text(json.dumps(rows))
    return tmp_path / "coco.json"


@pytest.fixture
def run() -> Callable[..., object]:
    def invoke(*arguments: object, code: int = 0) -> str:
        result = CliRunner().invoke(build_app(("evaluate",)), ["evaluate", *map(str, arguments)])
        if isinstance(result.exception, Exception):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    return invoke


class FakePredictor:
    """Finds the box on every film whose first pixel is even; declines one film, fails on another."""

    warnings = ("the lungs are others",)
    checkpoint = SimpleNamespace(
        identity=CheckpointIdentity(name="fake", fingerprint="f" * 64, version="9"),
        settings=SimpleNamespace(
            target_classes=("nodule", "mass"),
            operating_point=SimpleNamespace(threshold=0.5, target="the lowest threshold", calibrated_on="ten films"),
            calibration=SimpleNamespace(slope=1.25, intercept=-0.5),
            lungs_fingerprint=None,
        ),
        provenance=SimpleNamespace(
            catalogue_fingerprint="", film_sources="noise", preset="", git_revision="abc", terms="", versions={"torch": "2"}
        ),
    )

    def __init__(self) -> None:
        self.num_read = 0

    def read(self, radiograph: Radiograph, *, enforce_gate: bool = True) -> Reading:
        self.num_read += 1
        if self.num_read == 2:
            raise FilmFailed("cut off", code="truncated")
        declined = self.num_read == 3 and enforce_gate
        return Reading(
            source=FilmSource(path=radiograph.path, sha256=radiograph.sha256),
            status="refused" if declined else "ok",
            image=FilmFacts(*radiograph.size, spacing_mm=None, spacing_plane=None, view_position=radiograph.view_position),
            gate=GateVerdict(passed=not declined, reasons=("inverted",) if declined else ()),
            film_score=None if declined else 0.9,
            detections=() if declined else (Finding(box=BOX, score=0.9, reported=True),),
            warnings=(),
            checkpoint=self.checkpoint.identity,
            operating_threshold=0.5,
        )


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    made = FakePredictor()

    def from_checkpoint(path: Path | None, *, device: str) -> FakePredictor:
        assert (path, device) == (None, "cpu")
        return made

    # In place of the whole module: torch takes longer to import than these tests to run.
    module = ModuleType("xraynet.inference.predictor")
    module.Predictor = SimpleNamespace(from_checkpoint=from_checkpoint)
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_coco_results_become_figures_and_a_page(run, catalogue: Path, coco: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = run(
        "--catalogue", catalogue, "--predictions", coco, "--out", out, "--threshold", 0.5, "--resamples", 40, "--seed", 3
    )
    result = read_metrics(out / "metrics.json")
    assert (result.counts.num_counted, result.counts.num_nodules) == (12, 4)
    assert [found.sensitivity.value for found in result.froc] == [1.0] * 7
    assert result.operating.precision.value == 1.0
    assert (result.resampling.num_patients, result.resampling.num_resamples, result.resampling.seed) == (6, 40, 3)
    assert result.subject.films == "split test of catalogue site"
    assert result.subject.target_classes == ("nodule", "mass")
    assert result.subject.catalogue_fingerprint == read_catalogue(catalogue).fingerprint
    assert "sensitivity at 0.25 false positives per film: 1.000" in said
    assert "<title>Evaluation of coco.json</title>" in (out / "report.html").read_text()


def test_a_checkpoint_is_run_and_its_readings_can_be_scored_again(run, fake, catalogue: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    run("--catalogue", catalogue, "--out", first, "--resamples", 20, code=3)
    result = read_metrics(first / "metrics.json")
    assert result.subject.detector == "fake 9"
    assert result.operating.threshold == 0.5
    assert result.counts.num_not_analysed == 2
    assert result.notes[0] == "1 films could not be read; they are among those not analysed."
    assert result.not_analysed == (("failed, truncated", 1), ("gate.inverted", 1))
    page = (first / "report.html").read_text()
    for text in ("the lowest threshold, on ten films", "slope 1.250", "f" * 64, "noise", "12 became films"):
        assert text in page, text
    files = list(first.rglob("reading.json"))
    assert len(files) == NUM_FILMS - 1
    assert all(read_reading(path).source.path is None for path in files)
    run("--catalogue", catalogue, "--out", second, "--predictions", first, "--rule", "iou:0.5", "--resamples", 20)
    again = read_metrics(second / "metrics.json")
    assert again.rule == "iou:0.5"
    assert again.film_auc.value == result.film_auc.value
    assert again.notes[0] == "1 films have no predictions; they count as films without a detection."


def test_the_25_mm_rule_asks_for_spacing_takes_it_or_leaves_films_out(run, catalogue: Path, coco: Path, tmp_path: Path) -> None:
    common = (
        "--catalogue",
        catalogue,
        "--predictions",
        coco,
        "--out",
        tmp_path / "out",
        "--rule",
        "jsrt-25mm",
        "--resamples",
        20,
    )
    with pytest.raises(CatalogueError, match=r"4 films with a nodule have no spacing .*--spacing-mm"):
        run(*common)
    run(*common, "--spacing-mm", "0.5,0.5")
    assert read_metrics(tmp_path / "out" / "metrics.json").counts.num_left_out == 0
    run(*common, "--leave-out-without-spacing")
    assert read_metrics(tmp_path / "out" / "metrics.json").counts.num_left_out == 4


@pytest.mark.parametrize(
    "wrong",
    [
        ("--rule", "luna"),
        ("--spacing-mm", "1"),
        ("--spacing-mm", "0,1"),
        ("--split", "holdout"),
        ("--checkpoint", "x.safetensors"),
        ("--predictions-format", "voc"),
    ],
)
def test_wrong_usage_ends_with_code_2(run, catalogue: Path, coco: Path, tmp_path: Path, wrong: tuple[str, str]) -> None:
    run("--catalogue", catalogue, "--predictions", coco, "--out", tmp_path / "out", *wrong, code=2)


def test_an_empty_split_and_strange_predictions_are_errors(run, catalogue: Path, coco: Path, tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="no film in split train"):
        run("--catalogue", catalogue, "--predictions", coco, "--out", tmp_path / "out", "--split", "train")
    (tmp_path / "other.csv").write_text("img_name,x,y,width,height,score\nz.mha,1,2,3,4,0.5\n")
    with pytest.raises(PredictionsError, match="none of 1 films"):
        run("--catalogue", catalogue, "--predictions", tmp_path / "other.csv", "--out", tmp_path / "out", "--split", "all")


def test_predictions_of_films_outside_the_split_are_counted(run, catalogue: Path, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("img_name,x,y,width,height,score\nfilm00.mha,20,30,20,20,0.5\nz.mha,1,2,3,4,0.5\n")
    said = run(
        "--catalogue",
        catalogue,
        "--predictions",
        tmp_path / "p.csv",
        "--out",
        tmp_path / "out",
        "--classes",
        "nodule",
        "--resamples",
        20,
    )
    assert "Predictions of 1 films were not used" in said
    assert "11 films have no predictions" in said
    assert read_metrics(tmp_path / "out" / "metrics.json").operating is None


def test_boxes_of_several_readers_on_one_nodule_are_one_nodule(tmp_path: Path, run: Callable[..., str]) -> None:
    films = tmp_path / "films"
    films.mkdir()
    for name in ("both.png", "one.png", "free.png"):
        Image.fromarray(np.random.default_rng(len(name)).integers(0, 255, size=(80, 70), dtype=np.uint8)).save(films / name)
    table = tmp_path / "labels.csv"
    table.write_text(
        "film,x1,y1,x2,y2,class,patient,reader\n"
        "both.png,20,30,40,50,nodule,a,R1\nboth.png,22,32,42,52,nodule,a,R2\none.png,20,30,40,50,nodule,b,R1\n"
        "one.png,,,,,,b,R2\nfree.png,,,,,,c,R1\n"
    )
    config = IngestConfig(
        labels=(table,), formats=(LabelFormat.CSV,), split=SplitConfig(fractions=(0.0, 0.0, 1.0)), num_workers=0
    )
    catalogue = tmp_path / "catalogue"
    build_catalogue([films], out=catalogue, salt_file=tmp_path / "salt", config=config)
    marks = [{"image_id": name, "bbox": [21, 31, 20, 20], "score": 0.9} for name in ("both.png", "one.png")]
    (tmp_path / "marks.json").write_text(json.dumps(marks))

    def measure(*options: str) -> tuple[int, int, float | None, float | None, str]:
        out = tmp_path / f"out{len(options)}"
        run("--catalogue", catalogue, "--predictions", tmp_path / "marks.json", "--threshold", 0.5, "--out", out, *options)
        result = read_metrics(out / "metrics.json")
        assert result.operating is not None
        told = result.operating.recall.value, result.operating.precision.value
        return (result.counts.num_nodules, result.counts.num_unknown, *told, result.notes[0])

    *figures, note = measure()
    assert figures == [2, 0, 1.0, 1.0]
    assert "1 films were marked by several readers" in note
    assert "3 boxes became 2 nodules" in note
    *figures, note = measure("--agreeing-readers", "2")
    assert figures == [1, 1, 1.0, 1.0]
    assert "1 films with marks on which too few agree" in note


def test_misses_and_false_alarms_are_pictured_from_the_catalogues_films(run, catalogue: Path, tmp_path: Path) -> None:
    marks = [{"image_id": "film00.png", "bbox": [0, 0, 9, 9], "score": 0.9}]
    (tmp_path / "marks.json").write_text(json.dumps(marks))
    common = ("--catalogue", catalogue, "--predictions", tmp_path / "marks.json", "--threshold", 0.5, "--resamples", 20)
    run(
        *common,
        "--out",
        tmp_path / "two",
        "--examples",
        2,
        "--title",
        "Acceptance <b>2</b>",
        "--site",
        "Ward 7",
        "--made-by",
        "Me",
    )
    page = (tmp_path / "two" / "report.html").read_text()
    assert page.count('<li class="example">') == 3
    assert page.count("data:image/jpeg;base64,") == 6
    assert "Missed nodules: 2 of 4" in page
    assert "the highest of 1 of the 1 films that have one" in page
    assert "<title>Acceptance &lt;b&gt;2&lt;/b&gt;</title>" in page
    assert ">Ward 7<" in page
    run(*common, "--out", tmp_path / "none", "--examples", 0)
    assert "No examples were asked for" in (tmp_path / "none" / "report.html").read_text()


def test_a_film_that_is_gone_is_an_example_without_a_picture(run, films: Path, coco: Path, tmp_path: Path) -> None:
    copies = tmp_path / "films"
    shutil.copytree(films, copies)
    config = IngestConfig(
        labels=(films.parent / "labels.csv",),
        formats=(LabelFormat.CSV,),
        split=SplitConfig(fractions=(0.0, 0.0, 1.0)),
        num_workers=0,
    )
    build_catalogue([copies], out=tmp_path / "catalogue", salt_file=tmp_path / "salt", config=config)
    (copies / "film01.png").unlink()
    Image.new("L", (70, 80)).save(copies / "film02.png")
    run(
        "--catalogue",
        tmp_path / "catalogue",
        "--predictions",
        coco,
        "--out",
        tmp_path / "out",
        "--resamples",
        5,
        "--examples",
        99,
    )
    page = (tmp_path / "out" / "report.html").read_text()
    assert "the film could not be read (not-found)" in page
    assert "the film has changed since it was catalogued" in page
    assert str(copies) not in page.replace("\n", "")


def test_predictions_are_scored_without_the_films_and_the_report_says_so(
    run, catalogue: Path, coco: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(catalogue, moved)
    (moved / "locations.parquet").unlink()
    keys = read_catalogue(moved).films["key"]
    named = [{"image_id": key, "bbox": [0, 0, 9, 9], "score": 0.9} for key in keys[:3]]
    (tmp_path / "named.json").write_text(json.dumps(named))
    run("--catalogue", moved, "--predictions", tmp_path / "named.json", "--out", tmp_path / "out", "--resamples", 5)
    assert "no locations.parquet" in (tmp_path / "out" / "report.html").read_text()
    with pytest.raises(CatalogueError, match=r"no locations\.parquet"):
        run("--catalogue", moved, "--out", tmp_path / "other", "--resamples", 5)
