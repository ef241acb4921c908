"""The learner: the network, its moving average, the optimizer and the loss scaler, and how they are kept and restored."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from xraynet.detector.network import Detector
from xraynet.training.distributed import Team
from xraynet.training.ema import MovingAverage
from xraynet.training.recipe import TrainingConfig
from xraynet.training.state import Progress, RunState, read_state


@dataclass(frozen=True, eq=False)
class Learner:
    """All that changes while training: the network, its moving average, the optimizer and the loss scaler."""

    detector: Detector
    average: MovingAverage[Detector]
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    team: Team
    config: TrainingConfig
    total_steps: int

    @classmethod
    def of(cls, detector: Detector, *, config: TrainingConfig, team: Team, total_steps: int) -> "Learner":
        """A learner at step 0."""
        memory_format = torch.channels_last if config.channels_last else torch.contiguous_format
        detector = detector.to(device=team.device, memory_format=memory_format)  # type: ignore[call-overload]
        return cls(
            detector=detector,
            average=MovingAverage(detector, decay=config.ema_decay),
            optimizer=build_optimizer(detector, config),
            scaler=torch.amp.GradScaler(team.device.type, enabled=config.amp == "float16"),
            team=team,
            config=config,
            total_steps=total_steps,
        )

    def autocast(self) -> AbstractContextManager[None]:
        """Mixed precision as the recipe asks for it."""
        dtype = torch.float16 if self.config.amp == "float16" else torch.bfloat16
        return torch.autocast(self.team.device.type, dtype=dtype, enabled=self.config.amp != "off")


def build_optimizer(detector: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Adam or AdamW; only weights of convolutions decay, never norms and biases."""
    decay = config.weight_decay if config.optimizer == "adamw" else 0.0
    parameters = list(detector.parameters())
    groups = [
        {"params": [value for value in parameters if value.ndim > 1], "weight_decay": decay},
        {"params": [value for value in parameters if value.ndim <= 1], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.learning_rate, fused=True)


def collect_state(learner: Learner, progress: Progress, *, run_fingerprint: str) -> RunState:
    """Everything that ``restore`` needs."""
    return RunState(
        progress=progress,
        run_fingerprint=run_fingerprint,
        model=learner.detector.state_dict(),
        average=learner.average.model.state_dict(),
        optimizer=learner.optimizer.state_dict(),
        scaler=learner.scaler.state_dict(),
        random_state=torch.get_rng_state(),
    )


def restore(learner: Learner, path: Path, *, run_fingerprint: str) -> Progress:
    """Put the state in ``path`` into the learner; a run that was killed before its first state starts from the beginning."""
    if not path.exists():
        return Progress()
    state = read_state(path, run_fingerprint=run_fingerprint)
    learner.detector.load_state_dict(state.model)
    learner.average.model.load_state_dict(state.average)
    learner.optimizer.load_state_dict(state.optimizer)
    learner.scaler.load_state_dict(state.scaler)
    torch.set_rng_state(state.random_state)
    return state.progress
