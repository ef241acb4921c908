"""Finds patients and films that stand on both sides of a split, inside one catalogue or between several."""

from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from xraynet.errors import CatalogueError
from xraynet.ingest.catalogue import Catalogue


@dataclass(frozen=True)
class Leaks:
    """What splits of one catalogue share: patient keys and pixel hashes that stand in more than one split or fold."""

    patient_keys: tuple[str, ...]
    pixel_hashes: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.patient_keys or self.pixel_hashes)


@dataclass(frozen=True)
class CatalogueOverlap:
    """What two catalogues share. ``num_patients`` is None where their salts differ: keys then cannot be compared."""

    first: str
    second: str
    num_films: int
    num_patients: int | None


def find_leaks(films: pd.DataFrame) -> Leaks:
    """What the splits (or folds) of a films table share."""
    side = films["fold"].astype("string").where(films["fold"].notna(), films["split"])
    return Leaks(_shared(films["patient_key"], side), _shared(films["pixel_hash"], side))


def _shared(marks: "pd.Series[str]", side: "pd.Series[str]") -> tuple[str, ...]:
    sides = side.groupby(marks).nunique()
    return tuple(sorted(str(mark) for mark in sides[sides > 1].index))


def check_no_leaks(catalogue: Catalogue) -> None:
    """Raise CatalogueError where the splits of a catalogue share a patient or a film: nobody may train on it."""
    leaks = find_leaks(catalogue.films)
    if leaks:
        examples = ", ".join([*leaks.patient_keys[:2], *leaks.pixel_hashes[:2]])
        raise CatalogueError(
            f"the splits of {catalogue.path} share {len(leaks.patient_keys)} patients and {len(leaks.pixel_hashes)} films "
            f"(such as {examples}); no patient and no film may stand in two splits: ingest it again"
        )


def compare_catalogues(catalogues: list[Catalogue]) -> list[CatalogueOverlap]:
    """What each two catalogues share: films by pixels, patients where both were made with one salt."""
    return [_compare(first, second) for first, second in combinations(catalogues, 2)]


def _compare(first: Catalogue, second: Catalogue) -> CatalogueOverlap:
    one_salt = first.facts.salt_fingerprint == second.facts.salt_fingerprint
    return CatalogueOverlap(
        first=str(first.path),
        second=str(second.path),
        num_films=len(set(first.films["pixel_hash"]) & set(second.films["pixel_hash"])),
        num_patients=len(set(first.films["patient_key"].dropna()) & set(second.films["patient_key"].dropna()))
        if one_salt
        else None,
    )
