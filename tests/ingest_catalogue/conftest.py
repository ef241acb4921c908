"""Small films, small tables, and a catalogue made of them."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from xraynet.ingest.build import IngestConfig, build_catalogue
from xraynet.ingest.catalogue import Catalogue
from xraynet.ingest.labels.formats import LabelFormat
from xraynet.ingest.split import SplitConfig

NUM_FILMS = 20
HEIGHT, WIDTH = 40, 50
THREE_WAYS = SplitConfig((0.6, 0.2, 0.2))


def write_film(path: Path, seed: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
    """A film of noise, another for every seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


@pytest.fixture
def make_film() -> Callable[..., Path]:
    return write_film


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A folder of 20 films of 10 patients, and ``labels.csv``: every second film has a nodule, every fifth a mass."""
    folder = tmp_path / "films"
    rows = ["film,x1,y1,x2,y2,class,patient,sex,age_years,view,row_spacing_mm,column_spacing_mm"]
    for number in range(NUM_FILMS):
        write_film(folder / f"film{number:02d}.png", number)
        facts = f"Doe{number // 2},{'FM'[number % 2]},{30 + number},{'PA' if number % 3 else 'AP'},0.5,1.0"
        if number % 2 == 0:
            rows.append(f"film{number:02d}.png,10,10,20,{14 + number},Nodule,{facts}")
        if number % 5 == 0:
            rows.append(f"film{number:02d},30,5,45,20,Mass,{facts}")
        if number % 2 and number % 5:
            rows.append(f"film{number:02d}.png,,,,,,{facts}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def ingest(tmp_path: Path) -> Callable[..., Catalogue]:
    """Ingests a folder with its ``labels.csv``, in this process."""

    def run(
        folder: Path,
        *,
        name: str = "catalogue",
        split: SplitConfig = THREE_WAYS,
        salt: str = "salt",
        split_like: Catalogue | None = None,
    ) -> Catalogue:
        labels = folder / "labels.csv"
        has_labels = labels.is_file()
        config = IngestConfig(
            labels=(labels,) if has_labels else (),
            formats=(LabelFormat.CSV,) if has_labels else (),
            split=split,
            split_like=split_like,
            num_workers=0,
        )
        return build_catalogue([folder], out=tmp_path / name, salt_file=tmp_path / salt, config=config)[0]

    return run
