"""How large a reader's mark is and where in the lungs it lies, computed as for the detector's own findings."""

import numpy as np

from xraynet.findings import Reading
from xraynet.geometry import diameters_mm
from xraynet.lung_frame import Side, Zone, locate
from xraynet.service.review.actions import find_detection
from xraynet.service.review.look import Mark


def measure_mark(mark: Mark, reading: Reading) -> float | None:
    """The longer side of a mark in the film's own kind of millimetre, to a tenth; None where the film has no honest spacing."""
    if mark.detection is not None and not mark.moved:
        return find_detection(reading, mark.detection).diameter_mm
    if reading.image.spacing_mm is None:
        return None
    corners = np.array([mark.box], dtype=np.float32)
    return round(float(diameters_mm(corners, spacing_mm=reading.image.spacing_mm)[0]), 1)


def locate_mark(mark: Mark, reading: Reading) -> tuple[Side | None, Zone | None]:
    """The patient's side and the lung zone of a mark; None each where it is not known."""
    if mark.detection is not None and not mark.moved:
        finding = find_detection(reading, mark.detection)
        return finding.side, finding.zone
    return locate(mark.box, reading.lungs) if reading.lungs is not None else (None, None)


def score_mark(mark: Mark, reading: Reading) -> float | None:
    """The detector's score of the detection that a mark is about; None for an added mark."""
    return find_detection(reading, mark.detection).score if mark.detection is not None else None
