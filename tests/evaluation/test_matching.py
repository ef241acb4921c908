"""Hand-computed verdicts under every rule."""

import numpy as np
import pytest

from xraynet.evaluation.matching import MissingSpacingError, Verdict, match_films
from xraynet.evaluation.rules import JSRT_25MM, JSRT_INSIDE, NODE21, parse_rule

NODULE = (100, 100, 120, 120)


def verdicts_of(film, rule) -> list[str]:
    return [Verdict(code).name for code in match_films([film], rule).mark_verdicts]


def test_iou_of_exactly_a_fifth_is_no_hit_for_node21_and_is_one_for_iou_02(make_film) -> None:
    # One pixel inside a box of five.
    film = make_film("a", [(0, 0, 5, 1)], [((0, 0, 1, 1), 0.9)])
    assert verdicts_of(film, NODE21) == ["FALSE"]
    assert verdicts_of(film, parse_rule("iou:0.2")) == ["HIT"]


def test_second_mark_on_a_nodule_is_false_for_node21_and_nothing_for_jsrt(make_film) -> None:
    film = make_film("a", [NODULE], [((101, 101, 121, 121), 0.6), (NODULE, 0.5), ((300, 300, 320, 320), 0.4)])
    assert verdicts_of(film, NODE21) == ["HIT", "FALSE", "FALSE"]
    assert verdicts_of(film, JSRT_25MM) == ["HIT", "IGNORED", "FALSE"]
    assert verdicts_of(film, JSRT_INSIDE) == ["HIT", "IGNORED", "FALSE"]


def test_the_highest_scoring_hit_finds_the_nodule_even_where_a_lower_one_is_closer(make_film) -> None:
    table = match_films([make_film("a", [NODULE], [(NODULE, 0.3), ((104, 104, 124, 124), 0.8)])], NODE21)
    assert table.nodule_scores.tolist() == [pytest.approx(0.8)]


def test_a_mark_over_two_nodules_finds_the_closer_and_leaves_the_other_to_the_next(make_film) -> None:
    near, far = (100, 100, 120, 120), (106, 100, 126, 120)
    table = match_films([make_film("a", [far, near], [((100, 100, 120, 120), 0.9), ((101, 100, 121, 120), 0.8)])], NODE21)
    assert [Verdict(code).name for code in table.mark_verdicts] == ["HIT", "HIT"]
    assert table.nodule_scores.tolist() == [pytest.approx(0.8), pytest.approx(0.9)]


@pytest.mark.parametrize(("shift_px", "expected"), [(25, "HIT"), (25.5, "FALSE")])
def test_25_mm_are_measured_from_centre_to_centre_and_25_mm_is_within(make_film, shift_px: float, expected: str) -> None:
    mark = (100 + shift_px, 100, 120 + shift_px, 120)
    assert verdicts_of(make_film("a", [NODULE], [(mark, 0.5)]), JSRT_25MM) == [expected]


def test_25_mm_uses_row_and_column_spacing_separately(make_film) -> None:
    right, down = (130, 100, 150, 120), (100, 130, 120, 150)
    film = make_film("a", [NODULE], [(right, 0.5), (down, 0.4)], spacing_mm=(1.0, 0.5))
    assert verdicts_of(film, JSRT_25MM) == ["HIT", "FALSE"]
    film = make_film("a", [NODULE], [(right, 0.5), (down, 0.4)], spacing_mm=(0.5, 1.0))
    assert verdicts_of(film, JSRT_25MM) == ["FALSE", "HIT"]


def test_inside_means_within_half_the_diameter_of_the_centre_not_within_the_box(make_film) -> None:
    on_the_edge, in_the_corner = (115, 105, 125, 115), (114, 114, 124, 124)
    assert verdicts_of(make_film("a", [NODULE], [(on_the_edge, 0.5)]), JSRT_INSIDE) == ["HIT"]
    assert verdicts_of(make_film("a", [NODULE], [(in_the_corner, 0.5)]), JSRT_INSIDE) == ["FALSE"]


