"""Divides films into train, validation and test, or into folds: by patient, and never one film into two of them.

Films of one patient, and films with the same pixels (whoever they are said to show), form one group, and a group stays
whole. scikit-learn's StratifiedGroupKFold spreads label states and views evenly. An image-level split of ChestX-ray14
puts 82.5 % of the test films' patients into training.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

SPLITS: Final = ("train", "validation", "test")
_MOST_PARTS: Final = 20
_LARGEST_MISS: Final = 0.05
"""How far, over the three shares together, whole parts may miss what was asked for."""


@dataclass(frozen=True)
class SplitConfig:
    """How films are divided: by ``fractions`` (train, validation, test), or into ``num_folds`` where that is not 0."""

    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    num_folds: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (min(self.fractions) >= 0 and abs(sum(self.fractions) - 1) <= 1e-6):
            raise ValueError(f"split fractions are {self.fractions}; three numbers from 0 to 1 that sum to 1 were expected")
        if self.num_folds == 1 or self.num_folds < 0:
            raise ValueError(f"there are {self.num_folds} folds; 2 or more were expected")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"the seed is {self.seed}; a whole number from 0 to {2**32 - 1} was expected")


def group_films(patients: Sequence[Sequence[str]], *, pixel_hashes: Sequence[str]) -> Int64[NDArray[np.int64], " films"]:
    """A group number for each film: films that share a patient or their pixels, directly or over others, share it.

    ``patients[i]`` are all patients that film i is said to show, often one, none where unknown. Groups are numbered in
    the order of their first film.
    """
    parent = list(range(len(pixel_hashes)))

    def root(film: int) -> int:
        while parent[film] != film:
            parent[film] = parent[parent[film]]
            film = parent[film]
        return film

    seen: dict[tuple[str, str], int] = {}
    for film, (shown, pixels) in enumerate(zip(patients, pixel_hashes, strict=True)):
        for mark in [("pixels", pixels), *(("patient", patient) for patient in shown)]:
            one, other = root(film), root(seen.setdefault(mark, film))
            parent[max(one, other)] = min(one, other)
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root(film), len(numbers)) for film in range(len(parent))], dtype=np.int64)


def assign_folds(
    groups: Int64[NDArray[np.int64], " films"], *, strata: Sequence[str], num_folds: int, seed: int
) -> Int64[NDArray[np.int64], " films"]:
    """The fold (0 to num_folds - 1) of each film; groups stay whole, strata are spread evenly.

    Raises ValueError where there are fewer groups than folds.
    """
    num_groups = len(set(groups.tolist()))
    if num_groups < num_folds:
        raise ValueError(f"there are {num_groups} patients for {num_folds} folds; at least one patient a fold is needed")
    codes = _merge_rare_strata(strata, least=num_folds)
    folds = np.zeros(len(groups), dtype=np.int64)
    divider = StratifiedGroupKFold(n_splits=num_folds, shuffle=True, random_state=seed)
    for fold, (_, held_out) in enumerate(divider.split(np.zeros(len(groups)), codes, groups)):
        folds[held_out] = fold
    return folds


def _merge_rare_strata(strata: Sequence[str], *, least: int) -> NDArray[np.int64]:
    # A stratum with fewer films than folds cannot be spread, and scikit-learn warns: it joins the most common one.
    counts = Counter(strata)
    common = max(sorted(counts), key=lambda name: counts[name])
    merged = [name if counts[name] >= least else common for name in strata]
    return np.unique(np.array(merged), return_inverse=True)[1].astype(np.int64)


def assign_splits(
    groups: Int64[NDArray[np.int64], " films"], *, strata: Sequence[str], fractions: tuple[float, float, float], seed: int
) -> tuple[str, ...]:
    """The split of each film, as near to the fractions as whole groups allow."""
    if max(fractions) == 1:
        return (SPLITS[fractions.index(1)],) * len(groups)
    parts = _parts_of_fractions(fractions)
    if parts is None or len(set(groups.tolist())) < sum(parts):
        return _assign_without_strata(groups, fractions=fractions, seed=seed)
    folds = assign_folds(groups, strata=strata, num_folds=sum(parts), seed=seed)
    names = [name for name, num in zip(SPLITS, parts, strict=True) for _ in range(num)]
    return tuple(names[fold] for fold in folds)


def keep_splits(
    groups: Int64[NDArray[np.int64], " films"], *, known: Sequence[str | None], strata: Sequence[str], config: SplitConfig
) -> tuple[str, ...]:
    """The split of each film where ``known[i]``, if it is not None, is the one that film i had in an earlier catalogue.

    A group with a film of a known split goes there whole; the other groups are divided by the fractions. So films that
    are added to a collection never move a patient from validation into training. Raises ValueError where one group holds
    films of two known splits.
    """
    of_group: dict[int, str] = {}
    for group, split in zip(groups.tolist(), known, strict=True):
        if split is not None and of_group.setdefault(group, split) != split:
            raise ValueError(f"films of {of_group[group]} and of {split} now show one patient or one picture")
    new = [index for index, group in enumerate(groups.tolist()) if group not in of_group]
    names = [of_group.get(group, "") for group in groups.tolist()]
    if new:
        divided = assign_splits(
            groups[new], strata=[strata[index] for index in new], fractions=config.fractions, seed=config.seed
        )
        for index, name in zip(new, divided, strict=True):
            names[index] = name
    return tuple(names)


def _parts_of_fractions(fractions: tuple[float, float, float]) -> tuple[int, int, int] | None:
    """The smallest whole numbers that stand to each other as the fractions do: (0.8, 0.1, 0.1) gives (8, 1, 1).

    None where a share is too small for them, as in (0.98, 0.01, 0.01).
    """

    def rounded(total: int) -> tuple[int, int, int]:
        train, validation, test = (round(fraction * total) for fraction in fractions)
        return (train, validation, test)

    def error(total: int) -> float:
        parts = rounded(total)
        lost = any(num == 0 and fraction > 0 for num, fraction in zip(parts, fractions, strict=True))
        return (
            math.inf if lost or sum(parts) != total else sum(abs(n / total - f) for n, f in zip(parts, fractions, strict=True))
        )

    best = min(range(2, _MOST_PARTS + 1), key=lambda total: (round(error(total), 6), total))
    return rounded(best) if error(best) <= _LARGEST_MISS else None


def _assign_without_strata(
    groups: Int64[NDArray[np.int64], " films"], *, fractions: tuple[float, float, float], seed: int
) -> tuple[str, ...]:
    # Too few patients to stratify, or too small a share: shuffled, and cut where the wanted shares of patients are reached.
    order = np.random.default_rng(seed).permutation(np.unique(groups))
    edges = np.rint(np.cumsum(fractions) * len(order)).astype(int)
    rank = {int(group): place for place, group in enumerate(order)}
    return tuple(SPLITS[int(np.searchsorted(edges, rank[int(group)], side="right"))] for group in groups)
