"""The recipe of a training run: how long, how fast, on what arithmetic, and when it stops."""

from dataclasses import dataclass, field
from typing import Literal

from xraynet.detector.loss import LossConfig


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
