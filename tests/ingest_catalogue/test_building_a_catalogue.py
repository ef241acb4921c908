import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dicom_files import write_dicom

from xraynet.errors import CatalogueError
from xraynet.findings import LabelState
from xraynet.ingest.build import IngestConfig, build_catalogue
from xraynet.ingest.catalogue import Catalogue, read_catalogue, read_entry
from xraynet.ingest.labels.formats import LabelFormat
from xraynet.ingest.leaks import check_no_leaks, compare_catalogues, find_leaks
from xraynet.ingest.report import render_report_text
from xraynet.ingest.split import SplitConfig
from xraynet.ingest.summary import describe_catalogue, describe_overlaps
from xraynet.radiograph import PixelSpacing, ViewPosition

Ingest = Callable[..., Catalogue]
MakeFilm = Callable[..., Path]
IN_PROCESS = IngestConfig(num_workers=0)


def test_entries_hold_boxes_states_and_facts(films: Path, ingest: Ingest) -> None:
    entries = {entry.path.name: entry for entry in ingest(films).entries()}
    assert len(entries) == 20
    both, free = entries["film00.png"], entries["film01.png"]
    assert both.annotations.boxes.tolist() == [[10, 10, 20, 14], [30, 5, 45, 20]]
    assert both.annotations.class_names == ("Nodule", "Mass")
    assert both.annotations.diameter_mm == (10.0, 15.0)
    assert (both.annotations.state, both.film_has_nodule) == (LabelState.BOXED, True)
    assert (free.annotations.state, free.film_has_nodule) == (LabelState.FREE, False)
    assert (both.spacing, both.view_position, both.sex, both.age_years) == (PixelSpacing(0.5, 1.0), ViewPosition.AP, "F", 30.0)
    assert both.size == (40, 50)
    assert both.path.is_absolute()


def test_target_classes_choose_boxes_and_state(films: Path, ingest: Ingest) -> None:
    catalogue = ingest(films)
    masses = {entry.path.name: entry for entry in catalogue.entries(target_classes=["mass"])}
    assert masses["film00.png"].annotations.class_names == ("Mass",)
    assert masses["film02.png"].annotations.state is LabelState.FREE
    others = catalogue.entries(target_classes=["effusion"])
    assert {entry.annotations.state for entry in others} == {LabelState.UNKNOWN}
    assert {entry.film_has_nodule for entry in others} == {None}


def test_splits_share_no_patient_and_cover_all_films(films: Path, ingest: Ingest) -> None:
    catalogue = ingest(films)
    parts = {name: catalogue.entries(name) for name in ("train", "validation", "test")}
    assert sum(map(len, parts.values())) == 20
    assert all(parts.values())
    keys = [{entry.patient_key for entry in part} for part in parts.values()]
    assert not (keys[0] & keys[1] or keys[0] & keys[2] or keys[1] & keys[2])
    check_no_leaks(catalogue)
    with pytest.raises(ValueError, match="split is 'val'"):
        catalogue.entries("val")
    with pytest.raises(ValueError, match="holds 0 folds"):
        catalogue.entries("train", fold=0)


def test_a_catalogue_that_grows_moves_no_patient_to_another_split(films: Path, ingest: Ingest, make_film: MakeFilm) -> None:
    earlier = ingest(films)
    for number in range(20, 40):
        make_film(films / f"film{number}.png", number)
    with (films / "labels.csv").open("a") as labels:
        # film20 shows a known patient; film21 to film39 are new ones.
        labels.write("film20.png,,,,,,Doe0,F,30,PA,0.5,1.0\n")
        labels.writelines(f"film{number}.png,,,,,,New{number},F,30,PA,0.5,1.0\n" for number in range(21, 40))
    grown = ingest(films, name="grown", split=SplitConfig((1.0, 0.0, 0.0)), split_like=earlier)
    was, now = (dict(zip(one.films["key"], one.films["split"], strict=True)) for one in (earlier, grown))
    assert {key: now[key] for key in was} == was
    of_patient = dict(zip(earlier.films["patient_key"], earlier.films["split"], strict=True))
    new = grown.films[~grown.films["key"].isin(was)]
    assert len(new) == 20
    assert all(of_patient.get(row.patient_key, "train") == row.split for row in new.itertuples())
    check_no_leaks(grown)
    assert grown.facts.split_like == earlier.fingerprint
    with pytest.raises(CatalogueError, match="the same salt"):
        ingest(films, name="other", salt="another", split_like=earlier)
    with pytest.raises(ValueError, match="not for folds"):
        ingest(films, name="folds", split=SplitConfig(num_folds=2), split_like=earlier)


