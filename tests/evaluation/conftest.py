"""Films made by hand: a nodule is a box, a mark is a box and a score."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from xraynet.evaluation.films import ScoredFilm
from xraynet.findings import LabelState, NoduleAnnotations, NoduleDetections

Mark = tuple[Sequence[float], float]
MakeFilm = Callable[..., ScoredFilm]


def build_film(
    key: str = "film",
    nodules: Sequence[Sequence[float]] | None = (),
    marks: Sequence[Mark] = (),
    *,
    patient: str | None = None,
    spacing_mm: tuple[float, float] | None = (1.0, 1.0),
    film_has_nodule: bool | None = None,
    attributes: Mapping[str, str | float | None] | None = None,
    diameter_mm: Sequence[float | None] | None = None,
    subtlety: Sequence[int | None] | None = None,
    analysed: bool = True,
) -> ScoredFilm:
    """``nodules=None``: nothing is known of the film."""
    boxes = np.array(nodules or [], dtype=np.float32).reshape(-1, 4)
    state = LabelState.UNKNOWN if nodules is None else LabelState.BOXED if len(boxes) else LabelState.FREE
    annotations = NoduleAnnotations(
        boxes=boxes,
        class_names=("nodule",) * len(boxes),
        readers=(None,) * len(boxes),
        diameter_mm=tuple(diameter_mm) if diameter_mm is not None else (None,) * len(boxes),
        subtlety=tuple(subtlety) if subtlety is not None else (None,) * len(boxes),
        state=state,
    )
    detections = NoduleDetections(
        boxes=np.array([box for box, _ in marks], dtype=np.float32).reshape(-1, 4),
        scores=np.array([score for _, score in marks], dtype=np.float32),
    )
    return ScoredFilm(
        key=key,
        annotations=annotations,
        detections=detections,
        patient_key=patient,
        spacing_mm=spacing_mm,
        film_has_nodule=film_has_nodule,
        attributes=attributes or {},
        analysed=analysed,
    )


@pytest.fixture(scope="session")
def make_film() -> MakeFilm:
    return build_film


def build_random_films(
    rng: np.random.Generator, num_films: int, *, patients: int | None = None, decimals: int = 7
) -> list[ScoredFilm]:
    """Films with up to three nodules, marks near them and marks anywhere."""
    films = []
    for number in range(num_films):
        corners = rng.uniform(0, 400, size=(int(rng.choice([0, 0, 1, 2, 3])), 2))
        nodules = np.concatenate([corners, corners + rng.uniform(20, 60, size=(len(corners), 2))], axis=1)
        near = nodules[rng.random(len(nodules)) < 0.8]
        near = near + rng.normal(0, 6, size=near.shape) + np.array([0, 0, 14, 14])
        starts = rng.uniform(0, 400, size=(int(rng.integers(0, 8)), 2))
        anywhere = np.concatenate([starts, starts + rng.uniform(15, 70, size=(len(starts), 2))], axis=1)
        again = near[rng.random(len(near)) < 0.4] + 2
        boxes = np.concatenate([near, again, anywhere])
        scores = np.round(
            np.concatenate([rng.beta(3, 2, size=len(near) + len(again)), rng.beta(1, 3, size=len(anywhere))]), decimals
        )
        marks = list(zip(boxes.tolist(), scores.tolist(), strict=True))
        patient = None if patients is None else f"p{number % patients}"
        films.append(build_film(f"f{number}", nodules.tolist(), marks, patient=patient))
    return films


@pytest.fixture(scope="session")
def random_films() -> Callable[..., list[ScoredFilm]]:
    return build_random_films
