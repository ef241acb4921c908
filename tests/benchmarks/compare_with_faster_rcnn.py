"""Trains xraynet's detector and torchvision's Faster R-CNN on the same films for the same time, and compares them.

    python tests/benchmarks/compare_with_faster_rcnn.py --catalogue MIXED_CATALOGUE \
        --preset nodule-cpu-lite --backbone-weights efficientnet-lite0.safetensors --minutes 60 --out DIR

Both see the same samples (simulation, preparation, augmentation) on this machine, each for ``--minutes`` with each of three
learning rates; the best of the three, by FROC score on the validation films with simulated nodules (seed 20), is measured on
the frozen nodules (``frozen_nodules.py``). The table holds both, their difference with its 95 % interval by a bootstrap over
patients that both share, and the seconds a film takes. That is six trainings: minutes x 6 in all. A few steps are timed first,
so that our learning rate has fallen to its end when the minutes are over; the peer's falls with the clock.
With ``--backbone-weights`` both start from them, on the same backbone; without, the peer is MobileNetV3 from nothing.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from frozen_nodules import read_list
from measure_frozen import score_frozen
from peer_faster_rcnn import LEARNING_RATES, PeerSettings, PeerStart, detect, train_peer
from torchvision.models.detection import FasterRCNN

from xraynet.config import read_run_config
from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.intervals import DEFAULT_BOOTSTRAP, Bootstrap
from xraynet.evaluation.matching import match_films
from xraynet.evaluation.metrics import froc_score, sensitivity_at
from xraynet.evaluation.rules import NODE21
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
from xraynet.training.recipe import RunConfig
from xraynet.training.run import RunOptions, train_detector

RATES: Final = (0.25, 2.0, 4.0)
OUR_FACTORS: Final = (0.5, 1.0, 2.0)
"""Our three learning rates, in units of the preset's."""

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


def _samples_of(catalogue: Catalogue, config: RunConfig, cache_folder: Path) -> tuple[TrainingSamples, ValidationFilms]:
    entries = [
        [entry for entry in catalogue.entries(split) if entry.annotations.state is not LabelState.UNKNOWN]
        for split in ("train", "validation")
    ]
    cache: FilmCache = build_cache(
        cache_folder,
        [*entries[0], *entries[1]],
        catalogue_fingerprint=catalogue.fingerprint,
        preparation=config.preparation,
        lungs=shipped_lungs(),
    )
    samples = TrainingSamples(cache, entries[0], config=config.samples, seed=config.training.seed)
    return samples, ValidationFilms(cache, entries[1], config=config.validation)


def _score_of_peer(peer: FasterRCNN, films: ValidationFilms) -> float:
    scored = [ScoredFilm(film.key, film.annotations, detect(peer, film.pixels), patient_key=film.patient_key) for film in films]
    return froc_score(match_films(scored, NODE21)) or 0.0


def _detect_with_peer(peer: FasterRCNN, preparation: PreparationConfig) -> Detect:
    def marks(film: Radiograph) -> NoduleDetections:
        prepared = prepare_film(film, preparation)
        found = detect(peer, prepared.pixels)
        return NoduleDetections(boxes=prepared.letterbox.boxes_to_stored(found.boxes), scores=found.scores)

    return marks


def time_a_step(catalogue: Catalogue, config: RunConfig, *, out: Path, cache: Path) -> float:
    """Seconds of one of our steps on this machine, from a run of a few that is thrown away."""
    training = replace(config.training, total_steps=PROBED_STEPS, validate_every=10**6)
    train_detector(
        catalogue, replace(config, training=training), out=out, lungs=shipped_lungs(), options=RunOptions(cache=cache)
    )
    events = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    elapsed = {event["step"]: event["elapsed_s"] for event in events if event["event"] == "train"}
    first, last = min(elapsed), max(elapsed)
    return float((elapsed[last] - elapsed[first]) / (last - first))


def train_ours(
    catalogue: Catalogue, config: RunConfig, *, minutes: float, out: Path, cache: Path
) -> tuple[Path, dict[str, float]]:
    """The best of our three runs, and the FROC score of each."""
    scores: dict[str, float] = {}
    num_steps = max(1, round(FOR_STEPS * 60 * minutes / time_a_step(catalogue, config, out=out / "probe", cache=cache)))
    for factor in OUR_FACTORS:
        rate = config.training.learning_rate * factor
        training = replace(config.training, learning_rate=rate, total_steps=num_steps, max_minutes=minutes)
        folder = out / f"ours-{rate:g}"
        train_detector(
            catalogue, replace(config, training=training), out=folder, lungs=shipped_lungs(), options=RunOptions(cache=cache)
        )
        events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
        scores[f"{rate:g}"] = max(event["froc_score"] for event in events if event["event"] == "validation")
    best = max(scores, key=lambda rate: scores[rate])
    return out / f"ours-{best}" / "best.safetensors", scores


def train_peers(
    samples: TrainingSamples, films: ValidationFilms, *, minutes: float, out: Path, start: PeerStart | None = None
) -> tuple[FasterRCNN, dict[str, float]]:
    """The best of the peer's three runs, and the FROC score of each; its weights go to ``peer.pt``."""
    scores: dict[str, float] = {}
    peers: dict[str, FasterRCNN] = {}
    for rate in LEARNING_RATES:
        peer, num_steps = train_peer(samples, PeerSettings(learning_rate=rate, minutes=minutes, start=start))
        peers[f"{rate:g}"], scores[f"{rate:g}"] = peer, _score_of_peer(peer, films)
        print(f"Faster R-CNN at {rate:g}: {num_steps} steps, FROC score {scores[f'{rate:g}']:.3f}", flush=True)
    best = max(scores, key=lambda rate: scores[rate])
    torch.save(peers[best].state_dict(), out / "peer.pt")
    return peers[best], scores


def _seconds_a_film(marks: Detect, film: Radiograph, *, repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        started_at = time.perf_counter()
        marks(film)
        times.append(time.perf_counter() - started_at)
    return float(np.median(times))


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
    samples, films = _samples_of(catalogue, config, cache)
    best, our_scores = train_ours(catalogue, config, minutes=asked.minutes, out=asked.out, cache=cache)
    peer, peer_scores = train_peers(samples, films, minutes=asked.minutes, out=asked.out, start=start)
    predictor = Predictor.from_checkpoint(best)

    def our_marks(film: Radiograph) -> NoduleDetections:
        return predictor.detect(prepare_film(film, config.preparation))[0]

    peer_marks = _detect_with_peer(peer, config.preparation)
    differences = compare(score_frozen(catalogue, our_marks), score_frozen(catalogue, peer_marks))
    film = read_entry(catalogue.entries("validation")[0])
    table = {
        "minutes": asked.minutes,
        "preset": asked.preset,
        "start": "from nothing" if start is None else f"{start.backbone} from {start.weights.name}",
        "films": len(read_list()),
        "froc_scores": {"ours": our_scores, "Faster R-CNN": peer_scores},
        "frozen nodules": [asdict(difference) for difference in differences],
        "seconds_a_film": {
            name: round(_seconds_a_film(marks, film), 4) for name, marks in (("ours", our_marks), ("Faster R-CNN", peer_marks))
        },
    }
    (asked.out / "comparison.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
