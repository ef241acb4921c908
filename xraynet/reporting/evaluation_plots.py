"""The plots of an evaluation report, as SVG that needs no font, script or network."""

import io
from collections.abc import Callable, Sequence
from typing import Final, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xraynet.evaluation.intervals import Estimate
from xraynet.evaluation.results import CurvePoints, EvaluationResult, RateSensitivity, SubgroupTable

LegendPlace = Literal["lower right", "upper right"]
INK: Final = "#1b2a38"
CURVE: Final = "#0b5c8a"
INTERVAL: Final = "#8fbcd8"
OPERATING: Final = "#b3420e"
GRID: Final = "#d5dce2"
LOWEST_RATE: Final = 1 / 32


def plot_froc(result: EvaluationResult) -> bytes:
    """Sensitivity against false positives per film, with the intervals at the standard rates."""

    def draw(axes: Axes) -> None:
        curve = result.froc_curve
        axes.step([max(x, LOWEST_RATE) for x in curve.x], curve.y, where="post", color=CURVE, linewidth=2, label="FROC")
        if result.froc_curve.x:
            top = max(16.0, curve.x[-1])
            axes.hlines(curve.y[-1], max(curve.x[-1], LOWEST_RATE), top, color=CURVE, linestyle=":", linewidth=1.5)
        _draw_intervals(axes, result.froc)
        operating = result.operating
        if (
            operating is not None
            and operating.recall.value is not None
            and operating.false_positives_per_film.value is not None
        ):
            rate = max(operating.false_positives_per_film.value, LOWEST_RATE)
            axes.plot([rate], [operating.recall.value], "D", color=OPERATING, markersize=8, label="operating point")
        axes.set_xscale("log", base=2)
        ticks = [1 / 16, *(found.false_positives_per_film for found in result.froc), 16]
        axes.set_xticks(ticks, [f"{rate:g}" for rate in ticks])
        axes.minorticks_off()
        axes.set_xlim(LOWEST_RATE, 16)
        _label(axes, "False positives per film", "Sensitivity")

    return _render(draw)


def _draw_intervals(axes: Axes, rates: Sequence[RateSensitivity]) -> None:
    told = False
    for found in rates:
        estimate = found.sensitivity
        if estimate.value is None or estimate.low is None or estimate.high is None:
            continue
        rate = found.false_positives_per_film
        axes.vlines(
            rate, estimate.low, estimate.high, color=INTERVAL, linewidth=5, zorder=1.5, label="_" if told else "interval"
        )
        told = True


def plot_precision_recall(result: EvaluationResult) -> bytes:
    """Precision against recall."""

    def draw(axes: Axes) -> None:
        curve = result.precision_recall_curve
        axes.step(curve.x, curve.y, where="pre", color=CURVE, linewidth=2, label="precision, recall")
        operating = result.operating
        if operating is not None and operating.recall.value is not None and operating.precision.value is not None:
            axes.plot(
                [operating.recall.value],
                [operating.precision.value],
                "D",
                color=OPERATING,
                markersize=8,
                label="operating point",
            )
        axes.set_xlim(0, 1)
        _label(axes, "Recall", "Precision")

    return _render(draw, legend="upper right")


def plot_roc(result: EvaluationResult) -> bytes:
    """Film-level true positive rate against false positive rate."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GRID, linewidth=1.5, label="chance")
        curve: CurvePoints = result.roc_curve
        axes.plot(curve.x, curve.y, color=CURVE, linewidth=2, label="film score")
        operating = result.operating
        if (
            operating is not None
            and operating.film_sensitivity.value is not None
            and operating.film_specificity.value is not None
        ):
            place = (1 - operating.film_specificity.value, operating.film_sensitivity.value)
            axes.plot([place[0]], [place[1]], "D", color=OPERATING, markersize=8, label="operating point")
        axes.set_xlim(0, 1)
        _label(axes, "1 - specificity (films)", "Sensitivity (films)")

    return _render(draw)


def plot_reliability(result: EvaluationResult) -> bytes:
    """The share of marks that find a nodule, by score band, against the mean score of the band."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GRID, linewidth=1.5, label="score equals share")
        told = [band for band in result.score_bands if band.share_of_hits.value is not None]
        for band in told:
            if band.share_of_hits.low is not None and band.share_of_hits.high is not None:
                axes.vlines(
                    band.mean_score, band.share_of_hits.low, band.share_of_hits.high, color=INTERVAL, linewidth=5, zorder=1.5
                )
        shares = [band.share_of_hits.value for band in told if band.share_of_hits.value is not None]
        axes.plot([band.mean_score for band in told], shares, "o-", color=CURVE, linewidth=1.5, label="marks, by score band")
        axes.set_xlim(0, 1)
        _label(axes, "Mean score of the band", "Share that find a nodule")

    return _render(draw)


def plot_subgroups(table: SubgroupTable) -> bytes:
    """Sensitivity of each group, at the operating point where there is one, else at 1 false positive per film."""
    rows = [(row.group, row.num_nodules, shown_sensitivity(row.recall, row.sensitivities)) for row in table.rows]

    def draw(axes: Axes) -> None:
        for place, (_, _, estimate) in enumerate(rows):
            if estimate.value is None:
                axes.text(0.02, place, "undefined", va="center", color=INK)
                continue
            if estimate.low is not None and estimate.high is not None:
                axes.hlines(place, estimate.low, estimate.high, color=INTERVAL, linewidth=6)
            axes.plot([estimate.value], [place], "o", color=CURVE, markersize=7)
        axes.set_yticks(range(len(rows)), [f"{name} ({num})" for name, num, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.set_xlabel("Sensitivity (number of nodules in brackets)")

    return _render(draw, size=(5.6, 1.1 + 0.36 * len(rows)), legend=None)


def shown_sensitivity(recall: Estimate | None, at_rates: Sequence[RateSensitivity]) -> Estimate:
    """The sensitivity that a subgroup plot shows."""
    return recall if recall is not None else at_rates[1].sensitivity


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_ylim(0, 1.02)


def _render(
    draw: Callable[[Axes], None], *, size: tuple[float, float] = (5.6, 4.2), legend: LegendPlace | None = "lower right"
) -> bytes:
    # A Figure of its own, not pyplot: nothing global is touched, no display is looked for. SVG ids come from this salt
    # instead of a random one, and letters are outlines: the same result gives the same bytes.
    with mpl.rc_context({"svg.hashsalt": "xraynet", "svg.fonttype": "path", "font.size": 10.0, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        axes.grid(visible=True, color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=INK)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        draw(axes)
        if legend is not None and axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, loc=legend)
        content = io.BytesIO()
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": "xraynet"})
    return content.getvalue()
