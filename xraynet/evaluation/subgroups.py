"""Tables by what is known of nodules (size, subtlety, zone) and of films (view, sex, age, source).

A false mark belongs to no nodule, so tables by nodule give sensitivities only, at thresholds taken from all films. Tables
by film are evaluations of their own: each group has its own FROC.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

from xraynet.evaluation.intervals import Bootstrap, ChunkFigures, Estimate, estimate
from xraynet.evaluation.matching import MatchTable
from xraynet.evaluation.results import RateSensitivity, SubgroupRow, SubgroupTable
from xraynet.evaluation.tallies import Tally, weighted_ratio, weighted_sum
from xraynet.lung_frame import locate

SUBGROUP_RATES: Final = (0.25, 1.0, 2.0)
UNKNOWN: Final = "unknown"
SIZE_EDGES_MM: Final = (0.0, 10.0, 15.0, 20.0, 30.0, np.inf)
AGE_EDGES: Final = (0.0, 40.0, 60.0, 80.0, np.inf)
SUBTLETY_WORDS: Final = {5: "5 obvious", 4: "4 relatively obvious", 3: "3 subtle", 2: "2 very subtle", 1: "1 extremely subtle"}
ZONES: Final = ("upper", "mid", "lower")
SEX_WORDS: Final = {"F": "female", "M": "male", "O": "other"}


def tabulate_subgroups(table: MatchTable, *, threshold: float | None, config: Bootstrap) -> tuple[SubgroupTable, ...]:
    """A table for every trait that is known of at least one nodule (or counted film), largest sizes and ages last.

    ``threshold`` is the operating point, or None where there is none.
    """
    nodule_words = (
        "Sensitivity at the operating point, and at the thresholds that admit 0.25, 1 and 2 false positives per film, "
        "taken from all films."
    )
    film_words = (
        "Each group is scored on its own, and its rates are over its own films. Sensitivity at 0.25, 1 and 2 false positives "
        "per film of the group."
    )
    sizes = [_name_between(size, SIZE_EDGES_MM, "mm") for size in table.nodule_diameters_mm]
    grades = [SUBTLETY_WORDS.get(int(grade), UNKNOWN) for grade in table.nodule_subtlety]
    by_nodule = [
        ("size", sizes, _names_between(SIZE_EDGES_MM, "mm")),
        ("subtlety", grades, list(SUBTLETY_WORDS.values())),
        ("zone", _zones(table), list(ZONES)),
    ]
    by_film = [
        ("view", [_text(film.attributes.get("view")) for film in table.films], None),
        ("sex", [SEX_WORDS.get(_text(film.attributes.get("sex")), UNKNOWN) for film in table.films], list(SEX_WORDS.values())),
        ("age", [_name_age(film.attributes.get("age_years")) for film in table.films], _names_between(AGE_EDGES, "years")),
        ("source", [_text(film.attributes.get("source")) for film in table.films], None),
    ]
    tables = [
        SubgroupTable(
            trait, nodule_words, tuple(_nodule_row(table, name, np.array(names) == name, threshold, config) for name in order)
        )
        for trait, names, known in by_nodule
        if (order := _groups_in_order(names, known))
    ]
    for trait, names, known in by_film:
        seen = [name for name, counted in zip(names, table.counted, strict=True) if counted]
        if order := _groups_in_order(seen, known):
            groups = [(name, table.select_films((np.array(names) == name) & table.counted)) for name in order]
            tables.append(
                SubgroupTable(trait, film_words, tuple(_film_row(name, group, threshold, config) for name, group in groups))
            )
    return tuple(tables)


def _text(value: str | float | None) -> str:
    return UNKNOWN if value is None or value in ("", "UNKNOWN") else str(value)


def _zones(table: MatchTable) -> list[str]:
    """The third of the lung field's height in which each nodule's centre lies."""
    places = zip(table.nodule_films.tolist(), table.nodule_boxes.tolist(), strict=True)
    found = ((table.films[film].lungs, box) for film, box in places)
    return [(None if lungs is None else locate(box, lungs)[1]) or UNKNOWN for lungs, box in found]


def _name_age(age_years: str | float | None) -> str:
    return _name_between(float(age_years), AGE_EDGES, "years") if isinstance(age_years, int | float) else UNKNOWN


def _name_between(value: float, edges: Sequence[float], unit: str) -> str:
    if np.isnan(value) or value < edges[0]:
        return UNKNOWN
    return _names_between(edges, unit)[int(np.searchsorted(edges, value, side="right")) - 1]


def _names_between(edges: Sequence[float], unit: str) -> list[str]:
    """Names of the ranges between ``edges``, each with its lower edge and without its upper one."""
    inner = [f"{low:g} to under {high:g} {unit}" for low, high in pairwise(edges[1:-1])]
    return [f"under {edges[1]:g} {unit}", *inner, f"{edges[-2]:g} {unit} and over"]


def _groups_in_order(names: Sequence[str], known: Sequence[str] | None) -> list[str]:
    """The groups that occur, unknown last; empty where nothing is known of any."""
    seen = set(names) - {UNKNOWN}
    order = sorted(seen) if known is None else [name for name in known if name in seen]
    return [*order, UNKNOWN] if order and UNKNOWN in names else order


def _nodule_row(
    table: MatchTable, name: str, members: Bool[NDArray[np.bool_], " nodules"], threshold: float | None, config: Bootstrap
) -> SubgroupRow:
    blocking = [_blocking_score(table, rate) for rate in SUBGROUP_RATES]
    found = [table.nodule_scores > score for score in blocking]
    found.append(table.nodule_scores >= (2.0 if threshold is None else threshold))
    measure = _sensitivity_of(table, members, found)
    *at_rates, at_threshold = estimate(table, measure, config)[0]
    return SubgroupRow(
        group=name,
        num_films=None,
        num_nodules=int(members.sum()),
        recall=None if threshold is None else at_threshold,
        false_positives_per_film=None,
        sensitivities=_pair_with_rates(at_rates),
        film_auc=None,
    )


def _blocking_score(table: MatchTable, rate: float) -> float:
    """The score of the first false mark that ``rate`` does not admit: what scores above it is within the rate."""
    allowed = int(np.floor(rate * table.num_films + 1e-9))
    return float(table.false_scores[allowed]) if len(table.false_scores) > allowed else -0.5


def _sensitivity_of(
    table: MatchTable, members: Bool[NDArray[np.bool_], " nodules"], found: list[Bool[NDArray[np.bool_], " nodules"]]
) -> Callable[[Tally], ChunkFigures]:
    """Sensitivity among ``members``, one column for each entry of ``found``."""
    num = len(table.films)
    of_film = np.bincount(table.nodule_films[members], minlength=num)
    found_of_film = [np.bincount(table.nodule_films[members & hit], minlength=num) for hit in found]

    def measure(tally: Tally) -> ChunkFigures:
        whole = weighted_sum(tally.weights, of_film)
        return np.stack([weighted_ratio(weighted_sum(tally.weights, hits), whole) for hits in found_of_film], axis=1)

    return measure


def _film_row(name: str, group: MatchTable, threshold: float | None, config: Bootstrap) -> SubgroupRow:
    def measure(tally: Tally) -> Float64[NDArray[np.float64], "resamples figures"]:
        never = 2.0 if threshold is None else threshold
        recall = weighted_ratio(tally.hits_at(never), tally.num_nodules)
        falses = weighted_ratio(tally.falses_at(never), tally.num_films)
        return np.concatenate(
            [tally.sensitivity_at(SUBGROUP_RATES), np.stack([recall, falses, tally.film_auc()], axis=1)],
            axis=1,
        )

    *at_rates, recall, falses, auc = estimate(group, measure, config)[0]
    return SubgroupRow(
        group=name,
        num_films=group.num_films,
        num_nodules=group.num_nodules,
        recall=None if threshold is None else recall,
        false_positives_per_film=None if threshold is None else falses,
        sensitivities=_pair_with_rates(at_rates),
        film_auc=auc,
    )


def _pair_with_rates(estimates: Sequence[Estimate]) -> tuple[RateSensitivity, ...]:
    return tuple(RateSensitivity(rate, found) for rate, found in zip(SUBGROUP_RATES, estimates, strict=True))
