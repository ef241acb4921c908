"""Consensus: which of several readers' boxes are learnt as nodules. Readers disagree, and the choice is made here, in training.

The catalogue keeps who marked what (one VinBigData reader finds 39 % of another's lesions). Boxes of different readers that
overlap are one nodule, marked by all of them; what too few readers marked is neither a nodule nor its absence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.findings import LabelState, NoduleAnnotations
from xraynet.geometry import Boxes, empty_boxes, intersection_over_union


@dataclass(frozen=True)
class ConsensusConfig:
    """A nodule is what at least ``least_readers`` marked (all of them, where fewer read the film).

    Boxes of two readers are one nodule where their intersection over union is above ``overlap``.
    """

    least_readers: int = 1
    overlap: float = 0.2

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


def find_consensus(annotations: NoduleAnnotations, *, num_readers: int, config: ConsensusConfig) -> Consensus:
    """The nodules that enough of ``num_readers`` marked on one film. Boxes without a reader stand as they are."""
    groups = _group_boxes(annotations, overlap=config.overlap)
    needed = min(config.least_readers, max(1, num_readers))
    kept = [group for group in groups if annotations.readers[group[0]] is None or len(group) >= needed]
    disputed = [group for group in groups if group not in kept]
    if len(kept) == len(annotations.boxes):
        return Consensus(agreed=annotations, disputed=empty_boxes())
    state = annotations.state if kept else LabelState.UNKNOWN
    agreed = NoduleAnnotations(
        boxes=_mean_boxes(annotations.boxes, kept),
        class_names=tuple(annotations.class_names[group[0]] for group in kept),
        readers=tuple(_join_readers(annotations, group) for group in kept),
        diameter_mm=tuple(_mean_known([annotations.diameter_mm[index] for index in group]) for group in kept),
        subtlety=tuple(annotations.subtlety[group[0]] if len(group) == 1 else None for group in kept),
        state=state,
    )
    return Consensus(agreed=agreed, disputed=_mean_boxes(annotations.boxes, disputed))


def _group_boxes(annotations: NoduleAnnotations, *, overlap: float) -> list[list[int]]:
    overlaps = intersection_over_union(annotations.boxes, annotations.boxes)
    groups: list[list[int]] = []
    for index, reader in enumerate(annotations.readers):
        # One reader's two boxes are two nodules, however close; so are boxes that nobody signed.
        open_to = [
            group
            for group in groups
            if reader is not None
            and annotations.readers[group[0]] is not None
            and all(annotations.readers[member] != reader for member in group)
            and float(overlaps[index, group].mean()) > overlap
        ]
        if open_to:
            max(open_to, key=lambda group: float(overlaps[index, group].mean())).append(index)
        else:
            groups.append([index])
    return groups


def _mean_boxes(boxes: Boxes, groups: Sequence[Sequence[int]]) -> Float32[NDArray[np.float32], "groups 4"]:
    if not groups:
        return empty_boxes()
    return np.stack([boxes[list(group)].mean(axis=0) for group in groups]).astype(np.float32)


def _join_readers(annotations: NoduleAnnotations, group: Sequence[int]) -> str | None:
    names = [reader for reader in (annotations.readers[index] for index in group) if reader is not None]
    return "+".join(names) if names else None


def _mean_known(diameters: Sequence[float | None]) -> float | None:
    known = [diameter for diameter in diameters if diameter is not None]
    return sum(known) / len(known) if known else None
