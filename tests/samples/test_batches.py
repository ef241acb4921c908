import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from xraynet.ingest.catalogue import FilmEntry
from xraynet.samples.batches import DetectionBatch, count_steps, iterate_batches
from xraynet.samples.cache import FilmCache
from xraynet.samples.dataset import SamplesConfig, TrainingSamples
from xraynet.samples.workers import SampleWorkers

CONFIG = SamplesConfig(frame_size=(128, 160))


@pytest.fixture(scope="module")
def samples(film_cache: FilmCache, entries: list[FilmEntry]) -> TrainingSamples:
    return TrainingSamples(film_cache, entries, config=CONFIG, seed=7)


def assert_same(some: list[DetectionBatch], others: list[DetectionBatch]) -> None:
    assert [batch.keys for batch in some] == [batch.keys for batch in others]
    for one, other in zip(some, others, strict=True):
        assert torch.equal(one.images, other.images)
        for name in ("boxes", "ignore"):
            assert all(torch.equal(mine, yours) for mine, yours in zip(getattr(one, name), getattr(other, name), strict=True))


def test_a_batch_holds_its_films_as_tensors(samples: TrainingSamples) -> None:
    (batch,) = iterate_batches(samples, epoch=0, batch_size=20, num_workers=0)
    assert batch.images.shape == (9, 1, 128, 160)
    assert batch.images.dtype == torch.float32
    assert len(batch) == len(batch.boxes) == len(batch.ignore) == 9
    refs = samples.order(0)
    for index, ref in enumerate(refs):
        sample = samples.draw(ref)
        assert batch.keys[index] == sample.key
        np.testing.assert_array_equal(batch.images[index, 0].numpy(), sample.pixels)
        np.testing.assert_array_equal(batch.boxes[index].numpy(), sample.boxes)


def test_batches_are_the_same_with_any_number_of_workers_and_differ_between_epochs(samples: TrainingSamples) -> None:
    alone = [list(iterate_batches(samples, epoch=epoch, batch_size=4, num_workers=0)) for epoch in (0, 1)]
    with SampleWorkers(samples, num_workers=2) as processes:
        spawned = [list(iterate_batches(samples, epoch=epoch, batch_size=4, workers=processes)) for epoch in (0, 1)]
    beside = [list(iterate_batches(samples, epoch=epoch, batch_size=4, num_workers=1)) for epoch in (0, 1)]
    for epoch in (0, 1):
        assert_same(alone[epoch], spawned[epoch])
        assert_same(alone[epoch], beside[epoch])
    films = [image for epoch in spawned for batch in epoch for image in batch.images]
    assert len(films) == 18
    assert all(not torch.equal(one, other) for place, one in enumerate(films) for other in films[:place])


def test_an_epoch_goes_on_in_the_middle_as_if_it_had_never_stopped(samples: TrainingSamples) -> None:
    whole = list(iterate_batches(samples, epoch=3, batch_size=2))
    assert_same(list(iterate_batches(samples, epoch=3, batch_size=2, first_step=3)), whole[3:])
    assert list(iterate_batches(samples, epoch=3, batch_size=2, first_step=9)) == []


def test_every_rank_takes_as_many_steps_even_with_an_empty_shard(samples: TrainingSamples) -> None:
    shards = [list(iterate_batches(samples, epoch=0, batch_size=4, rank=rank, world_size=3)) for rank in range(3)]
    assert [[len(batch) for batch in shard] for shard in shards] == [[4], [4], [1]]
    shards = [list(iterate_batches(samples, epoch=0, batch_size=3, rank=rank, world_size=4)) for rank in range(4)]
    assert [len(shard) for shard in shards] == [1, 1, 1, 1]
    empty = shards[3][0]
    assert empty.images.shape == (0, 1, 128, 160)
    assert len(empty) == 0
    assert count_steps(samples, batch_size=4, world_size=3) == 1
    assert count_steps(samples, batch_size=2) == 5
    assert count_steps(samples, batch_size=2, drop_last=True) == 4


def test_one_process_and_two_ranks_see_the_same_films_in_a_step(samples: TrainingSamples) -> None:
    whole = list(iterate_batches(samples, epoch=0, batch_size=4))
    ranks = [list(iterate_batches(samples, epoch=0, batch_size=2, rank=rank, world_size=2)) for rank in (0, 1)]
    for step, batch in enumerate(whole):
        assert batch.keys == ranks[0][step].keys + ranks[1][step].keys


def test_a_loop_that_stops_early_lets_its_thread_go(samples: TrainingSamples) -> None:
    batches = iterate_batches(samples, epoch=0, batch_size=1)
    next(batches)
    batches.close()  # type: ignore[attr-defined]


def test_an_error_in_a_worker_reaches_the_loop(film_cache: FilmCache, entries: list[FilmEntry]) -> None:
    samples = TrainingSamples(film_cache, entries, config=CONFIG, seed=7)
    samples.entries = (*samples.entries[:-1], replace(samples.entries[-1], key="0" * 16))
    with pytest.raises(Exception, match="not in the film cache"):
        list(iterate_batches(samples, epoch=0, batch_size=2))


def test_a_batch_moves_to_another_device_whole(samples: TrainingSamples) -> None:
    batch = next(iterate_batches(samples, epoch=0, batch_size=2, num_workers=0))
    moved = batch.to("cpu")
    assert_same([batch], [moved])


def test_batches_of_unequal_parts_are_refused(samples: TrainingSamples) -> None:
    batch = next(iterate_batches(samples, epoch=0, batch_size=2, num_workers=0))
    with pytest.raises(ValueError, match="one of each a film"):
        replace(batch, keys=("only one",))
    with pytest.raises(ValueError, match="num_workers is -1"):
        SampleWorkers(samples, num_workers=-1)


def test_decoding_workers_need_no_torch() -> None:
    code = "import sys, xraynet.samples.build; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
