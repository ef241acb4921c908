"""Readings of every kind that a document has to tell of; all that is data, not words, begins with ZZ or is listed."""

from dataclasses import replace

from xraynet.findings import CheckpointIdentity, FilmFacts, FilmSource, Finding, GateVerdict, Reading
from xraynet.radiograph import PatientIdentity, ViewPosition
from xraynet.reporting.colour import ColourScale
from xraynet.reporting.words import OperatingFacts

SCALE = ColourScale.of_threshold(0.3)
FACTS = OperatingFacts(
    threshold=0.3, sensitivity=0.63, low=0.51, high=0.74, measured_on="120 ZZfilms", false_positives_per_normal_film=0.25
)
IDENTITY = PatientIdentity("ZZDoe^Jane", "ZZID", "ZZissuer", "19500131", "ZZACC", "20260102")
WORDS_OF_DATA = (
    *(
        "ZZDoe, Jane",
        "ZZDoe",
        "ZZID",
        "ZZACC",
        "ZZfilms",
        "ZZfilm.dcm",
        "ZZ2.dcm",
        "ZZ3.dcm",
        "ZZmodel",
        "ZZ",
        "0123456789abcdef",
    ),
    *(
        "fedcba9876543210",
        "xraynet",
        "0.1.0",
        "PA",
        "--no-gate",
        "gate.rotated-90",
        "gate.inverted",
        "gate.lateral",
        "truncated",
    ),
)
READING = Reading(
    source=FilmSource(path="ZZfilm.dcm", sha256="0123456789abcdef" * 4),
    status="ok",
    image=FilmFacts(height=120, width=100, spacing_mm=(0.5, 0.4), spacing_plane="detector", view_position=ViewPosition.PA),
    gate=GateVerdict(passed=True),
    film_score=0.81,
    detections=(
        Finding(box=(10, 20, 30, 40), score=0.81, reported=True, diameter_mm=14.2, side="right", zone="upper"),
        Finding(box=(50, 10, 100, 60), score=0.4, reported=True, diameter_mm=44.0, side=None, zone="mid"),
        Finding(box=(50, 60, 60, 70), score=0.1, reported=False, diameter_mm=5.0),
    ),
    warnings=("Body Part Examined is ZZ; a chest was expected.",),
    checkpoint=CheckpointIdentity(name="ZZmodel", fingerprint="fedcba9876543210" * 4, version="0.1.0"),
    operating_threshold=0.3,
)
HELD_BACK = replace(
    READING, status="refused", film_score=None, detections=(), gate=GateVerdict(False, ("rotated-90", "inverted"))
)
READINGS = {
    "findings": READING,
    "no finding": replace(READING, detections=(), film_score=0.0),
    "no spacing": replace(
        READING,
        image=replace(READING.image, spacing_mm=None, spacing_plane=None, view_position=ViewPosition.UNKNOWN),
        detections=(replace(READING.detections[0], diameter_mm=None, side=None, zone=None),),
    ),
    "held back": HELD_BACK,
    "against the gate": replace(READING, gate=GateVerdict(False, ("inverted",)), gate_enforced=False),
}
