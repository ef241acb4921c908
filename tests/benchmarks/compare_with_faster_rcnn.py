"""Trains xraynet's detector and torchvision's Faster R-CNN on the same films for the same time, and compares them.

    python tests/benchmarks/compare_with_faster_rcnn.py --catalogue MIXED_CATALOGUE \
        --preset nodule-cpu-lite --backbone-weights efficientnet-lite0.safetensors --minutes 60 --out DIR

Both see the same samples (simulation, preparation, augmentation) in batches of the same size on this machine, each for
``--minutes`` with each of three learning rates; the best of the three, by FROC score on the validation films with simulated
nodules (seed 20), is measured on the frozen nodules (``frozen_nodules.py``), and on the free validation films with nodules
drawn anew (seed 21); the films are the same in all three. The table holds both, their difference with its 95 % interval by a
bootstrap over patients that both share, the steps, and the seconds a film takes; where our preset reads each film mirrored as
well, also what ours says after reading it once. That is six trainings: minutes x 6 in all. A few steps are timed first, so that
our learning rate has fallen to its end when the minutes are over; the peer's falls with the clock. Started again with the same
``--out``, it goes on after the last training that came to its end. With ``--backbone-weights`` both start from them, on the
same backbone; without, the peer is torchvision's own on MobileNetV3, from nothing.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from frozen_nodules import iterate_pairs, read_list
from measure_frozen import score_frozen
from peer_faster_rcnn import PeerSettings, PeerStart, detect, read_peer, train_peer
from torchvision.models.detection import FasterRCNN

from xraynet.checkpoint import Checkpoint
from xraynet.config import read_run_config
from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.intervals import DEFAULT_BOOTSTRAP, Bootstrap, ChunkFigures, estimate_difference
from xraynet.evaluation.matching import MatchTable, match_films
from xraynet.evaluation.metrics import STANDARD_RATES, froc_score, tally_of
from xraynet.evaluation.rules import NODE21
from xraynet.evaluation.tallies import Tally
from xraynet.files import open_atomically
from xraynet.findings import LabelState, NoduleDetections
from xraynet.geometry import clip_boxes
from xraynet.inference.predictor import Predictor
from xraynet.ingest.catalogue import Catalogue, read_catalogue
from xraynet.lungs.segmenter import shipped_lungs
from xraynet.preparation import PreparationConfig, PreparedFilm, prepare_film
from xraynet.radiograph import Radiograph
from xraynet.samples.build import build_cache
from xraynet.samples.cache import FilmCache
from xraynet.samples.dataset import TrainingSamples
from xraynet.samples.validation import ValidationFilms
from xraynet.training.distributed import Team
from xraynet.training.origins import hash_backbone_weights
from xraynet.training.recipe import RunConfig
from xraynet.training.run import RunOptions, train_detector
from xraynet.training.validate import score_films, uncalibrated

RATES: Final = (0.25, 2.0, 4.0)
FIGURES: Final = (*(f"sensitivity at {rate:g} false positives per film" for rate in RATES), "FROC score", "film AUC")
FACTORS: Final = (0.5, 1.0, 2.0)
"""The three learning rates of either, in units of the preset's."""

DRAWN_ANEW: Final = 21
"""The seed of nodules that chose no learning rate and no step, on the validation films that did."""

PROBED_STEPS: Final = 60
TIMED_FILMS: Final = 15
FOR_STEPS: Final = 0.92
"""The part of the minutes that is planned for steps; validation takes the rest."""

Detect = Callable[[Radiograph], NoduleDetections]
Measure = Callable[[Tally], ChunkFigures]


@dataclass(frozen=True)
class Difference:
    """One figure of ours and of the peer, and the interval of ours minus theirs."""

    figure: str
    ours: float
    peers: float
    low: float
    high: float


