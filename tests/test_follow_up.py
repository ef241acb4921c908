"""Findings of two films of one patient: paired through position, magnification, shift and a small turn."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from xraynet.findings import CheckpointIdentity, FilmFacts, FilmSource, Finding, GateVerdict, Reading
from xraynet.follow_up import (
    Comparison,
    FollowedFinding,
    compare_readings,
    compare_sizes,
    match_places,
    place_distance,
    turn_over,
)
from xraynet.lung_frame import LungBoxes
from xraynet.radiograph import ViewPosition

LUNGS = LungBoxes(right=(100, 100, 450, 900), left=(550, 100, 900, 900))
Spot = tuple[float, float, float, float]
"""Centre x, y, diameter in pixels, score."""


def reading(
    spots: Sequence[Spot] = (),
    *,
    lungs: LungBoxes | None = LUNGS,
    mm_per_pixel: float | None = 0.4,
    plane: str = "detector",
    view: ViewPosition = ViewPosition.PA,
) -> Reading:
    findings = tuple(
        Finding(
            box=(x - size / 2, y - size / 2, x + size / 2, y + size / 2),
            score=score,
            reported=score >= 0.3,
            diameter_mm=None if mm_per_pixel is None else round(size * mm_per_pixel, 1),
        )
        for x, y, size, score in sorted(spots, key=lambda spot: -spot[3])
    )
    return Reading(
        source=FilmSource(path=None, sha256="a" * 64),
        status="ok",
        image=FilmFacts(
            height=1000,
            width=1000,
            spacing_mm=None if mm_per_pixel is None else (mm_per_pixel, mm_per_pixel),
            spacing_plane=None if mm_per_pixel is None else plane,
            view_position=view,
        ),
        gate=GateVerdict(passed=True),
        film_score=max((spot[3] for spot in spots), default=0.0),
        detections=findings,
        warnings=(),
        checkpoint=CheckpointIdentity(name="demo", fingerprint="f" * 16, version="0.1.0"),
        operating_threshold=0.3,
        lungs=lungs,
    )


def taken_again(
    spots: Sequence[Spot], *, scale: float = 1.0, shift: tuple[float, float] = (0, 0), turn_degrees: float = 0.0
) -> Reading:
    """The same chest on another film: magnified, moved and turned about its middle; lung boxes as they then are."""
    angle = np.deg2rad(turn_degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def move(x: float, y: float) -> tuple[float, float]:
        moved = turn @ (np.array([x, y]) - 500) + 500 + np.array(shift)
        return float(moved[0]), float(moved[1])

    def move_box(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        # An oval lung, not its box, is turned: the box is drawn around what comes out.
        rim = np.linspace(0, 2 * np.pi, 90)
        middle, half = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), ((box[2] - box[0]) / 2, (box[3] - box[1]) / 2)
        points = np.array([move(middle[0] + half[0] * np.cos(t), middle[1] + half[1] * np.sin(t)) for t in rim])
        return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())

    lungs = LungBoxes(right=move_box(LUNGS.right), left=move_box(LUNGS.left))
    return reading([(*move(x, y), size * scale, score) for x, y, size, score in spots], lungs=lungs)


def changes(comparison: Comparison) -> list[tuple[str, int | None, int | None]]:
    return [(one.change, one.now, one.then) for one in comparison.findings]


@pytest.mark.parametrize("shift", [(0, 0), (60, -40)])
@pytest.mark.parametrize("turn_degrees", [-4, 0, 4])
@pytest.mark.parametrize("scale", [0.92, 1.0, 1.08])
def test_grown_gone_and_new_are_told_through_another_position(
    scale: float, shift: tuple[float, float], turn_degrees: float
) -> None:
    then = reading([(250, 300, 25, 0.9), (750, 700, 30, 0.8)])
    now = taken_again([(250, 300, 40, 0.95), (720, 250, 30, 0.7)], scale=scale, shift=shift, turn_degrees=turn_degrees)
    grown, new, gone = compare_readings(now, then).findings
    assert (grown.change, grown.now, grown.then) == ("grown", 0, 0)
    assert grown.growth_mm == pytest.approx(40 * scale * 0.4 - 10, abs=0.1)
    assert (new.change, new.now, new.then) == ("new", 1, None)
    assert (gone.change, gone.now, gone.then) == ("not-seen-now", None, 1)


def test_the_same_place_is_told_relative_to_the_lung() -> None:
    box, other = (240, 290, 260, 310), (135, 190, 145, 200)
    smaller = LungBoxes(right=(65, 95, 240, 495), left=(290, 95, 465, 495))
    assert place_distance(box, box, lungs=LUNGS, other_lungs=LUNGS) == 0
    assert place_distance(box, other, lungs=LUNGS, other_lungs=smaller) == pytest.approx(0, abs=0.01)
    below = (240, 370, 260, 390)
    assert place_distance(box, below, lungs=LUNGS, other_lungs=LUNGS) == pytest.approx(0.1)
    aside = (320, 290, 340, 310)
    assert place_distance(box, aside, lungs=LUNGS, other_lungs=LUNGS) == pytest.approx(0.1)


def test_findings_of_two_sides_are_never_one_but_at_the_midline() -> None:
    assert changes(compare_readings(reading([(440, 500, 20, 0.9)]), reading([(750, 500, 20, 0.9)]))) == [
        ("new", 0, None),
        ("not-seen-now", None, 0),
    ]
    assert changes(compare_readings(reading([(495, 500, 20, 0.9)]), reading([(505, 500, 20, 0.9)]))) == [("unchanged", 0, 0)]


def test_pairs_are_one_to_one_and_the_nearest_first() -> None:
    boxes = [(240, 290, 260, 310), (240, 330, 260, 350)]
    others = [(240, 325, 260, 345), (240, 285, 260, 305), (800, 300, 820, 320)]
    assert sorted(match_places(boxes, others, lungs=LUNGS, other_lungs=LUNGS)) == [(0, 1), (1, 0)]
    assert match_places([], others, lungs=LUNGS, other_lungs=LUNGS) == []
    assert len(match_places(boxes, others[:1], lungs=LUNGS, other_lungs=LUNGS)) == 1


@pytest.mark.parametrize(
    ("now_mm", "then_mm", "change", "growth_mm"),
    [
        (14.0, 9.0, "grown", 5.0),
        (9.0, 14.0, "smaller", -5.0),
        (8.9, 7.0, "unchanged", 1.9),
        (9.0, 7.0, "grown", 2.0),
        (23.9, 20.0, "unchanged", 3.9),
        (24.0, 20.0, "grown", 4.0),
        (16.0, 20.0, "smaller", -4.0),
        (10.0, 10.0, "unchanged", 0.0),
    ],
)
def test_a_change_counts_beyond_two_millimetres_and_a_fifth(
    now_mm: float, then_mm: float, change: str, growth_mm: float
) -> None:
    spot = Finding(box=(0, 0, 1, 1), score=0.5, reported=True)
    assert compare_sizes(replace(spot, diameter_mm=now_mm), replace(spot, diameter_mm=then_mm)) == (change, growth_mm)


def test_a_faint_mark_then_is_told_and_noise_is_not() -> None:
    now = reading([(250, 300, 25, 0.9)])
    (seen,) = compare_readings(now, reading([(250, 300, 25, 0.12)])).findings
    assert (seen.change, seen.then) == ("unchanged", 0)
    (new,) = compare_readings(now, reading([(250, 300, 25, 0.02)])).findings
    assert (new.change, new.then) == ("new", None)


def test_a_finding_that_is_only_faint_now_is_still_followed() -> None:
    (faint,) = compare_readings(reading([(250, 300, 25, 0.1)]), reading([(250, 300, 25, 0.9)])).findings
    assert (faint.change, faint.now, faint.then) == ("unchanged", 0, 0)
    assert compare_readings(reading([(250, 300, 25, 0.1)]), reading([(250, 300, 25, 0.1)])).findings == ()


def test_reported_findings_are_paired_before_faint_ones() -> None:
    now = reading([(250, 300, 25, 0.9)])
    then = reading([(250, 305, 25, 0.2), (250, 360, 25, 0.9)])
    (pair,) = compare_readings(now, then).findings
    assert then.detections[pair.then].score == 0.9


@pytest.mark.parametrize(
    ("now", "then", "why"),
    [
        ({"mm_per_pixel": None}, {}, "no-millimetres"),
        ({}, {"mm_per_pixel": None}, "no-millimetres"),
        ({"plane": "calibrated"}, {}, "planes-differ"),
        ({"view": ViewPosition.AP}, {}, "views-differ"),
    ],
)
def test_sizes_are_compared_in_one_plane_and_projection_only(now: dict, then: dict, why: str) -> None:
    spot = [(250, 300, 25, 0.9)]
    (pair,) = compare_readings(reading(spot, **now), reading(spot, **then)).findings
    assert (pair.change, pair.why_not_sized, pair.growth_mm) == ("size-not-compared", why, None)


def test_calibrated_sizes_of_two_projections_and_unknown_views_are_compared() -> None:
    spot = [(250, 300, 25, 0.9)]
    calibrated = (reading(spot, plane="calibrated"), reading(spot, plane="calibrated", view=ViewPosition.AP))
    assert changes(compare_readings(*calibrated)) == [("unchanged", 0, 0)]
    assert changes(compare_readings(reading(spot), reading(spot, view=ViewPosition.UNKNOWN))) == [("unchanged", 0, 0)]


def test_a_film_that_is_shown_mirrored_is_turned_and_said_so() -> None:
    then = reading([(250, 300, 25, 0.9), (700, 700, 30, 0.8)])
    mirrored = turn_over(reading([(250, 300, 25, 0.9), (700, 700, 30, 0.8)]))
    assert mirrored.lungs.mirrored
    comparison = compare_readings(mirrored, then)
    assert comparison.turned
    assert changes(comparison) == [("unchanged", 0, 0), ("unchanged", 1, 1)]
    both = compare_readings(mirrored, mirrored)
    assert (both.turned, changes(both)) == (False, [("unchanged", 0, 0), ("unchanged", 1, 1)])


def test_a_lung_that_one_film_does_not_show_cannot_be_compared() -> None:
    one_lung = replace(LUNGS, left=None)
    comparison = compare_readings(
        reading([(250, 300, 25, 0.9), (750, 300, 25, 0.8)]), reading([(250, 300, 25, 0.9)], lungs=one_lung)
    )
    assert changes(comparison) == [("unchanged", 0, 0), ("place-not-compared", 1, None)]


@pytest.mark.parametrize(
    ("now", "then", "why"),
    [
        (replace(reading(), film_score=None), reading(), "not-analysed-now"),
        (reading(), replace(reading(), film_score=None), "not-analysed-then"),
        (reading(lungs=None), reading(), "no-lungs"),
        (reading(), reading(lungs=LungBoxes(None, None)), "no-lungs"),
    ],
)
def test_films_that_cannot_be_laid_over_each_other_are_not_compared(now: Reading, then: Reading, why: str) -> None:
    assert compare_readings(now, then) == Comparison(why_not_aligned=why)


def test_two_films_without_findings_have_nothing_to_follow() -> None:
    assert compare_readings(reading(), reading()) == Comparison()


def test_a_large_mass_may_move_by_half_its_size() -> None:
    then, now = reading([(250, 400, 60, 0.9)]), reading([(250, 520, 300, 0.9)])
    assert changes(compare_readings(now, then)) == [("grown", 0, 0)]


def test_a_followed_finding_lies_on_one_film_at_least() -> None:
    with pytest.raises(ValueError, match="neither film"):
        FollowedFinding(change="new", now=None, then=None)
