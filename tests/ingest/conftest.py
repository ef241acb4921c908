"""Films to read: a smooth phantom with noise, and where the packages' own DICOM files lie."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="session")
def film12() -> NDArray[np.uint16]:
    """A 12-bit film of 96 x 80 pixels that uses its whole range."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:96, :80]
    film = 2047 + 1700 * np.sin(x / 13) * np.cos(y / 17) + rng.normal(0, 20, x.shape)
    film[0, 0], film[0, 1] = 0, 4095
    return np.clip(film, 0, 4095).astype(np.uint16)


@pytest.fixture(scope="session")
def film8(film12: NDArray[np.uint16]) -> NDArray[np.uint8]:
    return (film12 >> 4).astype(np.uint8)


@pytest.fixture(scope="session")
def pydicom_files() -> Path:
    """The DICOM files inside the pydicom wheel; nothing is ever downloaded."""
    spec = find_spec("pydicom")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / "test_files"


@pytest.fixture(scope="session")
def data_store() -> Path:
    """The DICOM files inside the pydicom-data wheel."""
    spec = find_spec("data_store")
    if spec is None or spec.origin is None:
        pytest.skip("pydicom-data is not installed")
    return Path(spec.origin).parent / "data"
