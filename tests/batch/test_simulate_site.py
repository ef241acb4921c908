import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import spots
from typer.testing import CliRunner

from xraynet.batch.simulate_site import SiteRun, simulate_site
from xraynet.batch.site_options import SiteOptions, default_simulation, limit_diameters
from xraynet.batch.site_report import REPORT_NAME, render_site_run, write_site_run
from xraynet.batch.site_results import (
    NoduleRecord,
    Sensitivity,
    SiteResult,
    annotations_coco,
    annotations_csv,
    name_between,
)
from xraynet.cli.main import build_app
from xraynet.errors import XraynetError
from xraynet.findings import CheckpointIdentity, LabelState
from xraynet.inference.predictor import Predictor
from xraynet.ingest.labels.coco import read_coco
from xraynet.ingest.labels.plain_csv import read_plain_csv
from xraynet.ingest.read import read_radiograph
from xraynet.simulation import draw_phantom

OPTIONS = SiteOptions(spacing_mm=(1.0, 1.0), num_per_film=2, save_films=True)


def write_film(path: Path, *, seed: int = 0) -> None:
    phantom = draw_phantom(seed, size=(400, 320), spacing_mm=(1.0, 1.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), (phantom.radiograph.pixels * 65535).astype(np.uint16))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("films")
    write_film(root / "a.png", seed=0)
    write_film(root / "ward" / "b.png", seed=1)
    (root / "twin.png").write_bytes((root / "a.png").read_bytes())
    (root / "broken.png").write_bytes((root / "a.png").read_bytes()[:5000])
    return root


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return spots.make_predictor()


@pytest.fixture(scope="module")
def run(films: Path, predictor: Predictor, tmp_path_factory: pytest.TempPathFactory) -> tuple[SiteRun, Path]:
    out = tmp_path_factory.mktemp("site")
    found = simulate_site([films, films / "gone.png"], predictor=predictor, out=out, options=OPTIONS)
    write_site_run(out, found)
    return found, out


def test_every_file_has_an_outcome_and_a_twin_counts_once(run: tuple[SiteRun, Path]) -> None:
    result, out = run[0].result, run[1]
    assert {outcome.path: outcome.status for outcome in result.outcomes} == {
        "a.png": "ok", "broken.png": "failed", "twin.png": "ok", "ward/b.png": "ok", "gone.png": "failed",
    }  # fmt: skip
    assert result.num_duplicates == 1
    assert len(result.films) == 2
    assert len(result.nodules) == 4
    lines = (out / "outcomes.jsonl").read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines].count("failed") == 2


def test_saved_films_hold_the_nodules_where_the_annotations_say(run: tuple[SiteRun, Path], films: Path) -> None:
    result, out = run[0].result, run[1]
    table, coco = read_plain_csv(out / "annotations.csv"), read_coco(out / "annotations.json")
    assert not table.issues
    assert not coco.issues
    assert sum(len(film.boxes) for film in table.films.values()) == sum(len(film.boxes) for film in coco.films.values()) == 4
    nodule = next(nodule for nodule in result.nodules if nodule.path == "a.png")
    plain = read_radiograph(films / "a.png").pixels
    drawn = read_radiograph(out / "films" / f"{nodule.film_id}.png").pixels
    x1, y1, x2, y2 = (round(side) for side in nodule.box)
    rise = (drawn - plain)[y1:y2, x1:x2].mean()
    assert rise > 0.003
    assert (drawn != plain).mean() < 0.25


def test_the_same_seed_draws_the_same_whatever_other_films_there_are(
    run: tuple[SiteRun, Path], films: Path, predictor: Predictor, tmp_path: Path
) -> None:
    alone = simulate_site([films / "ward" / "b.png"], predictor=predictor, out=tmp_path, options=OPTIONS).result
    among = [nodule for nodule in run[0].result.nodules if nodule.path == "ward/b.png"]
    assert [nodule.box for nodule in alone.nodules] == [nodule.box for nodule in among]
    other = simulate_site(
        [films / "ward" / "b.png"], predictor=predictor, out=tmp_path, options=replace(OPTIONS, seed=1)
    ).result
    assert [nodule.box for nodule in other.nodules] != [nodule.box for nodule in among]


