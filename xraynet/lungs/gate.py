"""The gate: whether a film is a frontal chest radiograph, head up, of the right polarity, and what is wrong if not."""

from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.findings import GateVerdict
from xraynet.lungs.config import GateThresholds
from xraynet.lungs.fields import LungFields
from xraynet.preparation import PreparedFilm
from xraynet.radiograph import Radiograph, ViewPosition

GateReason = Literal["not-a-chest", "lateral", "rotated-90", "rotated-180", "rotated-270", "inverted", "blank"]
"""Why a film does not pass. ``rotated-90`` is shown turned clockwise by 90 degrees from head up."""

_ROTATIONS: Final[tuple[GateReason, ...]] = ("rotated-90", "rotated-180", "rotated-270")


@dataclass(frozen=True)
class GateEvidence:
    """What the network saw, as probabilities. ``turned``: by 0, 90, 180, 270 degrees clockwise."""

    frontal: float
    lateral: float
    turned: tuple[float, float, float, float]
    inverted: float
    mirrored: float


def judge_film(
    radiograph: Radiograph,
    prepared: PreparedFilm,
    evidence: GateEvidence,
    fields: LungFields,
    *,
    thresholds: GateThresholds,
) -> GateVerdict:
    """The verdict on a film from its header's view, its thumbnail, the network's evidence and the lung fields.

    A lateral is refused by its ViewPosition as well as by its looks. Mirrored films, dextrocardia and lungs that could not
    be outlined are warnings: the sickest patients must not be refused.
    """
    reasons = _find_reasons(radiograph, prepared, evidence, thresholds)
    if reasons:
        return GateVerdict(passed=False, reasons=reasons)
    return GateVerdict(passed=True, warnings=_find_warnings(radiograph, evidence, fields, thresholds))


def looks_mirrored(radiograph: Radiograph, evidence: GateEvidence, thresholds: GateThresholds) -> bool:
    """Whether sides are in doubt: the header says so, or the heart is seen on the image's left."""
    return radiograph.mirrored or evidence.mirrored >= thresholds.mirrored


def _find_reasons(
    radiograph: Radiograph, prepared: PreparedFilm, evidence: GateEvidence, thresholds: GateThresholds
) -> tuple[GateReason, ...]:
    if is_blank(radiograph, prepared, flat_range=thresholds.flat_range):
        return ("blank",)
    if radiograph.view_position in (ViewPosition.LATERAL, ViewPosition.OBLIQUE):
        return ("lateral",)
    if evidence.frontal < thresholds.frontal:
        return ("lateral",) if evidence.lateral > 0.5 else ("not-a-chest",)
    reasons: tuple[GateReason, ...] = ()
    if 1 - evidence.turned[0] >= thresholds.displaced:
        reasons += (_ROTATIONS[int(np.argmax(evidence.turned[1:]))],)
    if evidence.inverted >= thresholds.inverted:
        reasons += ("inverted",)
    return reasons


def _find_warnings(
    radiograph: Radiograph, evidence: GateEvidence, fields: LungFields, thresholds: GateThresholds
) -> tuple[str, ...]:
    warnings: tuple[str, ...] = ()
    if looks_mirrored(radiograph, evidence, thresholds):
        warnings += ("the film looks mirrored, or the heart lies on the right: sides are not stated",)
    if not len(fields.box):
        warnings += ("no lung field could be outlined: sides and zones are not stated",)
    elif not (len(fields.right_box) and len(fields.left_box)):
        warnings += ("only one lung field could be outlined: the other may be opaque",)
    return warnings


def is_blank(radiograph: Radiograph, prepared: PreparedFilm, *, flat_range: float) -> bool:
    """Whether a film shows nothing: one value throughout, or, seen coarsely, hardly any of its own grey range (noise)."""
    if radiograph.padding is not None and bool(radiograph.padding.all()):
        return True
    if float(radiograph.pixels.max()) == float(radiograph.pixels.min()):
        return True
    coarse = _coarse_film(prepared)
    low, high = np.percentile(coarse, [2, 98])
    return float(high - low) < flat_range


def _coarse_film(prepared: PreparedFilm) -> Float32[NDArray[np.float32], "rows columns"]:
    (top, left), (height, width) = prepared.letterbox.offset, prepared.letterbox.resized_size
    film = prepared.pixels[max(top, 0) : top + height, max(left, 0) : left + width]
    return cv2.resize(film, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float32)
