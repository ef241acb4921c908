"""What a report says in words: findings, their absence, what was not looked for, and why a film was not analysed.

Every function speaks the ``language`` it is given, and English without one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from xraynet.findings import FilmFacts, Finding, GateVerdict, Reading
from xraynet.radiograph import SpacingPlane, ViewPosition
from xraynet.reporting.language import Language
from xraynet.reporting.language_files import english

NOT_LOOKED_FOR: Final = (
    "Only nodules and masses were looked for. Everything else, such as pneumonia, effusion, pneumothorax, fractures, heart "
    "size, lines and tubes, was not."
)
_LARGEST_NODULE_MM: Final = 30.0  # Fleischner Society glossary (Radiology 2008;246:697): above 30 mm it is a mass.


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


def describe_finding(finding: Finding, *, plane: SpacingPlane | None, language: Language | None = None) -> str:
    """One finding in words.

    >>> spot = Finding(box=(0, 0, 9, 9), score=0.81, reported=True, diameter_mm=14.2, side="right", zone="upper")
    >>> describe_finding(spot, plane="detector")
    'nodule suspected, right upper zone, 14 mm at the detector, score 0.81'
    """
    spoken = language or english()
    return spoken.say(
        f"finding.{name_finding(finding)}",
        place=describe_place(finding, language=spoken),
        size=describe_size(finding, plane=plane, language=spoken),
        score=say_score(finding, language=spoken),
    )


def name_finding(finding: Finding) -> str:
    """``nodule``, or ``mass`` where it measures more than 30 mm: the machine's word for it, English in every language."""
    return "mass" if finding.diameter_mm is not None and finding.diameter_mm > _LARGEST_NODULE_MM else "nodule"


def title_finding(finding: Finding, *, language: Language | None = None) -> str:
    """What a finding is headed by: ``Nodule suspected``."""
    return (language or english()).say(f"finding.{name_finding(finding)}_title")


def describe_place(finding: Finding, *, language: Language | None = None) -> str:
    """Side and zone, as far as they are known."""
    parts = [part for part in (finding.side, finding.zone) if part is not None]
    return (language or english()).say(f"place.{'_'.join(parts) or 'unknown'}")


def describe_size(finding: Finding, *, plane: SpacingPlane | None, language: Language | None = None) -> str:
    """The longer side in millimetres and their plane; in stored pixels where the film has no spacing."""
    spoken = language or english()
    if finding.diameter_mm is not None and plane is not None:
        return spoken.say(f"size.{plane}", size=spoken.number(finding.diameter_mm, 0))
    x1, y1, x2, y2 = finding.box
    return spoken.say("size.pixels", size=spoken.number(max(x2 - x1, y2 - y1), 0))


def say_score(finding: Finding, *, language: Language | None = None) -> str:
    """The score with two digits, three where it is small."""
    spoken = language or english()
    return spoken.say("finding.score", score=show_score(finding.score, language=spoken))


def show_score(score: float, *, language: Language | None = None) -> str:
    """A score as it is printed everywhere.

    >>> show_score(0.8149), show_score(0.0123), show_score(0.0)
    ('0.81', '0.012', '0.00')
    """
    return (language or english()).number(score, 3 if 0 < score < 0.1 else 2)


def describe_absence(facts: OperatingFacts, *, language: Language | None = None) -> str:
    """What is said where nothing was found: never that the film is normal."""
    spoken = language or english()
    said = spoken.say("absence.no_finding", score=show_score(facts.threshold, language=spoken))
    return f"{said} {describe_sensitivity(facts, language=spoken)}"


def describe_sensitivity(facts: OperatingFacts, *, language: Language | None = None) -> str:
    """How much of what was there the detector found at its operating point, and on which films."""
    spoken = language or english()
    measured = _measured(facts, spoken)
    return spoken.say("absence.unmeasured") if measured is None else spoken.say(f"absence.{measured[0]}", **measured[1])