def compare(
    ours: Sequence[ScoredFilm], peers: Sequence[ScoredFilm], *, bootstrap: Bootstrap = DEFAULT_BOOTSTRAP
) -> list[Difference]:
    """Sensitivity at each rate of false marks, FROC score and film AUC of both, with the paired interval over patients.

    Raises ValueError where the two do not hold the same films in the same order, or none with a nodule and one without.
    """
    return list_differences(match_films(ours, NODE21), match_films(peers, NODE21), FIGURES, _figures, bootstrap=bootstrap)


def list_differences(
    ours: MatchTable, peers: MatchTable, names: Sequence[str], measure: Measure, *, bootstrap: Bootstrap
) -> list[Difference]:
    """Each figure that ``measure`` gives, by name. Raises ValueError where one of them is undefined on these films."""
    values = [measure(tally_of(table))[0] for table in (ours, peers)]
    if np.isnan(values).any():
        raise ValueError(f"{len(ours.films)} films: at least one with a nodule and one without were expected")
    between, _ = estimate_difference(ours, peers, measure, bootstrap)
    return [
        Difference(figure, *(round(float(value), 4) for value in (*both, one.low, one.high)))
        for figure, one, *both in zip(names, between, *values, strict=True)
    ]


def _figures(tally: Tally) -> ChunkFigures:
    standard = tally.sensitivity_at(STANDARD_RATES).mean(axis=1)
    return np.column_stack([tally.sensitivity_at(RATES), standard, tally.film_auc()])


def _samples_of(catalogue: Catalogue, config: RunConfig, folder: Path) -> tuple[TrainingSamples, list[ValidationFilms]]:
    """What is learnt from, and the validation films twice: those that choose, and the free ones with nodules drawn anew."""
    entries = [
        [entry for entry in catalogue.entries(split) if entry.annotations.state is not LabelState.UNKNOWN]
        for split in ("train", "validation")
    ]
    cache: FilmCache = build_cache(
        folder,
        [*entries[0], *entries[1]],
        catalogue_fingerprint=catalogue.fingerprint,
        preparation=config.preparation,
        lungs=shipped_lungs(),
    )
    samples = TrainingSamples(cache, entries[0], config=config.samples, seed=config.training.seed)
    free = [entry for entry in entries[1] if entry.annotations.state is LabelState.FREE]
    anew = replace(config.validation, seed=DRAWN_ANEW, most_films=None)
    return samples, [ValidationFilms(cache, entries[1], config=config.validation), ValidationFilms(cache, free, config=anew)]


def score_peer(peer: FasterRCNN, films: ValidationFilms) -> list[ScoredFilm]:
    """What the peer marks on validation films, in network pixels."""
    scored = [ScoredFilm(film.key, film.annotations, detect(peer, film.pixels), patient_key=film.patient_key) for film in films]
    return sorted(scored, key=lambda film: film.key)


def score_ours(predictor: Predictor, films: ValidationFilms) -> list[ScoredFilm]:
    """What our detector marks on the same films, in the same frame."""
    team = Team(rank=0, world_size=1, device=torch.device("cpu"))
    decoding = uncalibrated(predictor.checkpoint.settings.decoding)
    return list(score_films(predictor.detector, films, batch_size=1, team=team, precision=nullcontext(), decoding=decoding))


def mark_with_peer(peer: FasterRCNN, prepared: PreparedFilm) -> NoduleDetections:
    """What the peer marks on a prepared film, in stored pixels; what lies beside the film is cut off, as with ours."""
    found = detect(peer, prepared.pixels)
    boxes = clip_boxes(prepared.letterbox.boxes_to_stored(found.boxes), size=prepared.letterbox.stored_size)
    inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return NoduleDetections(boxes=boxes, scores=found.scores).select(inside)


def _detect_with_peer(peer: FasterRCNN, preparation: PreparationConfig) -> Detect:
    return lambda film: mark_with_peer(peer, prepare_film(film, preparation))


def _detect_with_ours(predictor: Predictor) -> Detect:
    preparation = predictor.checkpoint.settings.preparation
    return lambda film: predictor.detect(prepare_film(film, preparation))[0]


