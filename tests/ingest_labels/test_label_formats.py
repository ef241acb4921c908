import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from xraynet.errors import LabelError
from xraynet.findings import LabelState
from xraynet.ingest.labels.chestxdet import read_chestxdet
from xraynet.ingest.labels.coco import read_coco
from xraynet.ingest.labels.formats import LabelFormat, read_all_labels, read_labels
from xraynet.ingest.labels.jsrt import read_jsrt
from xraynet.ingest.labels.lidc_drr import read_lidc_drr
from xraynet.ingest.labels.node21 import read_node21
from xraynet.ingest.labels.pascal_voc import read_pascal_voc
from xraynet.ingest.labels.plain_csv import PLAIN_CSV_COLUMNS, read_plain_csv
from xraynet.ingest.labels.records import FilmLabels, LabelTable, decide_label_state
from xraynet.radiograph import ViewPosition

WriteTable = Callable[[str, str], Path]

BOXED, FREE, UNKNOWN = LabelState.BOXED, LabelState.FREE, LabelState.UNKNOWN


def state_of(labels: FilmLabels | None, targets: tuple[str, ...] = ("nodule", "mass")) -> LabelState:
    assert labels is not None
    classes = [box.class_name for box in labels.boxes]
    return decide_label_state(box_classes=classes, findings=labels.findings, read_for=labels.read_for, targets=targets)


def unlisted(table: LabelTable, stem: str) -> FilmLabels | None:
    found = [rule.labels_for(stem) for rule in table.unlisted]
    return next((labels for labels in found if labels is not None), None)


def test_node21_height_and_width_are_the_boxes(write_table: WriteTable) -> None:
    text = "height,img_name,label,width,x,y\n35,n0001.mha,1,40,100,200\n10,n0001.mha,1,11,5,6\n0,c0001.mha,0,0,0,0\n"
    films = read_node21(write_table("metadata.csv", text)).films
    assert [box.xyxy for box in films["n0001.mha"].boxes] == [(100, 200, 140, 235), (5, 6, 16, 16)]
    assert (state_of(films["n0001.mha"]), state_of(films["c0001.mha"])) == (BOXED, FREE)


def test_node21_contradiction_and_strange_label_are_reported_and_never_negative(write_table: WriteTable) -> None:
    text = "height,img_name,label,width,x,y\n35,a.mha,1,40,100,200\n0,a.mha,0,0,0,0\n0,b.mha,2,0,0,0\n"
    table = read_node21(write_table("metadata.csv", text))
    assert (state_of(table.films["a.mha"]), state_of(table.films["b.mha"])) == (BOXED, UNKNOWN)
    assert {issue.kind for issue in table.issues} == {"contradiction", "unreadable-value"}


def test_jsrt_text_gives_the_square_around_the_circle(write_table: WriteTable) -> None:
    text = "JPCLN001.IMG\t5\t14\t53\tmale\t1634\t692\tmalignant\tl.upper lobe(S1+2)\tlung cancer\n"
    film = read_jsrt(write_table("CLNDAT_EN.txt", text)).films["JPCLN001.IMG"]
    (box,) = film.boxes
    assert box.xyxy == pytest.approx((1634 - 40, 692 - 40, 1634 + 40, 692 + 40))
    assert (box.diameter_mm, box.subtlety, film.sex, film.age_years, film.frame) == (14.0, 5, "M", 53.0, (2048, 2048))
    assert (film.spacing_mm, film.view_position, film.patient) == ((0.175, 0.175), ViewPosition.PA, "JPCLN001")
    assert state_of(film) is BOXED


def test_jsrt_film_without_row_is_free_if_jpcnn_and_unknown_if_jpcln(write_table: WriteTable) -> None:
    table = read_jsrt(write_table("CLNDAT_EN.txt", "JPCLN001.IMG  5  14  ?  female  100  200  benign  r  x\n"))
    assert table.films["JPCLN001.IMG"].age_years is None
    assert table.issues == ()
    assert state_of(unlisted(table, "JPCNN007")) is FREE
    assert state_of(unlisted(table, "jpcln154")) is UNKNOWN
    assert unlisted(table, "JPCNN007") == unlisted(table, "JPCNN007")
    assert unlisted(table, "other") is None


def test_jsrt_table_of_normal_films_is_read(write_table: WriteTable) -> None:
    film = read_jsrt(write_table("CNNDAT_EN.txt", "JPCNN001.IMG\t57\tfemale\tnon-nodule\n")).films["JPCNN001.IMG"]
    assert (film.sex, film.age_years, film.boxes, state_of(film)) == ("F", 57.0, (), FREE)


