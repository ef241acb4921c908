"""The whole evaluation: figures, groups, notes, and a file that reads back."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xraynet.errors import PredictionsError
from xraynet.evaluation.evaluate import ReportThreshold, evaluate_films
from xraynet.evaluation.intervals import Bootstrap
from xraynet.evaluation.matching import MissingSpacingError, match_films
from xraynet.evaluation.metrics import froc_score, node21_score, sensitivity_at
from xraynet.evaluation.results import EvaluationSubject, read_metrics, write_metrics
from xraynet.evaluation.rules import JSRT_25MM, NODE21, parse_rule
from xraynet.evaluation.subgroups import tabulate_subgroups
from xraynet.lung_frame import LungBoxes

A, ELSEWHERE = (100, 100, 120, 120), (300, 300, 320, 320)
SUBJECT = EvaluationSubject(detector="demo", films="hand-made films")
QUICK = Bootstrap(num_resamples=60)


def run(films, rule=NODE21, **options):
    return evaluate_films(films, rule, subject=SUBJECT, bootstrap=QUICK, **options)


@pytest.fixture
def grouped(make_film):
    """Three patients with nodules of 8, 20 and an unknown number of mm, one without; two women, one man."""
    return [
        make_film(
            "a",
            [A],
            [(A, 0.9)],
            patient="1",
            diameter_mm=[8.0],
            subtlety=[5],
            attributes={"view": "PA", "sex": "F", "age_years": 35},
        ),
        make_film(
            "b",
            [A],
            [(A, 0.2)],
            patient="2",
            diameter_mm=[20.0],
            subtlety=[1],
            attributes={"view": "AP", "sex": "F", "age_years": 60.0},
        ),
        make_film("c", [A], [], patient="3", spacing_mm=None, attributes={"view": "UNKNOWN", "sex": "M", "age_years": None}),
        make_film("d", (), [(ELSEWHERE, 0.6)], patient="4", attributes={"view": "PA", "sex": None, "age_years": 85}),
    ]


def test_the_result_holds_the_same_figures_as_the_metrics(random_films) -> None:
    films = random_films(np.random.default_rng(4), 60, patients=20)
    result = run(films, operating=ReportThreshold(0.5, "demo"))
    table = match_films(films, NODE21)
    assert tuple(found.sensitivity.value for found in result.froc) == sensitivity_at(table)
    assert result.froc_score.value == pytest.approx(froc_score(table))
    assert result.node21_score.value == pytest.approx(node21_score(table))
    assert result.operating.num_hits == int((table.hit_scores >= 0.5).sum())
    assert result.operating.recall.low < result.operating.recall.value < result.operating.recall.high
    assert result.resampling.num_patients == 20
    assert result.counts.num_given == result.counts.num_counted == 60
    assert result.notes == ()


def test_node21s_score_and_coco_ap_stand_under_their_own_rules_whatever_the_rule_is(random_films) -> None:
    films = random_films(np.random.default_rng(4), 60)
    result = run(films, JSRT_25MM)
    assert result.node21_score.value == pytest.approx(node21_score(match_films(films, NODE21)))
    strict = {found.iou: found.average_precision.value for found in result.overlap_precisions}
    assert list(strict) == [0.2, 0.3, 0.4, 0.5]
    assert strict[0.5] == pytest.approx(run(films, parse_rule("iou:0.5")).average_precision.value)


def test_without_an_operating_point_there_are_no_figures_at_one(grouped) -> None:
    result = run(grouped)
    assert result.operating is None
    assert all(row.recall is None for table in result.subgroups for row in table.rows)


def test_groups_by_size_subtlety_view_sex_and_age_by_hand(grouped) -> None:
    tables = {table.trait: table for table in tabulate_subgroups(match_films(grouped, NODE21), threshold=0.5, config=QUICK)}
    assert [(row.group, row.num_nodules, row.recall.value) for row in tables["size"].rows] == [
        ("under 10 mm", 1, 1.0),
        ("20 to under 30 mm", 1, 0.0),
        ("unknown", 1, 0.0),
    ]
    # One false mark at 0.6 on four films: a quarter of a false positive per film admits it, and every mark below.
    assert [found.sensitivity.value for found in tables["size"].rows[1].sensitivities] == [1.0, 1.0, 1.0]
    assert [row.group for row in tables["subtlety"].rows] == ["5 obvious", "1 extremely subtle", "unknown"]
    assert [(row.group, row.num_films, row.num_nodules) for row in tables["view"].rows] == [
        ("AP", 1, 1),
        ("PA", 2, 1),
        ("unknown", 1, 1),
    ]
    assert [(row.group, row.recall.value) for row in tables["sex"].rows] == [("female", 0.5), ("male", 0.0), ("unknown", None)]
    assert [row.group for row in tables["age"].rows] == [
        "under 40 years",
        "60 to under 80 years",
        "80 years and over",
        "unknown",
    ]
    pa = tables["view"].rows[1]
    assert pa.false_positives_per_film.value == 0.5
    assert pa.film_auc.value == 1.0


def test_nodules_are_tabled_by_the_third_of_the_lung_that_they_lie_in(make_film) -> None:
    lungs = LungBoxes(right=(50, 50, 190, 350), left=(210, 50, 350, 350))
    films = [
        replace(make_film("a", [A], [(A, 0.9)], attributes={"source": "dicom"}), lungs=lungs),
        replace(make_film("b", [(60, 320, 80, 340)], attributes={"source": "png"}), lungs=lungs),
        make_film("c", [A]),
    ]
    tables = {table.trait: table for table in tabulate_subgroups(match_films(films, NODE21), threshold=0.5, config=QUICK)}
    assert [(row.group, row.num_nodules, row.recall.value) for row in tables["zone"].rows] == [
        ("upper", 1, 1.0),
        ("lower", 1, 0.0),
        ("unknown", 1, 0.0),
    ]
    assert [(row.group, row.num_films) for row in tables["source"].rows] == [("dicom", 1), ("png", 1), ("unknown", 1)]


def test_traits_that_nobody_knows_have_no_table(make_film) -> None:
    assert run([make_film("a", [A], [(A, 0.5)], spacing_mm=None), make_film("b")]).subgroups == ()


def test_unknown_films_films_without_patient_and_declined_films_are_noted(make_film) -> None:
    films = [
        make_film("a", [A], [(A, 0.5)], patient="1"),
        make_film("b", None, [(A, 0.9)], film_has_nodule=True),
        make_film("c", None, [(A, 0.9)]),
        make_film("d", (), analysed=False),
    ]
    result = run(films)
    said = " ".join(result.notes)
    assert "2 films of unknown state are not in FROC" in said
    assert "1 of them have a film-level answer" in said
    assert "1 films were not analysed" in said
    assert "patients of 3 films are unknown" in said
    assert (result.counts.num_counted, result.counts.num_unknown, result.counts.num_normal) == (2, 2, 1)
    assert "over all 2 films" in result.rate_words


def test_films_without_spacing_stop_the_25_mm_rule_or_are_left_out_aloud(grouped) -> None:
    with pytest.raises(MissingSpacingError, match="1 films"):
        run(grouped, JSRT_25MM)
    result = run(grouped, JSRT_25MM, leave_out_without_spacing=True)
    assert result.counts.num_left_out == 1
    assert result.counts.num_nodules == 2
    assert any("1 films with a nodule were left out" in note for note in result.notes)


@pytest.mark.parametrize("kind", ["no films", "only normal", "only unknown"])
def test_an_evaluation_without_anything_to_find_says_so_and_still_reads_back(make_film, tmp_path: Path, kind: str) -> None:
    films = {"no films": [], "only normal": [make_film("a"), make_film("b")], "only unknown": [make_film("a", None)]}[kind]
    result = run(films, operating=ReportThreshold(0.5, "demo"))
    assert result.froc_score.value is None
    assert result.operating.precision.value is None
    assert any("no nodule to find" in note for note in result.notes)
    assert any("Film AUC and NODE21's score are undefined" in note for note in result.notes)
    write_metrics(tmp_path / "metrics.json", result)
    assert json.loads((tmp_path / "metrics.json").read_text())["film_auc"]["value"] is None
    assert read_metrics(tmp_path / "metrics.json") == result


def test_metrics_json_has_a_schema_version_and_reads_back_equal(random_films, tmp_path: Path) -> None:
    result = run(random_films(np.random.default_rng(4), 30), operating=ReportThreshold(0.5, "demo"))
    write_metrics(tmp_path / "metrics.json", result)
    assert json.loads((tmp_path / "metrics.json").read_text())["schema_version"] == 1
    assert read_metrics(tmp_path / "metrics.json") == result


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "cannot be read"), ('{"schema_version": 99}', "schema_version 99"), ('{"schema_version": 1}', "subject")],
)
def test_damaged_metrics_are_an_error(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(PredictionsError, match=told):
        read_metrics(tmp_path / "metrics.json")


def test_long_curves_are_thinned_to_their_ends_and_a_thousand_points(random_films) -> None:
    result = run(random_films(np.random.default_rng(4), 400))
    assert len(result.froc_curve.x) == 1000
    assert result.froc_curve.x[0] == 0
    assert result.froc_curve.y[-1] == max(result.froc_curve.y)
