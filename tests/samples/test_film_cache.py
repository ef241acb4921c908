import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xraynet.errors import CatalogueError, FilmFailed
from xraynet.ingest.catalogue import FilmEntry, read_entry
from xraynet.preparation import PreparationConfig, prepare_film
from xraynet.radiograph import Radiograph
from xraynet.samples.build import LungFinder, build_cache
from xraynet.samples.cache import CacheHeader, FilmCache, GreyCode, read_index
from xraynet.samples.records import FilmRecord, cache_fingerprint


def test_a_cached_film_is_the_prepared_film_to_a_part_of_a_grey_step(
    film_cache: FilmCache, entries: list[FilmEntry], fake_lungs: LungFinder, preparation: PreparationConfig
) -> None:
    for entry in entries:
        radiograph = read_entry(entry)
        expected = prepare_film(radiograph, preparation, lung_box=fake_lungs.segment(radiograph).box)
        cached = film_cache.read(entry.key)
        np.testing.assert_allclose(cached.pixels, expected.pixels, atol=3e-5)
        assert cached.record.letterbox == expected.letterbox
        assert cached.record.scale_source == expected.scale_source
        assert cached.pixels.flags.writeable


def test_millimetres_are_known_only_where_the_film_has_a_spacing(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    millimetres = [film_cache.records[entry.key].mm_per_net_pixel for entry in entries]
    assert [index for index, value in enumerate(millimetres) if value is None] == [3, 8]
    assert millimetres[0] == pytest.approx(1.6, rel=0.005)
    assert film_cache.records[entries[3].key].scale_source == "lungs"


def test_the_lung_mask_lies_over_the_lungs(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    cached = film_cache.read(entries[0].key)
    assert cached.lung_mask.shape == cached.pixels.shape
    assert set(np.unique(cached.lung_mask)) == {0, 1}
    assert cached.record.lung_fraction == pytest.approx(cached.lung_mask.mean(), abs=1e-5)
    assert cached.pixels[cached.lung_mask == 1].mean() < cached.pixels[cached.lung_mask == 0].mean()


def test_a_second_build_decodes_nothing(
    tmp_path: Path, entries: list[FilmEntry], fake_lungs: LungFinder, preparation: PreparationConfig
) -> None:
    decoded: list[str] = []

    def read(entry: FilmEntry) -> Radiograph:
        decoded.append(entry.key)
        return read_entry(entry)

    def build(some: list[FilmEntry]) -> FilmCache:
        return build_cache(tmp_path, some, catalogue_fingerprint="c", preparation=preparation, lungs=fake_lungs, read=read)

    build(entries[:3])
    assert len(build(entries[:3])) == 3
    assert len(decoded) == 3
    grown = build(entries[:5])
    assert len(grown) == 5
    assert decoded == [entry.key for entry in entries[:5]]


def test_an_interrupted_build_goes_on_where_it_stopped(
    tmp_path: Path, entries: list[FilmEntry], fake_lungs: LungFinder, preparation: PreparationConfig
) -> None:
    whole = build_cache(tmp_path / "whole", entries, catalogue_fingerprint="c", preparation=preparation, lungs=fake_lungs)
    decoded: list[str] = []

    def read_until_power_fails(entry: FilmEntry) -> Radiograph:
        if len(decoded) == 3:
            raise KeyboardInterrupt
        decoded.append(entry.key)
        return read_entry(entry)

    def build(read: Callable[[FilmEntry], Radiograph]) -> FilmCache:
        return build_cache(
            tmp_path / "cut", entries, catalogue_fingerprint="c", preparation=preparation, lungs=fake_lungs, read=read
        )

    with pytest.raises(KeyboardInterrupt):
        build(read_until_power_fails)
    (home,) = (tmp_path / "cut").iterdir()
    assert len(read_index(home)) == 3
    # As if the machine had gone down in the middle of a film and of its line.
    with (home / "films.uint16").open("ab") as stream:
        stream.write(b"half a film")
    with (home / "index.jsonl").open("ab") as stream:
        stream.write(b'{"key": "00')
    resumed = build(read_entry)
    assert resumed.records == whole.records
    for entry in entries:
        np.testing.assert_array_equal(resumed.read(entry.key).pixels, whole.read(entry.key).pixels)
        np.testing.assert_array_equal(resumed.read(entry.key).lung_mask, whole.read(entry.key).lung_mask)


def test_films_that_cannot_be_read_are_reported_and_tried_again(
    tmp_path: Path, entries: list[FilmEntry], preparation: PreparationConfig
) -> None:
    def read(entry: FilmEntry) -> Radiograph:
        if entry is entries[1]:
            raise FilmFailed("Rows is 0; at least 1 was expected", code="damaged")
        if entry is entries[2]:
            raise CatalogueError("film has changed")
        return read_entry(entry)

    cache = build_cache(tmp_path, entries[:4], catalogue_fingerprint="c", preparation=preparation, lungs=None, read=read)
    assert len(cache) == 2
    assert [(failure.key, failure.code) for failure in cache.failures] == [
        (entries[1].key, "damaged"),
        (entries[2].key, "damaged"),
    ]
    assert "Rows is 0" in cache.failures[0].reason
    again = build_cache(tmp_path, entries[:4], catalogue_fingerprint="c", preparation=preparation, lungs=None)
    assert len(again) == 4
    assert again.failures == ()


def test_spawned_workers_decode_the_same_cache(
    tmp_path: Path,
    entries: list[FilmEntry],
    film_folder: Path,
    make_entry: Callable[..., FilmEntry],
    preparation: PreparationConfig,
) -> None:
    films = [*entries[:3], make_entry(film_folder / "missing.png")]
    seen: list[tuple[int, int]] = []
    serial = build_cache(tmp_path / "a", films, catalogue_fingerprint="c", preparation=preparation, lungs=None)
    spawned = build_cache(
        tmp_path / "b",
        films,
        catalogue_fingerprint="c",
        preparation=preparation,
        lungs=None,
        num_workers=2,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert spawned.records == serial.records
    assert spawned.failures == serial.failures
    assert len(spawned.failures) == 1
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_without_lungs_there_is_no_mask(tmp_path: Path, entries: list[FilmEntry], preparation: PreparationConfig) -> None:
    cache = build_cache(tmp_path, entries[:1], catalogue_fingerprint="c", preparation=preparation, lungs=None)
    assert cache.header.lungs_fingerprint is None
    assert cache.read(entries[0].key).lung_mask.sum() == 0
    assert cache.records[entries[0].key].lung_fraction == 0


def test_the_fingerprint_changes_with_all_that_shapes_a_film() -> None:
    preparation = PreparationConfig()
    prints = {
        cache_fingerprint(catalogue_fingerprint=catalogue, preparation=shape, lungs_fingerprint=lungs)
        for catalogue, shape, lungs in [
            ("a", preparation, None),
            ("b", preparation, None),
            ("a", replace(preparation, mm_per_pixel=0.7), None),
            ("a", preparation, "lungs"),
        ]
    }
    assert len(prints) == 4


def test_an_empty_cache_holds_nothing(tmp_path: Path, preparation: PreparationConfig) -> None:
    cache = build_cache(tmp_path, [], catalogue_fingerprint="c", preparation=preparation, lungs=None)
    assert len(cache) == 0
    assert "nothing" not in cache
    with pytest.raises(CatalogueError, match="not in the film cache"):
        cache.read("nothing")


def test_a_cache_travels_to_another_process_as_its_folder(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    sent = pickle.dumps(film_cache)
    assert len(sent) < 2000
    received = pickle.loads(sent)  # noqa: S301
    assert received.fingerprint == film_cache.fingerprint
    np.testing.assert_array_equal(received.read(entries[0].key).pixels, film_cache.read(entries[0].key).pixels)


def test_a_cache_with_a_cut_file_is_refused(tmp_path: Path, entries: list[FilmEntry], preparation: PreparationConfig) -> None:
    cache = build_cache(tmp_path, entries[:1], catalogue_fingerprint="c", preparation=preparation, lungs=None)
    films = cache.folder / "films.uint16"
    films.write_bytes(films.read_bytes()[:100])
    with pytest.raises(CatalogueError, match="100 bytes; its index promises"):
        FilmCache(cache.folder)
    with pytest.raises(CatalogueError, match="100 bytes; its index promises"):
        build_cache(tmp_path, entries[:2], catalogue_fingerprint="c", preparation=preparation, lungs=None)


def test_lines_follow_when_enough_films_are_on_the_disk(
    tmp_path: Path, entries: list[FilmEntry], preparation: PreparationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xraynet.samples.writer._FILMS_AT_ONCE", 2)
    seen: list[int] = []

    def count_lines(done: int, total: int) -> None:
        (home,) = tmp_path.iterdir()
        seen.append(len(read_index(home)))

    build_cache(tmp_path, entries[:5], catalogue_fingerprint="c", preparation=preparation, lungs=None, progress=count_lines)
    assert seen == [0, 2, 2, 4, 4]
    (home,) = tmp_path.iterdir()
    assert len(read_index(home)) == 5


@pytest.mark.parametrize("text", ["", "{", "[]", '{"fingerprint": "x"}'])
def test_a_damaged_header_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "cache.json").write_text(text)
    with pytest.raises(CatalogueError, match="not the header of a film cache"):
        CacheHeader.read(tmp_path)


@pytest.mark.parametrize("line", ["nonsense\n", "[1]\n", '{"key": "a"}\n'])
def test_a_damaged_line_of_the_index_is_refused(line: str) -> None:
    with pytest.raises(CatalogueError, match="index cannot be read"):
        FilmRecord.from_line(line)


def test_a_record_comes_back_from_its_line(film_cache: FilmCache) -> None:
    for record in film_cache.records.values():
        assert FilmRecord.from_line(record.to_line()) == record


@pytest.mark.parametrize(("name", "value"), [("scale_source", "guess"), ("first_pixel", -1)])
def test_an_impossible_record_is_refused(film_cache: FilmCache, name: str, value: object) -> None:
    record = next(iter(film_cache.records.values()))
    line = json.dumps({**json.loads(record.to_line()), name: value}) + "\n"
    with pytest.raises(CatalogueError):
        FilmRecord.from_line(line)


def test_grey_values_survive_their_code() -> None:
    code = GreyCode(0.25)
    pixels = np.array([[-0.25, 0.0, 0.333], [1.0, 1.25, 9.0]], dtype=np.float32)
    np.testing.assert_allclose(code.decode(code.encode(pixels)), np.clip(pixels, -0.25, 1.25), atol=1.2e-5)
