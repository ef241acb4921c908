from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from xraynet.errors import LabelError
from xraynet.findings import LabelState
from xraynet.ingest.labels.records import FilmLabels, decide_label_state, merge_tables
from xraynet.ingest.labels.vindr import read_vindr

WriteTable = Callable[[str, str], Path]

TRAIN = """image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max
aa,Nodule/Mass,8,R8,10,20,30,40
aa,No finding,14,R9,,,,
aa,Nodule/Mass,8,R10,11,21,31,41
bb,No finding,14,R8,,,,
bb,No finding,14,R9,,,,
cc,Cardiomegaly,3,R8,1,2,3,4
dd,Nodule/Mass,8,R8,1,2,x,4
ee,Nodule/Mass,8,R8,1,2,3,4
ee,No finding,14,R8,,,,
"""


def state_of(labels: FilmLabels, targets: tuple[str, ...] = ("nodule", "mass")) -> LabelState:
    classes = [box.class_name for box in labels.boxes]
    return decide_label_state(box_classes=classes, findings=labels.findings, read_for=labels.read_for, targets=targets)


def test_readers_are_kept_apart_also_those_who_marked_nothing(write_table: WriteTable) -> None:
    film = read_vindr(write_table("train.csv", TRAIN)).films["aa"]
    assert [(box.reader, box.xyxy) for box in film.boxes] == [("R8", (10, 20, 30, 40)), ("R10", (11, 21, 31, 41))]
    assert film.readers == ("R8", "R9", "R10")


def test_film_is_boxed_by_one_reader_free_by_other_findings(write_table: WriteTable) -> None:
    films = read_vindr(write_table("train.csv", TRAIN)).films
    assert [state_of(films[name]) for name in ("aa", "bb", "cc")] == [LabelState.BOXED, LabelState.FREE, LabelState.FREE]


def test_nodule_or_mass_together_is_uncertain_where_only_nodules_are_asked_for(write_table: WriteTable) -> None:
    films = read_vindr(write_table("train.csv", TRAIN)).films
    assert state_of(films["aa"], targets=("nodule",)) is LabelState.UNKNOWN
    assert state_of(films["bb"], targets=("nodule",)) is LabelState.FREE


def test_reader_who_says_nothing_and_a_nodule_is_reported(write_table: WriteTable) -> None:
    (issue,) = read_vindr(write_table("train.csv", TRAIN)).issues
    assert issue.kind == "contradiction"
    assert [place.line for place in issue.places] == [10, 9]


def test_width_and_height_columns_name_the_frame(write_table: WriteTable) -> None:
    text = "image_id,class_name,rad_id,x_min,y_min,x_max,y_max,width,height\naa,Nodule/Mass,R1,1,2,3,4,2304,2880\n"
    assert read_vindr(write_table("train.csv", text)).films["aa"].frame == (2880, 2304)


def test_test_table_without_readers_is_a_consensus(write_table: WriteTable) -> None:
    text = "image_id,class_name,x_min,y_min,x_max,y_max\naa,Nodule/Mass,1,2,3,4\nbb,Nodule/Mass,,,,\n"
    films = read_vindr(write_table("annotations_test.csv", text)).films
    assert films["aa"].boxes[0].reader is None
    assert state_of(films["bb"]) is LabelState.UNKNOWN


def test_film_level_table_marks_a_nodule_without_box_as_unknown(write_table: WriteTable) -> None:
    rows = ["aa,R1,0,1,0,0", "bb,R1,1,0,0,0", "cc,R1,0,0,1,0", "dd,R1,0,0,0,1"]
    text = "\n".join(["image_id,rad_id,Cardiomegaly,Nodule/Mass,Lung tumor,No finding", *rows])
    films = read_vindr(write_table("image_labels_train.csv", text)).films
    assert [state_of(films[name]) for name in ("aa", "bb", "cc", "dd")] == [
        LabelState.UNKNOWN,
        LabelState.FREE,
        LabelState.UNKNOWN,
        LabelState.FREE,
    ]
    boxes = read_vindr(write_table("train.csv", TRAIN))
    both = merge_tables([boxes, read_vindr(write_table("image_labels_train.csv", text))])
    assert state_of(both.films["aa"]) is LabelState.BOXED


def test_table_without_boxes_is_refused(write_table: WriteTable) -> None:
    with pytest.raises(LabelError, match="lacks the columns class_name"):
        read_vindr(write_table("train.csv", "image_id\naa\n"))


@pytest.mark.untyped  # the shape checks cost a minute on 68,000 rows
def test_real_vinbigdata_table_keeps_17_readers(shipped_tables: Path) -> None:
    table = read_vindr(shipped_tables / "vinbigdata-train.csv.gz")
    assert len(table.films) == 15_000
    nodules = [box for film in table.films.values() for box in film.boxes if box.class_name == "Nodule/Mass"]
    assert len(nodules) == 2_580
    assert len({reader for film in table.films.values() for reader in film.readers}) == 17
    assert {len(film.readers) for film in table.films.values()} == {3}
    states = Counter(state_of(film) for film in table.films.values())
    assert states[LabelState.BOXED] == 826
    assert states[LabelState.UNKNOWN] == 0
    assert table.issues == ()
