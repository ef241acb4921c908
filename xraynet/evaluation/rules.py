"""Match rules: when a mark counts as finding a nodule, and what becomes of a second mark on the same one.

Sources: NODE21's evaluation (Sogancioglu et al., 2024); for JSRT, Hardie et al. 2008 and Chen and Suzuki 2013 (25 mm), and
the stricter reading in which the mark lies inside the annotated circle; COCO for plain intersection over union.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

PairBoxes = Float64[NDArray[np.float64], "pairs 4"]
PairValues = Float64[NDArray[np.float64], " pairs"]
PairHits = Bool[NDArray[np.bool_], " pairs"]

RULE_NAMES: Final = "node21, jsrt-25mm, jsrt-inside, iou:X"


@dataclass(frozen=True)
class MatchRule:
    """One way to decide whether a mark finds a nodule.

    ``measure``: ``iou`` (intersection over union), ``distance`` (mm between centres), ``inside`` (the mark's centre
    against the circle that the nodule's box encloses, an ellipse where pixels are not square). ``limit`` is the smallest
    IoU (exceeded strictly under ``strict``), the largest distance in mm, or the largest distance in radii.
    ``further_marks``: what another mark on a nodule that is already found counts as. ``interpolates``: sensitivity
    between two points of the FROC curve is read off the line between them; otherwise it is the one at the threshold that
    admits floor(rate x films) false marks.
    """

    name: str
    measure: Literal["iou", "distance", "inside"]
    limit: float
    strict: bool
    further_marks: Literal["false", "ignored"]
    interpolates: bool

    @property
    def needs_spacing(self) -> bool:
        """True where films with a nodule need their spacing in mm."""
        return self.measure == "distance"

    def describe(self) -> str:
        """The rule in words, for a report."""
        hits = {
            "iou": f"its box and a nodule's overlap by an IoU {'above' if self.strict else 'of at least'} {self.limit:g}",
            "distance": f"its centre lies within {self.limit:g} mm of the centre of a nodule",
            "inside": "its centre lies inside the annotated circle of a nodule (within half its diameter of its centre)",
        }[self.measure]
        further = {"false": "counts as a false positive", "ignored": "counts as neither hit nor false positive"}[
            self.further_marks
        ]
        between = (
            "Sensitivity at a rate is interpolated linearly between the points of the FROC curve."
            if self.interpolates
            else "Sensitivity at a rate is the one at the threshold that admits floor(rate x films) false marks."
        )
        return f"A mark finds a nodule if {hits}. Every further mark on a nodule already found {further}. {between}"

    def judge(
        self, marks: PairBoxes, nodules: PairBoxes, spacing_mm: Float64[NDArray[np.float64], "pairs 2"]
    ) -> tuple[PairHits, PairValues]:
        """For pairs of a mark and a nodule: is it a hit, and how close is it (higher is closer)?

        ``spacing_mm`` is (row, column) a pair; only the distance rule looks at it.
        """
        if self.measure == "iou":
            overlap = _pair_iou(marks, nodules)
            return (overlap > self.limit if self.strict else overlap >= min(self.limit, 1 - 1e-10)), overlap
        apart = (marks[:, :2] + marks[:, 2:] - nodules[:, :2] - nodules[:, 2:]) / 2
        if self.measure == "distance":
            scale = spacing_mm[:, ::-1]
        else:
            radii = (nodules[:, 2:] - nodules[:, :2]) / 2
            scale = np.divide(1.0, radii, out=np.full_like(radii, np.inf), where=radii > 0)
        distance = np.hypot(apart[:, 0] * scale[:, 0], apart[:, 1] * scale[:, 1])
        return distance <= self.limit, -distance


def _pair_iou(marks: PairBoxes, nodules: PairBoxes) -> PairValues:
    sides = np.minimum(marks[:, 2:], nodules[:, 2:]) - np.maximum(marks[:, :2], nodules[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    union = (marks[:, 2:] - marks[:, :2]).prod(axis=1) + (nodules[:, 2:] - nodules[:, :2]).prod(axis=1) - shared
    overlap: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


NODE21: Final = MatchRule("node21", "iou", 0.2, strict=True, further_marks="false", interpolates=True)
JSRT_25MM: Final = MatchRule("jsrt-25mm", "distance", 25.0, strict=False, further_marks="ignored", interpolates=False)
JSRT_INSIDE: Final = MatchRule("jsrt-inside", "inside", 1.0, strict=False, further_marks="ignored", interpolates=False)


def parse_rule(text: str) -> MatchRule:
    """The rule of that name: ``node21``, ``jsrt-25mm``, ``jsrt-inside``, or ``iou:X`` with 0 < X <= 1 (at least X, as COCO).

    Raises ValueError for any other text.

    >>> parse_rule("iou:0.5").limit
    0.5
    """
    named = {rule.name: rule for rule in (NODE21, JSRT_25MM, JSRT_INSIDE)}
    if text in named:
        return named[text]
    kind, _, number = text.partition(":")
    try:
        limit = float(number) if kind == "iou" else float("nan")
    except ValueError:
        limit = float("nan")
    if not 0 < limit <= 1:
        raise ValueError(f"the rule is '{text}'; one of {RULE_NAMES} (0 < X <= 1) was expected")
    return MatchRule(f"iou:{limit:g}", "iou", limit, strict=False, further_marks="false", interpolates=True)
