import numpy as np
import pytest

from xraynet.radiograph import GreyScale, PixelSpacing, Radiograph, VoiLut, Window
from xraynet.reporting.frame import DisplayFrame
from xraynet.reporting.packing import pack_film, unpack_levels
from xraynet.reporting.window import choose_window, show_film


def make_film(pixels: np.ndarray, **facts: object) -> Radiograph:
    return Radiograph(pixels=pixels.astype(np.float32), **facts)


def ramp(height: int = 40, width: int = 60) -> np.ndarray:
    return np.linspace(0, 1, height * width, dtype=np.float32).reshape(height, width)


def test_a_squeezed_film_is_shown_at_its_true_proportions() -> None:
    frame = DisplayFrame.of((1024, 1024), spacing_mm=(0.36, 0.30))
    height, width = frame.size
    assert height / width == pytest.approx(1.2, abs=0.002)
    assert max(height, width) <= 2048


def test_boxes_move_with_the_pixels() -> None:
    frame = DisplayFrame.of((100, 100), spacing_mm=(0.2, 0.1))
    pixels = np.zeros((100, 100), dtype=np.float32)
    pixels[20:30, 40:50] = 1
    rows, columns = np.nonzero(frame.show(pixels) > 0.5)
    box = frame.boxes(np.array([[40, 20, 50, 30]], dtype=np.float32))[0]
    assert box.tolist() == [40, 40, 50, 60]
    assert (columns.min(), columns.max() + 1) == (40, 50)
    assert abs(rows.min() - 40) <= 1
    assert abs(rows.max() + 1 - 60) <= 1


def test_no_boxes_stay_no_boxes() -> None:
    assert DisplayFrame.of((10, 10)).boxes(np.zeros((0, 4), dtype=np.float32)).shape == (0, 4)


def test_small_films_grow_only_where_that_is_asked_for() -> None:
    assert DisplayFrame.of((100, 50)).size == (100, 50)
    assert DisplayFrame.of((100, 50), least=1024).size == (1024, 512)


def test_showing_never_leaves_the_range_of_the_film() -> None:
    noise = np.random.default_rng(0).random((30, 30)).astype(np.float32)
    shown = DisplayFrame.of((30, 30), least=200).show(noise)
    assert noise.min() <= shown.min()
    assert shown.max() <= noise.max()


def test_a_film_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="this frame is for films"):
        DisplayFrame.of((10, 10)).show(np.zeros((5, 5), dtype=np.float32))


def test_twelve_bits_and_more_survive_the_packing() -> None:
    film = make_film(ramp(), grey=GreyScale(slope=65535, bits_stored=16))
    packed = pack_film(film, DisplayFrame.of(film.size))
    levels = unpack_levels(packed.encode_levels(), size=film.size)
    assert (levels == packed.levels).all()
    assert packed.num_levels == 65536
    values = packed.intercept + packed.slope * levels.astype(np.float64)
    assert np.abs(values - film.modality_values()).max() <= 1


def test_a_film_that_uses_little_of_its_range_keeps_its_grey_steps() -> None:
    film = make_film(0.25 + ramp() / 64, grey=GreyScale(slope=65535, bits_stored=12))
    packed = pack_film(film, DisplayFrame.of(film.size))
    values = packed.intercept + packed.slope * packed.levels.astype(np.float64)
    assert np.abs(values - film.modality_values()).max() <= 0.2
    assert packed.levels.min() == 1
    assert packed.levels.max() == packed.num_levels - 1


def test_an_inverted_film_keeps_its_modality_values() -> None:
    film = make_film(ramp(), grey=GreyScale(slope=-4095, intercept=4095, bits_stored=12))
    packed = pack_film(film, DisplayFrame.of(film.size))
    assert packed.inverted
    assert packed.intercept + packed.slope * int(packed.levels[0, 0]) == pytest.approx(4095, abs=0.01)


def test_padding_is_level_zero_and_film_never_is() -> None:
    padding = np.zeros((40, 60), dtype=np.bool_)
    padding[:, :10] = True
    film = make_film(np.where(padding, 0, ramp()), padding=padding)
    levels = pack_film(film, DisplayFrame.of(film.size)).levels
    assert not levels[:, :10].any()
    assert levels[:, 10:].all()


def test_a_film_of_one_value_or_of_padding_alone_can_be_packed() -> None:
    flat = make_film(np.full((4, 5), 0.5))
    assert (pack_film(flat, DisplayFrame.of(flat.size)).levels == 1).all()
    empty = make_film(np.zeros((4, 5)), padding=np.ones((4, 5), dtype=np.bool_))
    assert not pack_film(empty, DisplayFrame.of(empty.size)).levels.any()
    assert choose_window(empty).source == "film range"


@pytest.mark.parametrize("slope", [4095.0, -4095.0])
def test_the_page_begins_with_exactly_what_the_file_asks_for(slope: float) -> None:
    voi = VoiLut(first_value=0, table=np.linspace(0, 1, 4096, dtype=np.float32) ** 2)
    film = make_film(ramp(), grey=GreyScale(slope=slope, intercept=4095.0 if slope < 0 else 0.0, voi=voi, bits_stored=12))
    packed = pack_film(film, DisplayFrame.of(film.size))
    assert packed.table is not None
    assert packed.start.source == "file table"
    shown = packed.table[packed.levels].astype(np.float32) / 255
    assert np.abs(shown - film.display()).max() < 1.5 / 255
    assert packed.encode_table()


def test_without_a_voi_the_window_covers_nearly_all_of_the_film() -> None:
    film = make_film(ramp() * 0.1, grey=GreyScale(slope=65535))
    start = choose_window(film)
    assert start.source == "film range"
    assert start.window.width == pytest.approx(6553, rel=0.02)
    assert show_film(film).max() == 1
    assert pack_film(film, DisplayFrame.of(film.size)).encode_table() == ""


def test_a_window_of_the_file_is_kept_as_it_is() -> None:
    window = Window(centre=2000, width=1000, function="SIGMOID")
    film = make_film(ramp(), grey=GreyScale(slope=4095, voi=window))
    assert choose_window(film).window == window
    assert (show_film(film) == film.display()).all()


def test_an_inverted_film_without_a_voi_is_shown_bright_where_dense() -> None:
    padding = np.zeros((40, 60), dtype=np.bool_)
    padding[0] = True
    film = make_film(ramp(), grey=GreyScale(slope=-255, intercept=255), padding=padding, spacing=PixelSpacing(1, 1))
    shown = show_film(film)
    assert shown[-1, -1] == 1
    assert not shown[0].any()
    assert (np.diff(shown[1:].ravel()) >= 0).all()
