import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from xraynet.errors import CatalogueError, FilmFailed
from xraynet.findings import LabelState
from xraynet.ingest.catalogue import FilmEntry, read_entry
from xraynet.preparation import PreparationConfig
from xraynet.radiograph import Radiograph
from xraynet.samples.augment import AugmentConfig, GreyAugmenter
from xraynet.samples.build import build_cache
from xraynet.samples.cache import FilmCache
from xraynet.samples.dataset import KindWeights, SamplesConfig, TrainingSample, TrainingSamples, without_augmentation
from xraynet.samples.order import SampleRef
from xraynet.samples.placement import PlacementConfig
from xraynet.settings import config_to_dict, structure_config
from xraynet.simulation import DistractorConfig, SimulationConfig, contrast_to_noise

NO_DISTRACTORS = DistractorConfig(line=0, electrode=0, rib_crossing=0, vessel_end=0, nipples=0, marker=0, clips=0)
CONFIG = SamplesConfig(frame_size=(256, 224), simulation=SimulationConfig(distractor=NO_DISTRACTORS))


@pytest.fixture(scope="module")
def samples(film_cache: FilmCache, entries: list[FilmEntry]) -> TrainingSamples:
    return TrainingSamples(film_cache, entries, config=CONFIG, seed=7)


def same(one: TrainingSample, other: TrainingSample) -> bool:
    arrays = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("pixels", "boxes", "ignore"))
    return arrays and one.key == other.key and one.record == other.record


def test_films_of_unknown_state_are_never_shown(samples: TrainingSamples, entries: list[FilmEntry]) -> None:
    assert samples.num_unknown == 1
    shown = {samples.draw(ref).key for epoch in range(3) for ref in samples.order(epoch)}
    assert entries[9].key not in shown