def test_jsrt_nodule_without_diameter_or_with_strange_subtlety_is_told(write_table: WriteTable) -> None:
    table = read_jsrt(write_table("CLNDAT_EN.txt", "JPCLN001.IMG\t7\tlarge\t53\tmale\t1634\t692\tmalignant\tl\tx\n"))
    assert math.isnan(table.films["JPCLN001.IMG"].boxes[0].xyxy[0])
    assert len(table.issues) == 2


@pytest.mark.parametrize("text", ["", "film,x,y\n1,2,3\n"])
def test_jsrt_refuses_other_tables(write_table: WriteTable, text: str) -> None:
    with pytest.raises(LabelError, match="JPCLN001"):
        read_jsrt(write_table("x.txt", text))


def test_jsrt_csv_of_the_development_films_has_92_nodules(shared_films: Path) -> None:
    table = read_jsrt(shared_films / "jsrt_dev" / "nodules.csv")
    assert len(table.films) == 92
    assert all(state_of(film) is BOXED for film in table.films.values())
    assert table.films["JPCLN002"].boxes[0].diameter_mm == 30.0


def test_chestxdet_film_without_syms_is_free_and_shares_patients_with_nih(write_table: WriteTable) -> None:
    entries = [
        {"file_name": "00000042_006.png", "syms": ["Nodule", "Fibrosis"], "boxes": [[1, 2, 3, 4], [5, 6, 7, 8]]},
        {"file_name": "00000043_000.png", "syms": [], "boxes": []},
        {"file_name": "00000044_000.png", "syms": ["Effusion"], "boxes": [[5, 6, 7, 8]]},
        {"file_name": "00000045_000.png", "syms": ["Mass"], "boxes": []},
        {"file_name": "00000046_000.png", "syms": [], "boxes": [[5, 6, 7, 8]]},
    ]
    table = read_chestxdet(write_table("train.json", json.dumps(entries)))
    assert [state_of(film) for film in table.films.values()] == [BOXED, FREE, FREE, UNKNOWN, UNKNOWN]
    first = table.films["00000042_006.png"]
    assert (first.patient, first.patient_issuer, first.frame) == ("42", "nih-chestx-ray14", (1024, 1024))
    assert str(first.boxes[0].place) == "train.json entry 1"
    assert [issue.places[0].line for issue in table.issues] == [4, 5]


@pytest.mark.parametrize("text", ["{}", "[1]", "not json", '[{"syms": []}]'])
def test_chestxdet_refuses_other_json(write_table: WriteTable, text: str) -> None:
    with pytest.raises(LabelError):
        read_chestxdet(write_table("train.json", text))


def coco(**changes: object) -> str:
    content: dict[str, object] = {
        "images": [
            {
                "id": 1,
                "file_name": "a.png",
                "height": 100,
                "width": 200,
                "patient": "p1",
                "spacing_mm": [0.2, 0.1],
                "view": "PA",
            },
            {"id": 2, "file_name": "b.png"},
            {"id": 3, "file_name": "c.png"},
        ],
        "categories": [{"id": 7, "name": "nodule"}, {"id": 8, "name": "Mass"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "bbox": [10, 20, 30, 40], "reader": "R1"},
            {"id": 2, "image_id": 3, "category_id": 7, "bbox": [10, 20, 30, 40], "iscrowd": 1},
            {"id": 3, "image_id": 9, "category_id": 7, "bbox": [10, 20, 30, 40]},
        ],
    }
    content.update(changes)
    return json.dumps(content)


def test_coco_images_without_annotation_are_free_where_the_categories_hold_the_targets(write_table: WriteTable) -> None:
    table = read_coco(write_table("c.json", coco()))
    assert [state_of(film) for film in table.films.values()] == [BOXED, FREE, UNKNOWN]
    first = table.films["a.png"]
    assert (first.boxes[0].xyxy, first.boxes[0].reader) == ((10, 20, 40, 60), "R1")
    assert (first.frame, first.spacing_mm, first.patient) == ((100, 200), (0.2, 0.1), "p1")
    assert [issue.kind for issue in table.issues] == ["box-not-usable", "film-not-there"]


def test_coco_without_mass_category_says_nothing_of_masses(write_table: WriteTable) -> None:
    table = read_coco(write_table("c.json", coco(categories=[{"id": 7, "name": "nodule"}])))
    assert state_of(table.films["b.png"]) is UNKNOWN
    assert state_of(table.films["b.png"], targets=("nodule",)) is FREE


