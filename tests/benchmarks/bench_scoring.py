"""Scoring 4,882 films with 98,824 boxes: xraynet's match table and metrics against pycocotools, in one run.

Both compute average precision at IoU 0.2 from the same boxes; xraynet adds FROC, its score and the film AUC. Each side
starts from the form in which it is given boxes: arrays a film for xraynet, lists of dicts for pycocotools.
"""

import contextlib
import io
import time
from collections.abc import Callable

import numpy as np

from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.matching import match_films
from xraynet.evaluation.metrics import STANDARD_RATES, froc, tally_of
from xraynet.evaluation.rules import parse_rule
from xraynet.findings import NoduleAnnotations, NoduleDetections

NUM_FILMS, NUM_MARKS, IOU = 4882, 98824, 0.2
TARGET_RATIO = 10.0
REPEATS = 5


def make_films(num_films: int, num_marks: int) -> list[ScoredFilm]:
    """Films of NODE21's kind: a nodule on about a quarter, some twenty marks on each."""
    rng = np.random.default_rng(0)
    films = []
    for number, marks in enumerate(rng.multinomial(num_marks, np.full(num_films, 1 / num_films))):
        corners = rng.uniform(0, 900, size=(int(rng.choice([0, 1, 2], p=[0.77, 0.19, 0.04])), 2))
        nodules = np.concatenate([corners, corners + rng.uniform(20, 110, size=(len(corners), 2))], axis=1)
        corners = rng.uniform(0, 900, size=(int(marks), 2))
        boxes = np.concatenate([corners, corners + rng.uniform(20, 110, size=(len(corners), 2))], axis=1)
        scores = rng.beta(1, 8, size=len(boxes))
        near = min(len(nodules), len(boxes))
        boxes[:near] = nodules[:near] + np.tile(rng.normal(0, 8, size=(near, 2)), 2)
        scores[:near] = rng.beta(3, 3, size=near)
        films.append(
            ScoredFilm(
                key=f"film-{number}",
                annotations=NoduleAnnotations.of_boxes(nodules.astype(np.float32)),
                detections=NoduleDetections(boxes=boxes.astype(np.float32), scores=scores.astype(np.float32)),
            )
        )
    return films


def to_coco(films: list[ScoredFilm]) -> tuple[dict[str, list[dict[str, object]]], list[dict[str, object]]]:
    """The same films as COCO's ground truth and results."""

    def xywh(box: np.ndarray) -> list[float]:
        x1, y1, x2, y2 = (float(side) for side in box)
        return [x1, y1, x2 - x1, y2 - y1]

    truth: dict[str, list[dict[str, object]]] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "nodule"}]}
    results: list[dict[str, object]] = []
    for number, film in enumerate(films, start=1):
        truth["images"].append({"id": number})
        for box in film.annotations.boxes:
            place = xywh(box)
            facts = {"image_id": number, "category_id": 1, "bbox": place, "area": place[2] * place[3], "iscrowd": 0}
            truth["annotations"].append({"id": len(truth["annotations"]) + 1, **facts})
        for box, score in zip(film.detections.boxes, film.detections.scores, strict=True):
            results.append({"image_id": number, "category_id": 1, "bbox": xywh(box), "score": float(score)})
    return truth, results


def score_with_xraynet(films: list[ScoredFilm]) -> float | None:
    """Average precision, and on the way FROC, its score and the film AUC."""
    table = match_films(films, parse_rule(f"iou:{IOU}"))
    froc(table)
    tally = tally_of(table)
    tally.sensitivity_at(STANDARD_RATES).mean()
    tally.film_auc()
    return float(tally.average_precision()[0])


def score_with_pycocotools(
    truth: dict[str, list[dict[str, object]]], results: list[dict[str, object]], *, defaults: bool = False
) -> float:
    """Average precision at one IoU, one size range, 100 marks a film: the least that pycocotools can be asked for.

    With ``defaults`` it does what people run: ten IoUs from 0.5, four size ranges, three numbers of marks.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        films = COCO()
        films.dataset = truth
        films.createIndex()
        scoring = COCOeval(films, films.loadRes(results), "bbox")
        if not defaults:
            scoring.params.iouThrs = np.array([IOU])
            scoring.params.areaRng, scoring.params.areaRngLbl = [[0, 1e10]], ["all"]
            scoring.params.maxDets = [100]
        scoring.evaluate()
        scoring.accumulate()
    return float(scoring.eval["precision"][0, :, 0, 0, 0].mean())


def measure(call: Callable[[], float | None], *, repeats: int = REPEATS) -> tuple[float, float | None]:
    """The best of a few processor times in seconds (one thread on both sides), and what was computed."""
    best, found = float("inf"), None
    for _ in range(repeats):
        started = time.process_time()
        found = call()
        best = min(best, time.process_time() - started)
    return best, found


def run(num_films: int = NUM_FILMS, num_marks: int = NUM_MARKS) -> dict[str, object]:
    """Both times, their ratio and the target."""
    films = make_films(num_films, num_marks)
    # Before COCO's dicts exist: the garbage collector would walk all of them in our time.
    ours_s, ours = measure(lambda: score_with_xraynet(films))
    truth, results = to_coco(films)
    theirs_s, theirs = measure(lambda: score_with_pycocotools(truth, results))
    defaults_s, _ = measure(lambda: score_with_pycocotools(truth, results, defaults=True), repeats=1)
    assert ours is not None
    assert theirs is not None
    return {
        "films": num_films,
        "boxes": num_marks,
        "xraynet_s": round(ours_s, 4),
        "pycocotools_s": round(theirs_s, 4),
        "pycocotools_defaults_s": round(defaults_s, 4),
        "ratio": round(theirs_s / ours_s, 1),
        "ratio_to_defaults": round(defaults_s / ours_s, 1),
        "target_ratio": TARGET_RATIO,
        "met": theirs_s / ours_s >= TARGET_RATIO,
        "average_precision_difference": abs(ours - theirs),
    }