def _run_ours(catalogue: Catalogue, config: RunConfig, *, out: Path, cache: Path) -> list[dict[str, float | str]]:
    """The journal of one of our runs; one that came to its end before is not run again, a part of one is thrown away."""
    done = out / "done"
    if not done.exists():
        shutil.rmtree(out, ignore_errors=True)
        train_detector(catalogue, config, out=out, lungs=shipped_lungs(), options=RunOptions(cache=cache))
        done.touch()
    return [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]


def time_a_step(catalogue: Catalogue, config: RunConfig, *, out: Path, cache: Path) -> float:
    """Seconds of one of our steps on this machine, from a run of a few that is thrown away."""
    training = replace(config.training, total_steps=PROBED_STEPS, validate_every=10**6)
    events = _run_ours(catalogue, replace(config, training=training), out=out, cache=cache)
    elapsed = {event["step"]: float(event["elapsed_s"]) for event in events if event["event"] == "train"}
    first, last = min(elapsed), max(elapsed)
    return (elapsed[last] - elapsed[first]) / (float(last) - float(first))


@dataclass(frozen=True)
class Runs:
    """The three trainings of one detector, by learning rate: FROC score on the films that choose, and the steps it took.

    ``planned_steps``: where the rate would have fallen to its end; None where it fell by the clock.
    """

    froc_scores: dict[str, float]
    steps: dict[str, int]
    planned_steps: int | None = None

    @property
    def best(self) -> str:
        """The rate with the highest score."""
        return max(self.froc_scores, key=lambda rate: self.froc_scores[rate])


def train_ours(catalogue: Catalogue, config: RunConfig, *, minutes: float, out: Path, cache: Path) -> Runs:
    """Our three runs, in ``OUT/ours-RATE``."""
    scores: dict[str, float] = {}
    steps: dict[str, int] = {}
    planned = max(1, round(FOR_STEPS * 60 * minutes / time_a_step(catalogue, config, out=out / "probe", cache=cache)))
    for factor in FACTORS:
        rate = config.training.learning_rate * factor
        training = replace(config.training, learning_rate=rate, total_steps=planned, max_minutes=minutes)
        events = _run_ours(catalogue, replace(config, training=training), out=out / f"ours-{rate:g}", cache=cache)
        scores[f"{rate:g}"] = max(float(event["froc_score"]) for event in events if event["event"] == "validation")
        steps[f"{rate:g}"] = max(int(event["step"]) for event in events if event["event"] == "train")
    return Runs(scores, steps, planned)


def train_peers(samples: TrainingSamples, films: ValidationFilms, settings: PeerSettings, *, out: Path) -> Runs:
    """The peer's three runs; the weights of each go to ``OUT/peer-RATE.pt``, its steps to a file beside them."""
    scores: dict[str, float] = {}
    steps: dict[str, int] = {}
    for rate in (settings.training.learning_rate * factor for factor in FACTORS):
        kept, told = out / f"peer-{rate:g}.pt", out / f"peer-{rate:g}.steps"
        if not kept.exists():
            peer, num_steps = train_peer(samples, replace(settings, training=replace(settings.training, learning_rate=rate)))
            told.write_text(f"{num_steps}\n", encoding="utf-8")
            with open_atomically(kept) as file:
                torch.save(peer.state_dict(), file)
        scored = score_peer(read_peer(kept, backbone=None if settings.start is None else settings.start.backbone), films)
        scores[f"{rate:g}"], steps[f"{rate:g}"] = froc_score(match_films(scored, NODE21)) or 0.0, int(told.read_text())
        print(f"Faster R-CNN at {rate:g}: {steps[f'{rate:g}']} steps, FROC score {scores[f'{rate:g}']:.3f}", flush=True)
    return Runs(scores, steps)


def reading_once(checkpoint: Checkpoint) -> Checkpoint:
    """The same weights without the second view of each film."""
    settings = checkpoint.settings
    return checkpoint.with_settings(replace(settings, decoding=replace(settings.decoding, second_view=None)))


