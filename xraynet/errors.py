"""The family of errors that xraynet raises about the world outside it.

    XraynetError
    ├── FilmError                a film that cannot become a Radiograph; carries an outcome code
    │   ├── FilmRefused          read, but not for us (a lateral, a photograph, our own result)
    │   └── FilmFailed           should have been readable and was not (truncated, damaged, too large)
    ├── LabelError               a table of annotations that cannot be understood
    ├── CatalogueError           a catalogue that is damaged, or whose splits leak
    ├── ConfigError              a configuration file with an unknown key or an impossible value
    ├── CheckpointError          a checkpoint that is damaged, of another kind, or of another version
    ├── ArchiveError             an archive that cannot be asked, or that answers what cannot be understood
    ├── PredictionsError         a file of predictions that cannot be scored
    ├── ReviewError              a store of readers' actions that is damaged, or of another version
    │   └── ActionRefused        an action that a reader's film does not allow now; nothing was changed
    ├── ServiceError             a service that cannot start or go on (a port in use, a missing extra)
    └── TrainingError            a training run that cannot go on
        └── NonFiniteLossError   the loss became NaN or infinite before the optimizer moved

A caller's wrong argument is a plain ``ValueError``; what cannot be is an ``assert``.
"""

from typing import Final, Literal

RefusalCode = Literal[
    "not-an-image",
    "not-a-radiograph",
    "multi-frame",
    "true-colour",
    "for-processing",
    "derived",
    "own-result",
]
"""Why a readable file is not for us. The gate adds codes of its own, ``gate.<reason>``."""

FailureCode = Literal[
    "not-found",
    "truncated",
    "damaged",
    "too-large",
    "unsupported-codec",
    "time-limit",
    "not-fetched",
    "internal-error",
]
"""Why a file that should have been readable was not."""

EXIT_OK: Final = 0
EXIT_INTERNAL: Final = 1
EXIT_USAGE: Final = 2
EXIT_FAILED: Final = 3


class XraynetError(Exception):
    """Anything about a file, a label, a checkpoint or a run that xraynet cannot accept."""


class FilmError(XraynetError):
    """A film that cannot become a Radiograph.

    ``reason`` says what was found and what was expected; ``code`` is the machine's word for it.
    """

    def __init__(self, reason: str, *, code: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class FilmRefused(FilmError):
    """The file was read, but it is not a film that xraynet reads."""

    def __init__(self, reason: str, *, code: RefusalCode) -> None:
        super().__init__(reason, code=code)

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (_rebuild_refused, (self.reason, self.code))


class FilmFailed(FilmError):
    """The file should have been readable and was not."""

    def __init__(self, reason: str, *, code: FailureCode) -> None:
        super().__init__(reason, code=code)

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (_rebuild_failed, (self.reason, self.code))


def _rebuild_refused(reason: str, code: RefusalCode) -> FilmRefused:
    return FilmRefused(reason, code=code)


def _rebuild_failed(reason: str, code: FailureCode) -> FilmFailed:
    return FilmFailed(reason, code=code)


class LabelError(XraynetError):
    """A table of annotations that cannot be understood."""


class CatalogueError(XraynetError):
    """A catalogue that is damaged, or whose splits share a patient or a film."""


class ConfigError(XraynetError):
    """A configuration with an unknown key or an impossible value."""


class CheckpointError(XraynetError):
    """A checkpoint that is damaged, of another kind, or of another version."""


class ArchiveError(XraynetError):
    """An archive that cannot be asked, or that answers what cannot be understood."""


class PredictionsError(XraynetError):
    """A file of predictions that cannot be scored."""


class ReviewError(XraynetError):
    """A store of readers' actions that is damaged, of another kind, or of another version."""


class ActionRefused(ReviewError):
    """A reader's action that cannot be taken: malformed, or not allowed as the film stands. Nothing was changed."""


class ServiceError(XraynetError):
    """A service that cannot start or go on: a port in use, a missing extra, a queue that cannot be understood."""


class TrainingError(XraynetError):
    """A training run that cannot go on."""


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite; the optimizer has not moved."""

    def __init__(self, *, step: int, loss: float) -> None:
        super().__init__(f"the loss is {loss} at step {step}; a finite number was expected, and the weights were left alone")
        self.step = step
        self.loss = loss

    def __reduce__(self) -> tuple[object, tuple[int, float]]:
        return (_rebuild_non_finite, (self.step, self.loss))


def _rebuild_non_finite(step: int, loss: float) -> NonFiniteLossError:
    return NonFiniteLossError(step=step, loss=loss)
