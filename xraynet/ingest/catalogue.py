"""The catalogue: an immutable snapshot of films and annotations, and the door through which training reads it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xraynet.errors import CatalogueError
from xraynet.files import open_atomically, write_text_atomically
from xraynet.findings import LabelState, NoduleAnnotations
from xraynet.geometry import empty_boxes
from xraynet.ingest.catalogue_schema import (
    ANNOTATIONS_SCHEMA,
    CATALOGUE_KIND,
    CATALOGUE_VERSION,
    FILMS_SCHEMA,
    LOCATIONS_SCHEMA,
    fingerprint_catalogue,
)
from xraynet.ingest.labels.records import Sex, decide_label_state
from xraynet.ingest.labels.vocabulary import DEFAULT_TARGETS, is_target, may_be_target, normalise_targets
from xraynet.ingest.read import read_radiograph
from xraynet.ingest.split import SPLITS
from xraynet.radiograph import PixelSpacing, Radiograph, ViewPosition


@dataclass(frozen=True, eq=False)
class FilmEntry:
    """One film of a catalogue, with its annotations of the target classes.

    ``film_has_nodule`` is the film-level label: True also where a report names a nodule that no box shows (the state is
    then unknown), None where nothing is known. ``readers`` are all who read the film, ``findings`` the class names said of
    it as a whole. ``spacing`` is the catalogue's, which for rasters comes from a table.
    """

    key: str
    path: Path
    patient_key: str | None
    annotations: NoduleAnnotations
    size: tuple[int, int]
    view_position: ViewPosition
    sex: Sex | None
    age_years: float | None
    spacing: PixelSpacing | None
    split: str | None
    fold: int | None
    film_has_nodule: bool | None
    pixel_hash: str
    readers: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class CatalogueFacts:
    """What ``catalogue.json`` says beside the tables."""

    salt_fingerprint: str
    target_classes: tuple[str, ...] = DEFAULT_TARGETS
    seed: int = 0
    fractions: tuple[float, float, float] | None = None
    num_folds: int = 0
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
        self, split: str | None = None, *, target_classes: Sequence[str] | None = None, fold: int | None = None
    ) -> list[FilmEntry]:
        """The films of a split (all: None), in the order of their keys.

        In a catalogue of folds, ``fold`` is the one held out: "validation" is that fold, "train" the others.
        ``target_classes`` default to the catalogue's own. Raises ValueError for a split that is none, CatalogueError
        where the catalogue does not say where its films lie.
        """
        if split is not None and split not in SPLITS:
            raise ValueError(f"split is '{split}'; one of {', '.join(SPLITS)} was expected")
        targets = self.facts.target_classes if target_classes is None else normalise_targets(target_classes)
        paths = self._paths()
        boxes = {str(key): rows for key, rows in self.annotations.groupby("key", sort=False)}
        chosen = self.films[self._chosen(split, fold)].sort_values("key")
        none = self.annotations.iloc[:0]
        return [
            _entry_of_row(row, boxes.get(str(row["key"]), none), path=paths[str(row["key"])], targets=targets)
            for row in _rows_of(chosen)
        ]

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
        return {
            key: Path(root) / relative
            for key, root, relative in zip(
                self.locations["key"], self.locations["root"], self.locations["relative_path"], strict=True
            )
        }


def _rows_of(films: pd.DataFrame) -> list[dict[str, object]]:
    return [{str(name): value for name, value in row.items()} for row in films.to_dict("records")]


def _entry_of_row(row: dict[str, object], boxes: pd.DataFrame, *, path: Path, targets: tuple[str, ...]) -> FilmEntry:
    findings, read_for, readers = (_words(row[name]) for name in ("findings", "read_for", "readers"))
    classes = [str(name) for name in boxes["class_name"]]
    state = decide_label_state(box_classes=classes, findings=findings, read_for=read_for, targets=targets)
    wanted = boxes[np.array([is_target(name, targets=targets) for name in classes], dtype=bool)]
    said = any(may_be_target(name, targets=targets) for name in findings) or len(wanted) > 0
    return FilmEntry(
        key=str(row["key"]),
        path=path,
        patient_key=_text(row["patient_key"]),
        annotations=_annotations_of(wanted, state=state),
        size=(int(str(row["height"])), int(str(row["width"]))),
        view_position=ViewPosition(str(row["view_position"])),
        sex=_sex(row["sex"]),
        age_years=_number(row["age_years"]),
        spacing=_spacing(row),
        split=_text(row["split"]),
        fold=None if _number(row["fold"]) is None else int(_number(row["fold"]) or 0),
        film_has_nodule=True if said else (False if state is LabelState.FREE else None),
        pixel_hash=str(row["pixel_hash"]),
        readers=readers,
        findings=findings,
    )


def _annotations_of(boxes: pd.DataFrame, *, state: LabelState) -> NoduleAnnotations:
    if not len(boxes):
        return NoduleAnnotations(boxes=empty_boxes(), state=state)
    return NoduleAnnotations(
        boxes=np.ascontiguousarray(boxes[["x1", "y1", "x2", "y2"]].to_numpy(dtype=np.float32)),
        class_names=tuple(str(name) for name in boxes["class_name"]),
        readers=tuple(_text(reader) for reader in boxes["reader"]),
        diameter_mm=tuple(_number(value) for value in boxes["diameter_mm"]),
        subtlety=tuple(None if _number(value) is None else int(value) for value in boxes["subtlety"]),
        state=state,
    )


def _spacing(row: dict[str, object]) -> PixelSpacing | None:
    row_mm, column_mm = _number(row["spacing_row_mm"]), _number(row["spacing_column_mm"])
    if row_mm is None or column_mm is None:
        return None
    return PixelSpacing(row_mm, column_mm, "calibrated" if row["spacing_plane"] == "calibrated" else "detector")


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(word) for word in value) if isinstance(value, Iterable) and not isinstance(value, str) else ()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _sex(value: object) -> Sex | None:
    return value if value == "F" or value == "M" or value == "O" else None


def _number(value: object) -> float | None:
    return None if value is None or value is pd.NA or not np.isfinite(float(str(value))) else float(str(value))


def read_entry(entry: FilmEntry) -> Radiograph:
    """The film of an entry, with the catalogue's spacing, view, sex and age where the file itself says nothing.

    Raises FilmFailed or FilmRefused where it can no longer be read, and CatalogueError where the file has changed since.
    """
    radiograph = read_radiograph(entry.path)
    if radiograph.sha256 and radiograph.id != entry.key:
        raise CatalogueError(f"film {entry.key} has changed since it was catalogued; ingest its source again")
    unknown_view = radiograph.view_position is ViewPosition.UNKNOWN
    return replace(
        radiograph,
        spacing=radiograph.spacing or entry.spacing,
        view_position=entry.view_position if unknown_view else radiograph.view_position,
        sex=radiograph.sex or entry.sex,
        age_years=radiograph.age_years if radiograph.age_years is not None else entry.age_years,
    )


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
        "split": {"seed": facts.seed, "fractions": facts.fractions, "num_folds": facts.num_folds},
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
    except (OSError, ValueError) as error:
        raise CatalogueError(
            f"{path.parent} is no catalogue: catalogue.json cannot be read ({type(error).__name__})"
        ) from error
    if not isinstance(content, dict) or content.get("kind") != CATALOGUE_KIND:
        raise CatalogueError(f"{path} does not say that it is an {CATALOGUE_KIND}")
    if content.get("schema_version") != CATALOGUE_VERSION:
        raise CatalogueError(
            f"{path} has version {content.get('schema_version')}; {CATALOGUE_VERSION} was expected: ingest again"
        )
    return content


def _facts_of(content: dict[str, object], path: Path) -> CatalogueFacts:
    split, labels, targets = content.get("split"), content.get("labels"), content.get("target_classes")
    if not isinstance(split, dict) or not isinstance(labels, list) or not isinstance(targets, list):
        raise CatalogueError(f"{path / 'catalogue.json'} lacks split, labels or target_classes")
    fractions = split.get("fractions")
    return CatalogueFacts(
        salt_fingerprint=str(content.get("salt_fingerprint", "")),
        target_classes=tuple(str(name) for name in targets),
        seed=int(split.get("seed", 0)),
        fractions=None if fractions is None else (float(fractions[0]), float(fractions[1]), float(fractions[2])),
        num_folds=int(split.get("num_folds", 0)),
        labels=tuple((str(one["table"]), str(one["format"]), str(one["sha256"])) for one in labels),
        xraynet_version=str(content.get("xraynet_version", "")),
    )


def _read_table(path: Path, schema: pa.Schema) -> pd.DataFrame:
    try:
        table = pq.read_table(path, schema=schema)
    except (OSError, pa.ArrowException) as error:
        raise CatalogueError(f"{path} cannot be read as the table that a catalogue holds: {type(error).__name__}") from error
    frame: pd.DataFrame = table.to_pandas()
    return frame
