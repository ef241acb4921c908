"""The catalogue: an immutable snapshot of films and annotations, and the door through which training reads it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xraynet.errors import CatalogueError
from xraynet.files import open_atomically, write_text_atomically
from xraynet.ingest.catalogue_schema import (
    ANNOTATIONS_SCHEMA,
    CATALOGUE_KIND,
    CATALOGUE_VERSION,
    FILMS_SCHEMA,
    LOCATIONS_SCHEMA,
    READABLE_VERSIONS,
    fingerprint_catalogue,
)
from xraynet.ingest.entries import FilmEntry, entry_of_row, read_entry, rows_of, with_consensus
from xraynet.ingest.labels.vocabulary import DEFAULT_TARGETS, normalise_targets
from xraynet.ingest.split import SPLITS

__all__ = [
    "Catalogue",
    "CatalogueFacts",
    "FilmEntry",
    "read_catalogue",
    "read_entry",
    "refuse_used_folder",
    "write_catalogue",
]


@dataclass(frozen=True)
class CatalogueFacts:
    """What ``catalogue.json`` says beside the tables."""

    salt_fingerprint: str
    target_classes: tuple[str, ...] = DEFAULT_TARGETS
    seed: int = 0
    fractions: tuple[float, float, float] | None = None
    num_folds: int = 0
    split_like: str = ""
    """Fingerprint of the earlier catalogue whose division was kept, or ""."""
    labels: tuple[tuple[str, str, str], ...] = ()
    """(file name, format, SHA-256) of every table of labels."""
    xraynet_version: str = ""


@dataclass(frozen=True, eq=False)
class Catalogue:
    """A catalogue, read. ``films`` and ``annotations`` have the columns of ``catalogue_schema``."""

    path: Path
    fingerprint: str
    films: pd.DataFrame
    annotations: pd.DataFrame
    facts: CatalogueFacts
    locations: pd.DataFrame | None = field(default=None, repr=False)

    def entries(
        self,
        split: str | None = None,
        *,
        target_classes: Sequence[str] | None = None,
        fold: int | None = None,
        agreeing_readers: int | None = None,
        need_films: bool = True,
    ) -> list[FilmEntry]:
        """The films of a split (all: None), in the order of their keys.

        In a catalogue of folds, ``fold`` is the one held out: "validation" is that fold, "train" the others.
        ``target_classes`` default to the catalogue's own. ``agreeing_readers`` fuses the boxes on which so many readers
        agree (``consensus.fuse_readers``); None keeps every reader's. ``need_films`` False: where the catalogue does not say
        where its films lie, an entry's path is its key. Raises ValueError for a split that is none, CatalogueError where
        the catalogue does not say where its films lie.
        """
        if split is not None and split not in SPLITS:
            raise ValueError(f"split is '{split}'; one of {', '.join(SPLITS)} was expected")
        targets = self.facts.target_classes if target_classes is None else normalise_targets(target_classes)
        keys = (str(key) for key in self.films["key"])
        paths = self._paths() if need_films or self.locations is not None else {key: Path(key) for key in keys}
        boxes: dict[str, list[dict[str, object]]] = {}
        for box in rows_of(self.annotations):
            boxes.setdefault(str(box["key"]), []).append(box)
        chosen = self.films[self._chosen(split, fold)].sort_values("key")
        entries = [
            entry_of_row(row, boxes.get(str(row["key"]), []), path=paths[str(row["key"])], targets=targets)
            for row in rows_of(chosen)
        ]
        return entries if agreeing_readers is None else [with_consensus(entry, at_least=agreeing_readers) for entry in entries]

    def _chosen(self, split: str | None, fold: int | None) -> "pd.Series[bool]":
        if fold is None:
            if split is not None and self.facts.num_folds:
                raise ValueError(f"{self.path} holds {self.facts.num_folds} folds; name the one that is held out")
            return pd.Series(True, index=self.films.index) if split is None else self.films["split"] == split
        if not 0 <= fold < self.facts.num_folds:
            raise ValueError(f"fold is {fold}; {self.path} holds {self.facts.num_folds} folds, counted from 0")
        held_out = self.films["fold"] == fold
        if split == "test":
            return pd.Series(False, index=self.films.index)
        return ~held_out if split == "train" else held_out

    def _paths(self) -> dict[str, Path]:
        if self.locations is None:
            raise CatalogueError(
                f"{self.path} has no locations.parquet, so it does not say where its films lie; ingest them here"
            )
        places = zip(self.locations["key"], self.locations["root"], self.locations["relative_path"], strict=True)
        paths = {key: Path(root) / relative for key, root, relative in places}
        missing = set(self.films["key"]) - set(paths)
        if missing:
            raise CatalogueError(f"{self.path}/locations.parquet lacks {len(missing)} films, such as {min(missing)}")
        return paths


def write_catalogue(
    out: Path,
    *,
    films: pd.DataFrame,
    annotations: pd.DataFrame,
    locations: pd.DataFrame,
    facts: CatalogueFacts,
    texts: dict[str, str],
) -> Catalogue:
    """Write a new catalogue and read it back. ``texts`` are further files by name.

    Raises CatalogueError where ``out`` is there and not empty: a catalogue never changes.
    """
    refuse_used_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    tables = {
        "films": (films, FILMS_SCHEMA),
        "annotations": (annotations, ANNOTATIONS_SCHEMA),
        "locations": (locations, LOCATIONS_SCHEMA),
    }
    for name, (frame, schema) in tables.items():
        with open_atomically(out / f"{name}.parquet") as stream:
            pq.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False), stream, compression="zstd")
    for name, text in texts.items():
        write_text_atomically(out / name, text)
    written = {name: _read_table(out / f"{name}.parquet", tables[name][1]) for name in ("films", "annotations")}
    content = {
        "kind": CATALOGUE_KIND,
        "schema_version": CATALOGUE_VERSION,
        "fingerprint": fingerprint_catalogue(written["films"], written["annotations"]),
        "xraynet_version": facts.xraynet_version,
        "salt_fingerprint": facts.salt_fingerprint,
        "target_classes": list(facts.target_classes),
        "split": {
            "seed": facts.seed,
            "fractions": facts.fractions,
            "num_folds": facts.num_folds,
            **({"like": facts.split_like} if facts.split_like else {}),
        },
        "labels": [{"table": table, "format": form, "sha256": sha256} for table, form, sha256 in facts.labels],
        "num_films": len(films),
        "num_annotations": len(annotations),
    }
    # Last, so that a folder without it is known to be unfinished.
    write_text_atomically(out / "catalogue.json", json.dumps(content, indent=1) + "\n")
    return read_catalogue(out)


def refuse_used_folder(out: Path) -> None:
    """Raise CatalogueError where ``out`` holds anything: a catalogue is immutable, and nothing is overwritten."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CatalogueError(f"{out} is there and not empty; a catalogue never changes: name a new folder with --out")


