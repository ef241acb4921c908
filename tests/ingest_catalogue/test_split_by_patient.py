from collections import Counter

import numpy as np
import pytest

from xraynet.ingest.split import SplitConfig, assign_folds, assign_splits, group_films, keep_splits


def test_films_of_one_patient_or_with_the_same_pixels_are_one_group() -> None:
    patients = [["a"], ["b"], ["a"], [], ["c"], ["c", "b"]]
    groups = group_films(patients, pixel_hashes=["1", "2", "3", "4", "4", "5"])
    assert groups.tolist() == [0, 1, 0, 1, 1, 1]


def test_films_of_unknown_patients_are_groups_of_their_own() -> None:
    assert group_films([[], []], pixel_hashes=["1", "2"]).tolist() == [0, 1]
    assert group_films([], pixel_hashes=[]).tolist() == []


def test_no_group_is_divided_and_shares_are_kept() -> None:
    groups = np.repeat(np.arange(100), 3)
    strata = ["boxed" if group % 4 == 0 else "free" for group in groups]
    splits = assign_splits(groups, strata=strata, fractions=(0.8, 0.1, 0.1), seed=0)
    for group in range(100):
        assert len({splits[film] for film in range(300) if groups[film] == group}) == 1
    assert Counter(splits) == pytest.approx({"train": 240, "validation": 30, "test": 30}, abs=3)
    boxed = Counter(split for split, stratum in zip(splits, strata, strict=True) if stratum == "boxed")
    assert boxed["test"] == pytest.approx(7.5, abs=2)


def test_seed_decides_and_repeats() -> None:
    groups, strata = np.arange(60), ["free"] * 60
    first, again, other = (assign_splits(groups, strata=strata, fractions=(0.5, 0.25, 0.25), seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_all_films_may_go_to_one_split() -> None:
    assert assign_splits(np.arange(3), strata=["free"] * 3, fractions=(0, 0, 1), seed=0) == ("test",) * 3


def test_no_validation_means_none() -> None:
    splits = assign_splits(np.arange(50), strata=["free"] * 50, fractions=(0.7, 0.0, 0.3), seed=0)
    assert Counter(splits) == {"train": 35, "test": 15}


def test_odd_fractions_are_met_nearly() -> None:
    splits = assign_splits(np.arange(400), strata=["free"] * 400, fractions=(0.77, 0.13, 0.1), seed=0)
    shares = {name: num / 400 for name, num in Counter(splits).items()}
    assert shares == pytest.approx({"train": 0.77, "validation": 0.13, "test": 0.1}, abs=0.04)


@pytest.mark.parametrize("fractions", [(0.98, 0.01, 0.01), (0.97, 0.02, 0.01), (0.96, 0.04, 0.0)])
def test_small_shares_are_not_lost(fractions: tuple[float, float, float]) -> None:
    splits = assign_splits(np.arange(400), strata=["free"] * 400, fractions=fractions, seed=0)
    counts = Counter(splits)
    shares = tuple(counts[name] / 400 for name in ("train", "validation", "test"))
    assert shares == pytest.approx(fractions, abs=0.011)


def test_few_patients_are_divided_without_strata() -> None:
    splits = assign_splits(
        np.array([0, 0, 1, 2]), strata=["boxed", "free", "free", "free"], fractions=(0.5, 0.25, 0.25), seed=3
    )
    assert splits[0] == splits[1]
    assert set(splits) == {"train", "validation", "test"} or len(set(splits)) == 2
    assert len(assign_splits(np.array([0]), strata=["free"], fractions=(0.8, 0.1, 0.1), seed=0)) == 1


def test_folds_hold_every_film_once_and_rare_strata_do_not_disturb() -> None:
    folds = assign_folds(np.arange(23), strata=["free"] * 22 + ["boxed"], num_folds=5, seed=0)
    assert sorted(set(folds.tolist())) == [0, 1, 2, 3, 4]
    assert max(Counter(folds.tolist()).values()) <= 6


def test_more_folds_than_patients_are_refused() -> None:
    with pytest.raises(ValueError, match="2 patients for 5 folds"):
        assign_folds(np.array([0, 0, 1]), strata=["free"] * 3, num_folds=5, seed=0)


@pytest.mark.parametrize(("fractions", "num_folds"), [((0.8, 0.1, 0.2), 0), ((1.2, -0.2, 0.0), 0), ((0.8, 0.1, 0.1), 1)])
def test_impossible_divisions_are_refused(fractions: tuple[float, float, float], num_folds: int) -> None:
    with pytest.raises(ValueError, match="were expected"):
        SplitConfig(fractions=fractions, num_folds=num_folds)


def test_known_films_keep_their_split_and_their_whole_group_with_them() -> None:
    groups, strata = np.array([0, 0, 1, 2, 3]), ["free"] * 5
    everything_to_train = SplitConfig((1.0, 0.0, 0.0))
    known = [None, "validation", "train", None, None]
    kept = keep_splits(groups, known=known, strata=strata, config=everything_to_train)
    assert kept == ("validation", "validation", "train", "train", "train")
    with pytest.raises(ValueError, match="one patient or one picture"):
        keep_splits(groups, known=["train", "validation", None, None, None], strata=strata, config=everything_to_train)
