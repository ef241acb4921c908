"""What makes an evaluation's page a document to file: its title and makers, its data, its model, and how it was made."""

from dataclasses import dataclass
from typing import Final

from xraynet.evaluation.examples import Example, Examples
from xraynet.evaluation.results import EvaluationResult
from xraynet.evaluation.subgroups import SUBTLETY_WORDS
from xraynet.findings import LabelState
from xraynet.reporting.words import NOT_LOOKED_FOR, show_score

Fact = tuple[str, str]
"""A label and what is said under it."""

FEW_NODULES: Final = 50


@dataclass(frozen=True)
class Filing:
    """Everything around the figures. Empty texts are left as blank fields, to be filled in by hand.

    ``made_on``: the date as year-month-day. ``command``: the command line that repeats the evaluation. ``data`` and
    ``model``: facts of the films and of the detector, in the order in which they are shown.
    """

    title: str = ""
    site: str = ""
    made_by: str = ""
    made_on: str = ""
    command: str = ""
    data: tuple[Fact, ...] = ()
    model: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class ExamplePicture:
    """An example as it is shown: the whole film and the surroundings of the box, as JPEG; or why there is none."""

    whole: bytes = b""
    close: bytes = b""
    why_not: str = ""

    def __post_init__(self) -> None:
        if bool(self.whole and self.close) == bool(self.why_not):
            raise ValueError("an example has two pictures, or a reason why it has none")


@dataclass(frozen=True)
class ShownExamples:
    """The chosen examples with a picture each; ``why_none`` says why there are none to be seen."""

    chosen: Examples
    pictures: tuple[ExamplePicture, ...] = ()
    why_none: str = ""

    def __post_init__(self) -> None:
        if len(self.pictures) != len(self.chosen.every):
            raise ValueError(f"there are {len(self.chosen.every)} examples and {len(self.pictures)} pictures")


def describe_example(example: Example, *, threshold: float | None) -> str:
    """One example in words: what was missed or marked, where, and how near the detector came to the other answer."""
    place = " ".join(word for word in example.place if word is not None)
    facts = [f"{place} zone" if example.place[1] is not None else ""]
    if example.kind == "false-alarm":
        assert example.score is not None
        return _sentence("False mark", f"score {show_score(example.score)}", *facts) + " " + _describe_rest_of_film(example)
    facts += ["" if example.diameter_mm is None else f"{example.diameter_mm:.0f} mm"]
    facts += ["" if example.subtlety is None else f"subtlety {SUBTLETY_WORDS[example.subtlety]}"]
    return _sentence("Missed nodule", *facts) + " " + _describe_best_mark(example.score, threshold)


def _sentence(*parts: str) -> str:
    return ", ".join(part for part in parts if part) + "."


def _describe_rest_of_film(example: Example) -> str:
    state, num = example.film.annotations.state, len(example.film.annotations.boxes)
    if state is LabelState.FREE:
        return "The film was read as free of nodules."
    return f"The film has {num} annotated {'nodule' if num == 1 else 'nodules'}, which this mark does not meet."


def _describe_best_mark(score: float | None, threshold: float | None) -> str:
    if score is None:
        return "No mark meets it at any score."
    below = "" if threshold is None else f", below the operating point of {threshold:.3f}"
    return f"The mark that meets it has a score of {show_score(score)}{below}."


def describe_limits(result: EvaluationResult) -> list[str]:
    """What the figures do not say, in sentences, for the filed document."""
    counts = result.counts
    limits = [
        "These figures hold for these films. Other scanners, techniques, patients and shares of disease give others.",
        "The annotations are the standard here: a mark that counts as false may lie on a nodule that no reader marked, and a "
        "missed nodule may be none.",
        "The intervals tell how far figures would move with other patients of the same kind. They do not tell of mistakes in "
        "the labels, or of how the films were chosen.",
        "The detector was judged alone. How readers do with it was not measured.",
        NOT_LOOKED_FOR,
    ]
    if counts.num_with_nodule and counts.num_normal:
        limits.insert(
            1,
            f"Predictive values and precision depend on how many films have a nodule: {counts.num_with_nodule} of "
            f"{counts.num_counted} here, far more than in most clinics if the films were collected for a test.",
        )
    if 0 < counts.num_nodules < FEW_NODULES:
        limits.insert(0, f"There are only {counts.num_nodules} nodules: the intervals are wide, and groups of them wider.")
    return limits