def read_catalogue(path: Path) -> Catalogue:
    """A catalogue, checked against its own fingerprint.

    Raises CatalogueError where it is missing, unfinished, damaged, changed, or of another version.
    """
    content = _read_facts(path / "catalogue.json")
    films = _read_table(path / "films.parquet", FILMS_SCHEMA)
    annotations = _read_table(path / "annotations.parquet", ANNOTATIONS_SCHEMA)
    found = fingerprint_catalogue(films, annotations)
    if found != content.get("fingerprint"):
        raise CatalogueError(
            f"{path} was changed: its fingerprint is {found[:16]}, catalogue.json says {str(content.get('fingerprint'))[:16]}"
        )
    located = path / "locations.parquet"
    return Catalogue(
        path=path,
        fingerprint=found,
        films=films,
        annotations=annotations,
        facts=_facts_of(content, path),
        locations=_read_table(located, LOCATIONS_SCHEMA) if located.is_file() else None,
    )


def _read_facts(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CatalogueError(
            f"{path.parent} is no catalogue: catalogue.json cannot be read ({type(error).__name__})"
        ) from error
    if not isinstance(content, dict) or content.get("kind") != CATALOGUE_KIND:
        raise CatalogueError(f"{path} does not say that it is an {CATALOGUE_KIND}")
    if content.get("schema_version") not in READABLE_VERSIONS:
        known = " or ".join(str(version) for version in READABLE_VERSIONS)
        raise CatalogueError(f"{path} has version {content.get('schema_version')}; {known} was expected: ingest again")
    return content


def _facts_of(content: dict[str, object], path: Path) -> CatalogueFacts:
    split, labels, targets = content.get("split"), content.get("labels"), content.get("target_classes")
    if not isinstance(split, dict) or not isinstance(labels, list) or not isinstance(targets, list):
        raise CatalogueError(f"{path / 'catalogue.json'} lacks split, labels or target_classes")
    fractions = split.get("fractions")
    try:
        return CatalogueFacts(
            salt_fingerprint=str(content.get("salt_fingerprint", "")),
            target_classes=normalise_targets(str(name) for name in targets),
            seed=int(split.get("seed", 0)),
            fractions=None if fractions is None else (float(fractions[0]), float(fractions[1]), float(fractions[2])),
            num_folds=int(split.get("num_folds", 0)),
            split_like=str(split.get("like", "")),
            labels=tuple((str(one["table"]), str(one["format"]), str(one["sha256"])) for one in labels),
            xraynet_version=str(content.get("xraynet_version", "")),
        )
    except (TypeError, ValueError, LookupError) as error:
        raise CatalogueError(f"{path / 'catalogue.json'} holds a value of the wrong kind: {type(error).__name__}") from error


def _read_table(path: Path, schema: pa.Schema) -> pd.DataFrame:
    try:
        table = pq.read_table(path, schema=schema)
    except (OSError, pa.ArrowException) as error:
        raise CatalogueError(f"{path} cannot be read as the table that a catalogue holds: {type(error).__name__}") from error
    frame: pd.DataFrame = table.to_pandas()
    return frame
