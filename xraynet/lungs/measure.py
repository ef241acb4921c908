"""Measures segmenter and gate on real films: Dice against outlined lungs, and how many films pass or are refused, and why."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from xraynet.lungs.segmenter import LungSegmenter
from xraynet.radiograph import PixelSpacing, Radiograph

Way = Literal["as it is", "rotated-90", "rotated-180", "rotated-270", "inverted", "mirrored"]
WAYS: Final[tuple[Way, ...]] = ("as it is", "rotated-90", "rotated-180", "rotated-270", "inverted", "mirrored")


def dice_of_masks(one: Bool[NDArray[np.bool_], "height width"], other: Bool[NDArray[np.bool_], "height width"]) -> float | None:
    """2 |A and B| / (|A| + |B|) of two masks; None where both are empty."""
    total = int(one.sum()) + int(other.sum())
    return None if total == 0 else 2 * int((one & other).sum()) / total


def show_film(radiograph: Radiograph, way: Way) -> Radiograph:
    """The film as a careless archive might hold it: turned clockwise, inverted or mirrored."""
    match way:
        case "as it is":
            return radiograph
        case "inverted":
            return radiograph.with_pixels(radiograph.pixels.max() - radiograph.pixels)
        case "mirrored":
            return radiograph.with_pixels(np.ascontiguousarray(radiograph.pixels[:, ::-1]))
    turns = WAYS.index(way)
    spacing = radiograph.spacing
    if spacing is not None and turns % 2:
        spacing = PixelSpacing(row_mm=spacing.column_mm, column_mm=spacing.row_mm, plane=spacing.plane)
    return replace(radiograph, pixels=np.ascontiguousarray(np.rot90(radiograph.pixels, -turns)), padding=None, spacing=spacing)


@dataclass
class GateCount:
    """How films of one group fared, shown in one way: ``passed`` of ``films``, reasons of the rest, warnings of mirroring."""

    films: int = 0
    passed: int = 0
    right_reason: int = 0
    warned_of_mirroring: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    refused_films: list[str] = field(default_factory=list)

    def as_record(self) -> dict[str, object]:
        """Figures for a JSON file. ``refused_films`` names the first twenty by the names they were given."""
        return {
            "films": self.films,
            "passed": self.passed,
            "passed_part": None if not self.films else round(self.passed / self.films, 4),
            "refused_for_the_right_reason": self.right_reason,
            "reasons": dict(sorted(self.reasons.items())),
            "warned_of_mirroring": self.warned_of_mirroring,
            "refused_films": self.refused_films[:20],
        }


def measure_gate(
    segmenter: LungSegmenter,
    films: Iterable[tuple[str, Sequence[str], Radiograph]],
    *,
    ways: Sequence[Way] = WAYS,
) -> dict[str, dict[Way, GateCount]]:
    """Counts by group and way. ``films``: a name, the groups that the film belongs to, and the film."""
    counts: dict[str, dict[Way, GateCount]] = {}
    for name, groups, radiograph in films:
        for way in ways:
            verdict, fields = segmenter.judge(show_film(radiograph, way))
            for group in groups:
                count = counts.setdefault(group, {}).setdefault(way, GateCount())
                count.films += 1
                count.passed += verdict.passed
                count.right_reason += way in verdict.reasons
                count.reasons.update(verdict.reasons)
                count.warned_of_mirroring += verdict.passed and fields.mirrored
                if not verdict.passed:
                    count.refused_films.append(name)
    return counts


def counts_as_record(counts: Mapping[str, Mapping[Way, GateCount]]) -> dict[str, dict[str, dict[str, object]]]:
    """Gate counts as plain tables for JSON."""
    return {group: {way: count.as_record() for way, count in by_way.items()} for group, by_way in counts.items()}
