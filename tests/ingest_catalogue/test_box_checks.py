import math

import pytest

from xraynet.ingest.check import check_labels
from xraynet.ingest.labels.records import BoxRow, FilmLabels, Place

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
