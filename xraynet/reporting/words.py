"""What a report says in words: findings, their absence, what was not looked for, and why a film was not analysed."""

from dataclasses import dataclass
from typing import Final

from xraynet.findings import Finding, Reading
from xraynet.radiograph import SpacingPlane

NOT_LOOKED_FOR: Final = (
    "Only nodules and masses were looked for. Everything else, such as pneumonia, effusion, pneumothorax, fractures, heart "
    "size, lines and tubes, was not."
)
_LARGEST_NODULE_MM: Final = 30.0  # Fleischner Society glossary (Radiology 2008;246:697): above 30 mm it is a mass.

_PLANES: Final[dict[SpacingPlane, str]] = {"detector": "at the detector", "calibrated": "(calibrated)"}

_GATE_WORDS: Final = {
    "not-a-chest": "it does not look like a frontal chest radiograph",
    "lateral": "it is a lateral or oblique view, by its header or its looks",
    "rotated-90": "it looks turned clockwise by 90 degrees",
    "rotated-180": "it looks upside down",
    "rotated-270": "it looks turned clockwise by 270 degrees",
    "inverted": "its grey values look inverted",
    "blank": "it shows nothing",
}


@dataclass(frozen=True)
class OperatingFacts:
    """What is known of a detector at its operating point, as reports tell it.

    ``sensitivity`` with its 95 % interval ``low`` to ``high``, measured on ``measured_on``; None where nobody measured it.
    """

    threshold: float
    sensitivity: float | None = None
    low: float | None = None
    high: float | None = None
    measured_on: str = ""
    false_positives_per_normal_film: float | None = None


def describe_finding(finding: Finding, *, plane: SpacingPlane | None) -> str:
    """One finding in words.

    >>> spot = Finding(box=(0, 0, 9, 9), score=0.81, reported=True, diameter_mm=14.2, side="right", zone="upper")
    >>> describe_finding(spot, plane="detector")
    'nodule suspected, right upper zone, 14 mm at the detector, score 0.81'
    """
    size = describe_size(finding, plane=plane)
    return f"{name_finding(finding)} suspected, {describe_place(finding)}, {size}, {say_score(finding)}"


def name_finding(finding: Finding) -> str:
    """``nodule``, or ``mass`` where it measures more than 30 mm."""
    return "mass" if finding.diameter_mm is not None and finding.diameter_mm > _LARGEST_NODULE_MM else "nodule"


def describe_place(finding: Finding) -> str:
    """Side and zone, as far as they are known."""
    if finding.side is not None and finding.zone is not None:
        return f"{finding.side} {finding.zone} zone"
    if finding.zone is not None:
        return f"{finding.zone} zone, side not stated"
    if finding.side is not None:
        return f"{finding.side} side"
    return "place not stated"


def describe_size(finding: Finding, *, plane: SpacingPlane | None) -> str:
    """The longer side in millimetres and their plane; in stored pixels where the film has no spacing."""
    if finding.diameter_mm is not None and plane is not None:
        return f"{finding.diameter_mm:.0f} mm {_PLANES[plane]}"
    x1, y1, x2, y2 = finding.box
    return f"{max(x2 - x1, y2 - y1):.0f} pixels across (no millimetre scale)"


def say_score(finding: Finding) -> str:
    """The score with two digits, three where it is small."""
    return f"score {show_score(finding.score)}"


def show_score(score: float) -> str:
    """A score as it is printed everywhere.

    >>> show_score(0.8149), show_score(0.0123), show_score(0.0)
    ('0.81', '0.012', '0.00')
    """
    return f"{score:.3f}" if 0 < score < 0.1 else f"{score:.2f}"


def describe_absence(facts: OperatingFacts) -> str:
    """What is said where nothing was found: never that the film is normal."""
    return f"No finding above the operating point (score {show_score(facts.threshold)}). {describe_sensitivity(facts)}"


def describe_sensitivity(facts: OperatingFacts) -> str:
    """How much of what was there the detector found at its operating point, and on which films."""
    if facts.sensitivity is None or not facts.measured_on:
        return "Sensitivity there has not been measured."
    interval = f" [{facts.low:.2f} to {facts.high:.2f}]" if facts.low is not None and facts.high is not None else ""
    return f"Sensitivity there was {facts.sensitivity:.2f}{interval} on {facts.measured_on}."


def describe_gate(reasons: tuple[str, ...]) -> str:
    """Why a film was not let through: ``it looks upside down; its grey values look inverted``."""
    return "; ".join(_GATE_WORDS.get(reason, reason) for reason in reasons)


def summarise(reading: Reading, facts: OperatingFacts) -> str:
    """The whole reading in one or a few sentences."""
    if reading.film_score is None:
        return f"Not analysed: {describe_gate(reading.gate.reasons)}."
    if not reading.reported:
        return describe_absence(facts)
    plane = reading.image.spacing_plane
    return "; ".join(describe_finding(finding, plane=plane) for finding in reading.reported) + "."
