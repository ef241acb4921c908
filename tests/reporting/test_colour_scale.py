import numpy as np
import pytest

from xraynet.reporting.colour import ColourScale, colour_table

SCALE = ColourScale(lowest=0.1, operating=0.2)


def test_below_the_lowest_score_nothing_is_drawn() -> None:
    colours = SCALE.colours(np.array([[0.0, 0.05, 0.1]], dtype=np.float32))
    assert not colours.any()


def test_from_the_operating_point_on_the_colour_is_opaque() -> None:
    alpha = SCALE.colours(np.array([[0.15, 0.2, 0.9]], dtype=np.float32))[0, :, 3]
    assert 0 < alpha[0] < 255
    assert alpha.tolist()[1:] == [255, 255]


def test_one_score_has_one_colour_on_every_film() -> None:
    alone = SCALE.colours(np.array([[0.5]], dtype=np.float32))[0, 0]
    beside = SCALE.colours(np.array([[0.5, 0.99, 0.11]], dtype=np.float32))[0, 0]
    assert alone.tolist() == beside.tolist()


def test_lightness_rises_all_along_the_colour_map() -> None:
    red, green, blue = colour_table().astype(float).T / 255
    luminance = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    assert (np.diff(luminance) > -1e-3).all()
    assert luminance[-1] > 5 * luminance[0]


def test_positions_run_from_the_lowest_score_to_the_highest() -> None:
    positions = SCALE.positions(np.array([0.1, 0.5, 0.99, 1.0], dtype=np.float32))
    assert positions[0] == 0
    assert positions[2] == pytest.approx(1)
    assert positions[3] == 1
    assert SCALE.position(0.2) < positions[1]


def test_ticks_and_stops_lie_on_the_scale_in_order() -> None:
    ticks = SCALE.ticks()
    assert [score for score, _ in ticks] == sorted(score for score, _ in ticks)
    assert all(0 < place < 1 for _, place in ticks)
    assert SCALE.stops(num=3)[0] == (0.0, "#{:02x}{:02x}{:02x}".format(*colour_table()[0]))


@pytest.mark.parametrize("threshold", [0.0, 0.001, 0.5, 1.0])
def test_any_operating_point_has_a_scale(threshold: float) -> None:
    scale = ColourScale.of_threshold(threshold)
    assert 0 < scale.lowest < scale.operating < scale.highest


def test_a_scale_out_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="lowest < operating"):
        ColourScale(lowest=0.3, operating=0.2)


def test_a_map_of_no_pixels_stays_without_any() -> None:
    assert SCALE.colours(np.zeros((0, 5), dtype=np.float32)).shape == (0, 5, 4)
