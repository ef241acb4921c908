from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xraynet.findings import LabelState, NoduleAnnotations
from xraynet.ingest.build import IngestConfig, build_catalogue
from xraynet.ingest.consensus import fuse_readers
from xraynet.ingest.labels.formats import LabelFormat
from xraynet.ingest.summary import describe_catalogue


def marked(*marks: tuple[str | None, tuple[float, float, float, float]]) -> NoduleAnnotations:
    boxes = np.array([box for _, box in marks], dtype=np.float32).reshape(-1, 4)
    num = len(marks)
    readers = tuple(reader for reader, _ in marks)
    return NoduleAnnotations(boxes, ("Nodule/Mass",) * num, readers, (10.0,) * num, (3,) * num, LabelState.BOXED)


THREE = marked(("A", (10, 10, 20, 20)), ("B", (12, 10, 22, 20)), ("A", (50, 50, 60, 60)), ("C", (11, 13, 21, 23)))


def test_lesion_is_the_mean_of_those_who_marked_it() -> None:
    fused = fuse_readers(THREE, at_least=2)
    assert fused.boxes.tolist() == [[11, 11, 21, 21]]
    assert (fused.readers, fused.class_names, fused.state) == (("A+B+C",), ("Nodule/Mass",), LabelState.BOXED)
    assert (fused.diameter_mm, fused.subtlety) == ((10.0,), (3,))


def test_one_reader_is_enough_where_one_is_asked_for() -> None:
    assert sorted(fuse_readers(THREE, at_least=1).readers, key=str) == ["A", "A+B+C"]


def test_film_without_agreement_is_unknown_and_never_free() -> None:
    fused = fuse_readers(THREE, at_least=4)
    assert (len(fused.boxes), fused.state) == (0, LabelState.UNKNOWN)


def test_one_reader_with_two_overlapping_marks_agrees_with_nobody() -> None:
    twice = marked(("A", (10, 10, 20, 20)), ("A", (11, 10, 21, 20)))
    assert fuse_readers(twice, at_least=2).state is LabelState.UNKNOWN
    assert len(fuse_readers(twice, at_least=1).boxes) == 2


def test_order_of_rows_does_not_matter() -> None:
    rows = [("A", (10, 10, 20, 20)), ("B", (15, 10, 25, 20)), ("C", (20, 10, 30, 20)), ("D", (11, 10, 21, 20))]
    one, other = fuse_readers(marked(*rows), at_least=2), fuse_readers(marked(*reversed(rows)), at_least=2)
    assert one.boxes.tolist() == other.boxes.tolist()
    assert one.readers == other.readers


def test_boxes_without_reader_and_films_without_boxes_come_back_as_they_are() -> None:
    consensus = marked((None, (1, 2, 3, 4)))
    assert fuse_readers(consensus, at_least=3) is consensus
    free = NoduleAnnotations(state=LabelState.FREE)
    assert fuse_readers(free, at_least=3) is free
    with pytest.raises(ValueError, match="1 or more"):
        fuse_readers(free, at_least=0)


def test_catalogue_keeps_readers_apart_until_agreement_is_asked_for(tmp_path: Path, make_film: Callable[..., Path]) -> None:
    for number in range(3):
        make_film(tmp_path / "films" / f"f{number}.png", number)
    rows = [
        "f0,Nodule/Mass,R1,10,10,20,20",
        "f0,Nodule/Mass,R2,11,10,21,20",
        "f1,Nodule/Mass,R1,10,10,20,20",
        "f1,No finding,R2,,,,",
        "f2,Cardiomegaly,R1,10,10,20,20",
        "f2,No finding,R2,,,,",
    ]
    table = tmp_path / "train.csv"
    table.write_text("\n".join(["image_id,class_name,rad_id,x_min,y_min,x_max,y_max", *rows]))
    config = IngestConfig(labels=(table,), formats=(LabelFormat.VINDR,), num_workers=0)
    catalogue, _ = build_catalogue([tmp_path / "films"], out=tmp_path / "c", salt_file=tmp_path / "s", config=config)
    apart = {entry.path.stem: entry for entry in catalogue.entries()}
    assert apart["f0"].annotations.readers == ("R1", "R2")
    assert apart["f1"].readers == ("R1", "R2")
    agreed = {entry.path.stem: entry for entry in catalogue.entries(agreeing_readers=2)}
    assert agreed["f0"].annotations.boxes.tolist() == [[10.5, 10, 20.5, 20]]
    assert (agreed["f1"].annotations.state, agreed["f1"].film_has_nodule) == (LabelState.UNKNOWN, None)
    assert (agreed["f2"].annotations.state, agreed["f2"].film_has_nodule) == (LabelState.FREE, False)
    text = describe_catalogue(replace(catalogue, facts=replace(catalogue.facts, seed=7)))
    assert "by reader   R1 2, R2 1" in text
    assert "other boxes   Cardiomegaly 1" in text
    assert "spacing       unknown" in text
    assert "seed 7" in text