def test_a_sample_depends_on_seed_epoch_and_film_alone(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    one = TrainingSamples(film_cache, entries, config=CONFIG, seed=7)
    other = pickle.loads(pickle.dumps(TrainingSamples(film_cache, entries, config=CONFIG, seed=7)))  # noqa: S301
    refs = one.order(0)
    backwards = [other.draw(ref) for ref in reversed(refs)][::-1]
    assert all(same(one.draw(ref), drawn) for ref, drawn in zip(refs, backwards, strict=True))
    reseeded = TrainingSamples(film_cache, entries, config=CONFIG, seed=8)
    assert not any(same(one.draw(ref), reseeded.draw(ref)) for ref in refs)


def test_no_two_samples_of_two_epochs_share_their_parameters(samples: TrainingSamples) -> None:
    refs = [*samples.order(0), *samples.order(1), SampleRef(0, 0, 5)]
    records = [samples.draw(ref).record for ref in refs]
    assert len({record.placement for record in records}) == len(records)
    assert len({record.grey.seed for record in records if record.grey is not None}) == len(records)


def test_samples_are_float32_in_range_with_boxes_inside_the_frame(samples: TrainingSamples) -> None:
    for epoch in range(6):
        for ref in samples.order(epoch):
            sample = samples.draw(ref)
            assert sample.pixels.dtype == np.float32
            assert sample.pixels.shape == (256, 224)
            assert sample.pixels.min() >= -0.2501
            assert sample.pixels.max() <= 1.2501
            for boxes in (sample.boxes, sample.ignore):
                assert boxes.dtype == np.float32
                assert (boxes[:, :2] >= 0).all()
                assert (boxes[:, 2] <= 224).all()
                assert (boxes[:, 3] <= 256).all()
                assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_nodules_are_drawn_only_into_films_known_to_be_free(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    always = TrainingSamples(film_cache, entries, config=replace(CONFIG, simulation_rate=1.0), seed=1)
    never = TrainingSamples(film_cache, entries, config=replace(CONFIG, simulation_rate=0.0), seed=1)
    boxed = {entry.key for entry in entries if entry.annotations.state is LabelState.BOXED}
    for ref in always.order(0):
        drawn, plain = always.draw(ref), never.draw(ref)
        assert bool(drawn.record.nodules) == (drawn.key not in boxed)
        assert not plain.record.nodules
        if plain.key not in boxed:
            assert len(plain.boxes) + len(plain.ignore) == 0


def test_about_the_asked_part_of_free_films_gets_nodules(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    free = [entry for entry in entries if entry.annotations.state is LabelState.FREE]
    samples = TrainingSamples(film_cache, free, config=replace(CONFIG, simulation_rate=0.5), seed=1)
    drawn = [bool(samples.draw(ref).record.nodules) for epoch in range(20) for ref in samples.order(epoch)]
    assert 0.35 < np.mean(drawn) < 0.65


def test_simulated_nodules_are_brighter_than_the_film_was(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    config = without_augmentation(replace(CONFIG, simulation_rate=1.0))
    drawn = TrainingSamples(film_cache, entries[:3], config=config, seed=1)
    plain = TrainingSamples(film_cache, entries[:3], config=replace(config, simulation_rate=0.0), seed=1)
    for index in range(3):
        sample = drawn.draw(SampleRef(0, index))
        for x1, y1, x2, y2 in sample.boxes:
            centre = (
                slice(int((y1 + y2) / 2) - 1, int((y1 + y2) / 2) + 2),
                slice(int((x1 + x2) / 2) - 1, int((x1 + x2) / 2) + 2),
            )
            assert sample.pixels[centre].mean() > plain.draw(SampleRef(0, index)).pixels[centre].mean() - 0.02


def test_real_boxes_come_to_the_frame_with_their_film(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    samples = TrainingSamples(film_cache, [entries[7]], config=without_augmentation(CONFIG), seed=0)
    sample = samples.draw(SampleRef(0, 0))
    letterbox = film_cache.records[entries[7].key].letterbox
    top, left = ((frame - film) // 2 for frame, film in zip((256, 224), letterbox.net_size, strict=True))
    expected = letterbox.boxes_to_net(entries[7].annotations.boxes) + np.array([left, top, left, top])
    np.testing.assert_allclose(sample.boxes, expected, atol=1e-3)
    assert sample.record.grey is None


def test_tiny_boxes_are_ignored(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    config = without_augmentation(replace(CONFIG, smallest_side_px=20.0))
    sample = TrainingSamples(film_cache, [entries[7]], config=config, seed=0).draw(SampleRef(0, 0))
    assert (len(sample.boxes), len(sample.ignore)) == (1, 1)


def test_a_nodule_that_nobody_can_see_is_ignored_not_learnt(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    # The boxes of film 7 stand where nothing was drawn: on the film's own noise.
    plain = TrainingSamples(film_cache, [entries[7]], config=without_augmentation(CONFIG), seed=0).draw(SampleRef(0, 0))
    strict = without_augmentation(replace(CONFIG, least_visible=50.0))
    sample = TrainingSamples(film_cache, [entries[7]], config=strict, seed=0).draw(SampleRef(0, 0))
    assert len(sample.boxes) == 0
    np.testing.assert_array_equal(np.sort(sample.ignore, axis=0), np.sort(plain.boxes, axis=0))
    np.testing.assert_array_equal(sample.pixels, plain.pixels)


def test_a_drawn_nodule_that_stands_out_is_learnt(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    config = without_augmentation(replace(CONFIG, simulation_rate=1.0))
    everything = TrainingSamples(film_cache, entries[:3], config=config, seed=1)
    seen_only = TrainingSamples(film_cache, entries[:3], config=replace(config, least_visible=0.5), seed=1)
    for ref in everything.order(0):
        every, seen = everything.draw(ref), seen_only.draw(ref)
        assert len(seen.boxes) + len(seen.ignore) == len(every.boxes) + len(every.ignore)
        contrasts = [contrast_to_noise(every.pixels, box) for box in seen.boxes]
        assert all(contrast is None or contrast > 0.4 for contrast in contrasts)


def test_films_with_other_findings_can_come_less_often(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    free = [entry for entry in entries if entry.annotations.state is LabelState.FREE]
    ill = [replace(entry, findings=("Pneumonia",)) for entry in free[:2]]
    well = [replace(entry, findings=("No Finding",)) for entry in free[2:]]
    config = replace(CONFIG, weights=KindWeights(other_findings=0.0))
    samples = TrainingSamples(film_cache, [*ill, *well], config=config, seed=0)
    assert {samples.entries[ref.film].findings for epoch in range(3) for ref in samples.order(epoch)} == {("No Finding",)}
    even = TrainingSamples(film_cache, [*ill, *well], config=CONFIG, seed=0)
    assert {even.entries[ref.film].key for epoch in range(3) for ref in even.order(epoch)} == {entry.key for entry in free}


def test_without_lungs_no_nodule_is_simulated(tmp_path: Path, entries: list[FilmEntry], preparation: PreparationConfig) -> None:
    cache = build_cache(tmp_path, entries[:3], catalogue_fingerprint="c", preparation=preparation, lungs=None)
    samples = TrainingSamples(cache, entries[:3], config=replace(CONFIG, simulation_rate=1.0), seed=0)
    assert all(len(samples.draw(ref).boxes) == 0 for ref in samples.order(0))


def test_weights_balance_the_views(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    config = replace(CONFIG, weights=KindWeights(boxed=0, free_pa=0, free_ap=2, free_other=0))
    samples = TrainingSamples(film_cache, entries, config=config, seed=0)
    order = samples.order(0)
    assert len(order) == len(samples) == 9
    assert {samples.entries[ref.film].view_position for ref in order} == {"AP"}
    assert len(TrainingSamples(film_cache, entries, config=replace(CONFIG, films_per_epoch=4), seed=0).order(0)) == 4


def test_films_that_could_not_be_read_are_counted_not_trained_on(
    tmp_path: Path, entries: list[FilmEntry], preparation: PreparationConfig
) -> None:
    def read(entry: FilmEntry) -> Radiograph:
        if entry is entries[0]:
            raise FilmFailed("cut", code="truncated")
        return read_entry(entry)

    cache = build_cache(tmp_path, entries[:3], catalogue_fingerprint="c", preparation=preparation, lungs=None, read=read)
    samples = TrainingSamples(cache, entries[:3], config=CONFIG, seed=0)
    assert samples.num_unreadable == 1
    assert entries[0].key not in {entry.key for entry in samples.entries}
    with pytest.raises(CatalogueError, match="1 of 4 films are not in the cache"):
        TrainingSamples(cache, entries[:4], config=CONFIG, seed=0)


def test_nothing_to_train_on_is_said(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    with pytest.raises(CatalogueError, match="none of 1 films can be trained on"):
        TrainingSamples(film_cache, entries[9:], config=CONFIG, seed=0)
    nothing = replace(CONFIG, weights=KindWeights(boxed=0, free_pa=0, free_ap=0, free_other=0))
    with pytest.raises(CatalogueError, match="weight 0"):
        TrainingSamples(film_cache, entries, config=nothing, seed=0)


@pytest.mark.parametrize(
    "wrong",
    [{"frame_size": (100, 128)}, {"simulation_rate": 1.5}, {"smallest_part": 0.0}, {"films_per_epoch": 0}],
)
def test_impossible_samples_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(CONFIG, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="below 0"):
        KindWeights(boxed=-1)


def test_the_configuration_survives_a_file() -> None:
    config = replace(CONFIG, augment=AugmentConfig(gamma=1.3), placement=PlacementConfig(flip_rate=0.1))
    assert structure_config(config_to_dict(config), SamplesConfig, where="test") == config


@pytest.mark.films
def test_real_films_make_samples(
    shared_films: Path, tmp_path: Path, make_entry: Callable[..., FilmEntry], fake_lungs: object
) -> None:
    films = [make_entry(path) for path in sorted((shared_films / "nih" / "films").iterdir())[:4]]
    cache = build_cache(
        tmp_path,
        films,
        catalogue_fingerprint="c",
        preparation=PreparationConfig(),
        lungs=fake_lungs,  # type: ignore[arg-type]
    )
    samples = TrainingSamples(cache, films, config=replace(SamplesConfig(), simulation_rate=1.0), seed=0)
    for ref in samples.order(0):
        sample = samples.draw(ref)
        assert sample.pixels.shape == (448, 448)
        assert len(sample.boxes) >= 1


def test_a_sample_can_be_replayed_from_its_record(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    samples = TrainingSamples(film_cache, [entries[7]], config=CONFIG, seed=3)
    sample = samples.draw(SampleRef(4, 0))
    assert sample.record.grey is not None
    placed = sample.record.placement.apply(film_cache.read(entries[7].key).pixels)
    replayed, _ = GreyAugmenter(CONFIG.augment, headroom=film_cache.headroom).apply(placed, seed=sample.record.grey.seed)
    np.testing.assert_array_equal(replayed, sample.pixels)


def test_shapes_of_real_nodules_are_collected_and_drawn_into_free_films(
    tmp_path: Path, film_folder: Path, make_entry: Callable[..., FilmEntry], fake_lungs: object, preparation: PreparationConfig
) -> None:
    film = cv2.imread(str(film_folder / "film1.png"), cv2.IMREAD_GRAYSCALE)
    assert film is not None
    rows, columns = np.mgrid[: film.shape[0], : film.shape[1]]
    # A nodule of 30 pixels in the lung on the image's left, and a box where there is none.
    bright = film + 90 * np.sqrt(np.maximum(0, 1 - (np.hypot(columns - 62, rows - 130) / 15) ** 2))
    path = tmp_path / "boxed.png"
    assert cv2.imwrite(str(path), np.clip(bright, 0, 255).astype(np.uint8))
    boxed = make_entry(path, state=LabelState.BOXED, boxes=[[47, 115, 77, 145], [150, 115, 170, 135]])
    free = make_entry(film_folder / "film0.png")
    cache = build_cache(tmp_path / "c", [boxed, free], catalogue_fingerprint="c", preparation=preparation, lungs=fake_lungs)
    everywhere = SimulationConfig(distractor=NO_DISTRACTORS, real_shapes_share=1.0)
    config = replace(CONFIG, simulation_rate=1.0, simulation=everywhere)
    samples = TrainingSamples(cache, [boxed, free], config=config, seed=1)
    assert len(samples.shapes) == 1
    drawn = [samples.draw(SampleRef(epoch, index)) for epoch in range(6) for index in range(2)]
    nodules = [nodule for sample in drawn if sample.key == free.key for nodule in sample.record.nodules]
    assert nodules
    assert {nodule.shape for nodule in nodules} == {0}
    assert all(not sample.record.nodules for sample in drawn if sample.key == boxed.key)
    assert TrainingSamples(cache, [boxed, free], config=CONFIG, seed=1).shapes == ()
