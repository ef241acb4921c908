"""Structured reports as annotations: regions, readers, and what a report does not say."""

import random
import zlib
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from reports import FILM, MASS, Region, code, device, group, image, item, outcome, person, square, write_report

from xraynet.errors import LabelError
from xraynet.findings import LabelState
from xraynet.ingest.labels.formats import LabelFormat, read_labels
from xraynet.ingest.labels.records import FilmLabels, LabelTable, decide_label_state
from xraynet.ingest.labels.sr import read_sr

BOXED, FREE, UNKNOWN = LabelState.BOXED, LabelState.FREE, LabelState.UNKNOWN
DETECTED = ("detected nodule", "detected mass")


def state_of(labels: FilmLabels, targets: tuple[str, ...] = ("nodule", "mass")) -> LabelState:
    classes = [box.class_name for box in labels.boxes]
    return decide_label_state(box_classes=classes, findings=labels.findings, read_for=labels.read_for, targets=targets)


def name(person_name: str) -> str:
    return f"reader-{zlib.crc32(person_name.encode()):012x}"


def read(path: Path, *children: Dataset, **facts: object) -> LabelTable:
    return read_sr(write_report(path / "r.dcm", *children, **facts), name_person=name)


def test_a_persons_outline_becomes_a_box_of_that_reader(tmp_path: Path) -> None:
    table = read(tmp_path, *person(), group(Region(square(10, 20, 40.5, 60.25), diameter_mm=12.5)))
    film = table.films[FILM]
    (box,) = film.boxes
    assert (box.xyxy, box.class_name, box.diameter_mm) == ((10, 20, 40.5, 60.25), "nodule", 12.5)
    assert box.reader == name("reader^rosa")
    assert film.readers == (box.reader,)
    assert state_of(film) is BOXED
    assert table.issues == ()


def test_nobody_is_called_by_name(tmp_path: Path) -> None:
    path = write_report(tmp_path / "r.dcm", *person("Reader^Rosa"), group(Region(square(1, 2, 3, 4))))
    assert "rosa" not in repr(read_sr(path, name_person=name)).lower()
    assert read_sr(path).films[FILM].boxes[0].reader == "person"
    assert "Seeded" not in repr(read_sr(path))


def test_one_person_written_in_two_ways_is_one_reader(tmp_path: Path) -> None:
    for number, written in enumerate(("Reader^Rosa", "READER^ROSA^^", "reader ^rosa=山田")):
        write_report(tmp_path / f"{number}.dcm", *person(written), group(Region(square(number, 2, 30, 40))))
    film = read_sr(tmp_path, name_person=name).films[FILM]
    assert len(film.boxes) == 3
    assert film.readers == (name("reader^rosa"),)


def test_two_readers_of_one_film_stay_apart(tmp_path: Path) -> None:
    first = group(Region(square(1, 2, 30, 40)), context=person("One^A"))
    second = group(Region(square(5, 2, 30, 40)), context=person("Two^B"))
    film = read(tmp_path, *device(), first, second).films[FILM]
    assert [box.reader for box in film.boxes] == [name("one^a"), name("two^b")]


def test_a_devices_regions_are_no_truth_unless_asked_for_by_name(tmp_path: Path) -> None:
    table = read(tmp_path, *device(), outcome("111242"), group(Region(square(1, 2, 30, 40), finding=MASS)))
    film = table.films[FILM]
    assert film.boxes[0].class_name == "detected mass"
    assert film.boxes[0].reader is not None
    assert film.boxes[0].reader.startswith("device NoduleFinder ")
    assert state_of(film) is UNKNOWN
    assert state_of(film, DETECTED) is BOXED


def test_a_device_that_found_nothing_says_nothing(tmp_path: Path) -> None:
    film = read(tmp_path, *device(), image(FILM), outcome()).films[FILM]
    assert film.boxes == ()
    assert state_of(film) is UNKNOWN
    assert state_of(film, DETECTED) is UNKNOWN


def test_an_unstated_observer_counts_as_a_device(tmp_path: Path) -> None:
    film = read(tmp_path, group(Region(square(1, 2, 30, 40)))).films[FILM]
    assert film.boxes[0].class_name == "detected nodule"
    assert film.boxes[0].reader is None