def test_folds_hold_out_each_film_once(films: Path, ingest: Ingest) -> None:
    catalogue = ingest(films, split=SplitConfig(num_folds=5))
    held_out = [entry.key for fold in range(5) for entry in catalogue.entries("validation", fold=fold)]
    assert sorted(held_out) == sorted(entry.key for entry in catalogue.entries())
    assert len(catalogue.entries("train", fold=0)) + len(catalogue.entries("validation", fold=0)) == 20
    assert catalogue.entries("test", fold=0) == []
    with pytest.raises(ValueError, match="name the one that is held out"):
        catalogue.entries("train")
    assert "fold 4" in describe_catalogue(catalogue)
    with pytest.raises(CatalogueError, match="10 patients for 11 folds"):
        ingest(films, split=SplitConfig(num_folds=11), name="eleven")


def test_no_identifier_and_no_file_name_in_what_may_be_shared(films: Path, ingest: Ingest) -> None:
    catalogue = ingest(films)
    for name in ("films.parquet", "annotations.parquet", "catalogue.json"):
        content = (catalogue.path / name).read_bytes()
        assert b"Doe" not in content
        assert b"film0" not in content
    for path in catalogue.path.iterdir():
        assert b"Doe" not in path.read_bytes(), path.name
    shared = catalogue.path.parent / "shared"
    shutil.copytree(catalogue.path, shared, ignore=shutil.ignore_patterns("locations*", "report*"))
    assert read_catalogue(shared).fingerprint == catalogue.fingerprint
    with pytest.raises(CatalogueError, match=r"no locations\.parquet"):
        read_catalogue(shared).entries()


def test_fingerprint_minds_content_only(films: Path, ingest: Ingest, tmp_path: Path) -> None:
    first = ingest(films)
    rows = (films / "labels.csv").read_text().splitlines()
    moved = tmp_path / "elsewhere"
    shutil.copytree(films, moved)
    (moved / "labels.csv").write_text("\n".join([rows[0], *reversed(rows[1:])]) + "\n")
    again = ingest(moved, name="again", salt="another-salt")
    assert again.fingerprint == first.fingerprint
    assert set(again.films["patient_key"]) & set(first.films["patient_key"]) == set()
    (moved / "labels.csv").write_text("\n".join(rows[:-1]) + "\n")
    assert ingest(moved, name="other").fingerprint != first.fingerprint


def test_catalogue_is_never_overwritten(films: Path, ingest: Ingest, tmp_path: Path) -> None:
    ingest(films)
    with pytest.raises(CatalogueError, match="never changes"):
        ingest(films)
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogueError, match="never changes"):
        ingest(films, name="file")


def test_salt_inside_the_catalogue_is_refused(films: Path, ingest: Ingest) -> None:
    with pytest.raises(CatalogueError, match="inside the catalogue"):
        ingest(films, salt="catalogue/salt")


def test_changed_unfinished_and_foreign_catalogues_are_refused(films: Path, ingest: Ingest, tmp_path: Path) -> None:
    catalogue = ingest(films)
    path, described = catalogue.path, (catalogue.path / "catalogue.json").read_text()
    facts = json.loads(described)
    for changed, expected in [
        ({**facts, "fingerprint": "0"}, "was changed"),
        ({**facts, "kind": "recipe"}, "does not say"),
        ({**facts, "schema_version": 99}, "version 99"),
        ({**facts, "split": None}, "lacks split"),
        ({**facts, "split": {"seed": "x"}}, "wrong kind: ValueError"),
        ({**facts, "split": {"fractions": [1]}}, "wrong kind: IndexError"),
        ({**facts, "labels": ["a"]}, "wrong kind: TypeError"),
        ({**facts, "target_classes": []}, "wrong kind: ValueError"),
    ]:
        (path / "catalogue.json").write_text(json.dumps(changed))
        with pytest.raises(CatalogueError, match=expected):
            read_catalogue(path)
    (path / "catalogue.json").write_text(described)
    frame = pd.read_parquet(path / "films.parquet")
    frame.loc[0, "split"] = "train" if frame.loc[0, "split"] != "train" else "test"
    frame.to_parquet(path / "films.parquet")
    with pytest.raises(CatalogueError, match=r"was changed|cannot be read"):
        read_catalogue(path)
    (path / "films.parquet").write_bytes(b"PAR1")
    with pytest.raises(CatalogueError, match="cannot be read"):
        read_catalogue(path)
    with pytest.raises(CatalogueError, match="is no catalogue"):
        read_catalogue(tmp_path)


