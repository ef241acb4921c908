"""What radiologists marked, what the detector proposes, and what is said of a film in the end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float32
from numpy.typing import NDArray

from xraynet.geometry import Boxes, empty_boxes
from xraynet.lung_frame import LungBoxes
from xraynet.lung_frame import Side as Side
from xraynet.lung_frame import Zone as Zone
from xraynet.radiograph import SpacingPlane, ViewPosition

READING_SCHEMA_VERSION: Final = 1
LOWEST_KEPT_SCORE: Final = 0.001
MOST_KEPT_DETECTIONS: Final = 100

OutcomeStatus = Literal["ok", "refused", "failed"]


class LabelState(StrEnum):
    """What is known of a film's nodules. An unknown film is never a negative."""

    BOXED = "boxed"
    FREE = "free"
    UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class NoduleAnnotations:
    """What readers marked on one film, in stored pixels.

    ``class_names`` are the source's own words; ``readers`` tell who marked what (None where the source does not say);
    ``diameter_mm`` and ``subtlety`` (1 extremely subtle to 5 obvious) are None where unknown. All have one entry a box.
    """

    boxes: Boxes = field(default_factory=empty_boxes)
    class_names: tuple[str, ...] = ()
    readers: tuple[str | None, ...] = ()
    diameter_mm: tuple[float | None, ...] = ()
    subtlety: tuple[int | None, ...] = ()
    state: LabelState = LabelState.UNKNOWN

    def __post_init__(self) -> None:
        num = len(self.boxes)
        for name in ("class_names", "readers", "diameter_mm", "subtlety"):
            if len(getattr(self, name)) != num:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries; there are {num} boxes")
        if self.state is LabelState.FREE and num:
            raise ValueError(f"a film read as free of nodules has {num} boxes")
        if self.state is LabelState.BOXED and not num:
            raise ValueError("a film in state 'boxed' has no box")

    @classmethod
    def of_boxes(cls, boxes: Boxes, *, class_name: str = "nodule") -> "NoduleAnnotations":
        """Annotations of one class without further facts; no box means: read and free of nodules."""
        num = len(boxes)
        return cls(
            boxes=boxes,
            class_names=(class_name,) * num,
            readers=(None,) * num,
            diameter_mm=(None,) * num,
            subtlety=(None,) * num,
            state=LabelState.BOXED if num else LabelState.FREE,
        )


@dataclass(frozen=True, eq=False)
class NoduleDetections:
    """What a detector proposes on one film: boxes in stored pixels and scores in [0, 1], highest score first."""

    boxes: Boxes = field(default_factory=empty_boxes)
    scores: Float32[NDArray[np.float32], " num"] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))

    def __post_init__(self) -> None:
        if len(self.boxes) != len(self.scores):
            raise ValueError(f"there are {len(self.boxes)} boxes and {len(self.scores)} scores; one score a box was expected")
        if len(self.scores) and not (np.isfinite(self.scores).all() and self.scores.min() >= 0 and self.scores.max() <= 1):
            raise ValueError(f"scores range from {self.scores.min()} to {self.scores.max()}; [0, 1] was expected")
        if np.any(np.diff(self.scores) > 0):
            order = np.argsort(-self.scores, kind="stable")
            object.__setattr__(self, "boxes", self.boxes[order])
            object.__setattr__(self, "scores", self.scores[order])

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, keep: Bool[NDArray[np.bool_], " num"]) -> "NoduleDetections":
        """The detections where ``keep`` is True."""
        return NoduleDetections(boxes=self.boxes[keep], scores=self.scores[keep])


@dataclass(frozen=True)
class Finding:
    """One detection as it is told to a person.

    ``box`` is (x1, y1, x2, y2) in stored pixels; ``reported`` says that the score is above the operating point.
    """

    box: tuple[float, float, float, float]
    score: float
    reported: bool
    diameter_mm: float | None = None
    side: Side | None = None
    zone: Zone | None = None


@dataclass(frozen=True)
class GateVerdict:
    """Whether a film looks like a frontal chest radiograph, head up, of the right polarity, and what is wrong if not.

    ``reasons`` are codes (``rotated-90``, ``inverted``, ``not-a-chest``, ...); ``warnings`` are sentences that do not refuse.
    """

    passed: bool
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.passed == bool(self.reasons):
            raise ValueError(f"passed is {self.passed} with reasons {self.reasons}; a film fails for a reason, and only then")


@dataclass(frozen=True)
class CheckpointIdentity:
    """Which detector spoke: its name, the fingerprint of its weights and settings, and its version."""

    name: str
    fingerprint: str
    version: str


@dataclass(frozen=True)
class FilmSource:
    """The file a reading is about: the path as the user gave it (None under ``--hash-paths``) and its SHA-256."""

    path: str | None
    sha256: str


@dataclass(frozen=True)
class FilmFacts:
    """What is known of the film's frame: sizes in stored pixels, spacing (row, column) in mm or None, its plane, its view."""

    height: int
    width: int
    spacing_mm: tuple[float, float] | None
    spacing_plane: SpacingPlane | None
    view_position: ViewPosition


@dataclass(frozen=True)
class Reading:
    """Everything xraynet says of one film. ``film_score`` is None where the film was not analysed.

    ``lungs``: where the lung fields lie, for comparison with another film; None where they are not to be relied on.
    """

    source: FilmSource
    status: OutcomeStatus
    image: FilmFacts
    gate: GateVerdict
    film_score: float | None
    detections: tuple[Finding, ...]
    warnings: tuple[str, ...]
    checkpoint: CheckpointIdentity
    operating_threshold: float
    gate_enforced: bool = True
    lungs: LungBoxes | None = None

    def __post_init__(self) -> None:
        if self.film_score is None and self.detections:
            raise ValueError(f"a film that was not analysed has {len(self.detections)} detections")
        scores = [finding.score for finding in self.detections]
        if scores != sorted(scores, reverse=True):
            raise ValueError("detections are not sorted by falling score")

    @property
    def id(self) -> str:
        """The first 16 hex digits of the file's SHA-256: the name of the reading's folder."""
        return self.source.sha256[:16]

    @property
    def reported(self) -> tuple[Finding, ...]:
        """The findings above the operating point."""
        return tuple(finding for finding in self.detections if finding.reported)

    def to_detections(self) -> NoduleDetections:
        """All detections, reported or not, as arrays."""
        if not self.detections:
            return NoduleDetections()
        return NoduleDetections(
            boxes=np.array([finding.box for finding in self.detections], dtype=np.float32),
            scores=np.array([finding.score for finding in self.detections], dtype=np.float32),
        )


@dataclass(frozen=True)
class Outcome:
    """What became of one input file. ``code`` and ``reason`` are empty for ``ok``."""

    path: str
    id: str
    sha256: str
    status: OutcomeStatus
    code: str = ""
    reason: str = ""
    elapsed_s: float = 0.0


def count_by_status(outcomes: Sequence[Outcome]) -> dict[OutcomeStatus, int]:
    """How many outcomes are ok, refused and failed (always all three keys)."""
    counts: dict[OutcomeStatus, int] = {"ok": 0, "refused": 0, "failed": 0}
    for outcome in outcomes:
        counts[outcome.status] += 1
    return counts
