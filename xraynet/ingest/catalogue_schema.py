"""The columns of a catalogue's tables, and the fingerprint of what they hold.

A catalogue is a folder: ``films.parquet`` (one row a film), ``annotations.parquet`` (one row a box) and ``catalogue.json``
hold no identifier and no file name; ``locations.parquet`` (where the films lie) and ``report.*`` hold file names as the
site's folders have them, which may name patients: they stay at the site. Without them a catalogue can be inspected and
compared, not trained on.
"""

import hashlib
import json
import math
import re
from typing import Final

import pandas as pd
import pyarrow as pa

CATALOGUE_KIND: Final = "xraynet-catalogue"
CATALOGUE_VERSION: Final = 2
READABLE_VERSIONS: Final = (1, 2)
"""Version 2 added ``study_key`` and ``day`` to the films; in version 1 they are unknown."""
OLDEST_AGE_YEARS: Final = 90.0
"""Ages above 89 identify people (HIPAA Safe Harbor, 45 CFR 164.514): they are kept as 90."""

_WORDS: Final = pa.list_(pa.string())

FILMS_SCHEMA: Final = pa.schema(
    [
        ("key", pa.string()),  # first 16 hex digits of the file's SHA-256
        ("sha256", pa.string()),
        ("pixel_hash", pa.string()),
        ("patient_key", pa.string()),  # null: unknown
        ("split", pa.string()),  # train, validation, test; null in a catalogue of folds
        ("fold", pa.int32()),  # null unless divided into folds
        ("label_state", pa.string()),  # for the catalogue's own target classes
        ("findings", _WORDS),  # class names said of the whole film
        ("read_for", _WORDS),  # classes that a reading looked for
        ("readers", _WORDS),
        ("num_boxes", pa.int32()),  # of any class
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("bits_stored", pa.int32()),
        ("spacing_row_mm", pa.float64()),
        ("spacing_column_mm", pa.float64()),
        ("spacing_plane", pa.string()),
        ("view_position", pa.string()),
        ("mirrored", pa.bool_()),
        ("sex", pa.string()),
        ("age_years", pa.float64()),
        ("source_format", pa.string()),
        ("study_key", pa.string()),  # of the visit; null: unknown
        ("day", pa.int32()),  # days from an origin of the patient's own that only the site's salt tells; null: unknown
    ]
)

ANNOTATIONS_SCHEMA: Final = pa.schema(
    [
        ("key", pa.string()),
        ("x1", pa.float32()),
        ("y1", pa.float32()),
        ("x2", pa.float32()),
        ("y2", pa.float32()),
        ("class_name", pa.string()),  # the source's own word
        ("reader", pa.string()),
        ("diameter_mm", pa.float64()),  # the source's, else the longer side of the box where the spacing is known
        ("subtlety", pa.int32()),
        ("table", pa.string()),
        ("line", pa.int32()),
    ]
)

_PERSON: Final = re.compile(r"reader-[0-9a-f]{12}")
_PROVENANCE: Final = frozenset({"table", "line"})
_ADDED: Final = frozenset({"study_key", "day"})

LOCATIONS_SCHEMA: Final = pa.schema([("key", pa.string()), ("root", pa.string()), ("relative_path", pa.string())])


def fingerprint_catalogue(films: pd.DataFrame, annotations: pd.DataFrame) -> str:
    """The SHA-256 of what the tables say, 64 hex digits: the same whatever the order of rows, machine, folder or salt.

    Patient and study keys depend on the site's salt, so patients and studies enter as the smallest key among their films,
    and days as days since the patient's first film; readers whom sources call by name enter as what they marked. Where a
    label stands (table, line) is its provenance, not what it says, and stays out; so do columns of a later version in which
    nothing is known.
    """
    first_film, first_of_study = (
        films.dropna(subset=[name]).groupby(name)["key"].min() for name in ("patient_key", "study_key")
    )
    said = films.assign(
        patient_key=films["patient_key"].map(first_film),
        study_key=films["study_key"].map(first_of_study),
        day=films["day"] - films.groupby("patient_key")["day"].transform("min"),
    )
    digest = hashlib.sha256()
    names_of_persons = _name_by_marks(films, annotations)
    for table, schema in ((said, FILMS_SCHEMA), (annotations, ANNOTATIONS_SCHEMA)):
        if names_of_persons:
            table = _rename_persons(table, names_of_persons)
        unknown = {name for name in _ADDED & set(schema.names) if table[name].isna().all()}
        names = [name for name in schema.names if name not in _PROVENANCE | unknown]
        columns = [[_canonical(value) for value in table[name].tolist()] for name in names]
        rows = sorted(json.dumps(row, ensure_ascii=True) for row in zip(*columns, strict=True))
        digest.update(json.dumps([names, len(rows)]).encode("ascii"))
        for row in rows:
            digest.update(row.encode("ascii"))
    return digest.hexdigest()


def _name_by_marks(films: pd.DataFrame, annotations: pd.DataFrame) -> dict[str, str]:
    """For each person's pseudonym, a name that follows from what that person read and marked."""
    marks: dict[str, list[str]] = {}
    for key, readers in zip(films["key"], films["readers"], strict=True):
        for person in _PERSON.findall(" ".join(map(str, readers))):
            marks.setdefault(person, []).append(str(key))
    sides = annotations[["key", "reader", "x1", "y1", "x2", "y2", "class_name"]].itertuples(index=False)
    for key, reader, *mark in sides:
        for person in _PERSON.findall(str(reader)):
            marks.setdefault(person, []).append(" ".join(format(_canonical(part)) for part in (key, *mark)))
    return {
        person: f"reader-{hashlib.sha256(json.dumps(sorted(read)).encode()).hexdigest()[:12]}" for person, read in marks.items()
    }


def _rename_persons(table: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    def rename(text: str) -> str:
        return _PERSON.sub(lambda found: names.get(found[0], found[0]), text)

    if "reader" in table:
        return table.assign(reader=[rename(one) if isinstance(one, str) else one for one in table["reader"]])
    return table.assign(readers=table["readers"].map(lambda readers: [rename(str(one)) for one in readers]))


def _canonical(value: object) -> object:
    """A cell as JSON has it: every kind of missing is null, numbers have 7 digits, lists are sorted."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else _plain_number(value)
    if value is pd.NA:
        return None
    return sorted(str(item) for item in value) if hasattr(value, "__iter__") else str(value)


def _plain_number(value: float) -> int | str:
    return int(value) if value.is_integer() and abs(value) < 2**53 else format(value, ".7g")
