"""The score map points where the boxes are, and the figures that say so count rightly."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from xraynet.inference.predictor import Predictor
from xraynet.preparation import prepare_film
from xraynet.simulation.phantom import draw_phantom

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def _benchmarks_on_the_path() -> Iterator[None]:
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


def load(name: str) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.from_checkpoint()


def test_every_box_has_its_score_on_the_map_and_the_peak_is_the_best_box(predictor: Predictor) -> None:
    film = draw_phantom(1, size=(1024, 1024), num_nodules=2, diameter_mm=18.0).radiograph
    prepared = prepare_film(film, predictor.checkpoint.settings.preparation)
    detections, heat = predictor.detect(prepared)
    assert len(detections) >= 2
    scores_net = heat.scores_net
    assert float(scores_net.max()) == pytest.approx(float(detections.scores[0]), abs=1e-6)
    for box, score in zip(prepared.letterbox.boxes_to_net(detections.boxes), detections.scores, strict=True):
        # A box belongs to the location that proposed it, which lies inside it and holds its score.
        x1, y1, x2, y2 = (float(side) / 4 for side in box)
        region = scores_net[max(0, int(y1) - 1) : int(y2) + 2, max(0, int(x1) - 1) : int(x2) + 2]
        assert np.isclose(region, float(score), atol=1e-6).any()


def test_the_map_over_the_film_peaks_inside_the_best_box(predictor: Predictor) -> None:
    film = draw_phantom(3, size=(1024, 1024), num_nodules=1, diameter_mm=20.0).radiograph
    analysis = predictor.analyse(film)
    assert analysis.score_map is not None
    row, column = np.unravel_index(int(analysis.score_map.argmax()), analysis.score_map.shape)
    x1, y1, x2, y2 = analysis.reading.detections[0].box
    assert x1 <= column + 0.5 <= x2
    assert y1 <= row + 0.5 <= y2


def test_pointing_and_mass_are_counted_in_the_box() -> None:
    proof = load("heatmap_proof")
    heat = np.zeros((40, 40), np.float32)
    heat[10:20, 10:20] = 1.0
    heat[30, 30] = 0.5
    box = np.array([10, 10, 20, 20], np.float32)
    assert proof.points_inside(heat, box)
    assert not proof.points_inside(heat, box + 15)
    assert not proof.points_inside(np.ones((40, 40), np.float32), box)
    assert proof.mass_inside(heat, box) == pytest.approx(100 / 100.5)
    assert proof.mass_inside(np.zeros((40, 40), np.float32), box) == 0.0
    figures = proof.judge_maps([(heat, box), (heat, box + 15)])
    assert (figures.num_films, figures.pointing) == (2, 0.5)
    assert figures.area_inside == pytest.approx(100 / 1600)


def test_the_first_component_lights_up_what_the_channels_share() -> None:
    peer = load("peer_faster_rcnn")
    torch.manual_seed(0)
    activations = 0.05 * torch.rand(6, 12, 12)
    activations[:, 4:6, 7:9] += torch.linspace(1, 2, 6)[:, None, None]
    cam, _ = peer.first_component(activations)
    assert float(cam.max()) == pytest.approx(1.0)
    assert divmod(int(cam.argmax()), 12) in {(row, column) for row in (4, 5) for column in (7, 8)}
    assert float(cam[:3].max()) < 0.2


def test_the_peer_marks_films_of_any_size_and_has_a_map_over_them() -> None:
    peer = load("peer_faster_rcnn")
    network = peer.build_peer().eval()
    pixels = np.random.default_rng(0).random((96, 128), dtype=np.float32)
    found = peer.detect(network, pixels)
    assert (found.boxes[:, 2] <= 128).all()
    assert (found.boxes[:, 3] <= 96).all()
    for cam in peer.eigen_cams(network, pixels).values():
        assert cam.shape == (96, 128)
        assert 0 <= cam.min() <= cam.max() <= 1.0001