def test_leaks_of_patients_and_of_pixels_are_found_and_refused(films: Path, ingest: Ingest) -> None:
    catalogue = ingest(films)
    table = catalogue.films.copy()
    assert not find_leaks(table)
    train, test = (table.index[table["split"] == name][0] for name in ("train", "test"))
    by_patient = table.copy()
    by_patient.loc[test, "patient_key"] = by_patient.loc[train, "patient_key"]
    by_pixels = table.copy()
    by_pixels.loc[test, "pixel_hash"] = by_pixels.loc[train, "pixel_hash"]
    for leaking, num_patients, num_films in ((by_patient, 1, 0), (by_pixels, 0, 1)):
        leaks = find_leaks(leaking)
        assert (len(leaks.patient_keys), len(leaks.pixel_hashes)) == (num_patients, num_films)
        with pytest.raises(CatalogueError, match=f"share {num_patients} patients and {num_films} films"):
            check_no_leaks(replace(catalogue, films=leaking))
    assert "do not train on it" in describe_catalogue(replace(catalogue, films=by_patient))


def test_the_same_film_in_two_files_is_one_film_and_is_told(films: Path, tmp_path: Path, make_film: MakeFilm) -> None:
    shutil.copy(films / "film00.png", films / "copy.png")
    other = make_film(films / "film00_other.png", 0)
    other.write_bytes(other.read_bytes() + b"trailing bytes change the file, not the film")
    catalogue, report = build_catalogue([films], out=tmp_path / "c", salt_file=tmp_path / "salt", config=IN_PROCESS)
    assert len(catalogue.films) == 21
    assert catalogue.films["pixel_hash"].nunique() == 20
    assert report.duplicates == (("copy.png", "film00.png", "film00_other.png"),)
    assert catalogue.films.groupby("pixel_hash")["split"].nunique().max() == 1
    assert "2 files show a film that another file shows" in render_report_text(report)
    assert "1 films show the pixels of another" in describe_catalogue(catalogue)


def test_film_of_two_claimed_patients_binds_both(films: Path, tmp_path: Path) -> None:
    shutil.copy(films / "film00.png", films / "film99.png")
    with (films / "labels.csv").open("a") as stream:
        stream.write("film99.png,,,,,,Doe5,F,40,PA,0.5,1.0\n")
    config = replace(IN_PROCESS, labels=(films / "labels.csv",), formats=(LabelFormat.CSV,), split=SplitConfig((0.5, 0.5, 0)))
    catalogue, report = build_catalogue([films], out=tmp_path / "c", salt_file=tmp_path / "salt", config=config)
    assert [issue.kind for issue in report.issues] == ["contradiction"]
    splits = {entry.path.name: entry.split for entry in catalogue.entries()}
    assert len({splits[name] for name in ("film00.png", "film01.png", "film10.png", "film11.png")}) == 1


def test_without_labels_every_film_is_unknown_and_nothing_is_reported(films: Path, tmp_path: Path) -> None:
    config = replace(IN_PROCESS, spacing_mm=(0.2, 0.3))
    catalogue, report = build_catalogue([films], out=tmp_path / "c", salt_file=tmp_path / "salt", config=config)
    assert set(catalogue.films["label_state"]) == {"unknown"}
    assert report.issues == ()
    assert {entry.spacing for entry in catalogue.entries()} == {PixelSpacing(0.2, 0.3)}
    text = describe_catalogue(catalogue)
    assert "0 known; 20 films of unknown patients" in text
    assert "0 boxes on 0 films" in text


