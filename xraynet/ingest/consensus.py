"""Makes one set of boxes out of several readers': those on which enough of them agree, fused, and those they dispute.

Readers disagree widely: one radiologist of VinBigData finds 39 % of another's lesions. A catalogue keeps who marked what;
how many must agree is chosen when films are asked for. What too few marked is neither a nodule nor its absence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.findings import LabelState, NoduleAnnotations
from xraynet.geometry import Boxes, empty_boxes, intersection_over_union

SAME_LESION_IOU: Final = 0.2
"""Two readers' boxes above this overlap mean one lesion (the rule of NODE21)."""


@dataclass(frozen=True)
class ConsensusConfig:
    """A nodule is what at least ``least_readers`` marked (all of them, where fewer read the film).

    A box and a lesion's mean box are one lesion where their intersection over union is above ``overlap``.
    """

    least_readers: int = 1
    overlap: float = SAME_LESION_IOU

    def __post_init__(self) -> None:
        if self.least_readers < 1 or not 0 <= self.overlap < 1:
            raise ValueError(
                f"least_readers {self.least_readers}, overlap {self.overlap}: at least 1, and 0 <= overlap < 1, was expected"
            )


@dataclass(frozen=True, eq=False)
class Consensus:
    """``agreed``: the nodules, one box each, the mean of its readers'. ``disputed``: boxes that too few readers marked.

    ``agreed`` is of unknown state where every box is disputed.
    """

    agreed: NoduleAnnotations
    disputed: Float32[NDArray[np.float32], "disputed 4"]


@dataclass(frozen=True, eq=False)
class _Lesion:
    """Indices of boxes that mean one lesion, at most one a reader, and their mean box. Unsigned boxes stay alone."""

    signed: bool
    members: list[int]
    readers: set[str]
    mean: Float32[NDArray[np.float32], "1 4"]


def find_consensus(annotations: NoduleAnnotations, *, num_readers: int, config: ConsensusConfig) -> Consensus:
    """The lesions that enough of the film's ``num_readers`` marked, each as the mean of their boxes, marked by "A+B".

    Boxes without a reader are a consensus already and stand as they are. A film on which somebody marked something, but
    on nothing enough of them agree, is unknown: it is no negative.
    """
    needed = min(config.least_readers, max(1, num_readers))
    lesions = _group(annotations, overlap=config.overlap)
    kept = [lesion for lesion in lesions if not lesion.signed or len(lesion.readers) >= needed]
    if len(kept) == len(annotations.boxes):
        return Consensus(agreed=annotations, disputed=empty_boxes())
    agreed = NoduleAnnotations(
        boxes=_stack(kept),
        class_names=tuple(annotations.class_names[lesion.members[0]] for lesion in kept),
        readers=tuple("+".join(sorted(lesion.readers)) or None for lesion in kept),
        diameter_mm=tuple(_mean_of([annotations.diameter_mm[index] for index in lesion.members]) for lesion in kept),
        subtlety=tuple(_middle_of([annotations.subtlety[index] for index in lesion.members]) for lesion in kept),
        state=annotations.state if kept else LabelState.UNKNOWN,
    )
    return Consensus(agreed=agreed, disputed=_stack([lesion for lesion in lesions if lesion not in kept]))


def fuse_readers(annotations: NoduleAnnotations, *, at_least: int) -> NoduleAnnotations:
    """What ``at_least`` readers agree on (see ``find_consensus``), however many read the film.

    Raises ValueError where ``at_least`` is below 1.
    """
    if at_least < 1:
        raise ValueError(f"{at_least} readers must agree; 1 or more were expected")
    return find_consensus(annotations, num_readers=at_least, config=ConsensusConfig(least_readers=at_least)).agreed


def _group(annotations: NoduleAnnotations, *, overlap: float) -> list[_Lesion]:
    """Lesions by joining the two that overlap most, again and again, as long as no reader would be in one twice.

    One reader's two boxes are two nodules, however close; so are boxes that nobody signed.
    """
    boxes = annotations.boxes
    # Sorted by coordinates, so that ties do not depend on the order of rows.
    lesions = []
    for index in np.lexsort(boxes.T[::-1]).tolist():
        reader = annotations.readers[index]
        lesions.append(
            _Lesion(
                signed=reader is not None, members=[index], readers=set() if reader is None else {reader}, mean=boxes[[index]]
            )
        )
    while (pair := _closest_pair(lesions, overlap=overlap)) is not None:
        kept, joined = lesions[pair[0]], lesions.pop(pair[1])
        members = kept.members + joined.members
        lesions[pair[0]] = _Lesion(
            signed=True, members=members, readers=kept.readers | joined.readers, mean=boxes[members].mean(axis=0, keepdims=True)
        )
    return lesions


def _closest_pair(lesions: Sequence[_Lesion], *, overlap: float) -> tuple[int, int] | None:
    best, best_overlap = None, overlap
    for first, one in enumerate(lesions):
        for second in range(first + 1, len(lesions)):
            other = lesions[second]
            if not (one.signed and other.signed) or one.readers & other.readers:
                continue
            found = float(intersection_over_union(one.mean, other.mean)[0, 0])
            if found > best_overlap:
                best, best_overlap = (first, second), found
    return best


def _stack(lesions: Sequence[_Lesion]) -> Boxes:
    return np.concatenate([lesion.mean for lesion in lesions]).astype(np.float32) if lesions else empty_boxes()


def _mean_of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _middle_of(values: Sequence[int | None]) -> int | None:
    known = sorted(value for value in values if value is not None)
    return known[len(known) // 2] if known else None
