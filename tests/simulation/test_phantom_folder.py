"""A folder of synthetic films and its table agree."""

import csv
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from xraynet.simulation.phantom_folder import PhantomFolderConfig, write_phantoms


def test_films_and_table_agree(tmp_path: Path) -> None:
    films = write_phantoms(tmp_path, PhantomFolderConfig(num=3, size=(192, 192), nodule_every=3, diameter_mm=30))
    rows = list(csv.DictReader((tmp_path / "labels.csv").read_text().splitlines()))
    assert [path.name for path in films] == [row["film"] for row in rows]
    assert [row["state"] for row in rows] == ["", "free", "free"]
    box = [float(rows[0][side]) for side in ("x1", "y1", "x2", "y2")]
    assert 0 <= box[0] < box[2] <= 192
    assert 0 <= box[1] < box[3] <= 192
    pixels = cv2.imread(str(films[0]), cv2.IMREAD_UNCHANGED)
    assert pixels.dtype == np.uint16
    assert pixels.max() <= 4095


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    config = PhantomFolderConfig(num=1, size=(96, 96), seed=5)
    (one,), (other,) = write_phantoms(tmp_path / "a", config), write_phantoms(tmp_path / "b", config)
    assert one.read_bytes() == other.read_bytes()


def test_the_verb_writes_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "xraynet", "phantoms", str(tmp_path / "films"), "--num", "2", "--size", "96"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "2 synthetic films" in result.stdout
    assert len(list((tmp_path / "films").glob("*.png"))) == 2


def test_impossible_counts_are_named() -> None:
    with pytest.raises(ValueError, match="num is 0"):
        PhantomFolderConfig(num=0)