def test_inside_needs_no_spacing_and_follows_the_ellipse_of_squeezed_pixels(make_film) -> None:
    flat = (100, 100, 140, 120)
    marks = [((135, 105, 145, 115), 0.5), ((115, 117, 125, 127), 0.4)]
    assert verdicts_of(make_film("a", [flat], marks, spacing_mm=None), JSRT_INSIDE) == ["HIT", "FALSE"]


def test_a_film_with_a_nodule_and_no_spacing_stops_the_25_mm_rule_and_names_the_film(make_film) -> None:
    films = [make_film("normal", spacing_mm=None), make_film("sick", [NODULE], spacing_mm=None)]
    with pytest.raises(MissingSpacingError, match=r"1 films with a nodule have no spacing .*sick"):
        match_films(films, JSRT_25MM)
    assert match_films(films[:1], JSRT_25MM).num_films == 1


def test_a_film_of_unknown_state_brings_no_mark_and_no_film_to_the_rates(make_film) -> None:
    films = [make_film("unknown", None, [(NODULE, 0.9)], film_has_nodule=True), make_film("free", (), [(NODULE, 0.4)])]
    table = match_films(films, NODE21)
    assert table.num_films == 1
    assert table.mark_films.tolist() == [1]
    assert table.film_labels.tolist() == [1, 0]
    assert table.film_scores.tolist() == [pytest.approx(0.9), pytest.approx(0.4)]


def test_no_films_and_films_without_boxes_make_empty_tables(make_film) -> None:
    for films in ([], [make_film("a"), make_film("b", None)]):
        table = match_films(films, NODE21)
        assert table.num_nodules == 0
        assert table.mark_scores.shape == (0,)


def test_diameter_is_the_readers_own_else_the_boxs_longer_side_else_unknown(make_film) -> None:
    films = [
        make_film("said", [NODULE], diameter_mm=[17.0], subtlety=[4]),
        make_film("measured", [NODULE], spacing_mm=(0.5, 0.25)),
        make_film("unknown", [NODULE], spacing_mm=None),
    ]
    table = match_films(films, NODE21)
    np.testing.assert_array_equal(table.nodule_diameters_mm, [17.0, 10.0, np.nan])
    assert table.nodule_subtlety.tolist() == [4, 0, 0]


def test_selecting_films_equals_matching_only_those(random_films) -> None:
    films = random_films(np.random.default_rng(3), 40)
    keep = np.arange(40) % 3 != 0
    selected = match_films(films, NODE21).select_films(keep)
    alone = match_films([film for film, kept in zip(films, keep, strict=True) if kept], NODE21)
    for name in ("mark_films", "mark_scores", "mark_verdicts", "nodule_films", "nodule_scores", "film_scores", "counted"):
        np.testing.assert_array_equal(getattr(selected, name), getattr(alone, name))


def test_two_films_of_one_key_are_an_error(make_film) -> None:
    with pytest.raises(ValueError, match="share a key"):
        match_films([make_film("a"), make_film("a")], NODE21)


@pytest.mark.parametrize("text", ["", "iou", "iou:", "iou:0", "iou:1.1", "iou:x", "jsrt", "iou:nan"])
def test_a_rule_nobody_knows_is_an_error_that_lists_the_rules(text: str) -> None:
    with pytest.raises(ValueError, match="node21, jsrt-25mm, jsrt-inside, iou:X"):
        parse_rule(text)


def test_rules_are_told_in_words() -> None:
    assert "above 0.2" in NODE21.describe()
    assert "25 mm" in JSRT_25MM.describe()
    assert "neither hit nor false positive" in JSRT_INSIDE.describe()
    assert "at least 0.5" in parse_rule("iou:0.5").describe()


@pytest.mark.untyped
def test_a_scored_film_that_contradicts_itself_is_an_error(make_film) -> None:
    for wrong in (
        lambda: make_film("a", [NODULE], film_has_nodule=False),
        lambda: make_film("a", (), film_has_nodule=True),
        lambda: make_film("a", spacing_mm=(0.0, 1.0)),
        lambda: make_film("a", (), [(NODULE, 0.5)], analysed=False),
    ):
        with pytest.raises(ValueError, match="film a"):
            wrong()
