"""The recipe of a training run: which network on which films, how long, how fast, and when it stops."""

from dataclasses import dataclass, field
from typing import Literal

from xraynet.detector.decode import DecodeConfig
from xraynet.detector.loss import LossConfig
from xraynet.detector.network import DetectorConfig
from xraynet.evaluation.operating_point import OperatingTarget
from xraynet.evaluation.rules import parse_rule
from xraynet.preparation import PreparationConfig
from xraynet.samples.dataset import SamplesConfig
from xraynet.samples.validation import ValidationConfig


@dataclass(frozen=True)
class TrainingConfig:
    """How the detector is trained.

    ``epochs`` plan the run; ``total_steps``, where given, plan it instead (the learning rate falls over the planned
    steps). ``max_minutes`` stops a run that takes longer. ``patience``: validations without a better score before the
    run stops. ``threads``: CPU threads of torch, None for its own choice. ``backbone_weights``: a local safetensors
    file the backbone starts from. ``optimizer``: adam decays no weights, adamw decays them by ``weight_decay``.
    """

    epochs: int = 60
    total_steps: int | None = None
    max_minutes: float | None = None
    batch_size: int = 8
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 1.5e-3
    final_learning_rate: float = 1e-5
    warmup_steps: int = 200
    weight_decay: float = 0.02
    gradient_clip: float = 5.0
    ema_decay: float = 0.998
    amp: Literal["bfloat16", "float16", "off"] = "bfloat16"
    channels_last: bool = True
    patience: int | None = None
    validate_every: int = 2
    state_every_steps: int | None = None
    seed: int = 0
    threads: int | None = None
    num_workers: int = 0
    backbone_weights: str | None = None
    loss: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "validate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; at least 1 was expected")
        for name in ("total_steps", "patience", "state_every_steps", "threads"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; at least 1 was expected, or no such key")
        for name in ("learning_rate", "gradient_clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; a number above 0 was expected")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay is {self.ema_decay}; 0 <= ema_decay < 1 was expected")
        if min(self.warmup_steps, self.num_workers, self.final_learning_rate, self.weight_decay) < 0:
            raise ValueError("warmup_steps, num_workers, final_learning_rate and weight_decay cannot be negative")


def plan_steps(config: TrainingConfig, *, steps_per_epoch: int) -> int:
    """How many optimizer steps the run is planned for."""
    return config.total_steps if config.total_steps is not None else config.epochs * steps_per_epoch


@dataclass(frozen=True)
class CardConfig:
    """What the checkpoint will say of itself: its name, the films it learnt from, and on what terms these were had.

    ``label_tables``: SHA-256 of the label tables whose films ``film_sources`` and ``terms`` speak of. A run on any other
    catalogue says nothing of its sources, so that a site's own films are never given out as those of a preset. Empty: any.
    """

    name: str = "nodule"
    label_tables: tuple[str, ...] = ()
    film_sources: str = ""
    terms: str = ""


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a training run learns, beside its catalogue; written whole into the run's folder.

    ``rule``: the match rule under which checkpoints are compared and the operating point ``target`` is chosen.
    ``fold``: the fold that validates, in a catalogue of folds. ``storage``: how the checkpoint keeps its weights.
    """

    detector: DetectorConfig = field(default_factory=DetectorConfig)
    preparation: PreparationConfig = field(default_factory=PreparationConfig)
    samples: SamplesConfig = field(default_factory=SamplesConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    decoding: DecodeConfig = field(default_factory=DecodeConfig)
    target: OperatingTarget = field(default_factory=OperatingTarget)
    card: CardConfig = field(default_factory=CardConfig)
    rule: str = "node21"
    fold: int | None = None
    storage: Literal["float16", "float32"] = "float16"

    def __post_init__(self) -> None:
        parse_rule(self.rule)
