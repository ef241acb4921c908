"""A reader's actions on one film, replayed: the look that they led to, and what can be undone and done again."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from xraynet.errors import ActionRefused
from xraynet.findings import Reading
from xraynet.service.review.actions import Step, apply_step
from xraynet.service.review.look import Look

Mode = Literal["plain", "second-reader"]


@dataclass(frozen=True)
class Action:
    """A step as the log keeps it: who took it, when (UTC, ISO 8601), on which film, after how many others of his there.

    ``id`` is the page's, new for every action; ``results`` the digest of what the detector said of the film as the reader
    began; ``mode`` the way in which he began.
    """

    id: str
    at: str
    reader: str
    film: str
    results: str
    mode: Mode
    base_revision: int
    step: Step


@dataclass(frozen=True)
class History:
    """Where a reader stands on a film. ``looks``: that of every step not undone, the present one last; ``undone``: the next
    to be done again last; ``revision``: how many actions there were, undo and redo among them."""

    looks: tuple[Look, ...]
    undone: tuple[Look, ...] = ()
    revision: int = 0
    started_at: str | None = None

    @classmethod
    def begin(cls, mode: Mode) -> "History":
        """A film that the reader has not touched."""
        return cls(looks=(Look(phase="first" if mode == "second-reader" else "final"),))

    @property
    def look(self) -> Look:
        """The present look."""
        return self.looks[-1]

    @property
    def can_undo(self) -> bool:
        """True where there is a step to take back."""
        return len(self.looks) > 1

    @property
    def can_redo(self) -> bool:
        """True where a step was taken back and nothing else was done since."""
        return bool(self.undone)

    def advance(self, step: Step, *, reading: Reading, at: str) -> "History":
        """The history after one more step. Raises ActionRefused where it is not possible; undo never crosses a reveal."""
        match step.kind:
            case "undo":
                if not self.can_undo:
                    raise ActionRefused("there is nothing to undo")
                looks, undone = self.looks[:-1], (*self.undone, self.looks[-1])
            case "redo":
                if not self.can_redo:
                    raise ActionRefused("there is nothing to do again")
                looks, undone = (*self.looks, self.undone[-1]), self.undone[:-1]
            case "reveal":
                # What was seen cannot be unseen: the first look is closed for good.
                looks, undone = (apply_step(self.look, step, reading=reading, at=at),), ()
            case _:
                looks, undone = (*self.looks, apply_step(self.look, step, reading=reading, at=at)), ()
        return replace(self, looks=looks, undone=undone, revision=self.revision + 1, started_at=self.started_at or at)


def replay(actions: Iterable[Action], *, mode: Mode, reading: Reading) -> History:
    """The history that these actions of one reader on one film led to, in order."""
    history = History.begin(mode)
    for action in actions:
        history = history.advance(action.step, reading=reading, at=action.at)
    return history
