"""A film's pixels, grey scale and geometry."""

import numpy as np
import pytest

from xraynet.radiograph import GreyScale, PatientIdentity, PixelSpacing, Radiograph, ViewPosition, VoiLut, Window


def ramp(num: int = 11) -> np.ndarray:
    return np.linspace(0, 1, num, dtype=np.float32).reshape(1, num)


def test_modality_values_come_back_through_the_kept_map() -> None:
    film = Radiograph(pixels=ramp(), grey=GreyScale(slope=-4095, intercept=4095))
    np.testing.assert_allclose(film.modality_values()[0, [0, -1]], [4095, 0], atol=1e-3)


def test_display_without_a_voi_is_the_pixels_themselves() -> None:
    film = Radiograph(pixels=ramp())
    assert film.display() is film.pixels


def test_display_inverts_monochrome1_once_after_the_window() -> None:
    # MONOCHROME1: modality 0 is bright; the window covers the lower half of the modality values.
    film = Radiograph(pixels=ramp(), grey=GreyScale(slope=-100, intercept=100, voi=Window(25, 50, "LINEAR_EXACT")))
    shown = film.display()[0]
    assert shown[0] == 0 and shown[5] == pytest.approx(0, abs=1e-6) and shown[-1] == 1
    assert shown[8] == pytest.approx(0.6, abs=1e-5)


def test_padding_is_black_whatever_the_window_says() -> None:
    padding = np.zeros((1, 11), dtype=bool)
    padding[0, -1] = True
    film = Radiograph(pixels=ramp(), padding=padding, grey=GreyScale(voi=Window(0, 1e-3, "LINEAR_EXACT")))
    assert film.display()[0, -1] == 0 and film.display()[0, 5] == 1


def test_linear_window_follows_the_formula_of_the_standard() -> None:
    # PS3.3 C.11.2.1.2.1: c=2048, w=4096 gives 0 at <= 0, 1 at > 4095.
    values = np.array([-1, 0, 2047.5, 4095, 5000], dtype=np.float32)
    np.testing.assert_allclose(Window(2048, 4096).apply(values), [0, 0, 0.5, 1, 1], atol=1e-6)


def test_linear_window_of_width_one_is_a_step() -> None:
    assert Window(10, 1).apply(np.array([9.4, 9.6], np.float32)).tolist() == [0, 1]


def test_sigmoid_window_is_a_half_at_its_centre_and_never_overflows() -> None:
    shown = Window(100, 10, "SIGMOID").apply(np.array([-1e9, 100, 1e9], np.float32))
    np.testing.assert_allclose(shown, [0, 0.5, 1], atol=1e-6)


@pytest.mark.parametrize(("width", "function"), [(0, "LINEAR"), (0, "LINEAR_EXACT"), (-5, "SIGMOID"), (np.nan, "LINEAR")])
def test_an_impossible_window_is_refused(width: float, function: str) -> None:
    with pytest.raises(ValueError, match="window width"):
        Window(0, width, function)  # type: ignore[arg-type]


def test_a_voi_table_holds_its_first_and_last_entry_outside_its_range() -> None:
    table = VoiLut(first_value=10, table=np.array([0, 0.25, 1], np.float32))
    assert table.apply(np.array([0, 10, 11, 12, 99], np.float32)).tolist() == [0, 0, 0.25, 1, 1]
    with pytest.raises(ValueError, match="0 entries"):
        VoiLut(first_value=0, table=np.zeros(0, np.float32))


def test_spacing_must_be_a_possible_length() -> None:
    assert PixelSpacing(0.1, 0.2).row_column_mm == (0.1, 0.2)
    with pytest.raises(ValueError, match="between 0 and 100"):
        PixelSpacing(0.0, 0.2)


def test_grey_slope_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="grey slope"):
        GreyScale(slope=0)


def test_views_know_whether_they_are_frontal() -> None:
    assert ViewPosition.PA.is_frontal and ViewPosition.AP.is_frontal
    assert ViewPosition.LATERAL.is_frontal is False
    assert ViewPosition.UNKNOWN.is_frontal is None


def test_an_identity_never_shows_in_a_repr() -> None:
    film = Radiograph(pixels=ramp(), identity=PatientIdentity(name="Doe^Jane", patient_id="4711"))
    assert "Doe" not in repr(film) and "4711" not in repr(film)


def test_pixels_never_change_their_size() -> None:
    film = Radiograph(pixels=ramp(), sha256="0123456789abcdef99")
    assert film.id == "0123456789abcdef" and film.size == (1, 11)
    assert film.with_pixels(1 - ramp()).pixels[0, 0] == 1


@pytest.mark.untyped
def test_pixels_of_a_wrong_shape_are_named() -> None:
    film = Radiograph(pixels=ramp())
    with pytest.raises(ValueError, match="new pixels"):
        film.with_pixels(np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match="padding has shape"):
        Radiograph(pixels=ramp(), padding=np.zeros((2, 2), dtype=bool))
    with pytest.raises(ValueError, match="at least 1 pixel"):
        Radiograph(pixels=np.zeros((0, 3), np.float32))
