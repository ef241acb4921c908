"""Boxes and frames: the convention, the borders, and the way there and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xraynet.geometry import (
    Letterbox,
    box_areas,
    box_centres,
    boxes_of_circles,
    clip_boxes,
    diameters_mm,
    empty_boxes,
    flip_boxes_left_right,
    intersection_over_union,
    scale_boxes,
)


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32).reshape(-1, 4)


def test_every_function_is_right_for_zero_boxes() -> None:
    none = empty_boxes()
    frame = Letterbox.around(stored_size=(100, 80), scale_y=0.5, scale_x=0.5)
    assert box_areas(none).shape == (0,)
    assert box_centres(none).shape == (0, 2)
    assert intersection_over_union(none, boxes((0, 0, 1, 1))).shape == (0, 1)
    assert intersection_over_union(boxes((0, 0, 1, 1)), none).shape == (1, 0)
    assert clip_boxes(none, size=(10, 10)).shape == (0, 4)
    assert scale_boxes(none, scale_y=2, scale_x=2).shape == (0, 4)
    assert flip_boxes_left_right(none, width=10).shape == (0, 4)
    assert diameters_mm(none, spacing_mm=(1, 1)).shape == (0,)
    assert boxes_of_circles(np.zeros((0, 2), np.float32), np.zeros(0, np.float32)).shape == (0, 4)
    assert frame.boxes_to_net(none).shape == (0, 4)
    assert frame.boxes_to_stored(none).shape == (0, 4)


def test_overlap_is_one_with_itself_zero_apart_and_a_third_when_half_shifted() -> None:
    overlap = intersection_over_union(boxes((0, 0, 4, 4)), boxes((0, 0, 4, 4), (4, 0, 8, 4), (2, 0, 6, 4)))
    np.testing.assert_allclose(overlap, [[1, 0, 1 / 3]], rtol=1e-6)


def test_overlap_of_boxes_without_area_is_zero() -> None:
    assert intersection_over_union(boxes((1, 1, 1, 1)), boxes((1, 1, 1, 1))).tolist() == [[0.0]]


def test_clip_keeps_boxes_inside_and_bounds_x_by_the_width() -> None:
    clipped = clip_boxes(boxes((-5, -5, 300, 300)), size=(100, 200))
    assert clipped.tolist() == [[0, 0, 200, 100]]


def test_flip_twice_is_the_identity() -> None:
    once = flip_boxes_left_right(boxes((1, 2, 5, 6)), width=64)
    assert flip_boxes_left_right(once, width=64).tolist() == [[1, 2, 5, 6]]


def test_diameter_is_the_longer_side_with_row_and_column_spacing_apart() -> None:
    assert diameters_mm(boxes((0, 0, 10, 20)), spacing_mm=(0.2, 0.5)).tolist() == pytest.approx([5.0])
    assert diameters_mm(boxes((0, 0, 10, 20)), spacing_mm=(1.0, 0.5)).tolist() == pytest.approx([20.0])


def test_a_circle_in_millimetres_is_an_oval_in_squeezed_pixels() -> None:
    box = boxes_of_circles(np.array([[50, 50]], np.float32), np.array([10], np.float32), spacing_mm=(0.5, 1.0))
    assert box.tolist() == [[45, 40, 55, 60]]


@given(
    height=st.integers(2, 300),
    width=st.integers(2, 300),
    scale=st.floats(0.1, 3),
    squeeze=st.floats(0.5, 2),
    offset=st.tuples(st.integers(-20, 20), st.integers(-20, 20)),
)
def test_boxes_come_back_from_the_network_frame(
    height: int, width: int, scale: float, squeeze: float, offset: tuple[int, int]
) -> None:
    frame = Letterbox.of(stored_size=(height, width), scale_y=scale, scale_x=scale * squeeze, net_size=(64, 64), offset=offset)
    box = boxes((0.25 * width, 0.25 * height, 0.75 * width, 0.5 * height))
    np.testing.assert_allclose(frame.boxes_to_stored(frame.boxes_to_net(box)), box, atol=0.01)


def test_pixels_and_boxes_move_together() -> None:
    pixels = np.zeros((120, 200), dtype=np.float32)
    pixels[40:60, 100:140] = 1
    frame = Letterbox.around(stored_size=(120, 200), scale_y=0.5, scale_x=0.25, multiple=32)
    net = frame.pixels_to_net(pixels)
    x1, y1, x2, y2 = (int(side) for side in frame.boxes_to_net(boxes((100, 40, 140, 60)))[0])
    assert net.shape == frame.net_size
    assert net[y1:y2, x1:x2].min() == 1
    assert net.sum() == pytest.approx((y2 - y1) * (x2 - x1))


@pytest.mark.parametrize("stride", [1, 4])
def test_a_map_of_the_network_frame_lands_where_its_boxes_do(stride: int) -> None:
    frame = Letterbox.around(stored_size=(400, 300), scale_y=0.4, scale_x=0.4, multiple=32)
    net = np.zeros(frame.net_size, dtype=np.float32)
    net_box = frame.boxes_to_net(boxes((120, 200, 160, 240)))[0]
    net[round(net_box[1]) : round(net_box[3]), round(net_box[0]) : round(net_box[2])] = 1
    coarse = net.reshape(net.shape[0] // stride, stride, net.shape[1] // stride, stride).mean(axis=(1, 3))
    stored = frame.pixels_to_stored(coarse)
    rows, columns = np.nonzero(stored > 0.5)
    assert stored.shape == (400, 300)
    assert abs(columns.mean() + 0.5 - 140) < 2
    assert abs(rows.mean() + 0.5 - 220) < 2


def test_a_letterbox_that_crops_keeps_what_is_inside() -> None:
    pixels = np.arange(100, dtype=np.float32).reshape(10, 10)
    frame = Letterbox.of(stored_size=(10, 10), scale_y=1, scale_x=1, net_size=(4, 4), offset=(-3, -2))
    assert frame.pixels_to_net(pixels).tolist() == pixels[3:7, 2:6].tolist()


def test_a_letterbox_entirely_beside_the_film_is_all_fill() -> None:
    frame = Letterbox.of(stored_size=(10, 10), scale_y=1, scale_x=1, net_size=(4, 4), offset=(-20, 0))
    assert (frame.pixels_to_net(np.ones((10, 10), np.float32), fill=0.5) == 0.5).all()


def test_wrong_sizes_and_scales_are_named() -> None:
    with pytest.raises(ValueError, match="stored_size is"):
        Letterbox(stored_size=(0, 4), resized_size=(1, 1), net_size=(1, 1), offset=(0, 0))
    with pytest.raises(ValueError, match="both must be above 0"):
        Letterbox.of(stored_size=(4, 4), scale_y=0, scale_x=1, net_size=(4, 4))
    frame = Letterbox.of(stored_size=(4, 4), scale_y=1, scale_x=1, net_size=(4, 4))
    with pytest.raises(ValueError, match="letterbox is for films of"):
        frame.pixels_to_net(np.zeros((5, 4), np.float32))


def test_enlarging_in_two_steps_agrees_with_sampling_every_stored_pixel() -> None:
    frame = Letterbox.around(stored_size=(700, 500), scale_y=0.31, scale_x=0.29, multiple=32)
    rows, columns = np.indices((frame.net_size[0] // 4, frame.net_size[1] // 4)).astype(np.float32)
    smooth = np.exp(-((rows - 25) ** 2 + (columns - 18) ** 2) / 18).astype(np.float32)
    stored = frame.pixels_to_stored(smooth)
    y, x = np.indices((700, 500)) + 0.5
    map_y = (y * frame.scale_y + frame.offset[0]) / 4 - 0.5
    map_x = (x * frame.scale_x + frame.offset[1]) / 4 - 0.5
    exact = np.exp(-((map_y - 25) ** 2 + (map_x - 18) ** 2) / 18)
    assert np.abs(stored - exact).max() < 0.03
    assert np.unravel_index(stored.argmax(), stored.shape) == pytest.approx(
        np.unravel_index(exact.argmax(), exact.shape), abs=8
    )
