import numpy as np
import pytest

from xraynet.detector import Calibration
from xraynet.errors import TrainingError
from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.matching import match_films
from xraynet.evaluation.operating_point import OperatingTarget
from xraynet.evaluation.rules import NODE21
from xraynet.findings import NoduleAnnotations, NoduleDetections
from xraynet.training.calibrate import apply_calibration, calibrate, fit_calibration
from xraynet.training.validate import judge

BOX = np.array([[10, 10, 20, 20]], dtype=np.float32)
AWAY = np.array([[50, 50, 60, 60]], dtype=np.float32)


def film(key: str, *, hits: list[float] | None = None, falses: list[float] | None = None) -> ScoredFilm:
    """A film with a nodule if ``hits`` is given; detections on it and away from it."""
    hits, falses, has_nodule = hits or [], falses or [], hits is not None
    boxes = np.concatenate([np.repeat(BOX, len(hits), axis=0), np.repeat(AWAY, len(falses), axis=0)])
    return ScoredFilm(
        key=key,
        annotations=NoduleAnnotations.of_boxes(BOX if has_nodule else BOX[:0]),
        detections=NoduleDetections(boxes=boxes, scores=np.array(hits + falses, dtype=np.float32)),
    )


def draw_films(seed: int, *, scale: float, shift: float) -> list[ScoredFilm]:
    """Films whose marks' true log odds are distorted by ``scale`` and ``shift``."""
    rng = np.random.default_rng(seed)
    films = []
    for index in range(1500):
        odds = rng.normal(0, 2)
        score = float(1 / (1 + np.exp(-(odds * scale + shift))))
        is_hit = rng.random() < 1 / (1 + np.exp(-odds))
        films.append(film(f"{index}", hits=[score]) if is_hit else film(f"{index}", falses=[score]))
    return films


def test_calibration_undoes_a_known_distortion() -> None:
    fitted = fit_calibration(match_films(draw_films(0, scale=0.5, shift=-2.0), NODE21))
    assert fitted.slope == pytest.approx(2.0, rel=0.15)
    assert fitted.intercept == pytest.approx(4.0, rel=0.15)


def test_scores_stay_where_there_is_nothing_to_fit() -> None:
    assert fit_calibration(match_films([], NODE21)) == Calibration()
    assert fit_calibration(match_films([film("a", hits=[0.9])], NODE21)) == Calibration()
    assert fit_calibration(match_films([film("a", falses=[0.9])], NODE21)) == Calibration()


def test_marks_that_separate_perfectly_keep_finite_scores() -> None:
    films = [film(f"h{index}", hits=[0.9]) for index in range(20)] + [film(f"f{index}", falses=[0.1]) for index in range(20)]
    fitted = fit_calibration(match_films(films, NODE21))
    assert 0 < fitted.slope < 20


def test_scores_that_say_the_wrong_thing_are_never_turned_round() -> None:
    films = [film(f"h{index}", hits=[0.1]) for index in range(20)] + [film(f"f{index}", falses=[0.9]) for index in range(20)]
    assert fit_calibration(match_films(films, NODE21)).slope == 1.0


def test_calibration_keeps_order_and_drops_what_falls_below_the_floor() -> None:
    detections = NoduleDetections(boxes=np.repeat(BOX, 3, axis=0), scores=np.array([0.9, 0.5, 0.002], dtype=np.float32))
    calibrated = apply_calibration(detections, Calibration(slope=1.0, intercept=-2.0))
    assert len(calibrated) == 2
    assert calibrated.scores[0] > calibrated.scores[1]
    assert len(apply_calibration(NoduleDetections(), Calibration(slope=2.0))) == 0


def test_operating_point_keeps_its_target_on_the_films_it_was_chosen_on() -> None:
    films = draw_films(1, scale=1.0, shift=0.0)
    result = calibrate(films, rule=NODE21, target=OperatingTarget(value=0.25), calibrated_on="these films")
    point = result.operating_point
    rate = point.false_positives_per_normal_film
    assert rate is not None
    assert 0.24 < rate <= 0.25
    assert point.sensitivity_low is not None
    assert point.sensitivity is not None
    assert point.sensitivity_high is not None
    assert point.sensitivity_low < point.sensitivity < point.sensitivity_high
    assert point.calibrated_on.startswith("these films (")
    assert point.rule == "node21"


def test_operating_point_says_so_where_no_film_is_normal() -> None:
    result = calibrate([film("a", hits=[0.9])], rule=NODE21, target=OperatingTarget(), calibrated_on="one film")
    assert result.operating_point.threshold == 0.5
    assert result.operating_point.sensitivity is None
    assert "no threshold" in result.operating_point.target


def test_validation_without_a_nodule_cannot_name_a_best() -> None:
    with pytest.raises(TrainingError, match="none of the 1 validation films holds a nodule"):
        judge((film("a", falses=[0.2]),), NODE21)


def test_validation_figures_name_what_they_are() -> None:
    validation = judge((film("a", hits=[0.9]), film("b")), NODE21)
    assert validation.score == 1.0
    assert validation.figures["film_auc"] == 1.0
