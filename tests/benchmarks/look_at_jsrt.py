"""Looks at a checkpoint on the JSRT development films, once, and writes down that it was done.

    python tests/benchmarks/look_at_jsrt.py --films jsrt_dev --out DIR [--checkpoint FILE] [--why "before release"]

No JSRT film may choose anything in a checkpoint, so every look is counted: this command appends the date, the checkpoint's
fingerprint and the figures to ``checkpoints/JSRT_LOOKS.jsonl``, and refuses a checkpoint that was looked at before. The films
go through ``xraynet predict`` as a plain folder of PNG files, without a spacing and again with it, and are scored under both
rules of the JSRT papers. ``--films`` holds ``images/`` and ``nodules.csv``. DIR keeps the four metrics.json for the card.
"""

import argparse
import datetime
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from xraynet.checkpoint import find_shipped_checkpoint, read_checkpoint
from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.intervals import DEFAULT_BOOTSTRAP, Bootstrap, ChunkFigures, Estimate, estimate
from xraynet.evaluation.joining import join_predictions
from xraynet.evaluation.matching import MatchTable, match_films
from xraynet.evaluation.predictions import read_predictions
from xraynet.evaluation.results import EvaluationResult, read_metrics
from xraynet.evaluation.rules import parse_rule
from xraynet.evaluation.tallies import Tally, Weights, weighted_ratio, weighted_sum
from xraynet.ingest.catalogue import Catalogue, read_catalogue

LOG: Final = Path(__file__).resolve().parents[2] / "checkpoints" / "JSRT_LOOKS.jsonl"
RULES: Final = ("jsrt-25mm", "jsrt-inside")
RATES: Final = (0.25, 1.0, 2.0, 4.0)
SUBTLE: Final = 3
"""Subtlety 1 and 2 are hard for people too; 3 to 5 are counted apart."""
FRAME_MM: Final = 2048 * 0.175
"""The side of a JSRT film."""


@dataclass(frozen=True)
class Figures:
    """One way of reading and scoring the films: each figure as (value, low, high) of its 95 % interval."""

    sensitivity: dict[str, tuple[float | None, ...]]
    subtlety_3_to_5_at_2: tuple[float | None, ...]
    film_auc: tuple[float | None, ...]
    operating_threshold: float | None
    sensitivity_there: tuple[float | None, ...]
    false_positives_per_normal_film_there: tuple[float | None, ...]


def rounded(found: Estimate) -> tuple[float | None, ...]:
    """(value, low, high) to three places."""
    return tuple(None if value is None else round(value, 3) for value in (found.value, found.low, found.high))


def blocking_score(table: MatchTable, rate: float) -> float:
    """The score of the first false mark that ``rate`` false marks a film of all no longer admit; below all where none is."""
    allowed = int(np.floor(rate * table.num_films + 1e-9))
    return float(table.false_scores[allowed]) if len(table.false_scores) > allowed else -0.5


def share_found_at(
    table: MatchTable, members: NDArray[np.bool_], *, rate: float, weights: Weights
) -> Float64[NDArray[np.float64], " resamples"]:
    """The share of the nodules that are ``members`` found at the threshold that admits ``rate`` false marks a film of all.

    The threshold is that of the films as they are, under every row of ``weights``.
    """
    num = len(table.films)
    whole = np.bincount(table.nodule_films[members], minlength=num)
    found = np.bincount(table.nodule_films[members & (table.nodule_scores > blocking_score(table, rate))], minlength=num)
    return weighted_ratio(weighted_sum(weights, found), weighted_sum(weights, whole))


def sensitivity_among(
    table: MatchTable, members: NDArray[np.bool_], *, rate: float, bootstrap: Bootstrap = DEFAULT_BOOTSTRAP
) -> Estimate:
    """Sensitivity among the nodules that are ``members``, at the threshold that admits ``rate`` false marks a film of all."""

    def measure(tally: Tally) -> ChunkFigures:
        return share_found_at(table, members, rate=rate, weights=tally.weights)[:, None]

    return estimate(table, measure, bootstrap)[0][0]


def sensitivity_of_clear_nodules(
    table: MatchTable, *, rate: float, least_subtlety: int = SUBTLE, bootstrap: Bootstrap = DEFAULT_BOOTSTRAP
) -> Estimate:
    """Sensitivity among nodules of at least this subtlety, at the threshold that admits ``rate`` false marks a film of all."""
    return sensitivity_among(table, table.nodule_subtlety >= least_subtlety, rate=rate, bootstrap=bootstrap)


