import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pypdf
import pytest
import spots
import torch
from dicom_files import write_dicom
from typer.testing import CliRunner, Result

from xraynet.checkpoint import Checkpoint, CheckpointSettings, OperatingPoint, write_checkpoint
from xraynet.cli.main import build_app
from xraynet.detector.network import Detector, DetectorConfig
from xraynet.errors import CatalogueError, ConfigError, XraynetError
from xraynet.inference.predictor import Predictor
from xraynet.lungs.config import GateThresholds, LungsConfig
from xraynet.lungs.network import LungsNetwork
from xraynet.lungs.segmenter import LungSegmenter

SEEDED = ("Seededson^Janetta", "SEEDID99", "19511213", "SEEDACC7", "20250203")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("films")
    identity = dict(zip(("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "StudyDate"), SEEDED, strict=True))
    write_dicom(root / "a.dcm", spots.spot_film((90, 120)), ImagerPixelSpacing=[0.8, 0.8], BitsStored=12, **identity)
    return root


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A small untrained detector and lungs whose gate lets everything pass, as options."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    config = DetectorConfig(channels=8, head_depth=0)
    settings = CheckpointSettings(detector=config, operating_point=OperatingPoint(threshold=0.9), lungs_fingerprint="0" * 64)
    write_checkpoint(folder / "tiny.safetensors", Checkpoint("tiny", settings, Detector(config).state_dict()))
    lungs_config = LungsConfig(side_px=64, segmenter_widths=(2, 2), gate_widths=(2, 2))
    thresholds = GateThresholds(frontal=1e-6, displaced=1 - 1e-6, inverted=1 - 1e-6, flat_range=1e-6)
    lungs = LungSegmenter.of_network(LungsNetwork(lungs_config), config=lungs_config, thresholds=thresholds, provenance={})
    lungs.write(folder / "lungs.safetensors")
    return ["--checkpoint", str(folder / "tiny.safetensors"), "--lungs", str(folder / "lungs.safetensors")]


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(build_app(("predict", "doctor")), [str(argument) for argument in arguments])


@pytest.fixture
def spot_predictor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Predictor, "from_checkpoint", lambda *_, **__: spots.make_predictor())


def test_a_folder_is_read_from_the_command_line_in_a_process_of_its_own(films: Path, models: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "xraynet", "predict", str(films), "--out", str(tmp_path), "--save-map", *models]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1 ok, 0 refused, 0 failed"
    assert "warning: The checkpoint was made with lung fields 0000000000000000" in done.stderr
    reading = json.loads(next(tmp_path.rglob("reading.json")).read_text())
    assert reading["checkpoint"]["name"] == "tiny"
    assert reading["source"]["path"] == "a.dcm"
    for name in ("report.html", "overlay.png", "heatmap.png", "score_map.npz"):
        assert len(list(tmp_path.rglob(name))) == 1
    for part in ("Seededson", *SEEDED[1:]):
        assert part not in done.stdout + done.stderr


def test_findings_are_reported_and_the_worklist_is_named(spot_predictor: None, films: Path, tmp_path: Path) -> None:
    done = ask("predict", films, "--out", tmp_path, "--identify")
    assert done.exit_code == 0, done.output
    assert f"worklist: {tmp_path / 'index.html'}" in done.output
    assert done.output.splitlines()[-1] == "1 ok, 0 refused, 0 failed"
    assert "Seededson" not in done.output
    assert "nodule suspected" in (tmp_path / "index.html").read_text()
    again = ask("predict", films, "--out", tmp_path, "--identify")
    assert "1 of 1 files were done by an earlier run and were kept" in again.output
    other = ask("predict", films, "--out", tmp_path, "--no-gate", "--outputs", "csv")
    assert "another enforce_gate, identify, outputs than in the earlier run there" in other.output


def test_another_language_makes_the_pages_anew_and_leaves_the_files_of_programs_alone(
    spot_predictor: None, films: Path, tmp_path: Path
) -> None:
    ask("predict", films, "--out", tmp_path)
    tables = {name: (tmp_path / name).read_bytes() for name in ("findings.csv", "films.csv", "failures.csv")}
    reading = next(tmp_path.rglob("reading.json")).read_bytes()
    done = ask("predict", films, "--out", tmp_path, "--language", "de")
    assert done.exit_code == 0, done.output
    assert "another language than in the earlier run there" in done.output
    assert "Verdacht auf R" in (tmp_path / "index.html").read_text()
    page = next(tmp_path.rglob("report.html")).read_text()
    assert '<html lang="de" dir="ltr">' in page
    assert "Nur für Forschungszwecke, nicht zur Diagnose." in page
    assert {name: (tmp_path / name).read_bytes() for name in tables} == tables
    assert next(tmp_path.rglob("reading.json")).read_bytes() == reading
    kept = ask("predict", films, "--out", tmp_path, "--language", "de")
    assert "were done by an earlier run and were kept" in kept.output


def test_a_hospitals_own_language_file_is_given_by_its_path(spot_predictor: None, films: Path, tmp_path: Path) -> None:
    own = tmp_path / "fr.toml"
    head = '[language]\ncode = "fr"\nname = "Français"\ndate = "dd/MM/yyyy"\npaper = "a4"\n'
    own.write_text(head + '[worklist]\ntitle = "Liste de travail"\n', encoding="utf-8")
    done = ask("predict", films, "--out", tmp_path / "out", "--language", own)
    assert done.exit_code == 0, done.output
    assert "which are said in English" in done.output
    assert "<title>Liste de travail</title>" in (tmp_path / "out" / "index.html").read_text()
    own.write_text(head + '[worklist]\ntitle = "Liste"\n', encoding="utf-8")
    assert "another language" in ask("predict", films, "--out", tmp_path / "out", "--language", own).output


def test_a_pdf_lies_beside_each_report_and_is_linked(spot_predictor: None, films: Path, tmp_path: Path) -> None:
    done = ask("predict", films, "--out", tmp_path, "--pdf", "--paper", "letter", "--language", "es")
    assert done.exit_code == 0, done.output
    pdf = next(tmp_path.rglob("report.pdf"))
    page = pypdf.PdfReader(pdf).pages[0]
    assert (round(page.mediabox.width), round(page.mediabox.height)) == (612, 792)
    text = page.extract_text()
    assert "Solo para investigación, no para diagnóstico." in text
    assert pdf.stat().st_size < 1_000_000
    for part in ("Seededson", *SEEDED[1:]):
        assert part.encode() not in pdf.read_bytes()
        assert part not in text
    assert '<a href="report.pdf">PDF</a>' in pdf.with_name("report.html").read_text()
    assert f'<a href="readings/{pdf.parent.name}/report.pdf">PDF</a>' in (tmp_path / "index.html").read_text()
    again = ask("predict", films, "--out", tmp_path)
    assert "another language, paper, pdf than in the earlier run there" in again.output
    assert not pdf.exists()


def test_a_pdf_names_the_patient_where_that_was_asked_for(spot_predictor: None, films: Path, tmp_path: Path) -> None:
    ask("predict", films, "--out", tmp_path, "--pdf", "--identify")
    text = pypdf.PdfReader(next(tmp_path.rglob("report.pdf"))).pages[0].extract_text()
    for value in ("Seededson, Janetta", "SEEDID99", "1951-12-13", "SEEDACC7", "2025-02-03"):
        assert value in text


def test_without_reportlab_the_extra_is_named_before_any_film_is_read(
    spot_predictor: None, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xraynet.cli.predict.find_spec", lambda _: None)
    done = ask("predict", films, "--out", tmp_path / "out", "--pdf")
    assert isinstance(done.exception, XraynetError)
    assert "pip install 'xraynet[pdf]'" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_an_unknown_language_is_an_error_before_any_film_is_read(spot_predictor: None, films: Path, tmp_path: Path) -> None:
    done = ask("predict", films, "--out", tmp_path / "out", "--language", "tlh")
    assert isinstance(done.exception, ConfigError)
    assert "no language 'tlh'" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_visits_are_written_when_asked_for_and_name_nobody(spot_predictor: None, films: Path, tmp_path: Path) -> None:
    plain = ask("predict", films, "--out", tmp_path / "plain", "--outputs", "index")
    assert plain.exit_code == 0
    assert not (tmp_path / "plain" / "visits").exists()
    done = ask("predict", films, "--out", tmp_path / "out", "--outputs", "index", "--visits", "--salt-file", tmp_path / "salt")
    assert done.exit_code == 0, done.output
    assert "visits: 1, 0 of them with earlier films" in done.output
    (page,) = (tmp_path / "out" / "visits").glob("*.html")
    everything = done.output + page.read_text() + (tmp_path / "out" / "index.html").read_text()
    for part in ("Seededson", *SEEDED[1:]):
        assert part not in everything


def test_a_catalogue_that_is_none_ends_with_its_name_before_any_film_is_read(films: Path, tmp_path: Path) -> None:
    (tmp_path / "catalogue").mkdir()
    with pytest.raises(CatalogueError, match="is no catalogue"):
        build_app(("predict", "doctor"))(
            ["predict", str(films), "--out", str(tmp_path / "out"), "--catalogue", str(tmp_path / "catalogue")],
            standalone_mode=False,
        )
    assert not (tmp_path / "out").exists()


def test_failures_make_exit_code_three_and_refusals_do_not(spot_predictor: None, tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    (films / "words").write_text("no film")
    done = ask("predict", films, "--out", tmp_path / "out", "--outputs", "csv")
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "0 ok, 1 refused, 0 failed")
    (films / "empty.dcm").write_bytes(b"")
    done = ask("predict", films, "--out", tmp_path / "out", "--outputs", "csv")
    assert (done.exit_code, done.output.splitlines()[-1]) == (3, "0 ok, 1 refused, 1 failed")
    assert "failed: empty.dcm: the file is empty (truncated)" in done.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--outputs", "reprot"), "unknown output reprot"),
        (("--spacing-mm", "0.2"), "two numbers ROW,COL"),
        (("--spacing-mm", "0,1"), "between 0 and 100"),
        (("--precision", "int4"), "float32 or bfloat16"),
        (("--paper", "a3"), "a4 or letter was expected"),
        (("--max-megapixels", "0"), "must be above 0"),
    ],
)
def test_wrong_usage_is_exit_code_two(
    spot_predictor: None, films: Path, tmp_path: Path, options: tuple[str, str], words: str
) -> None:
    done = ask("predict", films, "--out", tmp_path, *options)
    assert done.exit_code == 2
    assert words in " ".join(done.output.replace("│", " ").split())


def test_nothing_to_read_is_wrong_usage(spot_predictor: None, tmp_path: Path) -> None:
    done = ask("predict", tmp_path / "none", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_an_unknown_device_is_wrong_usage(films: Path, models: list[str], tmp_path: Path) -> None:
    assert ask("predict", films, "--out", tmp_path, "--device", "toaster", *models).exit_code == 2


def test_a_missing_checkpoint_is_an_error_that_names_it(films: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "xraynet",
        "predict",
        str(films),
        "--out",
        str(tmp_path),
        "--checkpoint",
        "none.safetensors",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no checkpoint at none.safetensors" in done.stderr


def test_doctor_tells_versions_devices_codecs_and_checkpoints() -> None:
    done = ask("doctor")
    assert done.exit_code == 0, done.output
    for words in (
        "xraynet",
        torch.__version__.split("+")[0],
        np.__version__,
        "cpu",
        "JPEG 2000",
        "RLE Lossless",
        "lungs and gate",
        "de (Deutsch), en (English), es (Español)",
    ):
        assert words in done.output


def test_doctor_names_the_shipped_checkpoint_and_lungs_that_do_not_belong(
    models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xraynet.checkpoint.find_shipped_checkpoint", lambda: Path(models[1]))
    monkeypatch.setattr("xraynet.lungs.segmenter.find_shipped_lungs", lambda: Path(models[3]))
    done = ask("doctor")
    assert "detector 'tiny'" in done.output
    assert "made with others" in done.output


def test_doctor_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("xraynet.checkpoint.find_shipped_checkpoint", "xraynet.lungs.segmenter.find_shipped_lungs"):
        monkeypatch.setattr(name, lambda: tmp_path / "none.safetensors")
    done = ask("doctor")
    assert done.exit_code == 0
    assert done.output.count("not usable") == 2
