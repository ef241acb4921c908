"""Films and their labels as the rows of a catalogue's tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from xraynet.findings import LabelState
from xraynet.geometry import diameters_mm
from xraynet.ingest.catalogue_schema import ANNOTATIONS_SCHEMA, FILMS_SCHEMA, LOCATIONS_SCHEMA, OLDEST_AGE_YEARS
from xraynet.ingest.discover import FoundFile
from xraynet.ingest.inspect_films import FilmRecord
from xraynet.ingest.labels.records import BoxRow, FilmLabels, decide_label_state
from xraynet.ingest.visit_keys import VisitKeys
from xraynet.radiograph import PixelSpacing, ViewPosition


@dataclass(frozen=True)
class CataloguedFilm:
    """A film as the catalogue will hold it: what its file says, what its labels say (in stored pixels), where it lies.

    The file's own spacing, view, sex and age win over the table's: they were written when the film was taken. The
    table's patient wins over the file's: in de-identified files all patients may be one.
    """

    record: FilmRecord
    labels: FilmLabels
    files: tuple[FoundFile, ...]

    @property
    def key(self) -> str:
        """The film's id: the first 16 hex digits of its file's SHA-256."""
        return self.record.key

    @property
    def patients(self) -> tuple[tuple[str, str], ...]:
        """(issuer, identifier) of the patient where known, first the one that the catalogue names."""
        if self.labels.patient is not None:
            every = (self.labels.patient, *self.labels.other_patients)
            return tuple((self.labels.patient_issuer, patient) for patient in every)
        return (self.record.patient,) if self.record.patient is not None else ()

    @property
    def view_position(self) -> ViewPosition:
        """The file's view, else the table's."""
        unknown = self.record.view_position is ViewPosition.UNKNOWN
        return self.labels.view_position if unknown else self.record.view_position

    @property
    def spacing(self) -> PixelSpacing | None:
        """The file's spacing, else the table's, which holds at the detector."""
        if self.record.spacing is not None or self.labels.spacing_mm is None:
            return self.record.spacing
        return PixelSpacing(*self.labels.spacing_mm)

    @property
    def age_years(self) -> float | None:
        """The file's age, else the table's, no older than a catalogue may say."""
        age = self.record.age_years if self.record.age_years is not None else self.labels.age_years
        return None if age is None else min(age, OLDEST_AGE_YEARS)

    def label_state(self, targets: Sequence[str]) -> LabelState:
        """The film's label state for these target classes."""
        return decide_label_state(
            box_classes=[box.class_name for box in self.labels.boxes],
            findings=self.labels.findings,
            read_for=self.labels.read_for,
            targets=targets,
        )

    def diameter_mm(self, box: BoxRow) -> float | None:
        """A box's diameter: the source's, else the longer side of the box, None where the spacing is unknown."""
        if box.diameter_mm is not None or self.spacing is None:
            return box.diameter_mm
        corners = np.array([box.xyxy], dtype=np.float32)
        return round(float(diameters_mm(corners, spacing_mm=self.spacing.row_column_mm)[0]), 3)


def frame_of_films(
    films: Sequence[CataloguedFilm],
    *,
    patients: Mapping[str, Sequence[str]],
    visits: Mapping[str, VisitKeys],
    divided: Mapping[str, tuple[str | None, int | None]],
    targets: Sequence[str],
) -> pd.DataFrame:
    """The films table, by key. ``patients`` are patient keys, ``divided`` (split, fold), all by film key."""
    rows = []
    for film in sorted(films, key=lambda film: film.key):
        record, spacing = film.record, film.spacing
        split, fold = divided[film.key]
        rows.append(
            {
                "key": film.key,
                "sha256": record.sha256,
                "pixel_hash": record.pixel_hash,
                "patient_key": next(iter(patients[film.key]), None),
                "split": split,
                "fold": fold,
                "label_state": str(film.label_state(targets)),
                "findings": list(film.labels.findings),
                "read_for": list(film.labels.read_for),
                "readers": list(film.labels.readers),
                "num_boxes": len(film.labels.boxes),
                "height": record.size[0],
                "width": record.size[1],
                "bits_stored": record.bits_stored,
                "spacing_row_mm": spacing.row_mm if spacing else None,
                "spacing_column_mm": spacing.column_mm if spacing else None,
                "spacing_plane": spacing.plane if spacing else None,
                "view_position": str(film.view_position),
                "mirrored": record.mirrored,
                "sex": record.sex or film.labels.sex,
                "age_years": film.age_years,
                "source_format": record.source_format,
                "study_key": visits[film.key].study_key,
                "day": visits[film.key].day,
            }
        )
    return pd.DataFrame(rows, columns=FILMS_SCHEMA.names).astype({"fold": "Int32", "day": "Int32"})


def frame_of_annotations(films: Sequence[CataloguedFilm]) -> pd.DataFrame:
    """The annotations table: every usable box of every class, in stored pixels, by film key and line."""
    rows = [
        {
            "key": film.key,
            **dict(zip(("x1", "y1", "x2", "y2"), box.xyxy, strict=True)),
            "class_name": box.class_name,
            "reader": box.reader,
            "diameter_mm": film.diameter_mm(box),
            "subtlety": box.subtlety,
            "table": box.place.table,
            "line": box.place.line,
        }
        for film in sorted(films, key=lambda film: film.key)
        for box in sorted(film.labels.boxes, key=lambda box: box.place)
    ]
    return pd.DataFrame(rows, columns=ANNOTATIONS_SCHEMA.names).astype({"subtlety": "Int32"})


def frame_of_locations(films: Sequence[CataloguedFilm]) -> pd.DataFrame:
    """Where each film lies: its first file's source folder, and its path below it."""
    rows = []
    for film in sorted(films, key=lambda film: film.key):
        file = film.files[0]
        root = Path(file.path.as_posix().removesuffix(file.relative))
        rows.append({"key": film.key, "root": str(root), "relative_path": file.relative})
    return pd.DataFrame(rows, columns=LOCATIONS_SCHEMA.names)