def _seconds_a_film(detectors: Sequence[Detect], films: Sequence[Radiograph]) -> list[float]:
    """The median time of each over some films, taken in turns; the first film comes once more beforehand."""
    times = np.zeros((len(films) + 1, len(detectors)))
    for film, turn in zip((films[0], *films), times, strict=True):
        for place, marks in enumerate(detectors):
            started_at = time.perf_counter()
            marks(film)
            turn[place] = time.perf_counter() - started_at
    return [round(float(seconds), 4) for seconds in np.median(times[1:], axis=0)]


def _keep_what_was_asked(out: Path, asked: dict[str, object]) -> None:
    """Refuse to go on in a folder of other runs."""
    kept = out / "asked.json"
    if kept.exists() and json.loads(kept.read_text(encoding="utf-8")) != asked:
        raise SystemExit(f"{out} holds a comparison that was asked for otherwise ({kept}); another --out starts a new one")
    kept.write_text(json.dumps(asked, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Train both, measure both, keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogue", type=Path, required=True)
    parser.add_argument("--preset", default="nodule-cpu")
    parser.add_argument("--backbone-weights", type=Path, help="what both start from, made by xraynet import-backbone")
    parser.add_argument("--minutes", type=float, required=True, help="of each of the six trainings")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    catalogue, config, cache = read_catalogue(asked.catalogue), read_run_config(asked.preset), asked.out / "cache"
    start = None
    if asked.backbone_weights is not None:
        start = PeerStart(config.detector.backbone, asked.backbone_weights)
        config = replace(config, training=replace(config.training, backbone_weights=str(asked.backbone_weights)))
    facts = {
        "minutes": asked.minutes,
        "preset": asked.preset,
        "start": "from nothing" if start is None else f"{start.backbone} from {start.weights.name}",
        "weights": hash_backbone_weights(config),
        "catalogue": catalogue.fingerprint,
    }
    _keep_what_was_asked(asked.out, facts)
    samples, (choosing, anew) = _samples_of(catalogue, config, cache)
    of_ours = train_ours(catalogue, config, minutes=asked.minutes, out=asked.out, cache=cache)
    settings = PeerSettings(config.training, minutes=asked.minutes, start=start)
    of_peers = train_peers(samples, choosing, settings, out=asked.out)

    predictor = Predictor.from_checkpoint(asked.out / f"ours-{of_ours.best}" / "best.safetensors")
    peer = read_peer(asked.out / f"peer-{of_peers.best}.pt", backbone=None if start is None else start.backbone)
    peers_marks = _detect_with_peer(peer, config.preparation)
    frozen_of_peer, anew_of_peer = score_frozen(catalogue, peers_marks), score_peer(peer, anew)
    readings = {"ours": predictor}
    if config.decoding.second_view is not None:
        readings["ours, reading each film once"] = replace(predictor, checkpoint=reading_once(predictor.checkpoint))
    table: dict[str, object] = {**facts, "runs": {"ours": asdict(of_ours), "Faster R-CNN": asdict(of_peers)}}
    for name, one in readings.items():
        frozen = compare(score_frozen(catalogue, _detect_with_ours(one)), frozen_of_peer)
        drawn_anew = compare(score_ours(one, anew), anew_of_peer)
        table[name] = {
            f"{len(read_list())} frozen nodules": [asdict(difference) for difference in frozen],
            f"nodules drawn anew on {len(anew)} films": [asdict(difference) for difference in drawn_anew],
        }
    timed = [pair.drawn for pair in iterate_pairs(read_list()[:TIMED_FILMS], catalogue.entries())]
    seconds = _seconds_a_film([*map(_detect_with_ours, readings.values()), peers_marks], timed)
    table["seconds_a_film"] = dict(zip((*readings, "Faster R-CNN"), seconds, strict=True))
    (asked.out / "comparison.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
