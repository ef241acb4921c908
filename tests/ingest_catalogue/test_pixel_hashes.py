from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from dicom_files import write_dicom

from xraynet.ingest.pixel_hash import pixel_hash
from xraynet.ingest.read import read_radiograph
from xraynet.radiograph import GreyScale, Radiograph


def film(values: list[list[int]], *, bits: int = 8, **changes: object) -> Radiograph:
    pixels = np.array(values, dtype=np.float32) / np.float32(2**bits - 1)
    return replace(Radiograph(pixels=pixels, grey=GreyScale(bits_stored=bits)), **changes)


def test_the_same_steps_give_one_hash_whatever_the_depth_and_the_darkest_value() -> None:
    assert pixel_hash(film([[1, 2], [3, 5]])) == pixel_hash(film([[1, 2], [3, 5]], bits=12))
    assert pixel_hash(film([[1, 2], [3, 5]])) == pixel_hash(film([[0, 1], [2, 4]]))


def test_other_pixels_and_other_sizes_give_other_hashes() -> None:
    hashes = {pixel_hash(film(values)) for values in ([[1, 2], [3, 4]], [[1, 2], [3, 5]], [[1, 2, 3, 5]], [[1], [2], [3], [5]])}
    assert len(hashes) == 4


def test_padding_takes_no_part() -> None:
    padding = np.array([[True, False], [False, False]])
    assert pixel_hash(film([[9, 2], [3, 5]], padding=padding)) == pixel_hash(film([[4, 2], [3, 5]], padding=padding))


def test_a_dicom_film_and_its_png_are_one_film(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (64, 48), dtype=np.uint16)
    dicom = write_dicom(tmp_path / "a.dcm", pixels, BitsStored=12, HighBit=11)
    assert cv2.imwrite(str(tmp_path / "a.png"), pixels)
    inverted = write_dicom(
        tmp_path / "b.dcm", 4095 - pixels, BitsStored=12, HighBit=11, PhotometricInterpretation="MONOCHROME1"
    )
    hashes = {pixel_hash(read_radiograph(path)) for path in (dicom, tmp_path / "a.png", inverted)}
    assert len(hashes) == 1
