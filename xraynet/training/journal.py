"""What a run says: JSON lines always, a bar on a terminal, plain lines elsewhere, TensorBoard where installed."""

import importlib.util
import json
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Protocol, TextIO, cast, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

JOURNAL_FILE: Final = "journal.jsonl"
Value = str | int | float | bool | None


@runtime_checkable
class _ScalarWriter(Protocol):
    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...


def _finite(value: Value) -> Value:
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Meter:
    """Means of figures since they were last taken: one step's loss says more of its films than of the detector."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._num = 0

    def add(self, *, loss: float, score_loss: float, box_loss: float, nodules_per_film: float, gradient_norm: float) -> None:
        """Count one step."""
        step = {"loss": loss, "score_loss": score_loss, "box_loss": box_loss, "nodules_per_film": nodules_per_film}
        for name, value in {**step, "gradient_norm": gradient_norm}.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._num += 1

    def take_means(self) -> dict[str, float]:
        """The means, and begin anew."""
        means = {name: total / self._num for name, total in self._sums.items()}
        self._sums, self._num = {}, 0
        return means


@runtime_checkable
class Stream(Protocol):
    """Anything that text can be written to."""

    def write(self, text: str, /) -> int:
        """Take up the text."""

    def flush(self) -> None:
        """Let others see it."""

    def isatty(self) -> bool:
        """Whether a person at a terminal reads it."""


class Journal:
    """The run's diary: ``write`` one event with its figures; ``say`` something to whoever is watching.

    Numbers that are not finite become null: JSON has no word for them.
    """

    def __init__(self, lines: Stream, *, bar: "_Bar | None", board: _ScalarWriter | None, voice: Stream) -> None:
        self._lines = lines
        self._bar = bar
        self._board = board
        self._voice = voice

    def write(self, event: str, *, step: int, figures: Mapping[str, Value]) -> None:
        """Append one line; numbers go to TensorBoard too, under ``event/name``."""
        kept = {name: _finite(value) for name, value in figures.items()}
        self._lines.write(json.dumps({"event": event, "step": step, **kept}) + "\n")
        self._lines.flush()
        if self._board is not None:
            for name, value in kept.items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    self._board.add_scalar(f"{event}/{name}", value, step)

    def say(self, sentence: str) -> None:
        """A line for a person: above the bar on a terminal, plain elsewhere."""
        if self._bar is not None:
            self._bar.progress.console.print(sentence, highlight=False)
        else:
            self._voice.write(sentence + "\n")
            self._voice.flush()

    def plan(self, total_steps: int) -> None:
        """Let the bar know how far it has to go."""
        if self._bar is not None:
            self._bar.progress.update(self._bar.task, total=total_steps)

    def advance(self, *, step: int, text: str, plain: bool) -> None:
        """Move the bar to ``step``; without a bar, say ``text`` where ``plain`` asks for it."""
        if self._bar is not None:
            self._bar.progress.update(self._bar.task, completed=step, description=text)
        elif plain:
            self.say(f"step {step}: {text}")


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self.progress = progress
        self.task = task


@contextmanager
def open_journal(folder: Path, *, voice: Stream | None = None, silent: bool = False) -> Iterator[Journal]:
    """The journal of the run in ``folder``, appended to. ``silent``: a rank that only computes writes and says nothing.

    ``voice`` is where people read (standard error unless told).
    """
    voice = sys.stderr if voice is None else voice
    with ExitStack() as stack:
        if silent:
            nowhere = stack.enter_context(Path("/dev/null").open("w"))
            yield Journal(nowhere, bar=None, board=None, voice=nowhere)
            return
        lines = stack.enter_context((folder / JOURNAL_FILE).open("a", encoding="utf-8"))
        bar = stack.enter_context(_show_bar(voice)) if voice.isatty() else None
        board = _open_board(folder, stack)
        yield Journal(lines, bar=bar, board=board, voice=voice)


@contextmanager
def _show_bar(voice: Stream) -> Iterator[_Bar]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=cast(TextIO, voice))) as progress:
        yield _Bar(progress, progress.add_task("preparing", total=None))


def _open_board(folder: Path, stack: ExitStack) -> _ScalarWriter | None:
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    board = SummaryWriter(str(folder / "tensorboard"))
    stack.callback(board.close)
    writer: _ScalarWriter = board
    return writer