def test_a_person_who_verified_a_devices_report_answers_for_it(tmp_path: Path) -> None:
    marked = read(tmp_path, *device(), group(Region(square(1, 2, 30, 40))), verified_by="Chief^C").films[FILM]
    assert marked.boxes[0].class_name == "nodule"
    assert marked.boxes[0].reader is not None
    assert marked.boxes[0].reader.endswith(f"verified by {name('chief^c')}")
    assert state_of(marked) is BOXED
    nothing = read(tmp_path, *device(), image(FILM), outcome(), verified_by="Chief^C").films[FILM]
    assert state_of(nothing) is FREE


@pytest.mark.parametrize(
    "facts",
    [{"verified_by": ""}, {"verified_by": "Chief^C", "complete": False}],
    ids=["nobody verified it", "it is not complete"],
)
def test_only_a_complete_and_verified_report_makes_a_film_free(facts: dict[str, object], tmp_path: Path) -> None:
    film = read(tmp_path, *person(), image(FILM), outcome(), **facts).films[FILM]
    assert state_of(film) is UNKNOWN


def test_a_report_without_findings_frees_no_film_where_it_names_several(tmp_path: Path) -> None:
    films = read(tmp_path, *device(), image(FILM), image("1.2.3.77"), outcome(), verified_by="Chief^C").films
    assert {name: state_of(film) for name, film in films.items()} == {FILM: UNKNOWN, "1.2.3.77": UNKNOWN}


def test_a_verified_report_that_names_no_nodule_does_not_say_there_is_none(tmp_path: Path) -> None:
    film = read(tmp_path, *person(), image(FILM), verified_by="Chief^C").films[FILM]
    assert state_of(film) is UNKNOWN
    not_analysed = read(tmp_path, *device(), image(FILM), outcome("111245"), verified_by="Chief^C").films[FILM]
    assert state_of(not_analysed) is UNKNOWN


@pytest.mark.parametrize(
    ("graphic", "points", "box"),
    [
        ("CIRCLE", [50, 60, 53, 64], (45, 55, 55, 65)),
        ("ELLIPSE", [40, 60, 60, 60, 50, 55, 50, 65], (40, 55, 60, 65)),
        # Turned by 45 degrees, both half axes 10: a circle of radius 10 again.
        ("ELLIPSE", [42.929, 52.929, 57.071, 67.071, 57.071, 52.929, 42.929, 67.071], (40, 50, 60, 70)),
        ("POLYLINE", [10, 10, 30, 10, 20, 40], (10, 10, 30, 40)),
    ],
)
def test_shapes_become_the_box_around_them(graphic: str, points: list[float], box: tuple[float, ...], tmp_path: Path) -> None:
    (found,) = read(tmp_path, *person(), group(Region(points, graphic=graphic))).films[FILM].boxes
    assert found.xyxy == pytest.approx(box, abs=0.01)


@pytest.mark.parametrize(
    ("region", "said"),
    [
        (Region([5, 6], graphic="POINT"), "POINT of 1 points"),
        (Region([5, 6, 7, 8, 9, 9], graphic="MULTIPOINT"), "MULTIPOINT of 3 points"),
        (Region([5, 6, 70, 80]), "POLYLINE of 2 points"),
        (Region([5, 6, 70], graphic="CIRCLE"), "cannot be read"),
        (Region([5, 6, 7, 8, 9, 9], graphic="CIRCLE"), "CIRCLE of 3 points"),
        (Region([5, 6, 7, 8], graphic="ELLIPSE"), "ELLIPSE of 2 points"),
        (Region(square(1, 2, float("nan"), 4)), "cannot be read"),
        (Region(square(1, 2, 3, 4), graphic="<script>"), "something else"),
        (Region(square(1, 2, 3, 4), kind="SCOORD3D"), "SCOORD3D"),
        (Region(square(1, 2, 3, 4), frame=7), "frame 7"),
    ],
)
def test_what_has_no_box_is_told_and_its_film_is_never_negative(region: Region, said: str, tmp_path: Path) -> None:
    table = read(tmp_path, *person(), group(region), outcome(), verified_by="Chief^C")
    (issue,) = table.issues
    assert issue.kind == "box-not-usable"
    assert said in issue.message
    assert (issue.places[0].line, issue.places[0].member) == (1, "r.dcm")
    assert table.films[FILM].boxes == ()
    assert state_of(table.films[FILM]) is UNKNOWN


