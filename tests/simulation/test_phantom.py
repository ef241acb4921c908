import numpy as np
import pytest

from xraynet.findings import LabelState
from xraynet.radiograph import ViewPosition
from xraynet.simulation import SimulatedNodule, contrast_to_noise, draw_phantom, measure_grey_range

SMALL = (256, 256)


def test_one_seed_one_phantom() -> None:
    first, second, other = draw_phantom(1, size=SMALL), draw_phantom(1, size=SMALL), draw_phantom(2, size=SMALL)
    np.testing.assert_array_equal(first.radiograph.pixels, second.radiograph.pixels)
    np.testing.assert_array_equal(first.lung_mask, second.lung_mask)
    assert first.radiograph.id == second.radiograph.id != other.radiograph.id
    assert not np.array_equal(first.lung_mask, other.lung_mask)


def test_pixels_are_twelve_bit_steps() -> None:
    pixels = draw_phantom(0, size=SMALL).radiograph.pixels
    assert pixels.dtype == np.float32
    assert 0 <= pixels.min() < 0.1
    assert 0.8 < pixels.max() <= 1
    np.testing.assert_allclose(pixels * 4095, np.rint(pixels * 4095), atol=1e-3)


def test_lungs_are_darker_than_the_mediastinum_and_fill_the_film() -> None:
    phantom = draw_phantom(3, size=SMALL)
    assert 0.15 < phantom.lung_mask.mean() < 0.35
    assert measure_grey_range(phantom.radiograph.pixels, phantom.lung_mask).width > 0.15
    assert phantom.lung_mask[:, :128].any()
    assert phantom.lung_mask[:, 128:].any()
    assert not phantom.lung_mask[:, 126:130].any()


def test_the_body_is_the_same_at_every_size_and_spacing() -> None:
    small, large = draw_phantom(5, size=(200, 200)), draw_phantom(5, size=(400, 400))
    halved = large.lung_mask.reshape(200, 2, 200, 2).mean(axis=(1, 3)) > 0.5
    assert (halved == small.lung_mask).mean() > 0.99
    squeezed = draw_phantom(5, size=(200, 400), spacing_mm=(2.0, 1.0))
    assert (squeezed.lung_mask[:, ::2] == small.lung_mask).mean() > 0.99
    assert squeezed.radiograph.spacing is not None
    assert squeezed.radiograph.spacing.row_column_mm == (2.0, 1.0)


@pytest.mark.parametrize("size", [(2048, 1800), (300, 420), (33, 32)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    phantom = draw_phantom(0, size=size)
    assert phantom.radiograph.size == size
    assert phantom.lung_mask.shape == size
    assert phantom.lung_mask.any()


def test_mirrored_phantom_is_the_same_film_turned_round() -> None:
    plain, mirrored = draw_phantom(4, size=SMALL), draw_phantom(4, size=SMALL, mirrored=True)
    np.testing.assert_array_equal(mirrored.radiograph.pixels, plain.radiograph.pixels[:, ::-1])
    np.testing.assert_array_equal(mirrored.lung_mask, plain.lung_mask[:, ::-1])
    assert mirrored.radiograph.mirrored


def test_a_white_lung_is_white_and_the_other_is_not() -> None:
    plain, white = draw_phantom(6, size=SMALL), draw_phantom(6, size=SMALL, variant="white-left-lung")
    right, left = plain.lung_mask.copy(), plain.lung_mask.copy()
    right[:, 128:] = False
    left[:, :128] = False
    pixels = white.radiograph.pixels
    assert pixels[left].mean() > pixels[right].mean() + 0.2
    other = draw_phantom(6, size=SMALL, variant="white-right-lung").radiograph.pixels
    assert other[right].mean() > other[left].mean() + 0.2


def test_portable_is_an_ap_film() -> None:
    assert draw_phantom(0, size=SMALL, variant="portable").radiograph.view_position is ViewPosition.AP
    assert draw_phantom(0, size=SMALL).radiograph.view_position is ViewPosition.PA


def test_a_nodule_changes_only_its_surroundings() -> None:
    plain, with_nodule = draw_phantom(7, size=(512, 512)), draw_phantom(7, size=(512, 512), num_nodules=1, diameter_mm=15.0)
    assert plain.annotations.state is LabelState.FREE
    assert with_nodule.annotations.state is LabelState.BOXED
    assert with_nodule.annotations.diameter_mm[0] == pytest.approx(15.0, rel=0.3)
    x1, y1, x2, y2 = (int(side) for side in with_nodule.annotations.boxes[0])
    changed = np.argwhere(plain.radiograph.pixels != with_nodule.radiograph.pixels)
    assert len(changed) > 50
    assert y1 - 25 < changed[:, 0].min()
    assert changed[:, 1].max() < x2 + 25
    assert plain.lung_mask[(y1 + y2) // 2, (x1 + x2) // 2]
    assert (contrast_to_noise(with_nodule.radiograph.pixels, with_nodule.annotations.boxes[0]) or 0) > 0.5
    assert plain.radiograph.id != with_nodule.radiograph.id


def test_given_nodules_are_drawn_where_they_say() -> None:
    nodule = SimulatedNodule(centre=(70.0, 120.0), diameter_mm=20.0, contrast=0.5)
    phantom = draw_phantom(8, size=SMALL, nodules=[nodule])
    x1, y1, x2, y2 = phantom.annotations.boxes[0]
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((70.0, 120.0), abs=0.2)


def test_a_film_too_small_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32 pixels"):
        draw_phantom(0, size=(16, 64))
