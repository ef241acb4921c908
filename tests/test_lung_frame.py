import pytest

from xraynet.lung_frame import LungBoxes, locate

LUNGS = LungBoxes(right=(10, 10, 40, 70), left=(60, 10, 90, 70))


def test_the_joint_box_holds_both_lungs() -> None:
    assert LUNGS.joint == (10, 10, 90, 70)
    assert LungBoxes(right=None, left=(60, 12, 90, 70)).joint == (60, 12, 90, 70)
    assert LungBoxes(right=None, left=None).joint is None


def test_a_film_turned_over_has_its_lungs_on_the_other_side() -> None:
    lopsided = LungBoxes(right=(10, 10, 40, 70), left=None)
    assert lopsided.flipped(width=100) == LungBoxes(right=None, left=(60, 10, 90, 70), mirrored=True)
    assert lopsided.flipped(width=100).flipped(width=100) == lopsided


def test_side_and_zone_follow_from_the_boxes_alone() -> None:
    assert locate((20, 15, 24, 19), LUNGS) == ("right", "upper")
    assert locate((70, 60, 74, 64), LUNGS) == ("left", "lower")
    assert locate((70, 60, 74, 64), LUNGS.flipped(width=100)) == (None, "lower")
    assert locate((0, 95, 4, 99), LUNGS) == (None, None)
    assert locate((20, 15, 24, 19), LungBoxes(right=None, left=None)) == (None, None)


def test_a_box_without_area_is_no_lung() -> None:
    with pytest.raises(ValueError, match="x1 < x2"):
        LungBoxes(right=(10, 10, 10, 70), left=None)
