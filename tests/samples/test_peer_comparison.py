"""The comparison with Faster R-CNN runs: the peer learns from our samples, and differences are paired."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from xraynet.detector.backbone import Backbone
from xraynet.errors import NonFiniteLossError
from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.intervals import Bootstrap
from xraynet.findings import NoduleAnnotations, NoduleDetections
from xraynet.inference.predictor import Predictor
from xraynet.ingest.catalogue import FilmEntry
from xraynet.preparation import prepare_film
from xraynet.radiograph import Radiograph
from xraynet.samples.cache import FilmCache
from xraynet.samples.dataset import SamplesConfig, TrainingSamples
from xraynet.training.recipe import TrainingConfig

Sort = Callable[..., tuple[list[torch.Tensor], list[torch.Tensor]]]

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


def test_the_peer_is_trained_on_our_samples(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    peer = load("peer_faster_rcnn")
    samples = TrainingSamples(film_cache, entries, config=SamplesConfig(frame_size=(128, 128)), seed=0)
    trained, num_steps = peer.train_peer(samples, peer.PeerSettings(TrainingConfig(batch_size=2), steps=2))
    assert num_steps == 2
    start = peer.build_peer().state_dict()
    moved = [name for name, value in trained.state_dict().items() if not torch.equal(value, start[name])]
    assert any(name.startswith("rpn") for name in moved)
    assert any(name.startswith("backbone") for name in moved)
    with pytest.raises(ValueError, match="neither minutes nor steps"):
        peer.PeerSettings()


def test_the_peer_starts_from_our_weights_on_our_backbone(
    film_cache: FilmCache, entries: list[FilmEntry], tmp_path: Path
) -> None:
    peer = load("peer_faster_rcnn")
    start = {name: value * 0.9 for name, value in Backbone("test_efficientnet").network.state_dict().items()}
    save_file(start, tmp_path / "start.safetensors")
    samples = TrainingSamples(film_cache, entries, config=SamplesConfig(frame_size=(128, 128)), seed=0)
    slow = TrainingConfig(learning_rate=1e-6, batch_size=2)
    settings = peer.PeerSettings(slow, steps=1, start=peer.PeerStart("test_efficientnet", tmp_path / "start.safetensors"))
    trained, _ = peer.train_peer(samples, settings)
    kernels = [name for name, value in start.items() if value.ndim == 4]
    assert kernels
    for name in kernels:
        torch.testing.assert_close(trained.state_dict()[f"backbone.body.network.{name}"], start[name], rtol=0, atol=1e-4)
    pixels = np.random.default_rng(0).random((96, 128), dtype=np.float32)
    assert peer.detect(trained, pixels).boxes.shape[1] == 4
    cams = peer.eigen_cams(trained, pixels)
    kinds = ("all levels", *(f"level {level}" for level in (0, 1, 2, 3, "pool")))
    assert list(cams) == [f"{kind} {sign}" for kind in kinds for sign in "+-"]
    assert all(cam.shape == (96, 128) for cam in cams.values())


def test_the_peer_sees_films_at_their_own_scale_in_training_and_after_it() -> None:
    peer = load("peer_faster_rcnn").build_peer(backbone="test_efficientnet")
    for mode in (peer.train(), peer.eval()):
        joined, _ = mode.transform([torch.zeros(3, 96, 128)])
        assert joined.tensors.shape == (1, 3, 96, 128)
        assert joined.image_sizes == [(96, 128)]


def test_what_nobody_can_see_is_no_background_for_the_peer_either() -> None:
    peer = load("peer_faster_rcnn").build_peer(backbone="test_efficientnet").train()
    regions = torch.tensor([[0.0, 0, 10, 10], [40, 40, 60, 60], [70, 70, 90, 90], [44, 44, 56, 56]])
    target = {
        "boxes": regions[:1],
        "labels": torch.ones(1, dtype=torch.int64),
        "ignore": torch.tensor([[42.0, 42, 58, 58], [0.0, 0, 10, 10]]),
    }
    labels, _ = peer.rpn.assign_targets_to_anchors([regions], [target])
    assert labels[0].tolist() == [1, -1, 0, -1]
    peer.roi_heads._ignored = [target["ignore"]]
    _, labels = peer.roi_heads.assign_targets_to_proposals([regions], [target["boxes"]], [target["labels"]])
    assert labels[0].tolist() == [1, -1, 0, -1]


def sort_and_keep(
    sort: Sort, seen: list[torch.Tensor], proposals: list[torch.Tensor], boxes: list[torch.Tensor], labels: list[torch.Tensor]
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    seen.extend([*proposals, *boxes])
    return sort(proposals, boxes, labels)


def test_the_peer_s_boxes_are_known_exactly_in_a_training_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load("peer_faster_rcnn")
    for peer in (module.build_peer(backbone="test_efficientnet").train(), module.build_peer().train()):
        seen: list[torch.Tensor] = []
        sort = peer.roi_heads.assign_targets_to_proposals
        monkeypatch.setattr(peer.roi_heads, "assign_targets_to_proposals", partial(sort_and_keep, sort, seen))
        box = torch.tensor([[301.3, 60.7, 313.9, 74.1]])
        target = {"boxes": box, "labels": torch.ones(1, dtype=torch.int64), "ignore": box[:0]}
        with torch.autocast("cpu", torch.bfloat16):
            losses = peer([torch.rand(3, 96, 320)], [target])
        assert {one.dtype for one in (*seen, *losses.values())} == {torch.float32}
        assert torch.equal(seen[-1], box)


def test_a_peer_that_diverges_is_no_peer_that_finds_nothing(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    peer = load("peer_faster_rcnn")
    samples = TrainingSamples(film_cache, entries, config=SamplesConfig(frame_size=(128, 128)), seed=0)
    wild = TrainingConfig(learning_rate=1e12, warmup_steps=0, batch_size=2)
    with pytest.raises(NonFiniteLossError):
        peer.train_peer(samples, peer.PeerSettings(wild, steps=20))


def test_reading_once_leaves_out_the_mirrored_view_and_nothing_else() -> None:
    twice = Predictor.from_checkpoint()
    once = replace(twice, checkpoint=load("compare_with_faster_rcnn").reading_once(twice.checkpoint))
    before, after = twice.checkpoint.settings, once.checkpoint.settings
    assert before.decoding.second_view == "mirrored"
    assert after == replace(before, decoding=replace(before.decoding, second_view=None))
    film = prepare_film(Radiograph(np.random.default_rng(0).random((256, 256), dtype=np.float32)), before.preparation)
    maps = [predictor.detect(film)[1].scores_net for predictor in (twice, once)]
    assert maps[0].shape == maps[1].shape
    assert not np.allclose(*maps)


def test_a_folder_of_other_runs_is_refused(tmp_path: Path) -> None:
    module = load("compare_with_faster_rcnn")
    module._keep_what_was_asked(tmp_path, {"minutes": 8.0})
    module._keep_what_was_asked(tmp_path, {"minutes": 8.0})
    with pytest.raises(SystemExit, match="asked for otherwise"):
        module._keep_what_was_asked(tmp_path, {"minutes": 9.0})


def test_a_peer_s_learning_rate_has_fallen_when_its_time_is_over() -> None:
    peer = load("peer_faster_rcnn")
    timed, counted = peer.PeerSettings(minutes=2.0), peer.PeerSettings(steps=8)
    assert peer._progress(timed, step=1000, elapsed_s=60) == 0.5
    assert peer._progress(counted, step=8, elapsed_s=0) == 1.0


def films(*, found: tuple[float, ...]) -> list[ScoredFilm]:
    """Two films a score: a nodule marked with it beside a false mark of 0.5, and a film with neither. Two scores a patient."""
    box = np.array([[10, 10, 20, 20]], dtype=np.float32)
    pairs = [
        ScoredFilm(
            key=f"film{number}",
            annotations=NoduleAnnotations.of_boxes(box),
            detections=NoduleDetections(np.concatenate([box, box + 50]), np.array([score, 0.5], dtype=np.float32)),
            patient_key=f"patient{number // 2}",
        )
        for number, score in enumerate(found)
    ]
    empty = NoduleDetections(box[:0], np.zeros(0, dtype=np.float32))
    free = NoduleAnnotations.of_boxes(box[:0])
    return pairs + [replace(film, key=f"{film.key}-free", annotations=free, detections=empty) for film in pairs]


def test_differences_are_those_of_the_same_patients() -> None:
    module = load("compare_with_faster_rcnn")
    compare, few = module.compare, Bootstrap(num_resamples=40)
    good, poor = films(found=(0.9,) * 12), films(found=(0.9,) * 6 + (0.1,) * 6)
    same = compare(good, good, bootstrap=few)
    assert [one.figure for one in same] == list(module.FIGURES)
    assert all((one.low, one.high) == (0.0, 0.0) for one in same)
    at_quarter = compare(good, poor, bootstrap=few)[0]
    assert at_quarter.figure == "sensitivity at 0.25 false positives per film"
    assert (at_quarter.ours, at_quarter.peers) == (1.0, 0.5)
    assert 0 < at_quarter.low <= at_quarter.ours - at_quarter.peers <= at_quarter.high
    assert compare(good, [replace(film) for film in poor], bootstrap=few)[0] == at_quarter
    with pytest.raises(ValueError, match="another order"):
        compare(good, poor[::-1], bootstrap=few)
    with pytest.raises(ValueError, match="12 films: at least one with a nodule and one without"):
        compare(good[12:], poor[12:], bootstrap=few)
