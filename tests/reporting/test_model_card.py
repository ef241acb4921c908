"""The model card says what was measured, and of which checkpoint; nothing in it is made up."""

from dataclasses import replace

import numpy as np
import pytest

from xraynet.errors import PredictionsError
from xraynet.evaluation.evaluate import ReportThreshold, evaluate_films
from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.intervals import Bootstrap
from xraynet.evaluation.results import EvaluationResult, EvaluationSubject
from xraynet.evaluation.rules import JSRT_25MM, NODE21, MatchRule
from xraynet.findings import NoduleAnnotations, NoduleDetections
from xraynet.reporting.model_card import CardFacts, CardFigures, render_card
from xraynet.reporting.words import OperatingFacts

FINGERPRINT = "ab" * 32
FACTS = CardFacts(
    name="demo",
    fingerprint=FINGERPRINT,
    version="0.1.0",
    num_bytes=22_700_000,
    target_classes=("nodule", "mass"),
    network="a small network",
    preparation="at 1 mm a pixel",
    operating=OperatingFacts(threshold=0.3, sensitivity=0.63, low=0.51, high=0.74, measured_on="120 synthetic films"),
    target="the lowest threshold with at most 0.25 false positives per normal film",
    film_sources="synthetic films",
    versions={"torch": "2.15.0"},
)


def evaluate(rule: MatchRule, *, num_nodules: int = 4, fingerprint: str | None = FINGERPRINT) -> EvaluationResult:
    """Eight films of eight patients; the first ``num_nodules`` have one nodule each, every second of them found."""
    films = []
    for number in range(8):
        boxes = np.array([[10, 10, 30, 30]] if number < num_nodules else [], dtype=np.float32).reshape(-1, 4)
        found = number < num_nodules and number % 2 == 0
        films.append(
            ScoredFilm(
                key=str(number),
                annotations=NoduleAnnotations.of_boxes(boxes),
                detections=NoduleDetections(boxes, np.array([0.9], dtype=np.float32)) if found else NoduleDetections(),
                patient_key=str(number),
                spacing_mm=(0.5, 0.5),
                attributes={"view": "PA" if number % 2 else "AP"},
            )
        )
    subject = EvaluationSubject(detector="demo", films="split test of catalogue demo", checkpoint_fingerprint=fingerprint)
    return evaluate_films(
        films, rule, subject=subject, operating=ReportThreshold(0.5, "demo"), bootstrap=Bootstrap(num_resamples=50)
    )


@pytest.fixture(scope="module")
def node21() -> CardFigures:
    return CardFigures("demo films, NODE21", evaluate(NODE21))


def test_card_says_what_the_checkpoint_is_and_is_not_for(node21: CardFigures) -> None:
    card = render_card(FACTS, [node21], limits=["Never seen a wet film."])
    assert card.startswith("# demo.safetensors: a detector of pulmonary nodules\n")
    assert FINGERPRINT[:16] in card
    assert "Research use, not for diagnosis" in card
    assert "Learnt from: synthetic films" in card
    assert "Terms: not stated in the checkpoint" in card
    assert "Sensitivity there was 0.63 [0.51 to 0.74] on 120 synthetic films." in card
    assert "at most 0.25 false positives per normal film" in card
    assert "torch 2.15.0" in card
    assert "- Ruling a nodule out." in card
    assert "- Never seen a wet film." in card


def test_several_evaluations_stand_side_by_side_with_their_intervals(node21: CardFigures) -> None:
    card = render_card(FACTS, [node21, CardFigures("demo films, 25 mm", evaluate(JSRT_25MM))])
    lines = {line.split(" | ")[0]: line for line in reversed(card.split("## Figures")[1].splitlines()) if line.startswith("| ")}
    assert lines["| "] == "|  | demo films, NODE21 | demo films, 25 mm |"
    assert lines["| rule"] == "| rule | node21 | jsrt-25mm |"
    assert lines["| films (with a nodule + without)"] == "| films (with a nodule + without) | 8 (4 + 4) | 8 (4 + 4) |"
    sensitivity = lines["| sensitivity at 0.25 false positives a film"].split(" | ")
    assert len(sensitivity) == 3
    assert all(cell.startswith("0.50 [0.") for cell in sensitivity[1:])
    assert "95 % intervals" in card
    assert "By size." in card
    assert "By view." in card
    assert "| 10 to under 15 mm | 4 | 0.50 [" in card


def test_undefined_is_said_and_never_zero() -> None:
    result = evaluate(NODE21, num_nodules=0)
    card = render_card(FACTS, [CardFigures("normal films", result)])
    assert "| sensitivity at 1 false positives a film | undefined |" in card
    assert "| film AUC | undefined |" in card
    assert "There is no nodule to find" in card


def test_figures_without_an_operating_point_show_none(node21: CardFigures) -> None:
    without = replace(node21.result, operating=None)
    card = render_card(FACTS, [node21, CardFigures("raw", without)])
    assert "| operating point | 0.50 | none |" in card
    assert "operating point" not in "".join(render_card(FACTS, [CardFigures("raw", without)]).split("## Figures")[1][:900])


def test_without_figures_none_are_shown() -> None:
    assert "None were measured." in render_card(FACTS, [])


@pytest.mark.parametrize("fingerprint", [None, "cd" * 32])
def test_figures_of_another_checkpoint_are_refused(fingerprint: str | None) -> None:
    with pytest.raises(PredictionsError, match="this card is about abababababababab"):
        render_card(FACTS, [CardFigures("others", evaluate(NODE21, fingerprint=fingerprint))])


def test_names_cannot_break_tables_or_bring_html(node21: CardFigures) -> None:
    card = render_card(FACTS, [CardFigures("a | b\n<script>", node21.result)])
    assert "|  | a \\| b &lt;script> |" in card
    assert "<script>" not in card
