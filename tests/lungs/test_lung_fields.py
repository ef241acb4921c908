import numpy as np
import pytest

from xraynet.geometry import Letterbox
from xraynet.lungs.fields import LungFields


def fields_of(probability: np.ndarray, **changes: object) -> LungFields:
    side = probability.shape[0]
    letterbox = Letterbox(stored_size=(2 * side, 2 * side), resized_size=(side, side), net_size=(side, side), offset=(0, 0))
    return LungFields(probability=probability.astype(np.float32), letterbox=letterbox, **changes)  # type: ignore[arg-type]


def test_the_patients_right_lung_is_on_the_images_left(two_lungs: LungFields) -> None:
    assert two_lungs.right_box.tolist() == [[8, 12, 24, 48]]
    assert two_lungs.left_box.tolist() == [[40, 12, 56, 48]]
    assert two_lungs.box.tolist() == [[8, 12, 56, 48]]


def test_mask_comes_back_in_stored_pixels(two_lungs: LungFields) -> None:
    mask = two_lungs.mask_stored()
    assert mask.shape == (64, 64)
    assert mask[30, 16]
    assert mask[30, 48]
    assert not mask[30, 32]


def test_no_lungs_give_no_boxes_and_an_empty_mask() -> None:
    fields = fields_of(np.zeros((32, 32)))
    assert fields.box.shape == fields.right_box.shape == fields.left_box.shape == (0, 4)
    assert not fields.mask_stored().any()


def test_specks_are_no_lungs(two_lungs: LungFields) -> None:
    probability = two_lungs.probability.copy()
    probability[30, 30] = 1.0
    fields = fields_of(probability)
    assert fields.box.tolist() == [[8, 12, 56, 48]]
    assert not fields.mask_stored()[60, 60]
    alone = np.zeros((32, 32))
    alone[3, 3] = 1.0
    assert not len(fields_of(alone).box)


@pytest.mark.parametrize(("first", "side"), [(4, "right"), (20, "left")])
def test_a_single_lung_belongs_to_the_side_where_it_lies(first: int, side: str) -> None:
    probability = np.zeros((32, 32))
    probability[6:24, first : first + 8] = 1.0
    fields = fields_of(probability)
    assert len(fields.right_box) == (side == "right")
    assert len(fields.left_box) == (side == "left")


def test_lungs_grown_together_are_cut_where_they_are_thinnest(two_lungs: LungFields) -> None:
    probability = two_lungs.probability.copy()
    probability[7:9, 12:20] = 0.9
    fields = fields_of(probability)
    assert 24 <= fields.right_box[0, 2] <= 40
    assert 24 <= fields.left_box[0, 0] <= 40
    assert fields.box.tolist() == [[8, 12, 56, 48]]


def test_boxes_stay_on_the_film_where_the_thumbnail_is_padded() -> None:
    probability = np.zeros((32, 32), dtype=np.float32)
    probability[2:30, 2:30] = 1.0
    letterbox = Letterbox(stored_size=(64, 32), resized_size=(32, 16), net_size=(32, 32), offset=(0, 8))
    fields = LungFields(probability=probability, letterbox=letterbox)
    assert fields.box.tolist() == [[0, 4, 32, 60]]


def test_lungs_found_beside_the_film_alone_are_none() -> None:
    probability = np.zeros((32, 32), dtype=np.float32)
    probability[2:30, 0:6] = 1.0
    letterbox = Letterbox(stored_size=(64, 32), resized_size=(32, 16), net_size=(32, 32), offset=(0, 8))
    assert not len(LungFields(probability=probability, letterbox=letterbox).box)


@pytest.mark.untyped
def test_a_map_of_another_size_is_refused(two_lungs: LungFields) -> None:
    with pytest.raises(ValueError, match="its letterbox makes"):
        LungFields(probability=np.zeros((8, 8), dtype=np.float32), letterbox=two_lungs.letterbox)


def test_an_impossible_threshold_is_refused(two_lungs: LungFields) -> None:
    with pytest.raises(ValueError, match="threshold is 1"):
        LungFields(probability=two_lungs.probability, letterbox=two_lungs.letterbox, threshold=1.0)