def test_a_region_that_names_no_film_is_told(tmp_path: Path) -> None:
    table = read(tmp_path, *person(), group(Region(square(1, 2, 3, 4), film="")))
    assert [issue.kind for issue in table.issues] == ["box-not-usable"]
    assert table.films == {}


@pytest.mark.parametrize(
    ("finding", "class_name"),
    [
        (("M-03010", "SRT", "x"), "nodule"),
        (("RID3874", "RADLEX", "x"), "mass"),
        (("X1", "99OTHER", "Pulmonary nodule"), "Pulmonary nodule"),
        (("60046008", "SCT", "Pleural effusion"), "Pleural effusion"),
        (None, "finding"),
    ],
)
def test_findings_get_their_class_by_code_else_by_meaning(
    finding: tuple[str, str, str] | None, class_name: str, tmp_path: Path
) -> None:
    (box,) = read(tmp_path, *person(), group(Region(square(1, 2, 30, 40), finding=finding))).films[FILM].boxes
    assert box.class_name == class_name


def test_the_region_of_a_measurement_counts_where_the_group_has_none(tmp_path: Path) -> None:
    region = item(
        "INFERRED FROM",
        "SCOORD",
        ("121055", "DCM", "Path"),
        [image(FILM)],
        GraphicType="POLYLINE",
        GraphicData=square(1, 2, 30, 40),
    )
    measured = Dataset()
    measured.NumericValue = 9
    measured.MeasurementUnitsCodeSequence = [code("mm", "UCUM", "mm")]
    length = item("CONTAINS", "NUM", ("81827009", "SCT", "Diameter"), [region], MeasuredValueSequence=[measured])
    container = item("CONTAINS", "CONTAINER", ("125007", "DCM", "Measurement Group"), [length])
    (box,) = read(tmp_path, *person(), container).films[FILM].boxes
    assert (box.xyxy, box.diameter_mm) == ((1, 2, 30, 40), 9)


def test_a_reference_by_position_is_followed_once(tmp_path: Path) -> None:
    """The second group points at the region of the first; the region points back at the group, which must not loop."""
    loop = Dataset()
    loop.RelationshipType, loop.ReferencedContentItemIdentifier = "CONTAINS", [1, 3]
    first = group(Region(square(1, 2, 30, 40)))
    first.ContentSequence[-1].ContentSequence.append(loop)
    pointer = Dataset()
    pointer.RelationshipType, pointer.ReferencedContentItemIdentifier = "CONTAINS", [1, 3, 2]
    second = item("CONTAINS", "CONTAINER", ("125007", "DCM", "Measurement Group"), [pointer])
    film = read(tmp_path, *person(), first, second).films[FILM]
    assert [box.xyxy for box in film.boxes] == [(1, 2, 30, 40)] * 2
    assert [box.class_name for box in film.boxes] == ["nodule", "finding"]


def test_a_later_version_takes_the_place_of_an_earlier_one_and_copies_count_once(tmp_path: Path) -> None:
    old = write_report(tmp_path / "a.dcm", *person(), group(Region(square(1, 2, 30, 40))), uid="1.2.77")
    write_report(tmp_path / "b.dcm", *person(), group(Region(square(5, 6, 30, 40))), uid="1.2.78", replaces=["1.2.77"])
    (tmp_path / "c.dcm").write_bytes((tmp_path / "b.dcm").read_bytes())
    table = read_sr(tmp_path, name_person=name)
    assert [box.xyxy for box in table.films[FILM].boxes] == [(5, 6, 30, 40)]
    assert sorted((issue.places[0].member, issue.kind) for issue in table.issues) == [
        (old.name, "report-not-used"),
        ("c.dcm", "report-not-used"),
    ]


def test_other_files_beside_reports_are_passed_over(tmp_path: Path) -> None:
    write_report(tmp_path / "r.dcm", *person(), group(Region(square(1, 2, 30, 40))))
    (tmp_path / "notes.txt").write_text("no report")
    (tmp_path / "film.dcm").write_bytes(Path(str(pydicom.data.get_testdata_file("CT_small.dcm"))).read_bytes())
    table = read_labels(tmp_path, label_format=LabelFormat.SR)
    assert list(table.films) == [FILM]
    assert table.issues == ()


