"""The state of a run on disk: everything that a killed run needs to go on as if nothing had happened."""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from xraynet.errors import TrainingError
from xraynet.files import open_atomically

STATE_FILE: Final = "state.pt"
_STATE_FORMAT: Final = 1


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    ``step``: optimizer steps done. ``epoch`` and ``step_in_epoch``: the next batch to train on. ``best_score`` (None
    before the first validation) and ``stale_validations``: for early stopping. ``elapsed_s``: of all sittings together.
    """

    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    best_score: float | None = None
    stale_validations: int = 0
    elapsed_s: float = 0.0


@dataclass(frozen=True, eq=False)
class RunState:
    """Weights, their moving average, the optimizer's memory, the random state, and the progress."""

    progress: Progress
    run_fingerprint: str
    model: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: dict[str, object]
    scaler: dict[str, object]
    random_state: Tensor


def write_state(path: Path, state: RunState) -> None:
    """Write the state whole or not at all: a run killed while it writes goes on from the state before."""
    buffer = io.BytesIO()
    torch.save({"format": _STATE_FORMAT, **vars(state), "progress": vars(state.progress)}, buffer)
    with open_atomically(path) as stream:
        stream.write(buffer.getbuffer())


def read_state(path: Path, *, run_fingerprint: str) -> RunState:
    """The state in a file, tensors on the CPU.

    Raises TrainingError where it is damaged, of another version, or of a run with another configuration or catalogue.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise TrainingError(f"{path}: not the state of a training run: {error}") from error
    if not isinstance(stored, dict) or stored.pop("format", None) != _STATE_FORMAT:
        raise TrainingError(f"{path}: not a state of version {_STATE_FORMAT}")
    if stored["run_fingerprint"] != run_fingerprint:
        raise TrainingError(f"{path}: belongs to a run with another configuration or catalogue; resume needs the same ones")
    return RunState(progress=Progress(**stored.pop("progress")), **stored)
