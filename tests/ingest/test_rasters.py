"""PNG, JPEG and JSRT's bare files: read at their own depth, refused in colour, failed when cut."""

import io
import zlib
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from xraynet import read_radiograph
from xraynet.errors import FilmError
from xraynet.ingest.codestream import read_codestream
from xraynet.ingest.limits import DecodeLimits


def png(pixels: NDArray[np.integer]) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1])


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def code_of(path: Path, *, limits: DecodeLimits | None = None) -> str:
    with pytest.raises(FilmError) as caught:
        read_radiograph(path) if limits is None else read_radiograph(path, limits=limits)
    return caught.value.code


def test_8_bit_png_is_its_values_over_255(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    film = read_radiograph(write(tmp_path / "film.png", png(film8)))
    assert np.allclose(film.pixels, film8 / 255, atol=1e-6)
    assert (film.spacing, film.warnings, film.grey.bits_stored, film.source_format) == (None, (), 8, "png")
    assert film.grey.voi is None


def test_16_bit_png_keeps_16_bits_and_shows_what_is_in_use(film12: NDArray[np.uint16], tmp_path: Path) -> None:
    film = read_radiograph(write(tmp_path / "film.png", png(film12)))
    assert np.array_equal(np.rint(film.modality_values()), film12)
    assert film.grey.bits_stored == 16
    assert np.allclose(film.display(), film12 / 4095, atol=1e-3)


def test_flat_16_bit_png_is_read(tmp_path: Path) -> None:
    film = read_radiograph(write(tmp_path / "film.png", png(np.full((5, 6), 9, np.uint16))))
    assert film.grey.voi is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_stored_as_rgb_is_read_with_a_warning(dtype: type, film12: NDArray[np.uint16], tmp_path: Path) -> None:
    grey = film12 if dtype is np.uint16 else (film12 >> 4).astype(np.uint8)
    film = read_radiograph(write(tmp_path / "film.png", png(np.repeat(grey[..., None], 3, axis=-1))))
    assert np.array_equal(np.rint(film.modality_values()), grey)
    assert film.warnings == ("The image stores grey as colour; one channel was read.",)


def test_true_colour_is_refused(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    colour = np.stack([film8, film8, 255 - film8], axis=-1)
    assert code_of(write(tmp_path / "film.png", png(colour))) == "true-colour"
    stream = io.BytesIO()
    Image.fromarray(colour).save(stream, "JPEG")
    assert code_of(write(tmp_path / "film.jpg", stream.getvalue())) == "true-colour"


def test_transparency_is_dropped_and_said_where_it_varies(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    opaque, varied = np.full_like(film8, 255), film8
    for alpha, num_warnings in ((opaque, 1), (varied, 2)):
        stream = io.BytesIO()
        Image.fromarray(np.stack([film8] * 3 + [alpha], axis=-1)).save(stream, "PNG")
        film = read_radiograph(write(tmp_path / "film.png", stream.getvalue()))
        assert np.allclose(film.pixels, film8 / 255, atol=1e-6)
        assert len(film.warnings) == num_warnings


def test_palette_and_one_bit_png_are_grey(tmp_path: Path) -> None:
    bits = np.indices((8, 8)).sum(axis=0) % 2 == 0
    for mode in ("1", "P", "LA"):
        stream = io.BytesIO()
        Image.fromarray(bits.astype(np.uint8) * 255).convert(mode).save(stream, "PNG")
        film = read_radiograph(write(tmp_path / f"{mode}.png", stream.getvalue()))
        assert np.array_equal(film.pixels > 0.5, bits)


def test_jpegs_of_8_12_and_16_bits_keep_their_depth(
    film8: NDArray[np.uint8], film12: NDArray[np.uint16], tmp_path: Path
) -> None:
    eight = read_radiograph(write(tmp_path / "8.jpg", imagecodecs.jpeg8_encode(film8, level=95)))
    assert np.abs(eight.pixels - film8 / 255).mean() < 0.01
    twelve = read_radiograph(write(tmp_path / "12.jpg", imagecodecs.jpeg8_encode(film12, level=95, bitspersample=12)))
    assert twelve.grey.bits_stored == 12
    assert np.abs(twelve.modality_values() - film12).mean() < 30
    sixteen = read_radiograph(write(tmp_path / "16.jpg", imagecodecs.ljpeg_encode(film12 * 16, bitspersample=16)))
    assert np.array_equal(np.rint(sixteen.modality_values()), film12 * 16)
    lossless = read_radiograph(write(tmp_path / "film.jls", imagecodecs.jpegls_encode(film12)))
    assert np.array_equal(np.rint(lossless.modality_values()), film12)
    assert lossless.source_format == "jpeg"


def test_grey_jpeg_saved_as_colour_is_read_with_a_warning(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(film8).convert("RGB").save(stream, "JPEG", quality=95)
    film = read_radiograph(write(tmp_path / "film.jpg", stream.getvalue()))
    assert film.warnings == ("The image stores grey as colour; one channel was read.",)


def test_jpeg_of_four_inks_is_refused(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    none = Image.fromarray(np.zeros_like(film8))
    Image.merge("CMYK", (none, none, none, Image.fromarray(film8))).save(tmp_path / "film.jpg")
    assert code_of(tmp_path / "film.jpg") == "true-colour"


def test_suffix_decides_nothing(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    assert read_radiograph(write(tmp_path / "film.dcm", png(film8))).source_format == "png"


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.995])
def test_cut_images_fail(share: float, film8: NDArray[np.uint8], tmp_path: Path) -> None:
    for content in (png(film8), imagecodecs.jpeg8_encode(film8), imagecodecs.jpegls_encode(film8)):
        path = write(tmp_path / "film", content[: int(len(content) * share)])
        assert code_of(path) in ("truncated", "damaged")


def test_damaged_png_chunk_is_found_by_its_checksum(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    content = bytearray(png(film8))
    content[len(content) // 2] ^= 0xFF
    assert code_of(write(tmp_path / "film.png", bytes(content))) == "damaged"


def test_flipped_bytes_in_images_never_escape_the_family(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    codes = set()
    for content in (png(film8), imagecodecs.jpeg8_encode(film8), imagecodecs.jpegls_encode(film8)):
        for _ in range(30):
            broken = bytearray(content)
            for at in rng.integers(2, len(broken), size=4):
                broken[at] = rng.integers(256)
            try:
                read_radiograph(write(tmp_path / "film", bytes(broken)))
            except FilmError as error:
                codes.add(error.code)
    assert "internal-error" not in codes
    assert codes


def claim_huge_png(content: bytes) -> bytes:
    header = b"IHDR" + (50_000).to_bytes(4, "big") * 2 + content[24:29]
    return content[:12] + header + zlib.crc32(header).to_bytes(4, "big") + content[33:]


def test_image_that_claims_to_be_huge_is_not_decoded(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    assert code_of(write(tmp_path / "bomb.png", claim_huge_png(png(film8)))) == "too-large"
    assert code_of(write(tmp_path / "film.png", png(film8)), limits=DecodeLimits(max_pixels=100)) == "too-large"
    colour = png(np.repeat(film8[..., None], 3, axis=-1))
    assert code_of(write(tmp_path / "film.png", colour), limits=DecodeLimits(max_pixels=2 * film8.size)) == "too-large"


def test_jpeg_2000_outside_dicom_is_refused(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    for container in ("j2k", "jp2"):
        content = imagecodecs.jpeg2k_encode(film8, codecformat=container)
        header = read_codestream(content)
        assert (header.kind, header.height, header.width, header.bits) == ("jpeg-2000", 96, 80, 8)
        assert code_of(write(tmp_path / "film", content)) == "not-an-image"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\xff\xd8\xff\xd9", "damaged"),
        (b"\xff\xd8\xff\xe0\x00\x04ab\xff\xda\x00\x02", "damaged"),
        (b"\xff\xd8\xff\xe0", "truncated"),
        (b"\xff\x4f\xff\x51\x00\x29", "truncated"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIDAT" + b"\0" * 30, "damaged"),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x04free", "damaged"),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x01jp2c\0\0\0\0\0\0\0\x20xxxx", "damaged"),
    ],
)
def test_headers_of_nonsense_fail(content: bytes, code: str, tmp_path: Path) -> None:
    assert code_of(write(tmp_path / "film", content)) == code


def test_jsrt_file_is_known_by_its_size_and_inverted(tmp_path: Path) -> None:
    values = np.zeros((2048, 2048), dtype=">u2")
    values[0, 0], values[0, 1] = 4095, 1000
    film = read_radiograph(write(tmp_path / "JPCLN001.IMG", values.tobytes()))
    assert film.size == (2048, 2048)
    assert film.pixels[0, 0] == 0
    assert film.pixels[5, 5] == 1
    assert film.modality_values()[0, 1] == pytest.approx(1000, abs=1e-3)
    assert film.spacing is not None
    assert (film.spacing.row_column_mm, film.spacing.plane) == ((0.175, 0.175), "detector")
    assert film.grey.bits_stored == 12


def test_file_of_jsrts_size_with_other_values_is_no_film(tmp_path: Path) -> None:
    assert code_of(write(tmp_path / "noise", b"\xee" * 8_388_608)) == "not-an-image"


def test_given_spacing_fills_in_only_where_the_file_states_none(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    path = write(tmp_path / "film.png", png(film8))
    film = read_radiograph(path, spacing_mm=(0.2, 0.3))
    assert film.spacing is not None
    assert film.spacing.row_column_mm == (0.2, 0.3)
    jsrt = read_radiograph(write(tmp_path / "a.IMG", bytes(8_388_608)), spacing_mm=(9.0, 9.0))
    assert jsrt.spacing is not None
    assert jsrt.spacing.row_mm == 0.175
    with pytest.raises(ValueError, match="spacing is 0"):
        read_radiograph(path, spacing_mm=(0.0, 0.3))


@pytest.mark.films
def test_development_films_are_read(shared_films: Path) -> None:
    jsrt = read_radiograph(shared_films / "jsrt_dev" / "images" / "JPCLN002.png")
    assert jsrt.size == (224, 224)
    path = next(path for path in sorted((shared_films / "nih" / "films").iterdir()))
    assert read_radiograph(path).size == (1024, 1024)
