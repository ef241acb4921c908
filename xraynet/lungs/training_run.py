"""One training of lungs and gate from films in memory to a run folder: configuration, journal, checkpoint."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from xraynet.files import write_text_atomically
from xraynet.lungs.config import LungsTrainingConfig
from xraynet.lungs.gate_training import GateFilms, outline_films, train_gate
from xraynet.lungs.network import LungsNetwork
from xraynet.lungs.segmenter import SHIPPED_NAME, LungSegmenter
from xraynet.lungs.training import EpochRecord, Report, split_aside, train_segmenter
from xraynet.lungs.views import TrainingFilm
from xraynet.settings import write_config


@dataclass(frozen=True, eq=False)
class LungsTrainingFilms:
    """What lungs and gate learn from. ``outlined`` films have lung masks; they teach both networks.

    ``frontal`` films teach the gate alone, ``frontal_aside`` (of other patients) choose its best epoch.
    """

    outlined: Sequence[TrainingFilm]
    frontal: Sequence[TrainingFilm] = ()
    frontal_aside: Sequence[TrainingFilm] = ()


def train_lungs(
    films: LungsTrainingFilms,
    config: LungsTrainingConfig,
    *,
    out: Path,
    provenance: Mapping[str, str],
    report: Report,
) -> LungSegmenter:
    """Train both networks and write ``lungs.safetensors``, ``config.toml`` and ``journal.jsonl`` into ``out``.

    The same films, configuration and number of threads give the same weights, bit by bit, on a CPU.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_config(config, out / "config.toml")
    journal: list[EpochRecord] = []

    def record_epoch(record: EpochRecord) -> None:
        journal.append(record)
        write_text_atomically(out / "journal.jsonl", "".join(json.dumps(asdict(line)) + "\n" for line in journal))
        report(record)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = LungsNetwork(config.network)
        dice = train_segmenter(network.segmenter, films.outlined, config, report=record_epoch)
        judged_rightly = _train_gate(network, films, config, report=record_epoch)
    figures = {"validation_dice": f"{dice:.4f}", "validation_judged_rightly": f"{judged_rightly:.4f}"}
    segmenter = LungSegmenter.of_network(
        network,
        config=config.network,
        thresholds=config.thresholds,
        provenance={
            **provenance,
            **figures,
            "films_outlined": str(len(films.outlined)),
            "films_frontal": str(len(films.frontal)),
            "films_frontal_aside": str(len(films.frontal_aside)),
            "seed": str(config.seed),
        },
    )
    segmenter.write(out / SHIPPED_NAME)
    return segmenter


def _train_gate(network: LungsNetwork, films: LungsTrainingFilms, config: LungsTrainingConfig, *, report: Report) -> float:
    side_px = config.network.side_px
    outlined, outlined_aside = split_aside(films.outlined, config)
    frontal = outline_films(network.segmenter, films.frontal, side_px=side_px)
    num_drawn = config.gate_drawn_pictures
    learning = GateFilms.drawn_beside([*outlined, *frontal], num_drawn=num_drawn, side_px=side_px, seed=(config.seed, 3))
    aside = GateFilms.drawn_beside(
        [*outlined_aside, *films.frontal_aside], num_drawn=max(1, num_drawn // 8), side_px=side_px, seed=(config.seed, 4)
    )
    return train_gate(network.gate, learning, aside, config, report=report)