def test_json_and_csv_agree(run: tuple[SiteRun, Path]) -> None:
    result, out = run[0].result, run[1]
    content = json.loads((out / "simulate.json").read_text())
    rows = list(csv.DictReader(io.StringIO((out / "simulate.csv").read_text())))
    assert content["counts"] == {"ok": 3, "refused": 0, "failed": 2, "duplicates": 1, "nodules": 4}
    assert len(rows) == content["sensitivity"]["num_nodules"] == 4
    assert sum(int(row["found"]) for row in rows) == content["sensitivity"]["num_found"] == result.overall.num_found
    for rows_of_trait in content["tables"].values():
        assert sum(row["num_nodules"] for row in rows_of_trait) == 4
    assert content["settings"]["simulator_version"] == 1
    assert {item["path"] for item in content["not_analysed"]} == {"broken.png", "gone.png"}


def test_the_page_escapes_names_and_fetches_nothing(run: tuple[SiteRun, Path]) -> None:
    found = run[0]
    nasty = replace(found.result.nodules[0], path="<img onerror=x>")
    missed = tuple(replace(item, record=nasty) for item in found.missed)
    page = render_site_run(SiteRun(result=found.result, missed=missed))
    assert "<img onerror" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert "Research use, not for diagnosis" in page
    assert "broken.png" in page


def test_films_that_the_gate_holds_back_are_listed_not_used(films: Path, predictor: Predictor, tmp_path: Path) -> None:
    class ShutLungs(spots.OpenLungs):
        def judge(self, radiograph):  # type: ignore[no-untyped-def]
            return super().judge(replace(radiograph, view_position=spots.ViewPosition.LATERAL))

    open_lungs = spots.make_lungs()
    shut = ShutLungs(
        network=open_lungs.network,
        config=open_lungs.config,
        thresholds=open_lungs.thresholds,
        provenance={},
        fingerprint=open_lungs.fingerprint,
    )
    heard = []
    found = simulate_site(
        [films / "a.png"],
        predictor=replace(predictor, lungs=shut),
        out=tmp_path,
        options=replace(OPTIONS, hash_paths=True),
        on_outcome=lambda outcome, num_files: heard.append((outcome.code, num_files)),
    )
    outcome = found.result.outcomes[0]
    assert (outcome.status, outcome.code) == ("refused", "gate.lateral")
    assert outcome.path == outcome.id
    assert heard == [("gate.lateral", 1)]
    assert found.result.overall.value is None
    assert found.result.marks_per_untouched_film is None
    assert "undefined" in render_site_run(found)
    assert json.loads(found.result.to_json())["sensitivity"]["value"] is None


def test_a_film_that_breaks_xraynet_costs_itself_alone(films: Path, predictor: Predictor, tmp_path: Path) -> None:
    class BrokenLungs(spots.OpenLungs):
        def judge(self, radiograph):  # type: ignore[no-untyped-def]
            raise RuntimeError(f"a secret of the film {radiograph}")

    made = spots.make_lungs()
    broken = BrokenLungs(
        network=made.network, config=made.config, thresholds=made.thresholds, provenance={}, fingerprint=made.fingerprint
    )
    found = simulate_site([films / "a.png"], predictor=replace(predictor, lungs=broken), out=tmp_path, options=OPTIONS)
    outcome = found.result.outcomes[0]
    assert (outcome.status, outcome.code) == ("failed", "internal-error")
    assert "secret" not in outcome.reason


