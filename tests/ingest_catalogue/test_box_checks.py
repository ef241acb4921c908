import math

import pytest

from xraynet.ingest.check import check_labels
from xraynet.ingest.labels.records import BoxRow, FilmLabels, Place, merge_film_labels

SIZE = (100, 200)


def labels_of(*boxes: tuple[float, float, float, float], frame: tuple[int, int] | None = None, **facts: object) -> FilmLabels:
    rows = tuple(BoxRow(Place("labels.csv", line), box, "Nodule") for line, box in enumerate(boxes, start=2))
    return FilmLabels(film="a", boxes=rows, frame=frame, spacing_mm=(0.2, 0.1), read_for=("nodule", "mass"))


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ((210, 10, 220, 20), "box-outside"),
        ((-20, 10, 0, 20), "box-outside"),
        ((10, 10, 10, 20), "box-zero-sized"),
        ((20, 10, 10, 20), "box-zero-sized"),
        ((10, 20, 20, 20), "box-zero-sized"),
        ((math.nan, 10, 20, 20), "box-not-a-number"),
        ((10, 10, math.inf, 20), "box-not-a-number"),
        ((10, 10, 10 + 1e-9, 20), "box-zero-sized"),
    ],
)
def test_box_that_cannot_be_is_reported_with_its_line_and_leaves_its_class(
    box: tuple[float, float, float, float], kind: str
) -> None:
    checked = check_labels(labels_of(box), size=SIZE, key="k")
    (issue,) = checked.issues
    assert (issue.kind, issue.key, str(issue.places[0])) == (kind, "k", "labels.csv line 2")
    assert checked.labels.boxes == ()
    assert checked.labels.findings == ("Nodule",)


def test_box_over_the_border_is_cut_and_told_but_not_for_half_a_pixel() -> None:
    checked = check_labels(labels_of((190, 90, 205, 110), (1, 1, 200.5, 100.4)), size=SIZE, key="k")
    assert [box.xyxy for box in checked.labels.boxes] == [(190, 90, 200, 100), (1, 1, 200, 100)]
    assert [issue.kind for issue in checked.issues] == ["box-clipped"]
    assert "10.0 pixels outside" in checked.issues[0].message


def test_box_given_twice_is_used_once_and_both_lines_are_named() -> None:
    checked = check_labels(labels_of((1, 2, 30, 40), (1, 2, 30, 40), (1, 2, 30, 41)), size=SIZE, key="k")
    assert len(checked.labels.boxes) == 2
    (issue,) = checked.issues
    assert (issue.kind, [place.line for place in issue.places]) == ("box-duplicate", [2, 3])


def test_the_same_box_of_two_readers_is_no_duplicate() -> None:
    rows = tuple(BoxRow(Place("t", line), (1, 2, 3, 4), "Nodule", reader) for line, reader in enumerate("AB"))
    assert len(check_labels(FilmLabels(film="a", boxes=rows), size=SIZE, key="k").labels.boxes) == 2


def test_boxes_and_spacing_of_another_frame_are_scaled_to_the_film() -> None:
    checked = check_labels(labels_of((20, 40, 60, 80), frame=(200, 400)), size=SIZE, key="k").labels
    assert checked.boxes[0].xyxy == (10, 20, 30, 40)
    assert checked.spacing_mm == (0.4, 0.2)
    assert checked.frame is None


def test_film_of_other_proportions_than_its_frame_keeps_no_box() -> None:
    checked = check_labels(labels_of((20, 40, 60, 80), frame=(400, 400)), size=SIZE, key="k")
    assert (checked.labels.boxes, checked.labels.spacing_mm) == ((), None)
    assert checked.labels.findings == ("Nodule",)
    assert checked.issues[0].kind == "film-frame-differs"


def test_film_without_boxes_passes() -> None:
    checked = check_labels(FilmLabels(film="a"), size=SIZE, key="k")
    assert (checked.labels.boxes, checked.issues) == ((), ())


@pytest.mark.parametrize("frames", [((200, 400), None), (None, (200, 400)), ((200, 400), (50, 100)), ((50, 100), (200, 400))])
def test_boxes_of_two_tables_are_each_scaled_from_their_own_frame(frames: tuple[tuple[int, int] | None, ...]) -> None:
    in_frame = {None: (10.0, 20.0, 30.0, 40.0), (200, 400): (20.0, 40.0, 60.0, 80.0), (50, 100): (5.0, 10.0, 15.0, 20.0)}
    first, second = (
        FilmLabels(film="a", boxes=(BoxRow(Place(str(frame), 2), in_frame[frame], reader=str(frame)),), frame=frame)
        for frame in frames
    )
    checked = check_labels(merge_film_labels(first, second), size=SIZE, key="k")
    assert [box.xyxy for box in checked.labels.boxes] == [(10, 20, 30, 40)] * 2
    assert not checked.issues


def test_spacing_keeps_its_frame_when_boxes_of_another_join_it() -> None:
    boxes, spacing = labels_of((20, 40, 60, 80)), FilmLabels(film="a", frame=(200, 400), spacing_mm=(0.2, 0.1))
    boxes = FilmLabels(film="a", boxes=boxes.boxes)
    for merged in (merge_film_labels(boxes, spacing), merge_film_labels(spacing, boxes)):
        checked = check_labels(merged, size=SIZE, key="k").labels
        assert (checked.boxes[0].xyxy, checked.spacing_mm) == ((20, 40, 60, 80), (0.4, 0.2))


def test_box_whose_own_frame_does_not_fit_is_left_out_alone() -> None:
    merged = merge_film_labels(labels_of((1, 2, 3, 4)), labels_of((20, 40, 60, 80), frame=(400, 400)))
    checked = check_labels(merged, size=SIZE, key="k")
    assert [box.xyxy for box in checked.labels.boxes] == [(1, 2, 3, 4)]
    assert checked.labels.spacing_mm == (0.2, 0.1)
    assert (checked.labels.findings, checked.issues[0].kind) == (("Nodule",), "film-frame-differs")
    assert checked.issues[0].message.endswith("so 1 boxes were not used")


def test_spacing_of_no_film_is_told_and_left_out() -> None:
    checked = check_labels(FilmLabels(film="a", spacing_mm=(150.0, 0.2)), size=SIZE, key="k")
    assert checked.labels.spacing_mm is None
    assert "150, 0.2 mm" in checked.issues[0].message