def test_every_label_without_film_and_film_without_label_is_reported(films: Path, tmp_path: Path, make_film: MakeFilm) -> None:
    make_film(films / "unlabelled.png", 77)
    make_film(films / "sub" / "twin.png", 78)
    make_film(films / "twin.png", 79)
    (films / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with (films / "labels.csv").open("a") as stream:
        stream.write("missing.png,1,2,3,4,Nodule,p,F,40,PA,,\n")
        stream.write("twin.png,1,2,3,4,Nodule,q,F,40,PA,,\n")
        stream.write("broken.png,1,2,3,4,Nodule,r,F,40,PA,,\n")
        stream.write("film01.png,60,2,70,4,Nodule,Doe0,F,40,PA,,\n")
    config = replace(IN_PROCESS, labels=(films / "labels.csv",), formats=(LabelFormat.CSV,))
    catalogue, report = build_catalogue([films], out=tmp_path / "c", salt_file=tmp_path / "salt", config=config)
    kinds = sorted(issue.kind for issue in report.issues)
    assert kinds == [
        "box-outside",
        "film-ambiguous",
        "film-not-read",
        "film-not-there",
        "film-without-label",
        "film-without-label",
        "film-without-label",
    ]
    states = {entry.path.name: entry.annotations.state for entry in catalogue.entries()}
    assert states["film01.png"] is LabelState.UNKNOWN
    assert states["unlabelled.png"] is LabelState.UNKNOWN
    text = render_report_text(report)
    assert "labels.csv line 24: 1 boxes: no such film in the source" in text
    assert text.endswith("23 ok, 0 refused, 1 failed")
    written = json.loads((catalogue.path / "report.json").read_text())
    assert written["issue_counts"]["film-not-there"] == 1
    assert written["outcomes"] == {"ok": 23, "refused": 0, "failed": 1}
    table = pd.read_csv(catalogue.path / "report.csv")
    assert set(table["kind"]) == {*kinds, "failed-truncated"} or set(table["kind"]) >= set(kinds)
    assert "Doe0" not in (catalogue.path / "report.csv").read_text()


def test_folder_without_films_is_refused_with_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(CatalogueError, match="no file to read"):
        build_catalogue([tmp_path / "in"], out=tmp_path / "c", salt_file=tmp_path / "salt", config=IN_PROCESS)
    (tmp_path / "in" / "text").write_text("hello")
    with pytest.raises(CatalogueError, match="none of 1 files could be read as a film; text: "):
        build_catalogue([tmp_path / "in"], out=tmp_path / "c", salt_file=tmp_path / "salt", config=IN_PROCESS)


def test_dicom_keeps_its_own_facts_and_takes_the_tables_patient(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 4096, (64, 48), dtype=np.uint16)
        spacing = {"ImagerPixelSpacing": [0.3, 0.3]} if number < 2 else {"ImagerPixelSpacing": None}
        write_dicom(folder / f"{number}.dcm", pixels, PatientID="SAME", ViewPosition="PA", PatientAge="095Y", **spacing)
    (folder / "labels.csv").write_text(
        "film,patient,view,age_years,row_spacing_mm,column_spacing_mm\n0.dcm,p,AP,40,0.9,0.9\n2.dcm,,,,0.9,0.9\n"
    )
    config = replace(IN_PROCESS, labels=(folder / "labels.csv",), formats=(LabelFormat.CSV,))
    catalogue, _ = build_catalogue([folder], out=tmp_path / "c", salt_file=tmp_path / "salt", config=config)
    entries = {entry.path.name: entry for entry in catalogue.entries()}
    assert entries["0.dcm"].view_position is ViewPosition.PA
    assert entries["0.dcm"].spacing == PixelSpacing(0.3, 0.3)
    assert entries["2.dcm"].spacing == PixelSpacing(0.9, 0.9)
    assert entries["0.dcm"].patient_key != entries["1.dcm"].patient_key
    assert entries["1.dcm"].patient_key == entries["2.dcm"].patient_key
    assert {entry.age_years for entry in entries.values()} == {90.0}
    assert read_entry(entries["2.dcm"]).spacing == PixelSpacing(0.9, 0.9)


def test_catalogue_whose_locations_lack_a_film_is_refused(films: Path, ingest: Ingest) -> None:
    path = ingest(films).path
    locations = pd.read_parquet(path / "locations.parquet")
    locations.iloc[2:].to_parquet(path / "locations.parquet", index=False)
    with pytest.raises(CatalogueError, match=r"locations.parquet lacks 2 films, such as [0-9a-f]{16}"):
        read_catalogue(path).entries()


def test_entry_is_read_with_the_catalogues_facts_and_only_unchanged(films: Path, ingest: Ingest, make_film: MakeFilm) -> None:
    entry = next(entry for entry in ingest(films).entries() if entry.path.name == "film03.png")
    radiograph = read_entry(entry)
    assert (radiograph.spacing, radiograph.sex, radiograph.age_years) == (PixelSpacing(0.5, 1.0), "M", 33.0)
    assert radiograph.view_position is entry.view_position
    make_film(entry.path, 1000)
    with pytest.raises(CatalogueError, match=f"film {entry.key} has changed"):
        read_entry(entry)


def test_catalogues_are_compared_by_pixels_and_by_patients_of_one_salt(films: Path, ingest: Ingest, tmp_path: Path) -> None:
    first = ingest(films)
    part = tmp_path / "part"
    shutil.copytree(films, part, ignore=shutil.ignore_patterns("film0*"))
    same_salt, other_salt = ingest(part, name="same"), ingest(part, name="other", salt="other-salt")
    overlaps = compare_catalogues([first, same_salt, other_salt])
    assert [(pair.num_films, pair.num_patients) for pair in overlaps] == [(10, 5), (10, None), (10, None)]
    text = describe_overlaps(overlaps)
    assert text.count("only pixel hashes could be compared") == 2
    assert text.count("do not train on one and test on the other") == 3
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    (fresh / "a.png").write_bytes(b"")
    assert describe_overlaps([replace(overlaps[0], num_films=0, num_patients=0)]).endswith("none found")


def test_page_of_a_catalogue_says_what_is_in_it(films: Path, ingest: Ingest) -> None:
    text = describe_catalogue(ingest(films))
    for part in (
        "films         20, height x width 40 x 50 (20)",
        "patients      10 known",
        "views         AP 7, PA 13",
        "sex           F 10, M 10",
        "age           30 to 49 years, median 40",
        "row 0.500 to 0.500 mm, column 1.000 to 1.000 mm",
        "label states  12 boxed, 8 read and free, 0 unknown",
        "nodules       14 boxes on 12 films",
        "by size     under 10 mm 0, 10-20 mm 14, 20-30 mm 0, 30 mm and over 0",
        "by class    Mass 4, Nodule 10",
        "leaks         none",
    ):
        assert part in text


def test_workers_give_the_same_catalogue_as_none(films: Path, ingest: Ingest, tmp_path: Path) -> None:
    config = IngestConfig(
        labels=(films / "labels.csv",), formats=(LabelFormat.CSV,), split=SplitConfig((0.6, 0.2, 0.2)), num_workers=2
    )
    told: list[tuple[int, int]] = []
    catalogue, _ = build_catalogue(
        [films],
        out=tmp_path / "spawned",
        salt_file=tmp_path / "salt",
        config=config,
        on_film=lambda done, total: told.append((done, total)),
    )
    assert catalogue.fingerprint == ingest(films).fingerprint
    assert told == [(number, 20) for number in range(1, 21)]


@pytest.mark.parametrize(
    ("source", "used", "reported"), [("setB", [[5, 5, 9, 9]], 1), ("setC", [], 2), (".", [[1, 1, 9, 9], [5, 5, 9, 9]], 0)]
)
def test_labels_of_a_namesake_in_another_folder_are_reported_not_used(
    source: str, used: list[list[float]], reported: int, tmp_path: Path, make_film: MakeFilm
) -> None:
    for seed, folder in enumerate(("setA", "setB") if source == "." else (source,)):
        make_film(tmp_path / "films" / folder / "0001.png", seed)
    labels = tmp_path / "labels.csv"
    labels.write_text("film,x1,y1,x2,y2\nsetA/0001.png,1,1,9,9\nsetB/0001.png,5,5,9,9\n")
    config = IngestConfig(labels=(labels,), formats=(LabelFormat.CSV,), num_workers=0)
    catalogue, report = build_catalogue(
        [tmp_path / "films" / source], out=tmp_path / "c", salt_file=tmp_path / "salt", config=config
    )
    assert sorted(catalogue.annotations[["x1", "y1", "x2", "y2"]].to_numpy().tolist()) == used
    assert [issue.kind for issue in report.issues].count("film-ambiguous") == reported


def test_one_film_may_be_named_with_and_without_suffix(tmp_path: Path, make_film: MakeFilm, ingest: Ingest) -> None:
    make_film(tmp_path / "films" / "a" / "x.png", 0)
    (tmp_path / "films" / "labels.csv").write_text("film,x1,y1,x2,y2\nx,1,1,9,9\na/x.png,5,5,9,9\n")
    assert len(ingest(tmp_path / "films").annotations) == 2
