"""Our figures against those of others: MONAI's FROC where it can agree, and pycocotools' average precision."""

import contextlib
import io

import numpy as np
import pytest

from xraynet.evaluation.matching import Verdict, match_films
from xraynet.evaluation.metrics import average_precision, froc, sensitivity_at
from xraynet.evaluation.rules import NODE21, parse_rule
from xraynet.evaluation.tallies import ScoreLadder, Tally


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.filterwarnings("ignore")
def test_froc_agrees_with_monai_given_one_mark_a_nodule_and_a_sentinel(random_films, seed: int) -> None:
    from monai.metrics import compute_froc_curve_data, compute_froc_score

    table = match_films(random_films(np.random.default_rng(seed), 60), NODE21)
    # MONAI drops the lowest threshold, so a false mark with a score below all others takes its place.
    falses = np.append(table.false_scores, np.float32(-1))
    fps, sensitivity = compute_froc_curve_data(falses, table.hit_scores, table.num_nodules, table.num_films)
    ours = froc(table)
    np.testing.assert_allclose(fps[::-1], ours.false_positives_per_film)
    np.testing.assert_allclose(sensitivity[::-1], ours.sensitivity)
    rates = (0.25, 0.5, 1.0, 2.0)
    theirs = compute_froc_score(np.asarray(fps), np.asarray(sensitivity), eval_thresholds=rates)
    assert np.mean(sensitivity_at(table, rates)) == pytest.approx(theirs, abs=1e-9)


def coco_average_precision(films, iou: float) -> float:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def xywh(box) -> list[float]:
        x1, y1, x2, y2 = (float(side) for side in box)
        return [x1, y1, x2 - x1, y2 - y1]

    images, annotations, results = [], [], []
    for number, film in enumerate(films, start=1):
        images.append({"id": number, "file_name": film.key})
        for box in film.annotations.boxes:
            place = xywh(box)
            one = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "bbox": place, "iscrowd": 0}
            annotations.append({**one, "area": place[2] * place[3]})
        for box, score in zip(film.detections.boxes, film.detections.scores, strict=True):
            results.append({"image_id": number, "category_id": 1, "bbox": xywh(box), "score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "nodule"}]}
        truth.createIndex()
        scoring = COCOeval(truth, truth.loadRes(results), "bbox")
        scoring.params.iouThrs = np.array([iou])
        scoring.params.areaRng, scoring.params.areaRngLbl = [[0, 1e10]], ["all"]
        scoring.params.maxDets = [100]
        scoring.evaluate()
        scoring.accumulate()
    precision = scoring.eval["precision"][0, :, 0, 0, 0]
    return float(precision.mean())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("iou", [0.2, 0.5])
def test_average_precision_agrees_with_pycocotools(random_films, seed: int, iou: float) -> None:
    films = random_films(np.random.default_rng(seed), 80)
    table = match_films(films, parse_rule(f"iou:{iou}"))
    assert average_precision(table) == pytest.approx(coco_average_precision(films, iou), abs=1e-9)


def brute_force(films, rule) -> tuple[float, list[tuple[float, bool]]]:
    """A second matching, one mark at a time, in plain loops."""
    marks: list[tuple[float, bool]] = []
    num_nodules = 0
    for film in films:
        boxes = film.annotations.boxes.astype(np.float64)
        num_nodules += len(boxes)
        free = set(range(len(boxes)))
        for box, score in zip(film.detections.boxes.astype(np.float64), film.detections.scores, strict=True):
            one = np.repeat(box[None], len(boxes), axis=0)
            hits, closeness = rule.judge(one, boxes, np.ones((len(boxes), 2)))
            able = [place for place in np.flatnonzero(hits) if place in free]
            if able:
                free.remove(max(able, key=lambda place: closeness[place]))
            if able or rule.further_marks == "false" or not hits.any():
                marks.append((float(score), bool(able)))
    return num_nodules, sorted(marks, reverse=True)


@pytest.mark.parametrize("name", ["node21", "jsrt-25mm", "jsrt-inside", "iou:0.5"])
def test_matching_all_films_at_once_equals_plain_loops(random_films, name: str) -> None:
    films = random_films(np.random.default_rng(11), 120)
    table = match_films(films, parse_rule(name))
    num_nodules, marks = brute_force(films, parse_rule(name))
    told = table.mark_verdicts != Verdict.IGNORED
    ours = sorted(
        zip(table.mark_scores[told].tolist(), (table.mark_verdicts[told] == Verdict.HIT).tolist(), strict=True), reverse=True
    )
    assert table.num_nodules == num_nodules
    assert ours == marks


@pytest.mark.parametrize("name", ["node21", "jsrt-25mm"])
def test_weights_equal_films_that_are_there_so_many_times(random_films, name: str) -> None:
    from dataclasses import replace

    films = random_films(np.random.default_rng(2), 30, decimals=1)
    counts = np.random.default_rng(0).integers(0, 4, size=30)
    repeated = [
        replace(film, key=f"{film.key}-{copy}") for film, count in zip(films, counts, strict=True) for copy in range(count)
    ]
    rates = (0.125, 0.3, 1.0, 2.0)
    weighted = Tally(ScoreLadder(match_films(films, parse_rule(name))), counts[None].astype(np.int32))
    plain = Tally(ScoreLadder(match_films(repeated, parse_rule(name))), np.ones((1, len(repeated)), np.int32))
    np.testing.assert_allclose(weighted.sensitivity_at(rates), plain.sensitivity_at(rates))
    np.testing.assert_allclose(weighted.average_precision(), plain.average_precision())
    np.testing.assert_allclose(weighted.film_auc(), plain.film_auc())
    np.testing.assert_allclose(weighted.hits_at(0.5), plain.hits_at(0.5))
    np.testing.assert_allclose(weighted.num_films, plain.num_films)
