from dataclasses import replace

import pytest

from xraynet.findings import CheckpointIdentity, FilmFacts, FilmSource, Finding, GateVerdict, Reading
from xraynet.radiograph import ViewPosition
from xraynet.reporting.words import (
    NOT_LOOKED_FOR,
    OperatingFacts,
    describe_absence,
    describe_finding,
    describe_gate,
    summarise,
)

SPOT = Finding(box=(10, 10, 62, 40), score=0.81, reported=True, diameter_mm=14.2, side="right", zone="upper")
FACTS = OperatingFacts(threshold=0.4, sensitivity=0.63, low=0.51, high=0.74, measured_on="120 films")
READING = Reading(
    source=FilmSource(path="a.dcm", sha256="0" * 64),
    status="ok",
    image=FilmFacts(height=100, width=100, spacing_mm=(1, 1), spacing_plane="detector", view_position=ViewPosition.PA),
    gate=GateVerdict(passed=True),
    film_score=0.81,
    detections=(SPOT,),
    warnings=(),
    checkpoint=CheckpointIdentity(name="n", fingerprint="f", version="v"),
    operating_threshold=0.4,
)


def test_a_finding_is_told_as_the_issue_words_it() -> None:
    assert describe_finding(SPOT, plane="detector") == "nodule suspected, right upper zone, 14 mm at the detector, score 0.81"


def test_a_calibrated_size_says_so() -> None:
    assert "14 mm (calibrated)" in describe_finding(SPOT, plane="calibrated")


def test_without_spacing_no_millimetre_is_made_up() -> None:
    words = describe_finding(replace(SPOT, diameter_mm=None), plane=None)
    assert "52 pixels across" in words
    assert " mm" not in words


def test_more_than_thirty_millimetres_are_a_mass() -> None:
    assert describe_finding(replace(SPOT, diameter_mm=30.0), plane="detector").startswith("nodule")
    assert describe_finding(replace(SPOT, diameter_mm=30.1), plane="detector").startswith("mass")


@pytest.mark.parametrize(
    ("side", "zone", "words"),
    [("left", None, "left side"), (None, "lower", "lower zone, side not stated"), (None, None, "place not stated")],
)
def test_what_is_not_known_of_the_place_is_not_stated(side: str | None, zone: str | None, words: str) -> None:
    assert words in describe_finding(replace(SPOT, side=side, zone=zone), plane="detector")


def test_no_finding_is_never_called_normal() -> None:
    words = describe_absence(FACTS)
    assert words == "No finding above the operating point (score 0.40). Sensitivity there was 0.63 [0.51 to 0.74] on 120 films."
    for text in (words, NOT_LOOKED_FOR, describe_absence(OperatingFacts(threshold=0.4))):
        assert "normal" not in text
        assert "no nodule" not in text.lower()


def test_an_unmeasured_operating_point_says_so() -> None:
    assert "has not been measured" in describe_absence(OperatingFacts(threshold=0.4))
    assert "[" not in describe_absence(replace(FACTS, low=None))


def test_reasons_of_the_gate_are_sentences() -> None:
    assert describe_gate(("rotated-180", "inverted")) == "it looks upside down; its grey values look inverted"
    assert describe_gate(("new-code",)) == "new-code"


def test_a_reading_is_summed_up() -> None:
    assert summarise(READING, FACTS).startswith("nodule suspected, right upper zone")
    below = replace(READING, detections=(replace(SPOT, reported=False),))
    assert summarise(below, FACTS) == describe_absence(FACTS)
    refused = replace(READING, film_score=None, detections=(), status="refused", gate=GateVerdict(False, ("blank",)))
    assert summarise(refused, FACTS) == "Not analysed: it shows nothing."
