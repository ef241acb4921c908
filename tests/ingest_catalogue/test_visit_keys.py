"""Visits without names and dates: keys only the salt can make, days that are true differences and nothing else."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dicom_files import write_dicom

from xraynet.errors import CatalogueError
from xraynet.ingest.build import IngestConfig, build_catalogue
from xraynet.ingest.catalogue import Catalogue, read_catalogue
from xraynet.ingest.catalogue_schema import FILMS_SCHEMA, fingerprint_catalogue
from xraynet.ingest.visit_keys import VisitKeys, keys_of_film, visit_keys
from xraynet.radiograph import PatientIdentity

SALT = b"s" * 32
JANE = PatientIdentity(patient_id="77", issuer="site", study_uid="1.2.3", study_date="20240229")


def test_films_of_one_study_share_its_key_whatever_else_they_say() -> None:
    lateral = PatientIdentity(patient_id="77", issuer="site", study_uid="1.2.3", study_date="20240301")
    assert visit_keys(JANE, salt=SALT).study_key == visit_keys(lateral, salt=SALT).study_key
    assert visit_keys(JANE, salt=SALT).study_key != visit_keys(JANE, salt=b"t" * 32).study_key


def test_without_a_study_uid_patient_and_date_make_the_visit() -> None:
    first, second, other_day = (keys_of_film(("", "77"), "", day, salt=SALT) for day in ("20240229", "2024.02.29", "20240301"))
    assert first.study_key == second.study_key != other_day.study_key
    assert keys_of_film(("", "78"), "", "20240229", salt=SALT).study_key != first.study_key


def test_days_between_films_of_a_patient_are_true_and_no_day_is_a_date() -> None:
    days = [keys_of_film(("", "77"), "1", text, salt=SALT).day for text in ("20230101", "20240101", "20240229")]
    assert [day - days[0] for day in days] == [0, 365, 424]
    others = {keys_of_film(("", str(number)), "1", "20230101", salt=SALT).day for number in range(20)}
    assert len(others) == 20
    assert len({day % 7 for day in others}) > 3


@pytest.mark.parametrize("text", ["", "2024", "20241301", "yesterday", "20240231", "２０２４０１０１"])
def test_a_date_that_is_none_is_unknown(text: str) -> None:
    found = keys_of_film(("", "77"), "", text, salt=SALT)
    assert (found.study_key, found.day) == (None, None)


def test_without_a_patient_there_is_no_day() -> None:
    assert keys_of_film(None, "1.2.3", "20240101", salt=SALT).day is None
    assert visit_keys(PatientIdentity(patient_id="  "), salt=SALT) == VisitKeys()
    with pytest.raises(ValueError, match="without its patient"):
        VisitKeys(day=3)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    films = tmp_path / "films"
    films.mkdir()
    rng = np.random.default_rng(0)
    for name, patient, study, day in (
        ("a", "P1", "1.1", "20200101"),
        ("b", "P1", "1.2", "20200111"),
        ("c", "P1", "1.2", "20200111"),
        ("d", "P2", "1.3", "20200105"),
        ("e", "P2", "1.4", ""),
    ):
        pixels = rng.integers(0, 4000, size=(40, 32)).astype(np.uint16)
        write_dicom(films / f"{name}.dcm", pixels, PatientID=patient, StudyInstanceUID=study, StudyDate=day)
    return build_catalogue([films], out=tmp_path / "cat", salt_file=tmp_path / "salt", config=IngestConfig(num_workers=0))[0]


def test_a_catalogue_keeps_visits_and_days_and_no_date(catalogue: Catalogue) -> None:
    entries = catalogue.entries()
    by_patient: dict[str, list[tuple[str | None, int | None]]] = {}
    for entry in entries:
        by_patient.setdefault(str(entry.patient_key), []).append((entry.study_key, entry.day))
    first, second = sorted(by_patient.values(), key=len, reverse=True)
    days = sorted(day for _, day in first if day is not None)
    assert [day - days[0] for day in days] == [0, 10, 10]
    assert len({study for study, _ in first}) == 2
    assert sorted(day is None for _, day in second) == [False, True]
    content = b"".join(path.read_bytes() for path in catalogue.path.iterdir() if path.name != "locations.parquet")
    assert b"20200111" not in content


def test_the_fingerprint_does_not_depend_on_the_salt(catalogue: Catalogue, tmp_path: Path) -> None:
    other, _ = build_catalogue(
        [tmp_path / "films"], out=tmp_path / "other", salt_file=tmp_path / "salt2", config=IngestConfig(num_workers=0)
    )
    assert set(other.films["study_key"]) != set(catalogue.films["study_key"])
    assert other.fingerprint == catalogue.fingerprint


def test_a_changed_day_is_noticed(catalogue: Catalogue) -> None:
    films = catalogue.films.copy()
    several = films["patient_key"] == films["patient_key"].mode()[0]
    films.loc[films[several]["day"].idxmax(), "day"] += 1
    table = pa.Table.from_pandas(films, schema=FILMS_SCHEMA, preserve_index=False)
    pq.write_table(table, catalogue.path / "films.parquet")
    with pytest.raises(CatalogueError, match="was changed"):
        read_catalogue(catalogue.path)


def test_a_catalogue_of_the_first_version_still_reads_and_knows_no_visits(catalogue: Catalogue) -> None:
    facts = json.loads((catalogue.path / "catalogue.json").read_text())
    assert facts["schema_version"] == 2
    old_schema = pa.schema([field for field in FILMS_SCHEMA if field.name not in ("study_key", "day")])
    films = catalogue.films.drop(columns=["study_key", "day"])
    old = catalogue.path.parent / "old"
    old.mkdir()
    for path in catalogue.path.iterdir():
        (old / path.name).write_bytes(path.read_bytes())
    pq.write_table(pa.Table.from_pandas(films, schema=old_schema, preserve_index=False), old / "films.parquet")
    without = films.assign(study_key=None, day=pd.array([None] * len(films), dtype="Int32"))
    fingerprint = fingerprint_catalogue(without, catalogue.annotations)
    (old / "catalogue.json").write_text(json.dumps({**facts, "schema_version": 1, "fingerprint": fingerprint}))
    read = read_catalogue(old)
    assert [(entry.study_key, entry.day) for entry in read.entries()] == [(None, None)] * 5