def test_coco_annotation_of_no_category_is_told(write_table: WriteTable) -> None:
    annotations = [{"id": 1, "image_id": 1, "category_id": 70, "bbox": [1, 2, 3]}]
    table = read_coco(write_table("c.json", coco(annotations=annotations)))
    assert table.issues[0].kind == "unreadable-value"
    assert math.isnan(table.films["a.png"].boxes[0].xyxy[0])


@pytest.mark.parametrize(
    "text",
    ["[]", coco(images=3), coco(categories=[{"name": "x"}]), coco(images=[{"id": 1}])],
)
def test_coco_refuses_what_is_malformed(write_table: WriteTable, text: str) -> None:
    with pytest.raises(LabelError):
        read_coco(write_table("c.json", text))


VOC = """<?xml version="1.0"?>
<annotation>
  <filename>a.png</filename>
  <size><width>200</width><height>100</height><depth>1</depth></size>
  <object>
    <name>Nodule</name>
    <bndbox><xmin>10</xmin><ymin>20</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>
  </object>
  <object><bndbox><xmin>a</xmin></bndbox></object>
</annotation>
"""


def test_voc_boxes_know_the_line_of_their_object(write_table: WriteTable) -> None:
    path = write_table("voc/a.xml", VOC)
    write_table("voc/sub/b.xml", "<annotation><filename>b.png</filename></annotation>")
    table = read_pascal_voc(path.parent)
    film = table.films["a.png"]
    assert (film.boxes[0].xyxy, film.frame) == ((10, 20, 30, 40), (100, 200))
    assert str(film.boxes[0].place) == "voc/a.xml line 5"
    assert math.isnan(film.boxes[1].xyxy[0])
    assert (state_of(film), state_of(table.films["b.png"])) == (BOXED, FREE)
    assert len(table.issues) == 1


def test_voc_file_by_itself_takes_its_film_from_its_own_name(write_table: WriteTable) -> None:
    path = write_table("film7.xml", "<annotation><folder>x</folder></annotation>")
    assert list(read_pascal_voc(path).films) == ["film7"]


@pytest.mark.parametrize(
    "text",
    ["<annotation>", "<html></html>", '<!DOCTYPE a [<!ENTITY b "c">]><annotation><folder>&b;</folder></annotation>'],
)
def test_voc_refuses_broken_other_and_entity_laden_xml(write_table: WriteTable, text: str) -> None:
    with pytest.raises(LabelError):
        read_pascal_voc(write_table("a.xml", text))


def test_voc_refuses_a_folder_without_xml(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"no \.xml"):
        read_pascal_voc(tmp_path)


def test_plain_csv_row_without_box_is_free_unless_it_says_otherwise(write_table: WriteTable) -> None:
    text = (
        "film,x1,y1,x2,y2,class,reader,state\n"
        "a.dcm,1,2,3,4,Nodule,R1,\na.dcm,,,,,,R2,free\nb.dcm,,,,,,,\nc.dcm,,,,,,,unknown\n"
        "d.dcm,,,,,Mass,,\ne.dcm,,,,,Effusion,,\nf.dcm,1,2,3,4,,,free\n"
    )
    table = read_plain_csv(write_table("labels.csv", text))
    assert [state_of(film) for film in table.films.values()] == [BOXED, FREE, UNKNOWN, UNKNOWN, FREE, BOXED]
    assert table.films["a.dcm"].readers == ("R1", "R2")
    assert [issue.places[0].line for issue in table.issues] == [8]


def test_plain_csv_reads_every_documented_column(write_table: WriteTable) -> None:
    values = ["a", "1", "2", "3", "4", "Mass", "R1", "31.5", "2", "boxed", "p", "F", "61", "AP", "0.2", "0.1", "200", "100"]
    text = f"{','.join(PLAIN_CSV_COLUMNS)}\n{','.join(values)}\n"
    film = read_plain_csv(write_table("labels.csv", text)).films["a"]
    (box,) = film.boxes
    assert (box.xyxy, box.class_name, box.reader, box.diameter_mm, box.subtlety) == ((1, 2, 3, 4), "Mass", "R1", 31.5, 2)
    assert (film.patient, film.sex, film.age_years, film.view_position) == ("p", "F", 61.0, ViewPosition.AP)
    assert (film.spacing_mm, film.frame) == ((0.2, 0.1), (200, 100))


