"""MetaImage films against SimpleITK's own reading, and headers that must not be followed."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  the name that everybody gives it
from numpy.typing import NDArray

from xraynet import read_radiograph
from xraynet.errors import FilmError
from xraynet.ingest.limits import DecodeLimits
from xraynet.ingest.read import sha256_of_film

HEADER = "ObjectType = Image\nNDims = 2\nDimSize = {size}\nElementType = {kind}\n{more}ElementDataFile = {data}\n"


def write_itk(
    path: Path, pixels: NDArray[np.generic], *, spacing: tuple[float, float] | None = None, compress: bool = False
) -> Path:
    image = sitk.GetImageFromArray(pixels)
    if spacing is not None:
        image.SetSpacing(spacing[::-1])
    sitk.WriteImage(image, str(path), useCompression=compress)
    return path


def write_header(
    path: Path, pixels: bytes = b"", *, size: str = "4 3", kind: str = "MET_UCHAR", more: str = "", data: str = "LOCAL"
) -> Path:
    path.write_bytes(HEADER.format(size=size, kind=kind, more=more, data=data).encode() + pixels)
    return path


def code_of(path: Path) -> str:
    with pytest.raises(FilmError) as caught:
        read_radiograph(path)
    return caught.value.code


@pytest.mark.parametrize("suffix", [".mha", ".mhd"])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_what_simpleitk_writes_is_read(
    dtype: type, compress: bool, suffix: str, film8: NDArray[np.uint8], tmp_path: Path
) -> None:
    pixels = film8.astype(dtype) - (100 if np.dtype(dtype).kind in "if" else 0)
    film = read_radiograph(write_itk(tmp_path / f"film{suffix}", pixels.astype(dtype), spacing=(0.2, 0.3), compress=compress))
    assert film.size == film8.shape
    values = film.modality_values().astype(np.float64)
    # In a signed 32-bit range, float32 pixels step by 256.
    assert np.abs(values - pixels).max() <= (256 if dtype is np.int32 else 0.01)
    assert film.spacing is not None
    assert film.spacing.row_column_mm == pytest.approx((0.2, 0.3))
    assert film.spacing.plane == "detector"
    assert film.source_format == "metaimage"


def test_unit_spacing_is_unknown_spacing(film8: NDArray[np.uint8], tmp_path: Path) -> None:
    film = read_radiograph(write_itk(tmp_path / "film.mha", film8))
    assert film.spacing is None
    assert "ElementSpacing is 1 1" in film.warnings[0]
    given = read_radiograph(tmp_path / "film.mha", spacing_mm=(0.2, 0.2))
    assert given.spacing is not None


def test_absent_and_garbage_spacings(tmp_path: Path) -> None:
    assert read_radiograph(write_header(tmp_path / "a.mha", bytes(12))).spacing is None
    film = read_radiograph(write_header(tmp_path / "b.mha", bytes(12), more="ElementSpacing = x 0\n"))
    assert film.spacing is None
    assert "ElementSpacing" in film.warnings[0]


def test_big_endian_and_flat_third_axis(tmp_path: Path) -> None:
    words = np.arange(12, dtype=">u2").tobytes()
    more = "BinaryData = True\nBinaryDataByteOrderMSB = True\n"
    film = read_radiograph(write_header(tmp_path / "a.mha", words, size="4 3 1", kind="MET_USHORT", more=more))
    assert np.array_equal(np.rint(film.modality_values()), np.arange(12).reshape(3, 4))


def test_colour_channels_are_judged_like_any_image(tmp_path: Path) -> None:
    channels = "ElementNumberOfChannels = 3\n"
    grey = np.repeat(np.arange(12, dtype=np.uint8), 3).tobytes()
    assert "grey as colour" in read_radiograph(write_header(tmp_path / "a.mha", grey, more=channels)).warnings[0]
    assert code_of(write_header(tmp_path / "b.mha", bytes(range(36)), more=channels)) == "true-colour"
    floats = np.zeros(36, dtype="<f4").tobytes()
    assert code_of(write_header(tmp_path / "c.mha", floats, kind="MET_FLOAT", more=channels)) == "true-colour"


def test_constant_and_infinite_floats(tmp_path: Path) -> None:
    flat = np.full(12, 3, dtype="<f4")
    assert read_radiograph(write_header(tmp_path / "a.mha", flat.tobytes(), kind="MET_FLOAT")).pixels.max() == 0
    flat[3] = np.inf
    assert code_of(write_header(tmp_path / "b.mha", flat.tobytes(), kind="MET_FLOAT")) == "damaged"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"size": "4 3 2"}, "multi-frame"),
        ({"size": "4"}, "multi-frame"),
        ({"size": "60000 60000"}, "too-large"),
        ({"size": "0 3"}, "damaged"),
        ({"size": "many"}, "damaged"),
        ({"kind": "MET_COLOUR"}, "unsupported-codec"),
        ({"more": "BinaryData = False\n"}, "unsupported-codec"),
        ({"more": "CompressedData = True\n"}, "damaged"),
        ({"size": "40 30"}, "truncated"),
        ({"data": "../secret.raw"}, "damaged"),
        ({"data": "/etc/hostname"}, "damaged"),
        ({"data": "C:\\film.raw"}, "damaged"),
        ({"data": "LIST"}, "damaged"),
        ({"data": "film%03d.raw 1 3 1"}, "damaged"),
        ({"data": ".."}, "damaged"),
        ({"data": ""}, "damaged"),
        ({"data": "absent.raw"}, "not-found"),
    ],
)
def test_header_that_must_not_be_followed(header: dict[str, str], code: str, tmp_path: Path) -> None:
    (tmp_path.parent / "secret.raw").write_bytes(bytes(12))
    assert code_of(write_header(tmp_path / "film.mhd", bytes(12), **header)) == code


def test_header_without_an_end_is_truncated(tmp_path: Path) -> None:
    (tmp_path / "film.mhd").write_bytes(b"ObjectType = Image\nNDims = 2\n")
    assert code_of(tmp_path / "film.mhd") == "truncated"


def test_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.raw").write_bytes(bytes(12))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "inside.raw").symlink_to(tmp_path / "outside.raw")
    assert code_of(write_header(folder / "film.mhd", data="inside.raw")) == "damaged"


def test_compressed_bomb_is_stopped_at_its_declared_size(tmp_path: Path) -> None:
    import zlib

    more = "CompressedData = True\n"
    assert code_of(write_header(tmp_path / "bomb.mha", zlib.compress(bytes(50 << 20)), more=more)) == "damaged"
    assert code_of(write_header(tmp_path / "cut.mha", zlib.compress(bytes(range(12)))[:-6], more=more)) == "truncated"


def test_film_is_identified_by_header_and_pixels(tmp_path: Path) -> None:
    films = []
    for index in (1, 2):
        folder = tmp_path / str(index)
        folder.mkdir()
        (folder / "film.raw").write_bytes(bytes([index]) * 12)
        films.append(write_header(folder / "film.mhd", data="film.raw"))
    one, two = (read_radiograph(film) for film in films)
    assert one.sha256 != two.sha256
    assert one.sha256 == sha256_of_film(films[0])
    local = write_header(tmp_path / "film.mha", bytes(12))
    assert read_radiograph(local).sha256 == sha256_of_film(local)


def test_limits_hold_for_the_pixel_file_too(tmp_path: Path) -> None:
    (tmp_path / "film.raw").write_bytes(bytes(5000))
    film = write_header(tmp_path / "film.mhd", data="film.raw")
    with pytest.raises(FilmError, match="5000 bytes"):
        read_radiograph(film, limits=DecodeLimits(max_file_bytes=1000))
