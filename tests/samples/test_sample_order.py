from collections import Counter

import pytest

from xraynet.samples.order import SampleRef, draw_order, shard_steps


def test_without_weights_every_film_comes_once_in_another_order_each_epoch() -> None:
    kinds, weights = ["free"] * 20, [1.0] * 20
    first = draw_order(kinds, weights, seed=3, epoch=0)
    second = draw_order(kinds, weights, seed=3, epoch=1)
    assert sorted(ref.film for ref in first) == list(range(20))
    assert sorted(ref.film for ref in second) == list(range(20))
    assert [ref.film for ref in first] != [ref.film for ref in second]
    assert first == draw_order(kinds, weights, seed=3, epoch=0)
    assert first != draw_order(kinds, weights, seed=4, epoch=0)


def test_weights_set_how_often_a_film_comes() -> None:
    counts: Counter[int] = Counter()
    for epoch in range(50):
        order = draw_order(["a", "a", "b"], [2.0, 0.5, 0.5], seed=0, epoch=epoch)
        assert len(order) == 3
        counts.update(ref.film for ref in order)
    assert counts[0] == 100
    assert 15 <= counts[1] <= 35


def test_a_film_of_weight_0_never_comes() -> None:
    assert {ref.film for ref in draw_order(["a", "b"], [0.0, 1.0], seed=0, epoch=0)} == {1}
    assert draw_order(["a"], [0.0], seed=0, epoch=0) == []
    assert draw_order([], [], seed=0, epoch=0) == []


def test_a_film_that_comes_twice_is_told_apart() -> None:
    order = draw_order(["a"], [1.0], seed=0, epoch=2, num_samples=3)
    assert sorted(ref.occurrence for ref in order) == [0, 1, 2]
    assert {ref.epoch for ref in order} == {2}


def test_kinds_are_spread_evenly_over_the_epoch() -> None:
    kinds = ["free"] * 90 + ["boxed"] * 30
    order = draw_order(kinds, [1.0] * 120, seed=0, epoch=0)
    for start in range(0, 120, 12):
        boxed = sum(kinds[ref.film] == "boxed" for ref in order[start : start + 12])
        assert 2 <= boxed <= 4


@pytest.mark.parametrize(("films", "world_size"), [(5, 2), (16, 4), (1, 3), (17, 3)])
def test_every_rank_takes_as_many_steps_and_every_film_is_seen_once(films: int, world_size: int) -> None:
    order = [SampleRef(0, film) for film in range(films)]
    shards = [shard_steps(order, batch_size=2, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert len({len(shard) for shard in shards}) == 1
    assert sorted(ref.film for shard in shards for step in shard for ref in step) == list(range(films))


def test_a_last_step_that_is_not_full_can_be_left_out() -> None:
    order = [SampleRef(0, film) for film in range(7)]
    assert [len(step) for step in shard_steps(order, batch_size=2, drop_last=True)] == [2, 2, 2]
    assert shard_steps(order[:3], batch_size=2, rank=1, world_size=2, drop_last=True) == []


def test_impossible_orders_are_refused() -> None:
    with pytest.raises(ValueError, match="1 kinds and 2 weights"):
        draw_order(["a"], [1.0, 1.0], seed=0, epoch=0)
    with pytest.raises(ValueError, match="smallest weight"):
        draw_order(["a"], [-1.0], seed=0, epoch=0)
    with pytest.raises(ValueError, match="rank 2 of 2"):
        shard_steps([], batch_size=1, rank=2, world_size=2)