def test_an_empty_folder_is_an_error(predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(XraynetError, match="no files were found"):
        simulate_site([tmp_path], predictor=predictor, out=tmp_path / "out", options=OPTIONS)


def test_command_line_reports_and_returns_3_where_a_film_failed(
    films: Path, predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "from_checkpoint", lambda *_, **__: predictor)
    arguments = ["simulate", str(films), "--out", str(tmp_path / "out"), "--spacing-mm", "1,1", "--diameters-mm", "10,20"]
    done = CliRunner().invoke(build_app(("simulate", "predict")), arguments)
    assert done.exit_code == 3, done.output
    assert "3 ok, 0 refused, 1 failed" in done.output
    assert (tmp_path / "out" / REPORT_NAME).is_file()
    assert not (tmp_path / "out" / "films").exists()
    content = json.loads((tmp_path / "out" / "simulate.json").read_text())
    assert content["settings"]["simulation"]["nodule"]["largest_diameter_mm"] == 20


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--spacing-mm", "1"], "spacing is '1'"),
        (["--diameters-mm", "20,10"], "smaller first"),
        (["--diameters-mm", "x"], "two numbers"),
        (["--max-megapixels", "0"], "must be above 0"),
    ],
)
def test_wrong_usage_is_said(films: Path, tmp_path: Path, extra: list[str], words: str) -> None:
    done = CliRunner().invoke(build_app(("simulate", "predict")), ["simulate", str(films), "--out", str(tmp_path), *extra])
    assert done.exit_code == 2
    assert words.replace(" ", "") in done.output.replace(" ", "").replace("\n", "").replace("│", "")


def test_nothing_at_the_path_is_wrong_usage(tmp_path: Path) -> None:
    done = CliRunner().invoke(build_app(("simulate", "predict")), ["simulate", str(tmp_path / "no"), "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "nothing" in done.output


def test_groups_come_in_order_and_undefined_is_none() -> None:
    assert Sensitivity.of("none", []).value is None
    edges = (0.0, 8.0, 12.0, float("inf"))
    assert [name_between(value, edges, " mm") for value in (7.9, 8.0, 40.0, -1.0, None)] == [
        "under 8 mm", "8 to 12 mm", "12 mm and more", "unknown", "unknown",
    ]  # fmt: skip
    record = NoduleRecord(
        path="a", film_id="0" * 16, box=(0.0, 0.0, 1.0, 1.0), diameter_mm=None, contrast_to_noise=None, kind="solid",
        place="clear lung", score=None, score_before=None, found=False, found_before=False,
    )  # fmt: skip
    sizes = [(35.0, 4.0), (None, None), (9.0, -2.0), (3.0, 0.7)]
    nodules = tuple(replace(record, diameter_mm=size, contrast_to_noise=contrast) for size, contrast in sizes)
    result = SiteResult(CheckpointIdentity("x", "f", "1"), 0.5, "0", {}, nodules=nodules)
    tables = result.tables()
    assert [row.group for row in tables["diameter"]] == ["under 8 mm", "8 to 12 mm", "30 mm and more", "unknown"]
    assert [row.group for row in tables["contrast-to-noise"]] == ["under 0.5", "0.5 to 1", "3 and more", "unknown"]


def test_a_film_without_nodule_is_free_in_the_annotations(run: tuple[SiteRun, Path], tmp_path: Path) -> None:
    result = run[0].result
    bare = replace(result, nodules=(), films=(replace(result.films[0], num_nodules=0, spacing_mm=None),))
    (tmp_path / "a.csv").write_text(annotations_csv(bare))
    (tmp_path / "a.json").write_text(annotations_coco(bare))
    (film,) = read_plain_csv(tmp_path / "a.csv").films.values()
    assert film.boxes == ()
    assert len(read_coco(tmp_path / "a.json").films) == 1
    page = render_site_run(SiteRun(result=bare, missed=()))
    assert "No room for a nodule" in page
    assert "without pixel spacing" in page
    assert LabelState.FREE.value in annotations_csv(bare)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 10"):
        SiteOptions(num_per_film=0)
    with pytest.raises(ValueError, match="1 to 100"):
        limit_diameters(default_simulation(), "0,5")
