"""What is in a catalogue, in a page of text: films, patients, views, nodules by size, label states, splits, leaks."""

from collections.abc import Sequence
from typing import Final

import pandas as pd

from xraynet.findings import LabelState
from xraynet.ingest.catalogue import Catalogue
from xraynet.ingest.labels.vocabulary import is_target, may_be_target
from xraynet.ingest.leaks import CatalogueOverlap, find_leaks

SIZE_EDGES_MM: Final = (10.0, 20.0, 30.0)
"""Where nodule sizes are parted; at 30 mm a nodule becomes a mass (Hansell, Radiology 2008)."""


def describe_catalogue(catalogue: Catalogue) -> str:
    """The page that ``xraynet catalogue`` prints."""
    films = catalogue.films
    lines = [f"catalogue {catalogue.path}", f"  fingerprint   {catalogue.fingerprint}"]
    lines.append(f"  films         {len(films)}, {_describe_sizes(films)}")
    lines.append(f"  patients      {_describe_patients(films)}")
    lines.append(f"  views         {_describe_counts(films['view_position'])}")
    lines.append(f"  sex           {_describe_counts(films['sex'].fillna('unknown'))}")
    lines.append(f"  age           {_describe_ages(films['age_years'])}")
    lines.append(f"  spacing       {_describe_spacing(films)}")
    lines.append(f"  targets       {', '.join(catalogue.facts.target_classes)}")
    lines.append(f"  label states  {describe_states(films['label_state'])}")
    lines += _describe_annotations(catalogue)
    lines += _describe_splits(catalogue)
    lines.append(f"  leaks         {_describe_leaks(films)}")
    lines.append(f"  duplicates    {_describe_duplicates(films['pixel_hash'])}")
    lines.append(f"  salt          {catalogue.facts.salt_fingerprint}")
    return "\n".join(lines)


def describe_states(states: "pd.Series[str]") -> str:
    """How many films are boxed, free and unknown; all three are always named."""
    counts = states.value_counts()
    words = {LabelState.BOXED: "boxed", LabelState.FREE: "read and free", LabelState.UNKNOWN: "unknown"}
    return ", ".join(f"{int(counts.get(str(state), 0))} {word}" for state, word in words.items())


def _describe_sizes(films: pd.DataFrame) -> str:
    sizes = (films["height"].astype(str) + " x " + films["width"].astype(str)).value_counts()
    shown = [f"{size} ({num})" for size, num in sizes.head(3).items()]
    return "height x width " + ", ".join(shown) + (f", {len(sizes) - 3} more sizes" if len(sizes) > 3 else "")


def _describe_patients(films: pd.DataFrame) -> str:
    unknown = int(films["patient_key"].isna().sum())
    known = f"{films['patient_key'].nunique()} known"
    return known + (f"; {unknown} films of unknown patients, each divided by itself" if unknown else "")


def _describe_counts(values: "pd.Series[str]") -> str:
    return ", ".join(f"{name} {num}" for name, num in values.value_counts().sort_index().items())


def _describe_ages(ages: "pd.Series[float]") -> str:
    known = ages.dropna()
    if known.empty:
        return "unknown"
    unknown = f"; unknown on {len(ages) - len(known)} films" if len(known) < len(ages) else ""
    return f"{known.min():.0f} to {known.max():.0f} years, median {known.median():.0f}{unknown}"


def _describe_spacing(films: pd.DataFrame) -> str:
    known = films.dropna(subset=["spacing_row_mm"])
    if known.empty:
        return "unknown: sizes in pixels only"
    rows, columns = known["spacing_row_mm"], known["spacing_column_mm"]
    shown = f"row {rows.min():.3f} to {rows.max():.3f} mm, column {columns.min():.3f} to {columns.max():.3f} mm"
    return shown + (f"; unknown on {len(films) - len(known)} films" if len(known) < len(films) else "")


def _describe_annotations(catalogue: Catalogue) -> list[str]:
    annotations, targets = catalogue.annotations, catalogue.facts.target_classes
    wanted = annotations[annotations["class_name"].map(lambda name: is_target(name, targets=targets)).astype(bool)]
    boxed = wanted["key"].nunique()
    lines = [f"  nodules       {len(wanted)} boxes on {boxed} films"]
    if len(wanted):
        lines.append(f"    by size     {_describe_diameters(wanted['diameter_mm'])}")
        lines.append(f"    by class    {_describe_counts(wanted['class_name'])}")
        if wanted["subtlety"].notna().any():
            lines.append(f"    by subtlety {_describe_counts(wanted['subtlety'].dropna().astype(int).astype(str))}")
        if wanted["reader"].notna().any():
            lines.append(f"    by reader   {_describe_counts(wanted['reader'].fillna('unknown'))}")
    if len(wanted) < len(annotations):
        lines.append(f"  other boxes   {_describe_counts(annotations.drop(wanted.index)['class_name'])}")
    said = sum(any(may_be_target(name, targets=targets) for name in names) for names in catalogue.films["findings"])
    lines.append(f"  film level    {said} films said to show a target as a whole")
    return lines


def _describe_diameters(diameters: "pd.Series[float]") -> str:
    parts, low = [], 0.0
    for high in (*SIZE_EDGES_MM, float("inf")):
        name = (
            f"under {high:.0f} mm"
            if low == 0
            else (f"{low:.0f} mm and over" if high == float("inf") else f"{low:.0f}-{high:.0f} mm")
        )
        parts.append(f"{name} {int(((diameters >= low) & (diameters < high)).sum())}")
        low = high
    unknown = int(diameters.isna().sum())
    return ", ".join(parts) + (f", unknown {unknown}" if unknown else "")


def _describe_splits(catalogue: Catalogue) -> list[str]:
    films, facts = catalogue.films, catalogue.facts
    if facts.num_folds:
        sides = [(f"fold {fold}", films[films["fold"] == fold]) for fold in range(facts.num_folds)]
    else:
        sides = [(name, films[films["split"] == name]) for name in ("train", "validation", "test")]
    lines = [f"  divided       by patient, seed {facts.seed}"]
    for name, side in sides:
        patients = side["patient_key"].nunique() + int(side["patient_key"].isna().sum())
        lines.append(f"    {name:<11} {len(side)} films of {patients} patients: {describe_states(side['label_state'])}")
    return lines


def _describe_leaks(films: pd.DataFrame) -> str:
    leaks = find_leaks(films)
    if not leaks:
        return "none: no patient and no film stands in two splits"
    return f"{len(leaks.patient_keys)} patients and {len(leaks.pixel_hashes)} films stand in two splits: do not train on it"


def _describe_duplicates(hashes: "pd.Series[str]") -> str:
    spare = len(hashes) - hashes.nunique()
    return f"{spare} films show the pixels of another" if spare else "none"


def describe_overlaps(overlaps: Sequence[CatalogueOverlap]) -> str:
    """What pairs of catalogues share, and where patients could not be compared."""
    lines = []
    for pair in overlaps:
        lines.append(f"{pair.first} and {pair.second}")
        lines.append(f"  films with the same pixels  {pair.num_films}")
        if pair.num_patients is None:
            lines.append(
                "  patients                    not comparable: the salts differ, so only pixel hashes could be compared"
            )
        else:
            lines.append(f"  patients in both            {pair.num_patients}")
        shared = bool(pair.num_films or pair.num_patients)
        lines.append(
            "  leak                        " + ("yes: do not train on one and test on the other" if shared else "none found")
        )
    return "\n".join(lines)