def test_plain_csv_names_unknown_columns_and_impossible_values(write_table: WriteTable) -> None:
    with pytest.raises(LabelError, match="columns colour; known are film"):
        read_plain_csv(write_table("labels.csv", "film,colour\na,red\n"))
    text = "film,x1,y1,x2,y2,diameter_mm,age_years,row_spacing_mm,column_spacing_mm\na,1,2,3,4,-1,old,0,1\n"
    assert len(read_plain_csv(write_table("labels.csv", text)).issues) == 3


def test_lidc_projection_without_row_is_free(write_table: WriteTable) -> None:
    header = "image,patient,width,height,xmin,ymin,xmax,ymax,area_px"
    text = f"{header}\nLIDC-IDRI-0001_x_drr.png,LIDC-IDRI-0001,512,472,297,135,341,167,1129\n"
    table = read_lidc_drr(write_table("boxes.csv", text))
    film = table.films["LIDC-IDRI-0001_x_drr.png"]
    assert (film.boxes[0].xyxy, film.frame, state_of(film)) == ((297, 135, 341, 167), (472, 512), BOXED)
    free = unlisted(table, "LIDC-IDRI-0007_y_drr")
    assert free is not None
    assert (free.patient, state_of(free)) == ("LIDC-IDRI-0007", FREE)


def test_one_format_serves_all_tables_or_each_has_its_own(write_table: WriteTable) -> None:
    one, other = write_table("a.csv", "film\na\n"), write_table("b.csv", "film\nb\n")
    assert set(read_all_labels([one, other], formats=[LabelFormat.CSV]).films) == {"a", "b"}
    with pytest.raises(LabelError, match="3 formats"):
        read_all_labels([one, other], formats=[LabelFormat.CSV] * 3)
    assert read_all_labels([], formats=[]).films == {}


@pytest.mark.parametrize("label_format", list(LabelFormat))
def test_every_format_says_what_is_wrong_with_a_missing_file(label_format: LabelFormat, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="cannot be read"):
        read_labels(tmp_path / "missing.file", label_format=label_format)


def test_text_that_is_not_utf8_or_not_csv_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(b"film\n\xff\xfe\n")
    with pytest.raises(LabelError, match="not UTF-8"):
        read_plain_csv(path)
    path.write_text('film\n"' + "a" * 140_000, encoding="utf-8")
    with pytest.raises(LabelError, match="not CSV"):
        read_plain_csv(path)


def test_jsrt_row_of_no_jsrt_film_is_never_a_negative(write_table: WriteTable) -> None:
    text = "id,subtlety,size_mm,age,sex,x_2048,y_2048\nscan7,3,10,50,F,1000,1000\nJPCNN001,3,10,50,F,1000,1000\n"
    table = read_jsrt(write_table("n.csv", text))
    assert state_of(table.films["scan7"]) is UNKNOWN
    assert state_of(table.films["JPCNN001"]) is BOXED
    assert [issue.places[0].line for issue in table.issues] == [2]


def test_coco_sizes_may_be_written_as_fractions_and_ids_only_once(write_table: WriteTable) -> None:
    image = {"id": 1, "file_name": "a.png", "height": 1024.0, "width": 512.0}
    assert read_coco(write_table("c.json", coco(images=[image]))).films["a.png"].frame == (1024, 512)
    with pytest.raises(LabelError, match="one id to two"):
        read_coco(write_table("d.json", coco(images=[image, {**image, "file_name": "b.png"}])))


def test_plain_csv_values_that_cannot_be_are_told_with_their_line(write_table: WriteTable) -> None:
    text = "film,x1,y1,x2,y2,subtlety,frame_height,frame_width\na,1,1,9,9,1e30,,\nb,1,1,9,9,,0.4,0.4\nc,1,1,9,9,3,,,Doe\n"
    table = read_plain_csv(write_table("l.csv", text))
    assert [film.boxes[0].subtlety for film in table.films.values()] == [None, None, 3]
    assert table.films["b"].frame is None
    assert sorted(issue.places[0].line for issue in table.issues) == [2, 3, 4]
    assert not any("Doe" in issue.message for issue in table.issues)


def test_column_named_twice_is_refused(write_table: WriteTable) -> None:
    with pytest.raises(LabelError, match="x1 more than once"):
        read_plain_csv(write_table("l.csv", "film,x1,x1,y1,x2,y2\na,1,2,1,9,9\n"))


def test_line_separators_inside_a_cell_end_no_line(write_table: WriteTable) -> None:
    table = read_plain_csv(write_table("l.csv", "film,reader\na\u2028b.png,A\x0cB\r\nc.png,C\n"))
    assert list(table.films) == ["a\u2028b.png", "c.png"]
    assert table.films["c.png"].places[0].line == 3
