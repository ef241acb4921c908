"""Small films on disk, their entries, and lungs that need no network."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from xraynet.findings import LabelState, NoduleAnnotations
from xraynet.ingest.catalogue import FilmEntry
from xraynet.preparation import PreparationConfig
from xraynet.radiograph import PixelSpacing, Radiograph, ViewPosition
from xraynet.samples.build import build_cache
from xraynet.samples.cache import FilmCache

SPACING = PixelSpacing(1.5, 1.5)
PREPARATION = PreparationConfig(mm_per_pixel=1.6, lung_side_px=150, film_long_side_px=256)


@dataclass(frozen=True, eq=False)
class FakeFields:
    """Two upright ellipses."""

    mask: np.ndarray

    @property
    def box(self) -> np.ndarray:
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        return np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], dtype=np.float32)

    def mask_stored(self) -> np.ndarray:
        return self.mask


def ellipses(size: tuple[int, int]) -> np.ndarray:
    height, width = size
    rows, columns = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    one, other = ((((columns - x) / 0.15) ** 2 + ((rows - 0.5) / 0.35) ** 2) < 1 for x in (0.28, 0.72))
    return one | other


class FakeLungs:
    """A segmenter that finds the same two lungs in every film."""

    fingerprint = "two-ellipses"

    def segment(self, radiograph: Radiograph) -> FakeFields:
        return FakeFields(ellipses(radiograph.size))


def draw_film(seed: int, size: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    film = np.where(ellipses(size), 60, 170).astype(np.float32)
    film = cv2.GaussianBlur(film, (0, 0), 5) + rng.normal(0, 4, size)
    return np.clip(film, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def make_entry() -> Callable[..., FilmEntry]:
    def make(
        path: Path,
        *,
        state: LabelState = LabelState.FREE,
        boxes: Sequence[Sequence[float]] = (),
        view: ViewPosition = ViewPosition.PA,
        spacing: PixelSpacing | None = SPACING,
        patient: str | None = None,
    ) -> FilmEntry:
        stacked = np.array(boxes, dtype=np.float32).reshape(-1, 4)
        annotations = NoduleAnnotations(state=state) if not len(stacked) else NoduleAnnotations.of_boxes(stacked)
        known = path.exists()
        height, width = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape if known else (8, 8)
        digest = hashlib.sha256(path.read_bytes() if known else str(path).encode()).hexdigest()
        return FilmEntry(
            key=digest[:16],
            path=path,
            patient_key=patient,
            annotations=annotations,
            size=(height, width),
            view_position=view,
            sex=None,
            age_years=None,
            spacing=spacing,
            split="train",
            fold=None,
            film_has_nodule=None if state is LabelState.UNKNOWN else bool(len(stacked)),
            pixel_hash="",
        )

    return make


@pytest.fixture(scope="session")
def film_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for index in range(10):
        size = (260, 220) if index % 2 else (240, 250)
        assert cv2.imwrite(str(folder / f"film{index}.png"), draw_film(index, size))
    return folder


@pytest.fixture(scope="session")
def entries(film_folder: Path, make_entry: Callable[..., FilmEntry]) -> list[FilmEntry]:
    """Seven free films (four PA, three AP), two boxed, one of unknown state; film 3 and 8 without spacing."""
    made = []
    for index in range(10):
        state = LabelState.UNKNOWN if index == 9 else LabelState.BOXED if index in (7, 8) else LabelState.FREE
        boxes = [[60, 80, 90, 110], [150, 100, 162, 112]] if state is LabelState.BOXED else []
        view = ViewPosition.AP if index in (1, 2, 3) else ViewPosition.PA
        spacing = None if index in (3, 8) else PixelSpacing(1.5, 1.5)
        path = film_folder / f"film{index}.png"
        made.append(make_entry(path, state=state, boxes=boxes, view=view, spacing=spacing, patient=f"patient{index // 2}"))
    return made


@pytest.fixture(scope="session")
def fake_lungs() -> FakeLungs:
    return FakeLungs()


@pytest.fixture(scope="session")
def preparation() -> PreparationConfig:
    return PREPARATION


@pytest.fixture(scope="session")
def film_cache(tmp_path_factory: pytest.TempPathFactory, entries: list[FilmEntry], fake_lungs: FakeLungs) -> FilmCache:
    return build_cache(
        tmp_path_factory.mktemp("cache"),
        entries,
        catalogue_fingerprint="a catalogue",
        preparation=PREPARATION,
        lungs=fake_lungs,
    )