def list_sensitivity(facts: OperatingFacts, *, language: Language | None = None) -> str | None:
    """The same as a value in a list: ``0.63 [0.51 to 0.74] on 120 films``; None where nobody measured it."""
    spoken = language or english()
    measured = _measured(facts, spoken)
    return None if measured is None else spoken.say(f"facts.{measured[0]}", **measured[1])


def _measured(facts: OperatingFacts, language: Language) -> tuple[str, dict[str, str]] | None:
    if facts.sensitivity is None or not facts.measured_on:
        return None
    words = {"value": language.number(facts.sensitivity, 2), "films": facts.measured_on}
    if facts.low is None or facts.high is None:
        return "sensitivity_was", words
    return "sensitivity_within", {**words, "low": language.number(facts.low, 2), "high": language.number(facts.high, 2)}


def describe_operating_point(facts: OperatingFacts, *, language: Language | None = None) -> str:
    """The score from which marks are reported, and, where known, how many of them a normal film has."""
    spoken = language or english()
    score, rate = show_score(facts.threshold, language=spoken), facts.false_positives_per_normal_film
    if rate is None:
        return spoken.say("facts.at_score", score=score)
    return spoken.say("facts.at_score_with_rate", score=score, rate=spoken.number(rate, 2))


def describe_gate(reasons: tuple[str, ...], *, language: Language | None = None) -> str:
    """Why a film was not let through: ``it looks upside down; its grey values look inverted``."""
    spoken = language or english()
    return "; ".join(spoken.say(f"gate.{reason}") if spoken.knows(f"gate.{reason}") else reason for reason in reasons)


def describe_gate_state(verdict: GateVerdict, *, enforced: bool, language: Language | None = None) -> str:
    """Whether the gate let the film pass, and whether it was asked."""
    state = "passed" if verdict.passed else "not_passed"
    return (language or english()).say(f"facts.gate_{state}{'' if enforced else '_off'}")


def describe_outcome(code: str, *, language: Language | None = None) -> str:
    """An outcome's code in words: ``damaged`` is ``the file is damaged``."""
    spoken = language or english()
    if code.startswith("gate."):
        return describe_gate((code.removeprefix("gate."),), language=spoken)
    return spoken.say(f"outcome.{code}") if spoken.knows(f"outcome.{code}") else code


def describe_view(view: ViewPosition, *, language: Language | None = None) -> str:
    """The view position's code, which every language shares, or that the file does not state it."""
    return (language or english()).say("facts.no_view") if view is ViewPosition.UNKNOWN else view.value


def describe_spacing(image: FilmFacts, *, language: Language | None = None) -> str:
    """The film's pixel spacing in mm and its plane, or that there is none."""
    spoken = language or english()
    if image.spacing_mm is None or image.spacing_plane is None:
        return spoken.say("facts.no_spacing")
    row, column = (spoken.number(side, 3) for side in image.spacing_mm)
    return spoken.say(f"facts.spacing_{image.spacing_plane}", row=row, column=column)


@dataclass(frozen=True)
class Told:
    """A sentence and the language it is in."""

    text: str
    language: str


def retell(sentences: Iterable[str], *, language: Language | None = None) -> list[Told]:
    """Warnings in ``language``; those that it cannot tell stay in English, and say so by their ``language``."""
    spoken = language or english()
    pairs = [(sentence, spoken.retell(sentence)) for sentence in sentences]
    return [Told(told, spoken.code) if told is not None else Told(sentence, english().code) for sentence, told in pairs]


def summarise(reading: Reading, facts: OperatingFacts, *, language: Language | None = None) -> str:
    """The whole reading in one or a few sentences."""
    spoken = language or english()
    if reading.film_score is None:
        return spoken.say("absence.not_analysed", reasons=describe_gate(reading.gate.reasons, language=spoken))
    if not reading.reported:
        return describe_absence(facts, language=spoken)
    plane = reading.image.spacing_plane
    return "; ".join(describe_finding(finding, plane=plane, language=spoken) for finding in reading.reported) + "."
