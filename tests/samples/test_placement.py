from dataclasses import replace

import numpy as np
import pytest

from xraynet.samples.placement import Placement, PlacementConfig, centre_placement, draw_placement

FILM, FRAME = (160, 130), (128, 128)
STRAIGHT = PlacementConfig(
    rotation_deg=0, flip_rate=0, smallest_scale=1, largest_scale=1, aspect=0, bend_rate=0, collimation_rate=0
)
ONE_BOX = np.array([[40, 60, 56, 72]], dtype=np.float32)


def film_with_ellipse(box: np.ndarray, size: tuple[int, int] = FILM) -> np.ndarray:
    rows, columns = np.mgrid[: size[0] * 4, : size[1] * 4] / 4 + 0.125
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    inside = ((columns - x) / ((box[2] - box[0]) / 2)) ** 2 + ((rows - y) / ((box[3] - box[1]) / 2)) ** 2 <= 1
    return inside.reshape(size[0], 4, size[1], 4).mean(axis=(1, 3)).astype(np.float32)


def box_of(pixels: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(pixels > 0.4)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=np.float32)


@pytest.mark.parametrize("bend_rate", [0.0, 1.0])
def test_box_moves_with_its_nodule(bend_rate: float) -> None:
    film = film_with_ellipse(ONE_BOX[0])
    config = PlacementConfig(bend_rate=bend_rate, bend_px=2.0, collimation_rate=0)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        placement = draw_placement(rng, config=config, film_size=FILM, frame_size=FRAME, boxes=ONE_BOX)
        moved = placement.move_boxes(ONE_BOX)
        np.testing.assert_allclose(moved[0], box_of(placement.apply(film)), atol=1.6)


def test_flip_moves_box_with_nodule() -> None:
    film = film_with_ellipse(ONE_BOX[0])
    mirror = Placement(film_size=FILM, frame_size=FILM, matrix=((-1.0, 0.0, 130.0), (0.0, 1.0, 0.0)), mirrored=True)
    np.testing.assert_array_equal(mirror.apply(film), film[:, ::-1])
    np.testing.assert_allclose(mirror.move_boxes(ONE_BOX), [[74, 60, 90, 72]], atol=1e-4)


def test_a_nodule_is_never_lost_when_it_is_the_only_one() -> None:
    config = PlacementConfig(collimation_rate=0)
    corner = np.array([[1, 1, 12, 12]], dtype=np.float32)
    for seed in range(100):
        placement = draw_placement(np.random.default_rng(seed), config=config, film_size=FILM, frame_size=FRAME, boxes=corner)
        learnt, ignored = placement.visible_boxes(corner, smallest_part=0.9)
        assert len(learnt) == 1
        assert len(ignored) == 0


def test_a_box_larger_than_the_frame_is_centred() -> None:
    huge = np.array([[0, 0, 130, 160]], dtype=np.float32)
    config = PlacementConfig(
        rotation_deg=0, flip_rate=0, smallest_scale=2, largest_scale=2, aspect=0, bend_rate=0, collimation_rate=0
    )
    placement = draw_placement(np.random.default_rng(0), config=config, film_size=FILM, frame_size=FRAME, boxes=huge)
    np.testing.assert_allclose(placement.move_boxes(huge), [[-66, -96, 194, 224]], atol=1e-3)


def test_boxes_less_than_half_seen_are_ignored_and_unseen_ones_dropped() -> None:
    placement = centre_placement((100, 100), (96, 96))
    boxes = np.array([[10, 10, 20, 20], [95, 50, 105, 60], [0, 50, 4, 60], [0, 0, 2, 2]], dtype=np.float32)
    learnt, ignored = placement.visible_boxes(boxes, smallest_part=0.5)
    np.testing.assert_allclose(learnt, [[8, 8, 18, 18], [0, 48, 2, 58]], atol=1e-4)
    np.testing.assert_allclose(ignored, [[93, 48, 96, 58]], atol=1e-4)


def test_a_nodule_behind_the_collimator_is_not_learnt() -> None:
    placement = replace(centre_placement((100, 100), (100, 100)), visible=(20, 0, 100, 100), border=-0.1)
    boxes = np.array([[5, 5, 15, 15], [14, 40, 24, 50], [18, 70, 28, 80]], dtype=np.float32)
    learnt, ignored = placement.visible_boxes(boxes, smallest_part=0.5)
    np.testing.assert_allclose(learnt, [[20, 70, 28, 80]], atol=1e-4)
    np.testing.assert_allclose(ignored, [[20, 40, 24, 50]], atol=1e-4)
    placed = placement.apply(np.ones((100, 100), dtype=np.float32))
    assert (placed[:, :20] == np.float32(-0.1)).all()
    assert (placed[:, 20:] == 1).all()


def test_no_boxes_stay_no_boxes() -> None:
    placement = centre_placement(FILM, FRAME)
    none = np.zeros((0, 4), dtype=np.float32)
    learnt, ignored = placement.visible_boxes(none, smallest_part=0.5)
    assert learnt.shape == (0, 4)
    assert ignored.shape == (0, 4)


def test_centred_film_is_cropped_and_padded_by_whole_pixels() -> None:
    film = np.random.default_rng(0).random((40, 20)).astype(np.float32)
    placed = centre_placement((40, 20), (32, 32)).apply(film, fill=0.5)
    np.testing.assert_array_equal(placed[:, 6:26], film[4:36])
    assert (placed[:, :6] == 0.5).all()
    assert (placed[:, 26:] == 0.5).all()


def test_a_small_film_stays_inside_a_large_frame() -> None:
    config = PlacementConfig(
        shift=0, rotation_deg=0, smallest_scale=1, largest_scale=1, aspect=0, bend_rate=0, collimation_rate=0
    )
    film = np.ones((40, 50), dtype=np.float32)
    none = np.zeros((0, 4), dtype=np.float32)
    for seed in range(10):
        placement = draw_placement(np.random.default_rng(seed), config=config, film_size=(40, 50), frame_size=FRAME, boxes=none)
        assert placement.apply(film).sum() == pytest.approx(2000, rel=0.002)


def test_the_same_generator_draws_the_same_placement_and_another_does_not() -> None:
    def draw(seed: int) -> Placement:
        return draw_placement(
            np.random.default_rng(seed), config=PlacementConfig(), film_size=FILM, frame_size=FRAME, boxes=ONE_BOX
        )

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_collimated_borders_are_narrow() -> None:
    config = PlacementConfig(collimation_rate=1.0)
    for seed in range(50):
        rng = np.random.default_rng(seed)
        placement = draw_placement(rng, config=config, film_size=(100, 100), frame_size=FRAME, boxes=ONE_BOX)
        assert placement.visible is not None
        left, top, right, bottom = placement.visible
        assert max(left, top, 100 - right, 100 - bottom) <= 7
        assert -0.25 <= placement.border <= 1.25


def test_pixels_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="this placement is for films of"):
        centre_placement(FILM, FRAME).apply(np.zeros((8, 8), dtype=np.float32))


@pytest.mark.parametrize(
    "wrong",
    [{"smallest_scale": 0.0}, {"smallest_scale": 2.0}, {"aspect": 0.6}, {"collimation_part": 0.4}, {"rotation_deg": 90.0}],
)
def test_impossible_placements_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        PlacementConfig(**wrong)
