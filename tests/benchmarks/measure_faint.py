"""Measures how a detector's sensitivity falls with how far nodules stand out, on faint simulated ones or on real ones.

    python tests/benchmarks/measure_faint.py --catalogue NIH_CATALOGUE --out DIR [--checkpoint FILE] [--cache DIR]
    python tests/benchmarks/measure_faint.py --catalogue CATALOGUE --readings READINGS --rule jsrt-25mm --out DIR

The first draws one nodule of 9 to 40 mm into each of the validation films without any finding, twice (another nodule the
second time), with a contrast-to-noise around 0.5: log-normal, as little as half of the nodules that people mark. False marks
are counted on the same films. The second takes what ``xraynet predict`` wrote and asks the films of the catalogue's test
split how far their own nodules stand out: no detector runs. Writes faint.json into DIR: sensitivities with their intervals
(bootstrap over patients), and sensitivities by bands of contrast-to-noise.
"""

import argparse
import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float32
from look_at_jsrt import RATES, blocking_score, rounded, sensitivity_among
from measure_false_alarms import films_without_finding
from numpy.typing import NDArray

from xraynet.checkpoint import find_shipped_checkpoint, read_checkpoint
from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.intervals import DEFAULT_BOOTSTRAP, Bootstrap
from xraynet.evaluation.joining import join_predictions
from xraynet.evaluation.matching import match_films
from xraynet.evaluation.predictions import read_predictions
from xraynet.evaluation.rules import parse_rule
from xraynet.files import write_text_atomically
from xraynet.ingest.catalogue import FilmEntry, read_catalogue, read_entry
from xraynet.lungs.segmenter import shipped_lungs
from xraynet.samples.build import build_cache
from xraynet.samples.cache import CachedFilm, FilmCache
from xraynet.samples.dataset import simulate_in_film
from xraynet.samples.validation import ValidationConfig, ValidationFilm, ValidationFilms
from xraynet.simulation import NoduleConfig, SimulatedFilm, SimulationConfig
from xraynet.simulation.film import annotate_nodules
from xraynet.simulation.grey import contrast_to_noise
from xraynet.training.distributed import Team
from xraynet.training.validate import score_films, uncalibrated

BANDS: Final = (0.25, 0.5, 0.75, 1.0)
"""Contrast-to-noise: under the first, between two, and from the last on."""
DRAWS: Final = 2
_MEDIAN_CONTRAST_TO_NOISE: Final = 0.5
_LOG_SPREAD: Final = 0.5
_CLOSE_ENOUGH: Final = 0.25
_MOST_TRIES: Final = 60
FAINT: Final = SimulationConfig(
    nodule=NoduleConfig(
        median_diameter_mm=17.0,
        diameter_log_spread=0.4,
        smallest_diameter_mm=9.0,
        largest_diameter_mm=40.0,
        density_log_spread=0.8,
        soft_tissue_path_mm=80.0,
        largest_blur_mm=2.0,
    ),
    num_nodules_weights=(1.0,),
    hidden_share=0.1,
    least_contrast=0.01,
)


@dataclass(frozen=True)
class Band:
    """The nodules of one band of contrast-to-noise, and the sensitivity among them at each rate of false marks."""

    least: float | None
    below: float | None
    num_nodules: int
    sensitivity: dict[str, float | None]


@dataclass(frozen=True)
class FaintFigures:
    """Sensitivities as (value, low, high) of the 95 % interval by false marks a film, and by bands."""

    num_films: int
    num_nodules: int
    median_contrast_to_noise: float
    sensitivity: dict[str, tuple[float | None, ...]]
    bands: tuple[Band, ...]


class FaintFilms(ValidationFilms):
    """Films without any finding, each ``DRAWS`` times, with one faint nodule each."""

    def __init__(self, cache: FilmCache, entries: Sequence[FilmEntry]) -> None:
        super().__init__(cache, entries, config=ValidationConfig(most_films=None, simulated_share=0.0))
        # A film in which no such nodule could be drawn is left out, not shown without.
        drawn = [
            (entry, number, film)
            for entry in self.entries
            for number in range(DRAWS)
            if (film := draw_faint(cache.read(entry.key), seed=(int(entry.key, 16), number))) is not None
        ]
        self.entries = tuple(entry for entry, _, _ in drawn)
        self._drawn = tuple((number, film) for _, number, film in drawn)

    def film(self, index: int) -> ValidationFilm:
        """The film at ``index`` with its nodule; its key says which draw it is."""
        plain, (number, drawn) = super().film(index), self._drawn[index]
        pixels = np.clip(drawn.pixels, -self.cache.headroom, 1 + self.cache.headroom)
        marked = annotate_nodules(drawn.boxes, spacing_mm=plain.spacing_mm)
        return replace(plain, key=f"{plain.key}-{number}", pixels=pixels, annotations=marked, simulated=True)


