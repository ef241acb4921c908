"""Both detectors of a comparison read the same JSRT films: drawn ones here, of that database's size and names."""

import json
import shutil
import sys
from pathlib import Path

import compare_on_jsrt
import compare_with_faster_rcnn
import cv2
import look_at_jsrt
import numpy as np
import pytest
import torch
from peer_faster_rcnn import build_peer
from typer.testing import CliRunner

from xraynet.checkpoint import find_shipped_checkpoint, read_checkpoint
from xraynet.cli.main import build_app
from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.intervals import Bootstrap
from xraynet.findings import NoduleDetections
from xraynet.ingest.read import read_radiograph
from xraynet.lungs.segmenter import shipped_lungs
from xraynet.preparation import PreparationConfig, prepare_film
from xraynet.simulation.phantom import draw_phantom

FRAME = 2048
SIDE = 224


@pytest.fixture
def drawn_jsrt(tmp_path: Path) -> Path:
    """Two films with a nodule, two without and a blank one, with the database's table."""
    folder = tmp_path / "drawn"
    (folder / "images").mkdir(parents=True)
    rows = ["id,subtlety,size_mm,age,sex,x_2048,y_2048,state,position,diagnosis"]
    for number in range(4):
        phantom = draw_phantom(number, size=(SIDE, SIDE), num_nodules=int(number < 2), diameter_mm=25.0)
        name = f"JPC{'LN' if number < 2 else 'NN'}{number + 1:03d}"
        cv2.imwrite(str(folder / "images" / f"{name}.png"), (phantom.radiograph.pixels * 255).astype(np.uint8))
        for x1, y1, x2, y2 in phantom.annotations.boxes:
            x, y = (round(float(low + high) / 2 * FRAME / SIDE) for low, high in ((x1, x2), (y1, y2)))
            rows.append(f"{name},{2 + number},25,60,Female,{x},{y},malignant,,drawn")
    cv2.imwrite(str(folder / "images" / "JPCNN009.png"), np.full((SIDE, SIDE), 128, dtype=np.uint8))
    (folder / "nodules.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def comparison(tmp_path: Path) -> Path:
    """What a comparison leaves behind: the shipped detector, reading films once, as the best of ours, and an untrained peer."""
    folder = tmp_path / "comparison"
    (folder / "ours-0.001").mkdir(parents=True)
    once = compare_on_jsrt.our_checkpoints(find_shipped_checkpoint(), out=tmp_path)["ours, reading each film once"]
    shutil.move(once, folder / "ours-0.001" / "best.safetensors")
    torch.save(build_peer().state_dict(), folder / "peer-0.002.pt")
    facts = {
        "preset": "nodule-cpu-lite",
        "minutes": 1.0,
        "start": "from nothing",
        "runs": {
            "ours": {"froc_scores": {"0.003": 0.1, "0.001": 0.5}, "steps": {"0.003": 8, "0.001": 8}, "planned_steps": 8},
            "Faster R-CNN": {
                "froc_scores": {"0.002": 0.4, "0.004": 0.3},
                "steps": {"0.002": 5, "0.004": 5},
                "planned_steps": None,
            },
        },
    }
    (folder / "comparison.json").write_text(json.dumps(facts))
    return folder


def run_here(*arguments: str) -> None:
    result = CliRunner().invoke(build_app(), arguments)
    assert result.exit_code == 0, result.output


def test_both_are_looked_at_once_and_the_looks_are_written_down(
    drawn_jsrt: Path, comparison: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In this process: a program of its own for each of the commands would take a minute and a half.
    monkeypatch.setattr(look_at_jsrt, "_xraynet", run_here)
    out, log = tmp_path / "out", tmp_path / "looks.jsonl"
    asked = ["--films", str(drawn_jsrt), "--comparison", str(comparison), "--out", str(out), "--log", str(log)]
    monkeypatch.setattr(sys, "argv", ["compare_on_jsrt.py", *asked])
    threads = torch.get_num_threads()
    try:
        compare_on_jsrt.main()
        with pytest.raises(SystemExit, match="was looked at before"):
            compare_on_jsrt.main()
    finally:
        torch.set_num_threads(threads)

    ways = {f"{way}, {rule}" for way in ("no spacing given", "spacing given") for rule in look_at_jsrt.RULES}
    looks = look_at_jsrt.read_looks(log)
    ours, peers = looks
    assert ours["checkpoint"] == read_checkpoint(comparison / "ours-0.001" / "best.safetensors").fingerprint
    assert [len(look["checkpoint"]) for look in looks] == [64, 64]
    assert peers["name"] == compare_on_jsrt.PEERS_NAME
    assert all(set(look["figures"]) == ways for look in looks)
    assert peers["figures"]["spacing given, jsrt-25mm"]["operating_threshold"] is None
    compared = json.loads((out / "compared.json").read_text())
    assert set(compared) == {"ours"}
    assert set(compared["ours"]) == ways
    for title, rows in compared["ours"].items():
        assert [row["figure"] for row in rows] == list(compare_on_jsrt.FIGURES)
        logged = [look["figures"][title]["film_auc"][0] for look in looks]
        assert [rows[-1][side] for side in ("ours", "peers")] == pytest.approx(logged, abs=1e-3)
    kept = json.loads((out / "peer" / "no-spacing-given.json").read_text())
    assert len(kept) == 5
    assert [marks for marks in kept.values() if marks is None] == [None]


def test_a_detector_that_reads_films_mirrored_as_well_is_looked_at_without_that_too(tmp_path: Path) -> None:
    shipped = find_shipped_checkpoint()
    found = compare_on_jsrt.our_checkpoints(shipped, out=tmp_path)
    assert list(found) == ["ours", "ours, reading each film once"]
    assert found["ours"] == shipped
    twice, once = (read_checkpoint(path) for path in found.values())
    assert (twice.settings.decoding.second_view, once.settings.decoding.second_view) == ("mirrored", None)
    assert twice.fingerprint != once.fingerprint
    again = found["ours, reading each film once"]
    assert compare_on_jsrt.our_checkpoints(again, out=tmp_path / "other") == {"ours": again}


def test_the_peer_reads_through_our_gate_and_its_boxes_are_of_the_stored_film(
    drawn_jsrt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def mark_the_middle(_peer: object, pixels: np.ndarray) -> NoduleDetections:
        seen.append(pixels)
        height, width = pixels.shape
        middle = (width / 2 - 8, height / 2 - 8, width / 2 + 8, height / 2 + 8)
        boxes = np.array([middle, (0, 0, 6, 6)], dtype=np.float32)
        return NoduleDetections(boxes=boxes, scores=np.array([0.5, 0.4], dtype=np.float32))

    monkeypatch.setattr(compare_with_faster_rcnn, "detect", mark_the_middle)
    entries = compare_on_jsrt.ingest_films(drawn_jsrt, out=tmp_path / "catalogue").entries("test")
    lungs, preparation = shipped_lungs(), PreparationConfig(mm_per_pixel=1.0)
    read = {
        (entry.path.stem, spacing): compare_on_jsrt.read_with_peer(
            object(), entry, preparation=preparation, lungs=lungs, spacing=spacing
        )
        for spacing in (1.6, None)
        for entry in entries
    }
    assert {name for (name, _), film in read.items() if not film.analysed} == {"JPCNN009"}
    assert [pixels.shape for pixels in seen[:4]] == [(384, 384)] * 4
    # The film fills 358 of 384 pixels: what is marked in the margin beside it is no mark.
    np.testing.assert_allclose(read["JPCLN001", 1.6].detections.boxes, [[107, 107, 117, 117]], atol=0.2)
    film = read_radiograph(drawn_jsrt / "images" / "JPCLN001.png")
    expected = prepare_film(film, preparation, lung_box=lungs.segment(film).box)
    assert expected.scale_source == "lungs"
    assert sum(np.array_equal(pixels, expected.pixels) for pixels in seen) == 1


def test_differences_are_paired_by_film_whatever_their_order(make_film) -> None:
    nodule, aside = (100, 100, 120, 120), (30, 30, 40, 40)

    def films(scores: tuple[float, ...]) -> list[ScoredFilm]:
        with_nodule = [
            make_film(f"n{i}", [nodule], [(nodule, score)] if score else (), patient=f"n{i}", subtlety=[1 + i % 5])
            for i, score in enumerate(scores)
        ]
        return with_nodule + [make_film(f"f{i}", (), [(aside, 0.3)], patient=f"f{i}") for i in range(len(scores))]

    few = Bootstrap(num_resamples=200)
    good, poor = films((0.9,) * 10), films((0.9, 0.0) * 5)
    compared = compare_on_jsrt.compare_films(good, poor[::-1], rule="jsrt-25mm", bootstrap=few)
    figures = {one.figure: one for one in compared}
    clear = figures["sensitivity among subtlety 3 to 5 at 2"]
    assert (clear.ours, clear.peers) == (1.0, 0.5)
    at_two = figures["sensitivity at 2 false positives per film"]
    assert (at_two.ours, at_two.peers) == (1.0, 0.5)
    assert 0 < at_two.low <= 0.5 <= at_two.high
    assert figures["film AUC"].ours == 1.0
    assert all(one.low <= one.ours - one.peers + 1e-9 and one.ours - one.peers - 1e-9 <= one.high for one in compared)
