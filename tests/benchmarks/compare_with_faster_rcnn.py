"""Trains xraynet's detector and torchvision's Faster R-CNN on the same films for the same time, and compares them.

    python tests/benchmarks/compare_with_faster_rcnn.py --catalogue MIXED_CATALOGUE \
        --preset nodule-cpu-lite --backbone-weights efficientnet-lite0.safetensors --minutes 60 --out DIR

Both see the same samples (simulation, preparation, augmentation) in batches of the same size on this machine, each for
``--minutes`` with each of three learning rates; the best of the three, by FROC score on the validation films with simulated
nodules (seed 20), is measured on the frozen nodules (``frozen_nodules.py``), and on the validation films with nodules drawn
anew (seed 21). The table holds both, their difference with its 95 % interval by a bootstrap over patients that both share, and
the seconds a film takes. That is six trainings: minutes x 6 in all. A few steps are timed first, so that our learning rate has
fallen to its end when the minutes are over; the peer's falls with the clock. Started again with the same ``--out``, it goes on
after the last training that came to its end. With ``--backbone-weights`` both start from them, on the same backbone; without,
the peer is MobileNetV3 from nothing.
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
from frozen_nodules import read_list
from measure_frozen import score_frozen
from peer_faster_rcnn import PeerSettings, PeerStart, detect, read_peer, train_peer
from torchvision.models.detection import FasterRCNN

from xraynet.config import read_run_config
from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.intervals import DEFAULT_BOOTSTRAP, Bootstrap
from xraynet.evaluation.matching import match_films
from xraynet.evaluation.metrics import froc_score, sensitivity_at
from xraynet.evaluation.rules import NODE21
from xraynet.files import open_atomically
from xraynet.findings import LabelState, NoduleDetections
from xraynet.inference.predictor import Predictor
from xraynet.ingest.catalogue import Catalogue, read_catalogue, read_entry
from xraynet.lungs.segmenter import shipped_lungs
from xraynet.preparation import PreparationConfig, prepare_film
from xraynet.radiograph import Radiograph
from xraynet.samples.build import build_cache
from xraynet.samples.cache import FilmCache
from xraynet.samples.dataset import TrainingSamples
from xraynet.samples.validation import ValidationFilms
from xraynet.training.distributed import Team
from xraynet.training.recipe import RunConfig
from xraynet.training.run import RunOptions, train_detector
from xraynet.training.validate import score_films, uncalibrated

RATES: Final = (0.25, 2.0, 4.0)
FACTORS: Final = (0.5, 1.0, 2.0)
"""The three learning rates of either, in units of the preset's."""

DRAWN_ANEW: Final = 21
"""The seed of the validation nodules that chose no learning rate."""

PROBED_STEPS: Final = 60
FOR_STEPS: Final = 0.92
"""The part of the minutes that is planned for steps; validation takes the rest."""

Detect = Callable[[Radiograph], NoduleDetections]


@dataclass(frozen=True)
class Difference:
    """Sensitivity of ours and of the peer at one rate of false marks, and the interval of ours minus theirs."""

    false_positives_per_film: float
    ours: float
    peers: float
    low: float
    high: float


def compare(
    ours: Sequence[ScoredFilm], peers: Sequence[ScoredFilm], *, bootstrap: Bootstrap = DEFAULT_BOOTSTRAP
) -> list[Difference]:
    """The paired differences at each rate: both are scored on the same resamples of patients."""
    tables = [match_films(films, NODE21) for films in (ours, peers)]
    found = [np.array([figure or 0.0 for figure in sensitivity_at(table, RATES)]) for table in tables]
    patients = sorted({film.patient_key or film.key for film in ours})
    films_of = {patient: [] for patient in patients}
    for place, film in enumerate(ours):
        films_of[film.patient_key or film.key].append(place)
    rng = np.random.default_rng(bootstrap.seed)
    differences = []
    for _ in range(bootstrap.num_resamples):
        drawn = [place for patient in rng.choice(patients, len(patients)) for place in films_of[patient]]
        at_rates = []
        for films in (ours, peers):
            table = match_films([replace(films[place], key=str(number)) for number, place in enumerate(drawn)], NODE21)
            at_rates.append(np.array([figure or 0.0 for figure in sensitivity_at(table, RATES)]))
        differences.append(at_rates[0] - at_rates[1])
    tail = (1 - bootstrap.level) / 2
    low, high = np.quantile(np.array(differences), [tail, 1 - tail], axis=0)
    return [
        Difference(rate, *(round(float(value), 4) for value in values))
        for rate, *values in zip(RATES, found[0], found[1], low, high, strict=True)
    ]


def _samples_of(catalogue: Catalogue, config: RunConfig, folder: Path) -> tuple[TrainingSamples, list[ValidationFilms]]:
    """What is learnt from, and the validation films twice: the ones that choose, and all of them with nodules drawn anew."""
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
    anew = replace(config.validation, seed=DRAWN_ANEW, most_films=None)
    return samples, [ValidationFilms(cache, entries[1], config=choice) for choice in (config.validation, anew)]


