from dataclasses import replace

import numpy as np
import pytest

from xraynet.lungs.fields import LungFields
from xraynet.lungs.zones import locate_finding


def box_at(x: float, y: float) -> tuple[float, float, float, float]:
    return (x - 2, y - 2, x + 2, y + 2)


@pytest.mark.parametrize(
    ("x", "y", "side", "zone"),
    [
        (16, 14, "right", "upper"),
        (16, 30, "right", "mid"),
        (16, 46, "right", "lower"),
        (48, 14, "left", "upper"),
        (48, 30, "left", "mid"),
        (48, 46, "left", "lower"),
        (30, 30, "right", "mid"),
        (34, 30, "left", "mid"),
        (48, 10, "left", "upper"),
        (48, 52, "left", "lower"),
    ],
)
def test_side_and_third_of_the_lung_are_named(two_lungs: LungFields, x: float, y: float, side: str, zone: str) -> None:
    assert locate_finding(box_at(x, y), two_lungs) == (side, zone)


def test_thirds_are_of_the_lung_that_holds_the_finding(two_lungs: LungFields) -> None:
    probability = two_lungs.probability.copy()
    probability[6:15, 20:28] = 0.0
    fields = replace(two_lungs, probability=probability)
    assert locate_finding(box_at(16, 32), fields) == ("right", "mid")
    assert locate_finding(box_at(48, 32), fields) == ("left", "upper")


@pytest.mark.parametrize(("x", "y"), [(2, 2), (62, 30), (30, 63)])
def test_a_finding_far_from_the_lungs_has_no_zone(two_lungs: LungFields, x: float, y: float) -> None:
    small = two_lungs.probability.copy()
    small[:, 24:] = 0
    small[20:] = 0
    fields = replace(two_lungs, probability=small)
    assert locate_finding(box_at(x, y), fields) == (None, None)


def test_without_lungs_nothing_is_said(two_lungs: LungFields) -> None:
    fields = replace(two_lungs, probability=np.zeros((32, 32), dtype=np.float32))
    assert locate_finding(box_at(16, 30), fields) == (None, None)


def test_a_mirrored_film_has_zones_but_no_sides(two_lungs: LungFields) -> None:
    assert locate_finding(box_at(16, 14), two_lungs, mirrored=True) == (None, "upper")
    assert locate_finding(box_at(16, 14), replace(two_lungs, mirrored=True)) == (None, "upper")


@pytest.mark.parametrize(
    ("kept", "inside", "beyond"), [(slice(4, 12), (16, "right"), (27, "left")), (slice(20, 28), (48, "left"), (37, "right"))]
)
def test_beyond_a_single_lungs_inner_edge_lies_the_other_side(
    two_lungs: LungFields, kept: slice, inside: tuple[float, str], beyond: tuple[float, str]
) -> None:
    probability = np.zeros((32, 32), dtype=np.float32)
    probability[6:24, kept] = 0.9
    fields = replace(two_lungs, probability=probability)
    assert locate_finding(box_at(inside[0], 30), fields)[0] == inside[1]
    near = (24.5, "left") if kept.start == 4 else (39.5, "right")
    assert locate_finding(box_at(near[0], 30), fields)[0] == near[1]
