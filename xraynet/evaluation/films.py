"""ScoredFilm: what readers marked on one film and what a detector proposed on it, side by side."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from xraynet.findings import LabelState, NoduleAnnotations, NoduleDetections
from xraynet.lung_frame import LungBoxes

Attribute = str | float | None


@dataclass(frozen=True, eq=False)
class ScoredFilm:
    """One film, ready to be scored; boxes of both kinds in the same frame (stored pixels, or any other one frame).

    ``spacing_mm`` is (row, column) or None where the film does not say. ``film_has_nodule`` is what is known of the film
    as a whole: it is taken from the annotations where they say it, and only matters where their state is unknown.
    ``attributes`` name what tables are made by (``view``, ``sex``, ``age_years``). ``analysed`` is False where the
    detector declined to read the film (the gate); such a film counts, with no mark and a film score of 0.
    ``lungs`` tell in which zone its nodules lie; None where that is not known.
    """

    key: str
    annotations: NoduleAnnotations
    detections: NoduleDetections
    patient_key: str | None = None
    spacing_mm: tuple[float, float] | None = None
    film_has_nodule: bool | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    analysed: bool = True
    lungs: LungBoxes | None = None

    def __post_init__(self) -> None:
        if self.spacing_mm is not None and not min(self.spacing_mm) > 0:
            raise ValueError(f"film {self.key}: spacing is {self.spacing_mm} mm; two numbers above 0, or None, were expected")
        if not self.analysed and len(self.detections):
            raise ValueError(f"film {self.key} was not analysed and has {len(self.detections)} detections")
        state = self.annotations.state
        if state is not LabelState.UNKNOWN and self.film_has_nodule not in (None, state is LabelState.BOXED):
            raise ValueError(
                f"film {self.key}: film_has_nodule is {self.film_has_nodule}, but the annotations are {state.value}"
            )

    @property
    def is_counted(self) -> bool:
        """True where every nodule of the film is known, so that a mark can be called true or false."""
        return self.annotations.state is not LabelState.UNKNOWN

    @property
    def has_nodule(self) -> bool | None:
        """What is known of the film as a whole; None where nothing is."""
        if self.annotations.state is LabelState.UNKNOWN:
            return self.film_has_nodule
        return self.annotations.state is LabelState.BOXED

    @property
    def film_score(self) -> float:
        """The highest score on the film; 0 where there is no detection (NODE21's image score)."""
        scores = self.detections.scores
        return float(scores[0]) if scores.size else 0.0