def score_peer(peer: FasterRCNN, films: ValidationFilms) -> list[ScoredFilm]:
    """What the peer marks on validation films, in network pixels."""
    scored = [ScoredFilm(film.key, film.annotations, detect(peer, film.pixels), patient_key=film.patient_key) for film in films]
    return sorted(scored, key=lambda film: film.key)


def score_ours(predictor: Predictor, films: ValidationFilms) -> list[ScoredFilm]:
    """What our detector marks on the same films, in the same frame."""
    team = Team(rank=0, world_size=1, device=torch.device("cpu"))
    decoding = uncalibrated(predictor.checkpoint.settings.decoding)
    return list(score_films(predictor.detector, films, batch_size=1, team=team, precision=nullcontext(), decoding=decoding))


def _detect_with_peer(peer: FasterRCNN, preparation: PreparationConfig) -> Detect:
    def marks(film: Radiograph) -> NoduleDetections:
        prepared = prepare_film(film, preparation)
        found = detect(peer, prepared.pixels)
        return NoduleDetections(boxes=prepared.letterbox.boxes_to_stored(found.boxes), scores=found.scores)

    return marks


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


def train_ours(
    catalogue: Catalogue, config: RunConfig, *, minutes: float, out: Path, cache: Path
) -> tuple[Path, dict[str, float]]:
    """The best of our three runs, and the FROC score of each."""
    scores: dict[str, float] = {}
    num_steps = max(1, round(FOR_STEPS * 60 * minutes / time_a_step(catalogue, config, out=out / "probe", cache=cache)))
    for factor in FACTORS:
        rate = config.training.learning_rate * factor
        training = replace(config.training, learning_rate=rate, total_steps=num_steps, max_minutes=minutes)
        events = _run_ours(catalogue, replace(config, training=training), out=out / f"ours-{rate:g}", cache=cache)
        scores[f"{rate:g}"] = max(float(event["froc_score"]) for event in events if event["event"] == "validation")
    best = max(scores, key=lambda rate: scores[rate])
    return out / f"ours-{best}" / "best.safetensors", scores


def train_peers(
    samples: TrainingSamples, films: ValidationFilms, settings: PeerSettings, *, out: Path
) -> tuple[FasterRCNN, dict[str, float]]:
    """The best of the peer's three runs, and the FROC score of each; every run's weights are kept in ``peer-RATE.pt``."""
    backbone = None if settings.start is None else settings.start.backbone
    peers: dict[str, FasterRCNN] = {}
    scores: dict[str, float] = {}
    for rate in (settings.learning_rate * factor for factor in FACTORS):
        kept = out / f"peer-{rate:g}.pt"
        if not kept.exists():
            peer, num_steps = train_peer(samples, replace(settings, learning_rate=rate))
            with open_atomically(kept) as file:
                torch.save(peer.state_dict(), file)
            print(f"Faster R-CNN at {rate:g}: {num_steps} steps", flush=True)
        peers[f"{rate:g}"] = read_peer(kept, backbone=backbone)
        scores[f"{rate:g}"] = froc_score(match_films(score_peer(peers[f"{rate:g}"], films), NODE21)) or 0.0
        print(f"Faster R-CNN at {rate:g}: FROC score {scores[f'{rate:g}']:.3f}", flush=True)
    best = max(scores, key=lambda rate: scores[rate])
    return peers[best], scores


def _seconds_a_film(detectors: Sequence[Detect], film: Radiograph, *, repeats: int = 15) -> list[float]:
    """The median time of each on one film, taken in turns; the first turn is not counted."""
    times = np.zeros((repeats + 1, len(detectors)))
    for turn in times:
        for place, marks in enumerate(detectors):
            started_at = time.perf_counter()
            marks(film)
            turn[place] = time.perf_counter() - started_at
    return [round(float(seconds), 4) for seconds in np.median(times[1:], axis=0)]


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
    training = config.training
    samples, (choosing, anew) = _samples_of(catalogue, config, cache)
    best, our_scores = train_ours(catalogue, config, minutes=asked.minutes, out=asked.out, cache=cache)
    settings = PeerSettings(
        training.learning_rate, training.weight_decay, minutes=asked.minutes, batch_size=training.batch_size, start=start
    )
    peer, peer_scores = train_peers(samples, choosing, settings, out=asked.out)

    predictor = Predictor.from_checkpoint(best)
    both = (_detect_with_ours(predictor), _detect_with_peer(peer, config.preparation))
    frozen = compare(*(score_frozen(catalogue, marks) for marks in both))
    drawn_anew = compare(score_ours(predictor, anew), score_peer(peer, anew))
    seconds = _seconds_a_film(both, read_entry(catalogue.entries("validation")[0]))
    table = {
        "minutes": asked.minutes,
        "preset": asked.preset,
        "start": "from nothing" if start is None else f"{start.backbone} from {start.weights.name}",
        "froc_scores": {"ours": our_scores, "Faster R-CNN": peer_scores},
        "frozen nodules": {"nodules": len(read_list()), "at": [asdict(difference) for difference in frozen]},
        "nodules drawn anew": {"films": len(anew), "at": [asdict(difference) for difference in drawn_anew]},
        "seconds_a_film": dict(zip(("ours", "Faster R-CNN"), seconds, strict=True)),
    }
    (asked.out / "comparison.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
