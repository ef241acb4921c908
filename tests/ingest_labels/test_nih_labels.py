from collections.abc import Callable
from pathlib import Path

import pytest

from xraynet.errors import LabelError
from xraynet.findings import LabelState
from xraynet.ingest.labels.nih import read_nih
from xraynet.ingest.labels.records import FilmLabels, decide_label_state, merge_tables
from xraynet.radiograph import ViewPosition

WriteTable = Callable[[str, str], Path]

ENTRY_2017 = """Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,\
OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],
00000001_000.png,Cardiomegaly,000,00001,058Y,M,PA,2682,2749,0.143,0.143,
00000002_000.png,No Finding,000,00002,414Y,F,AP,3056,2544,0.139,0.139,
00000003_000.png,Mass|Nodule,000,00003,081Y,F,PA,2500,2048,0.168,0.171,
00000004_000.png,Nodule,000,00004,082Y,F,PA,2500,2048,0,0.171,
"""
BOXES = """Image Index,Finding Label,Bbox [x,y,w,h],,,
00000003_000.png,Mass,225.0,547.0,86.5,79.0
00000003_000.png,Nodule,10.0,20.0,30.0,40.0
00000009_001.png,Pneumonia,1,2,3,4
00000010_001.png,Nodule,1,2,3
00000011_001.png,Nodule,one,2,3,4
"""


def state_of(labels: FilmLabels, targets: tuple[str, ...] = ("nodule", "mass")) -> LabelState:
    return decide_label_state(
        box_classes=[box.class_name for box in labels.boxes],
        findings=labels.findings,
        read_for=labels.read_for,
        targets=targets,
    )


def test_data_entry_of_2017_with_its_split_headers_is_read(write_table: WriteTable) -> None:
    films = read_nih(write_table("Data_Entry_2017.csv", ENTRY_2017)).films
    first = films["00000001_000.png"]
    assert (first.patient, first.sex, first.age_years, first.view_position) == ("1", "M", 58.0, ViewPosition.PA)
    assert first.findings == ("Cardiomegaly",)
    assert first.places[0].line == 2


def test_squeezed_spacing_is_height_for_rows_and_width_for_columns(write_table: WriteTable) -> None:
    films = read_nih(write_table("Data_Entry_2017.csv", ENTRY_2017)).films
    spacing = films["00000003_000.png"].spacing_mm
    assert spacing == pytest.approx((0.171 * 2048 / 1024, 0.168 * 2500 / 1024))
    assert films["00000003_000.png"].frame == (1024, 1024)


def test_impossible_age_and_spacing_are_reported_with_their_line(write_table: WriteTable) -> None:
    table = read_nih(write_table("Data_Entry_2017.csv", ENTRY_2017))
    assert table.films["00000002_000.png"].age_years is None
    assert table.films["00000004_000.png"].spacing_mm is None
    assert [issue.places[0].line for issue in table.issues] == [3, 5]


def test_film_without_nodule_among_its_findings_is_free_and_with_one_unknown(write_table: WriteTable) -> None:
    films = read_nih(write_table("Data_Entry_2017.csv", ENTRY_2017)).films
    states = [state_of(films[name]) for name in sorted(films)]
    assert states == [LabelState.FREE, LabelState.FREE, LabelState.UNKNOWN, LabelState.UNKNOWN]


def test_box_list_with_its_malformed_header_gives_boxes_in_the_1024_frame(write_table: WriteTable) -> None:
    table = read_nih(write_table("BBox_List_2017.csv", BOXES))
    film = table.films["00000003_000.png"]
    assert [box.xyxy for box in film.boxes] == [(225.0, 547.0, 311.5, 626.0), (10.0, 20.0, 40.0, 60.0)]
    assert [box.place.line for box in film.boxes] == [2, 3]
    assert (film.patient, film.frame) == ("3", (1024, 1024))
    assert str(table.issues[0].places[0]) == "BBox_List_2017.csv line 5"


def test_film_in_the_box_list_for_another_finding_is_unknown(write_table: WriteTable) -> None:
    films = read_nih(write_table("BBox_List_2017.csv", BOXES)).films
    assert state_of(films["00000009_001.png"]) is LabelState.UNKNOWN
    assert state_of(films["00000003_000.png"]) is LabelState.BOXED


def test_boxes_and_findings_merge_to_a_boxed_film_only_where_every_finding_has_its_box(write_table: WriteTable) -> None:
    findings, boxes = (
        read_nih(write_table("Data_Entry_2017.csv", ENTRY_2017)),
        read_nih(write_table("BBox_List_2017.csv", BOXES)),
    )
    merged = merge_tables([findings, boxes]).films["00000003_000.png"]
    assert state_of(merged) is LabelState.BOXED
    mass_only = FilmLabels(film="a", boxes=merged.boxes[:1], findings=merged.findings, read_for=merged.read_for)
    assert state_of(mass_only) is LabelState.UNKNOWN
    assert state_of(mass_only, targets=("mass",)) is LabelState.BOXED


def test_films_csv_of_the_reduced_edition_is_read(write_table: WriteTable) -> None:
    text = (
        "image,finding_labels,patient_id,age,sex,view,original_width,original_height,original_spacing_x_mm,original_spacing_y_mm\n"
        "00000061_012.jpg,Edema|Effusion,61,77,M,AP,3056,2544,0.139,0.139\n"
        "00000062_000.jpg,,62,77,M,AP,3056,2544,0.139,0.139\n"
    )
    table = read_nih(write_table("films.csv", text))
    film = table.films["00000061_012.jpg"]
    assert film.spacing_mm == pytest.approx((0.139 * 2544 / 1024, 0.139 * 3056 / 1024))
    assert (film.patient, film.view_position, state_of(film)) == ("61", ViewPosition.AP, LabelState.FREE)
    assert state_of(table.films["00000062_000.jpg"]) is LabelState.UNKNOWN
    assert len(table.issues) == 1


def test_table_of_other_columns_is_refused_with_what_was_expected(write_table: WriteTable) -> None:
    with pytest.raises(LabelError, match="image_id, other; expected 'Finding Labels'"):
        read_nih(write_table("other.csv", "image_id,other\n"))


def test_real_box_list_has_79_nodules_and_85_masses(shipped_tables: Path) -> None:
    films = read_nih(shipped_tables / "BBox_List_2017.csv.gz").films
    classes = [box.class_name for film in films.values() for box in film.boxes]
    assert (len(films), len(classes)) == (880, 984)
    assert (classes.count("Nodule"), classes.count("Mass")) == (79, 85)
    assert sum(state_of(film) is LabelState.BOXED for film in films.values()) == len(
        {name for name, film in films.items() if {box.class_name for box in film.boxes} & {"Nodule", "Mass"}}
    )


@pytest.mark.untyped  # the shape checks cost a minute on 112,120 rows
def test_real_data_entry_is_read_whole(shipped_tables: Path) -> None:
    table = read_nih(shipped_tables / "Data_Entry_2017_v2020.csv.gz")
    films = table.films
    assert len(films) == 112_120
    assert len({film.patient for film in films.values()}) == 30_805
    assert all(film.spacing_mm is not None for film in films.values())
    assert table.issues == ()
    assert all(name.startswith(f"{int(film.patient or 0):08d}_") for name, film in films.items())