def draw_faint(film: CachedFilm, *, seed: tuple[int, int]) -> SimulatedFilm | None:
    """The film with one nodule as faint as the seed asks for, or None where none came near enough in many tries."""
    rng = np.random.default_rng(np.random.SeedSequence([*seed, 77]))
    wanted = _MEDIAN_CONTRAST_TO_NOISE * np.exp(_LOG_SPREAD * rng.standard_normal())
    for _ in range(_MOST_TRIES):
        drawn = simulate_in_film(film, rng=rng, config=FAINT, num_nodules=1)
        if drawn is None:
            return None
        found = contrast_to_noise(drawn.pixels, drawn.boxes[0]) if len(drawn.boxes) else None
        if found is not None and found > 0 and abs(np.log(found / wanted)) < _CLOSE_ENOUGH:
            return drawn
    return None


def tabulate(
    films: Sequence[ScoredFilm],
    contrasts: Float32[NDArray[np.float32], " nodules"],
    *,
    rule: str,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
) -> FaintFigures:
    """Sensitivities of all nodules and by band; ``contrasts``: of every nodule, film by film as ``films`` have them."""
    table = match_films(films, parse_rule(rule))
    found = {rate: table.nodule_scores > blocking_score(table, rate) for rate in RATES}
    everyone = np.ones(len(contrasts), dtype=np.bool_)
    bands = []
    for least, below in pairwise((None, *BANDS, None)):
        inside = (contrasts >= (-np.inf if least is None else least)) & (below is None or contrasts < below)
        shares = {f"{rate:g}": round(float(found[rate][inside].mean()), 3) if inside.any() else None for rate in RATES}
        bands.append(Band(least=least, below=below, num_nodules=int(inside.sum()), sensitivity=shares))
    return FaintFigures(
        num_films=table.num_films,
        num_nodules=len(contrasts),
        median_contrast_to_noise=round(float(np.median(contrasts)), 3),
        sensitivity={
            f"{rate:g}": rounded(sensitivity_among(table, everyone, rate=rate, bootstrap=bootstrap)) for rate in RATES
        },
        bands=tuple(bands),
    )


def measure_simulated(catalogue_path: Path, checkpoint_path: Path, *, cache: Path, rule: str) -> FaintFigures:
    """The checkpoint on faint simulated nodules."""
    catalogue, checkpoint = read_catalogue(catalogue_path), read_checkpoint(checkpoint_path)
    settings = checkpoint.settings
    entries = films_without_finding(catalogue)
    held = build_cache(
        cache,
        entries,
        catalogue_fingerprint=catalogue.fingerprint,
        preparation=settings.preparation,
        lungs=shipped_lungs(),
    )
    films = FaintFilms(held, entries)
    team = Team(rank=0, world_size=1, device=torch.device("cpu"))
    scored = score_films(
        checkpoint.build_detector(),
        films,
        batch_size=1,
        team=team,
        precision=nullcontext(),
        decoding=uncalibrated(settings.decoding),
    )
    drawn = {film.key: film for film in films}
    contrasts = [contrast_to_noise(drawn[film.key].pixels, box) for film in scored for box in film.annotations.boxes]
    return tabulate(scored, _known(contrasts), rule=rule)


def measure_readings(catalogue_path: Path, readings: Path, *, rule: str) -> FaintFigures:
    """What was read before, by how far the films' own nodules stand out."""
    entries = {entry.key: entry for entry in read_catalogue(catalogue_path).entries("test")}
    films = join_predictions(list(entries.values()), read_predictions(readings, form="readings")).films
    contrasts = [
        contrast_to_noise(read_entry(entries[film.key]).pixels, box)
        for film in films
        if len(film.annotations.boxes)
        for box in film.annotations.boxes
    ]
    return tabulate(films, _known(contrasts), rule=rule)


def _known(contrasts: Sequence[float | None]) -> Float32[NDArray[np.float32], " nodules"]:
    """A nodule on a perfectly flat ring stands out without bound."""
    return np.array([np.inf if value is None else value for value in contrasts], dtype=np.float32)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogue", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, help="default: the shipped one")
    parser.add_argument("--readings", type=Path, help="what xraynet predict wrote about the catalogue's test films")
    parser.add_argument("--cache", type=Path, help="where prepared films are kept; default: OUT/cache")
    parser.add_argument("--rule", default="jsrt-25mm")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    if asked.readings is not None:
        figures = measure_readings(asked.catalogue, asked.readings, rule=asked.rule)
    else:
        checkpoint = asked.checkpoint or find_shipped_checkpoint()
        figures = measure_simulated(asked.catalogue, checkpoint, cache=asked.cache or asked.out / "cache", rule=asked.rule)
    text = json.dumps(asdict(figures), indent=1)
    write_text_atomically(asked.out / "faint.json", text + "\n")
    print(text)


if __name__ == "__main__":
    main()
