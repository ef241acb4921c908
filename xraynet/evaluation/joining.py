"""Joins the films of a catalogue to what a detector proposed on them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from xraynet.errors import PredictionsError
from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.predictions import Predictions
from xraynet.findings import NoduleAnnotations, NoduleDetections
from xraynet.lung_frame import LungBoxes
from xraynet.radiograph import PixelSpacing, ViewPosition


@runtime_checkable
class AnnotatedFilm(Protocol):
    """What evaluation needs to know of a film: an entry of a catalogue, or anything with these facts."""

    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def path(self) -> Path: ...  # noqa: D102
    @property
    def patient_key(self) -> str | None: ...  # noqa: D102
    @property
    def annotations(self) -> NoduleAnnotations: ...  # noqa: D102
    @property
    def view_position(self) -> ViewPosition: ...  # noqa: D102
    @property
    def sex(self) -> str | None: ...  # noqa: D102
    @property
    def age_years(self) -> float | None: ...  # noqa: D102
    @property
    def spacing(self) -> PixelSpacing | None: ...  # noqa: D102
    @property
    def film_has_nodule(self) -> bool | None: ...  # noqa: D102
    @property
    def source_format(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class JoinedFilms:
    """Films with their detections; how many had no predictions at all, and how many predictions had no film.

    ``not_analysed``: (code, number of films), the most frequent first, of why films were not analysed.
    """

    films: tuple[ScoredFilm, ...]
    num_without_predictions: int
    num_predictions_unused: int
    not_analysed: tuple[tuple[str, int], ...] = ()


def score_film(
    entry: AnnotatedFilm,
    detections: NoduleDetections,
    *,
    analysed: bool = True,
    spacing_mm: tuple[float, float] | None = None,
    lungs: LungBoxes | None = None,
) -> ScoredFilm:
    """One film with its detections. ``spacing_mm`` (row, column) is used where the film does not say its own."""
    return ScoredFilm(
        key=entry.key,
        annotations=entry.annotations,
        detections=detections,
        patient_key=entry.patient_key,
        spacing_mm=entry.spacing.row_column_mm if entry.spacing is not None else spacing_mm,
        film_has_nodule=entry.film_has_nodule,
        attributes={
            "view": entry.view_position.value,
            "sex": entry.sex,
            "age_years": entry.age_years,
            "source": entry.source_format or None,
        },
        analysed=analysed,
        lungs=lungs,
    )


def join_predictions(
    entries: Sequence[AnnotatedFilm], predictions: Predictions, *, spacing_mm: tuple[float, float] | None = None
) -> JoinedFilms:
    """Every entry with the predictions that go by its key, path, file name or file name without suffix.

    An entry without predictions counts as a film without a detection. Raises PredictionsError where no prediction
    belongs to any entry, or where one belongs to several.
    """
    names = [_find(entry, predictions) for entry in entries]
    used = [name for name in names if name is not None]
    if entries and predictions.by_name and not used:
        raise PredictionsError(
            f"none of {len(predictions.by_name)} films of {predictions.source} belongs to the {len(entries)} films asked for; "
            "their names must be the films' keys, file names, or file names without suffix"
        )
    if len(set(used)) != len(used):
        raise PredictionsError(
            f"{len(used) - len(set(used))} names of {predictions.source} fit several films; use the films' keys or whole paths"
        )
    films = tuple(
        score_film(
            entry,
            NoduleDetections() if name is None else predictions.by_name[name],
            analysed=not predictions.not_analysed & {name, entry.key},
            spacing_mm=spacing_mm,
            lungs=None if name is None else predictions.lungs.get(name),
        )
        for entry, name in zip(entries, names, strict=True)
    )
    reasons = [
        predictions.reasons.get(entry.key if name is None else name, "no reason given")
        for entry, name, film in zip(entries, names, films, strict=True)
        if not film.analysed
    ]
    return JoinedFilms(
        films, names.count(None), len(predictions.by_name) - len(used), tuple(Counter(sorted(reasons)).most_common())
    )


def _find(entry: AnnotatedFilm, predictions: Predictions) -> str | None:
    """The name by which the predictions know this film, the most exact one first."""
    for name in (entry.key, entry.path.as_posix(), *_tails(entry.path), entry.path.stem):
        if name in predictions.by_name:
            return name
        if name in predictions.aliases:
            return predictions.aliases[name]
    return _find_by_other_suffix(entry.path, predictions.by_name)


def _tails(path: Path) -> list[str]:
    """The path's last parts, longest first: a/b/c.png, b/c.png, c.png."""
    parts = [part for part in path.parts if part != path.anchor]
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _find_by_other_suffix(path: Path, names: Mapping[str, NoduleDetections]) -> str | None:
    """NODE21's tables name .mha files; the same films are often kept as .png."""
    return next((name for suffix in (".mha", ".png", ".dcm", ".jpg") if (name := path.stem + suffix) in names), None)