def test_no_link_out_of_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_report(tmp_path / "in" / "a.dcm", *person(), group(Region(square(1, 2, 30, 40))))
    outside = write_report(tmp_path / "b.dcm", *person(), group(Region(square(5, 6, 30, 40))))
    (tmp_path / "in" / "link.dcm").symlink_to(outside)
    assert len(read_sr(tmp_path / "in").films[FILM].boxes) == 1


def test_what_is_no_report_or_damaged_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="no DICOM structured report"):
        read_sr(tmp_path)
    (tmp_path / "words").write_text("no report")
    with pytest.raises(LabelError, match="words holds no DICOM structured report"):
        read_sr(tmp_path / "words")
    with pytest.raises(LabelError, match=r"gone\.dcm cannot be read"):
        read_sr(tmp_path / "gone.dcm")


def damage(content: bytes) -> dict[str, bytes]:
    return {
        "cut early": content[:400],
        "cut late": content[:-40],
        "header only": content[:132],
        "garbled": content[:500] + bytes(reversed(content[500:])),
        "zeros": content[:300] + bytes(len(content) - 300),
    }


@pytest.mark.parametrize("how", ["cut early", "cut late", "header only", "garbled", "zeros"])
def test_a_damaged_report_is_an_issue_among_others_and_never_a_crash(how: str, tmp_path: Path) -> None:
    whole = write_report(tmp_path / "a.dcm", *person(), group(Region(square(1, 2, 30, 40))))
    (tmp_path / "b.dcm").write_bytes(damage(whole.read_bytes())[how])
    table = read_sr(tmp_path, name_person=name)
    assert len(table.films[FILM].boxes) >= 1
    for issue in table.issues:
        assert issue.places[0].member == "b.dcm"
        assert "Rosa" not in issue.message


def test_a_report_as_deep_as_a_well_is_refused(tmp_path: Path) -> None:
    inner = group(Region(square(1, 2, 30, 40)))
    for _ in range(200):
        inner = item("CONTAINS", "CONTAINER", ("1", "DCM", "x"), [inner])
    with pytest.raises(LabelError, match=r"levels|cannot be (read|parsed)"):
        read(tmp_path, *person(), inner)


def test_an_outline_that_is_pointed_at_without_end_is_refused(tmp_path: Path) -> None:
    first = group(Region([float(side % 977) for side in range(16_000)]))
    pointers = []
    for _ in range(130):  # a million points and more out of 64 KB
        pointer = Dataset()
        pointer.RelationshipType, pointer.ReferencedContentItemIdentifier = "CONTAINS", [1, 3, 2]
        pointers.append(pointer)
    second = item("CONTAINS", "CONTAINER", ("125007", "DCM", "Measurement Group"), pointers)
    with pytest.raises(LabelError, match="more than 1000000 points"):
        read(tmp_path, *person(), first, second)


def test_a_report_above_a_megabyte_is_read(tmp_path: Path) -> None:
    padding = [item("CONTAINS", "TEXT", ("121106", "DCM", "Comment"), TextValue="x" * 60000) for _ in range(30)]
    film = read(tmp_path, *person(), *padding, group(Region(square(1, 2, 30, 40)))).films[FILM]
    assert len(film.boxes) == 1


def test_a_report_with_any_bytes_changed_is_read_or_refused(tmp_path: Path) -> None:
    named = []
    whole = bytearray(write_report(tmp_path / "a.dcm", *person(), group(Region(square(1, 2, 30, 40)))).read_bytes())
    rng = random.Random(7)
    for _ in range(150):
        changed = bytearray(whole)
        for _ in range(rng.choice((1, 1, 2, 8))):
            changed[rng.randrange(132, len(changed))] = rng.randrange(256)
        (tmp_path / "b.dcm").write_bytes(bytes(changed[: rng.choice((len(changed), rng.randrange(200, len(changed))))]))
        try:
            read_sr(tmp_path / "b.dcm", name_person=name)
        except LabelError as error:
            named.append("b.dcm" in str(error))
    assert named
    assert all(named)
