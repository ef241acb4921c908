"""Makes one set of boxes out of several readers': those on which enough of them agree, fused.

Readers disagree widely: one radiologist of VinBigData finds 39 % of another's lesions. A catalogue keeps who marked what;
how many must agree is chosen when films are asked for.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.findings import LabelState, NoduleAnnotations
from xraynet.geometry import empty_boxes, intersection_over_union

SAME_LESION_IOU: Final = 0.2
"""Two readers' boxes above this overlap mean one lesion (the rule of NODE21)."""


@dataclass
class _Lesion:
    """Indices of boxes that mean one lesion, at most one a reader, and their mean box."""

    members: list[int] = field(default_factory=list)
    readers: set[str | None] = field(default_factory=set)
    mean: Float32[NDArray[np.float32], "1 4"] = field(default_factory=lambda: np.zeros((1, 4), dtype=np.float32))


def fuse_readers(annotations: NoduleAnnotations, *, at_least: int) -> NoduleAnnotations:
    """The lesions that ``at_least`` readers marked, each as the mean of their boxes, marked by "A+B".

    A film on which somebody marked something, but on nothing enough of them agree, is unknown: it is no negative. Boxes
    without a reader are a consensus already and come back as they are. Raises ValueError where ``at_least`` is below 1.
    """
    if at_least < 1:
        raise ValueError(f"{at_least} readers must agree; 1 or more were expected")
    if not len(annotations.boxes) or None in annotations.readers:
        return annotations
    lesions = [lesion for lesion in _group(annotations) if len(lesion.readers) >= at_least]
    if not lesions:
        return NoduleAnnotations(boxes=empty_boxes(), state=LabelState.UNKNOWN)
    first = [lesion.members[0] for lesion in lesions]
    return NoduleAnnotations(
        boxes=np.concatenate([lesion.mean for lesion in lesions]).astype(np.float32),
        class_names=tuple(annotations.class_names[index] for index in first),
        readers=tuple("+".join(sorted(str(reader) for reader in lesion.readers)) for lesion in lesions),
        diameter_mm=tuple(_mean_of([annotations.diameter_mm[index] for index in lesion.members]) for lesion in lesions),
        subtlety=tuple(_middle_of([annotations.subtlety[index] for index in lesion.members]) for lesion in lesions),
        state=annotations.state,
    )


def _group(annotations: NoduleAnnotations) -> list[_Lesion]:
    # Large boxes first, so that a lesion's extent does not depend on the order of rows; ties go by coordinates.
    boxes = annotations.boxes
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order = np.lexsort((boxes[:, 3], boxes[:, 2], boxes[:, 1], boxes[:, 0], -areas))
    lesions: list[_Lesion] = []
    for index in order.tolist():
        reader, box = annotations.readers[index], boxes[index : index + 1]
        open_lesions = [lesion for lesion in lesions if reader not in lesion.readers]
        overlaps = [float(intersection_over_union(box, lesion.mean)[0, 0]) for lesion in open_lesions]
        best = int(np.argmax(overlaps)) if overlaps else -1
        if best >= 0 and overlaps[best] > SAME_LESION_IOU:
            lesion = open_lesions[best]
        else:
            lesion = _Lesion()
            lesions.append(lesion)
        lesion.members.append(index)
        lesion.readers.add(reader)
        lesion.mean = boxes[lesion.members].mean(axis=0, keepdims=True, dtype=np.float32)
    return lesions


def _mean_of(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _middle_of(values: list[int | None]) -> int | None:
    known = sorted(value for value in values if value is not None)
    return known[len(known) // 2] if known else None
