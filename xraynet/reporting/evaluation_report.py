"""The report of an evaluation: one HTML page with plots, tables and the protocol in words, which needs nothing else."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import jinja2

from xraynet.evaluation.intervals import Estimate
from xraynet.evaluation.results import EvaluationResult, SubgroupTable
from xraynet.reading_file import DISCLAIMER
from xraynet.reporting.evaluation_filing import Filing, ShownExamples, describe_example, describe_limits
from xraynet.reporting.evaluation_plots import (
    plot_froc,
    plot_precision_recall,
    plot_reliability,
    plot_roc,
    plot_subgroups,
    shown_sensitivity,
)
from xraynet.reporting.example_picture import ANNOTATION_COLOUR, MARK_COLOUR
from xraynet.reporting.html import content_policy, data_uri, read_part
from xraynet.reporting.templating import new_environment

HEADLINE_RATES: Final = (0.25, 1.0)
EMPTY_FILING: Final = Filing()


@dataclass(frozen=True)
class ShownTable:
    """A table by groups as the page shows it, with its plot and the words for those who cannot see it."""

    table: SubgroupTable
    of_films: bool
    rates: tuple[float, ...]
    plot: str
    plot_words: str
    alt: str


@dataclass(frozen=True)
class ShownExample:
    """One example on the page; ``film`` is the film's key, and without pictures ``why_not`` says why."""

    number: int
    film: str
    view: str
    words: str
    whole: str
    close: str
    why_not: str


def show_value(estimate: Estimate) -> str:
    """A figure with three decimals, or the word "undefined".

    >>> show_value(Estimate(0.51449)), show_value(Estimate(None))
    ('0.514', 'undefined')
    """
    return "undefined" if estimate.value is None else f"{estimate.value:.3f}"


def show_interval(estimate: Estimate) -> str:
    """An interval in brackets, empty where there is none.

    >>> show_interval(Estimate(0.5, 0.4, 0.6))
    '[0.400, 0.600]'
    """
    return "" if estimate.low is None or estimate.high is None else f"[{estimate.low:.3f}, {estimate.high:.3f}]"


@cache
def _environment() -> jinja2.Environment:
    return new_environment({"value": show_value, "interval": show_interval})


def render_evaluation(result: EvaluationResult, *, filing: Filing = EMPTY_FILING, examples: ShownExamples | None = None) -> str:
    """The page, as HTML. It fetches nothing and runs no script; whatever names it shows are escaped.

    ``filing``: what is to be filed with the figures. ``examples``: pictures of what went wrong; None says nothing of any.
    """
    style = read_part("evaluation.css")
    page = {
        "result": result,
        "title": filing.title or f"Evaluation of {result.subject.detector}",
        "filing": filing,
        "examples": None if examples is None else _show_examples(examples),
        "limits": describe_limits(result),
        "level": f"{100 * result.resampling.level:g} %",
        "headline_rates": [found for found in result.froc if found.false_positives_per_film in HEADLINE_RATES],
        "plots": {
            "froc": _picture(plot_froc(result)),
            "precision_recall": _picture(plot_precision_recall(result)),
            "roc": _picture(plot_roc(result)),
            "reliability": _picture(plot_reliability(result)) if result.score_bands else None,
        },
        "alts": _alternative_texts(result),
        "tables": [_show_table(table) for table in result.subgroups],
        "disclaimer": DISCLAIMER,
        "style": style,
        "policy": content_policy(style=style, script=None),
    }
    return _environment().get_template("evaluation.html.j2").render(page).lstrip()


def _picture(svg: bytes) -> str:
    return data_uri(svg, "image/svg+xml")


def _alternative_texts(result: EvaluationResult) -> dict[str, str]:
    """What the three curves show, for those who cannot see them."""
    rates = ", ".join(f"{show_value(found.sensitivity)} at {found.false_positives_per_film:g}" for found in result.froc)
    return {
        "froc": f"FROC curve. Sensitivity by false positives per film: {rates}.",
        "precision_recall": f"Precision-recall curve; average precision {show_value(result.average_precision)}.",
        "roc": f"Film-level ROC curve; area {show_value(result.film_auc)}.",
        "reliability": "Share of marks that find a nodule, by mean score of their band: "
        + "; ".join(f"{show_value(band.share_of_hits)} at {band.mean_score:.2f}" for band in result.score_bands)
        + ".",
    }


def _show_examples(examples: ShownExamples) -> dict[str, object]:
    """The examples as the page lists them: by kind, each with its words and pictures."""
    chosen = examples.chosen
    shown = [
        ShownExample(
            number=number,
            film=example.film.key,
            view=str(example.film.attributes.get("view") or "UNKNOWN"),
            words=describe_example(example, threshold=chosen.threshold),
            whole=data_uri(picture.whole, "image/jpeg") if picture.whole else "",
            close=data_uri(picture.close, "image/jpeg") if picture.close else "",
            why_not=picture.why_not,
        )
        for number, (example, picture) in enumerate(zip(chosen.every, examples.pictures, strict=True), start=1)
    ]
    return {
        "misses": shown[: len(chosen.misses)],
        "false_alarms": shown[len(chosen.misses) :],
        "num_misses": chosen.num_misses,
        "num_films_with_false_alarm": chosen.num_films_with_false_alarm,
        "why_none": examples.why_none,
        "colours": {"annotation": _hex(ANNOTATION_COLOUR), "mark": _hex(MARK_COLOUR)},
    }


def _hex(colour: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)


def _show_table(table: SubgroupTable) -> ShownTable:
    at_operating = table.rows[0].recall is not None
    where = "at the operating point" if at_operating else "at 1 false positive per film"
    groups = "; ".join(f"{row.group} {show_value(shown_sensitivity(row.recall, row.sensitivities))}" for row in table.rows)
    return ShownTable(
        table=table,
        of_films=table.rows[0].num_films is not None,
        rates=tuple(found.false_positives_per_film for found in table.rows[0].sensitivities),
        plot=_picture(plot_subgroups(table)),
        plot_words=f"Sensitivity {where}, with intervals.",
        alt=f"Sensitivity {where} by {table.trait}: {groups}.",
    )