def summarise(result: EvaluationResult, films: Sequence[ScoredFilm]) -> Figures:
    """The figures that the log keeps, from the metrics and the films they were measured on."""
    by_rate = {found.false_positives_per_film: found.sensitivity for found in result.froc}
    there = result.operating
    undefined = (None, None, None)
    return Figures(
        sensitivity={f"{rate:g}": rounded(by_rate[rate]) for rate in RATES},
        subtlety_3_to_5_at_2=rounded(sensitivity_of_clear_nodules(match_films(films, parse_rule(result.rule)), rate=2.0)),
        film_auc=rounded(result.film_auc),
        operating_threshold=None if there is None else round(there.threshold, 4),
        sensitivity_there=undefined if there is None else rounded(there.recall),
        false_positives_per_normal_film_there=undefined if there is None else rounded(there.false_positives_per_normal_film),
    )


def read_looks(log: Path = LOG) -> list[dict[str, object]]:
    """The looks so far, the first one first."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.is_file() else []


def append_look(fingerprint: str, *, name: str, why: str, figures: dict[str, Figures], log: Path = LOG) -> None:
    """Write one more look down."""
    line = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "checkpoint": fingerprint,
        "name": name,
        "why": why,
        "figures": {title: asdict(found) for title, found in figures.items()},
    }
    with log.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def _xraynet(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "xraynet", *arguments], check=True)


@dataclass(frozen=True, eq=False)
class Look:
    """What a detector said of the films read in one way, and its figures under one rule."""

    figures: Figures
    films: tuple[ScoredFilm, ...]


def ingest_films(folder: Path, *, out: Path) -> Catalogue:
    """A catalogue of the films, all of them in the test split."""
    labels = ["--labels", str(folder / "nodules.csv"), "--format", "jsrt"]
    _xraynet("ingest", str(folder / "images"), *labels, "--split", "0,0,1", "--out", str(out))
    return read_catalogue(out)


def spacings_of_ways(films: Catalogue) -> dict[str, float | None]:
    """The two ways in which the films are read, and the spacing in mm that is given with them."""
    return {"no spacing given": None, "spacing given": FRAME_MM / int(films.films["height"].iloc[0])}


def look(folder: Path, checkpoint: Path, *, out: Path) -> dict[str, Look]:
    """Read the films twice, without and with their spacing, and score each reading under both rules."""
    films = ingest_films(folder, out=out / "catalogue")
    looks = {}
    for way, spacing in spacings_of_ways(films).items():
        readings = out / way.replace(" ", "-")
        wanted = ["--checkpoint", str(checkpoint), "--outputs", "reading,csv", "--out", str(readings)]
        options = [] if spacing is None else ["--spacing-mm", f"{spacing:.6g},{spacing:.6g}"]
        _xraynet("predict", str(folder / "images"), *wanted, *options)
        joined = join_predictions(films.entries("test"), read_predictions(readings, form="readings"))
        for rule in RULES:
            scored = out / f"{readings.name}-{rule}"
            _xraynet(
                *("evaluate", "--predictions", str(readings), "--catalogue", str(out / "catalogue")),
                *("--rule", rule, "--out", str(scored)),
            )
            looks[f"{way}, {rule}"] = Look(summarise(read_metrics(scored / "metrics.json"), joined.films), joined.films)
    return looks


def refuse_a_second_look(fingerprint: str, path: Path, *, log: Path = LOG) -> None:
    """End the command where these weights were looked at before."""
    if any(earlier["checkpoint"] == fingerprint for earlier in read_looks(log)):
        raise SystemExit(f"{path} ({fingerprint[:16]}) was looked at before; its figures are in {log}")


def main() -> None:
    """Look, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=Path, required=True, help="the folder with images/ and nodules.csv")
    parser.add_argument("--checkpoint", type=Path, help="default: the shipped one")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--why", default="", help="what the look is for; goes into the log")
    asked = parser.parse_args()
    path = asked.checkpoint or find_shipped_checkpoint()
    identity = read_checkpoint(path).identity
    refuse_a_second_look(identity.fingerprint, path)
    figures = {title: seen.figures for title, seen in look(asked.films, path, out=asked.out).items()}
    append_look(identity.fingerprint, name=identity.name, why=asked.why, figures=figures)
    print(json.dumps({title: asdict(found) for title, found in figures.items()}, indent=1))


if __name__ == "__main__":
    main()
