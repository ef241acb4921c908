"""The model card: what a checkpoint is, learnt from, measures, and must not be used for, as Markdown.

Facts and results come in; nothing is measured here, and nothing is said of a figure that nobody measured. Figures of
another checkpoint are refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from xraynet.errors import PredictionsError
from xraynet.evaluation.intervals import Estimate
from xraynet.evaluation.results import EvaluationResult, SubgroupRow, SubgroupTable
from xraynet.reading_file import DISCLAIMER
from xraynet.reporting.words import NOT_LOOKED_FOR, OperatingFacts, describe_sensitivity, show_score

NOT_FOR: Final = (
    "Diagnosis, triage, or any decision about a patient: it is a research tool, cleared by no authority.",
    "Ruling a nodule out. A film without a mark is not a film without a nodule; see the sensitivities above.",
    "Anything but frontal (PA or AP) chest radiographs: no laterals, no CT, no photographs of films or screens.",
    f"Other findings. {NOT_LOOKED_FOR}",
    "Patients of an age, sex or view that the tables above do not show.",
    "A site whose films nobody has tried it on: measure it there first (`xraynet evaluate`, `xraynet simulate`).",
)
LIMITS: Final = (
    "A score ranks suspicion. It is calibrated on the films named above and is no probability of disease, least of all at a "
    "site where nodules are rarer or films look otherwise.",
    "Millimetres are those of the film's own spacing, mostly at the detector, so magnified; a film without one has none.",
    "An interval tells what other patients of the same kind could change. It knows nothing of other hospitals, machines or "
    "readers; differences within the intervals are no findings.",
)
_UNKNOWN: Final = "not stated in the checkpoint"


@dataclass(frozen=True)
class CardFacts:
    """What a checkpoint says of itself. Empty strings are what it does not say.

    ``operating``: what was measured at its operating point; ``target``: how that point was chosen, in words.
    ``versions``: of the libraries that trained it. ``network`` and ``preparation``: in words.
    """

    name: str
    fingerprint: str
    version: str
    num_bytes: int
    target_classes: tuple[str, ...]
    network: str
    preparation: str
    operating: OperatingFacts
    target: str
    film_sources: str = ""
    terms: str = ""
    preset: str = ""
    step: int = 0
    seed: int = 0
    git_revision: str = ""
    catalogue_fingerprint: str = ""
    lungs_fingerprint: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CardFigures:
    """The figures of one evaluation, under the title that the card gives them."""

    title: str
    result: EvaluationResult


@dataclass(frozen=True)
class CardPicture:
    """A picture of failures on synthetic films: its words, and its address as seen from the card."""

    caption: str
    address: str


def render_card(
    facts: CardFacts, figures: Sequence[CardFigures], *, limits: Sequence[str] = (), failures: Sequence[CardPicture] = ()
) -> str:
    """The card as Markdown. ``limits``: further sentences under "Known limits". ``failures``: pictures of what it misses.

    Raises PredictionsError where figures are of another checkpoint than ``facts``.
    """
    for shown in figures:
        _check_fingerprint(shown, facts.fingerprint)
    return "\n".join(
        [
            f"# {facts.name}.safetensors: a detector of pulmonary nodules",
            "",
            f"Marks what may be a {' or a '.join(facts.target_classes)} on frontal chest radiographs. **{DISCLAIMER}**",
            "",
            *_table(("", ""), _identity_rows(facts)),
            "",
            "## Films and terms",
            "",
            f"Learnt from: {facts.film_sources or _UNKNOWN}",
            "",
            f"Terms: {facts.terms or _UNKNOWN}",
            "",
            "## Recipe",
            "",
            *_table(("", ""), _recipe_rows(facts)),
            "",
            "## Operating point",
            "",
            f"A mark is reported from a score of {show_score(facts.operating.threshold)} on: {facts.target}.",
            f"{describe_sensitivity(facts.operating)}{_say_false_marks(facts.operating)}",
            "",
            *_figure_sections(figures),
            *_failures_section(failures),
            "## What it must not be used for",
            "",
            *(f"- {sentence}" for sentence in NOT_FOR),
            "",
            "## Known limits",
            "",
            *(f"- {_line(sentence)}" for sentence in (*limits, *LIMITS)),
            "",
        ]
    )


def _failures_section(failures: Sequence[CardPicture]) -> list[str]:
    if not failures:
        return []
    shown = [f"![{_line(picture.caption)}]({picture.address})\n\n{_line(picture.caption)}\n" for picture in failures]
    return ["## Failures on synthetic films", "", *shown]


def _check_fingerprint(shown: CardFigures, fingerprint: str) -> None:
    found = shown.result.subject.checkpoint_fingerprint
    if found != fingerprint:
        raise PredictionsError(
            f"the figures '{shown.title}' are of checkpoint {found[:16] if found else 'unknown'}; this card is about "
            f"{fingerprint[:16]}"
        )


def _identity_rows(facts: CardFacts) -> list[tuple[str, ...]]:
    return [
        ("name", facts.name),
        ("fingerprint", f"`{facts.fingerprint[:16]}` (`{facts.fingerprint}`)"),
        ("version", f"xraynet {facts.version}"),
        ("size", f"{facts.num_bytes / 1e6:.1f} MB"),
        ("looks for", " and ".join(facts.target_classes)),
        ("lung fields and gate", f"`{facts.lungs_fingerprint[:16]}`" if facts.lungs_fingerprint else _UNKNOWN),
    ]


def _recipe_rows(facts: CardFacts) -> list[tuple[str, ...]]:
    return [
        ("network", facts.network),
        ("films come to it", facts.preparation),
        ("preset", f"`{facts.preset}`" if facts.preset else _UNKNOWN),
        ("best weights at step", str(facts.step)),
        ("seed", str(facts.seed)),
        ("catalogue", f"`{facts.catalogue_fingerprint[:16]}`" if facts.catalogue_fingerprint else _UNKNOWN),
        ("code", f"`{facts.git_revision}`" if facts.git_revision else _UNKNOWN),
        ("versions", ", ".join(f"{name} {number}" for name, number in facts.versions.items()) or _UNKNOWN),
    ]


def _say_false_marks(operating: OperatingFacts) -> str:
    rate = operating.false_positives_per_normal_film
    return "" if rate is None else f" False marks there: {rate:.2f} a normal film."


def _figure_sections(figures: Sequence[CardFigures]) -> list[str]:
    if not figures:
        return ["## Figures", "", "None were measured.", ""]
    lines = ["## Figures", "", f"In brackets: {_levels(figures)} intervals.", ""]
    lines += _table(("", *(shown.title for shown in figures)), _headline_rows([shown.result for shown in figures]))
    for shown in figures:
        lines += ["", f"### {_line(shown.title)}", "", *_protocol(shown.result), ""]
        for table in shown.result.subgroups:
            lines += [f"By {table.trait}. {table.words}", "", *_subgroup_lines(table), ""]
    return lines


def _levels(figures: Sequence[CardFigures]) -> str:
    return " and ".join(sorted({f"{100 * shown.result.resampling.level:g} %" for shown in figures}))


def _headline_rows(results: Sequence[EvaluationResult]) -> list[tuple[str, ...]]:
    counts = [result.counts for result in results]
    rows = [
        ("rule", *(result.rule for result in results)),
        ("films (with a nodule + without)", *(f"{c.num_counted} ({c.num_with_nodule} + {c.num_normal})" for c in counts)),
        ("nodules", *(str(c.num_nodules) for c in counts)),
    ]
    rates = sorted({found.false_positives_per_film for result in results for found in result.froc})
    for rate in rates:
        found = [_at_rate(result, rate) for result in results]
        rows.append((f"sensitivity at {rate:g} false positives a film", *map(show_estimate, found)))
    rows += [
        ("mean of these", *(show_estimate(result.froc_score) for result in results)),
        ("film AUC", *(show_estimate(result.film_auc) for result in results)),
        ("average precision", *(show_estimate(result.average_precision) for result in results)),
        ("NODE21's score", *(show_estimate(result.node21_score) for result in results)),
    ]
    points = [result.operating for result in results]
    if any(point is not None for point in points):
        rows += [
            ("operating point", *(show_score(point.threshold) if point else "none" for point in points)),
            ("sensitivity, there", *(show_estimate(point.recall if point else None) for point in points)),
            ("precision, there", *(show_estimate(point.precision if point else None) for point in points)),
            (
                "false positives a film, there",
                *(show_estimate(point.false_positives_per_film if point else None) for point in points),
            ),
            (
                "false positives a normal film, there",
                *(show_estimate(point.false_positives_per_normal_film if point else None) for point in points),
            ),
        ]
    return rows


def _at_rate(result: EvaluationResult, rate: float) -> Estimate | None:
    return next((found.sensitivity for found in result.froc if found.false_positives_per_film == rate), None)


def _protocol(result: EvaluationResult) -> list[str]:
    subject = result.subject
    catalogue = f", fingerprint `{subject.catalogue_fingerprint[:16]}`" if subject.catalogue_fingerprint else ""
    lines = [f"{_line(subject.films).capitalize()}{catalogue}; targets: {' and '.join(subject.target_classes)}."]
    lines += [result.rule_words, result.rate_words, result.resampling_words]
    return [*lines, *(["", *(f"- {_line(note)}" for note in result.notes)] if result.notes else [])]


def _subgroup_lines(table: SubgroupTable) -> list[str]:
    of_films = any(row.num_films is not None for row in table.rows)
    rates = [found.false_positives_per_film for found in table.rows[0].sensitivities]
    head = [table.trait, *(("films",) if of_films else ()), "nodules", "at the operating point"]
    head += [f"at {rate:g}" for rate in rates]
    head += ["film AUC"] if of_films else []
    return _table(tuple(head), [_subgroup_row(row, of_films=of_films) for row in table.rows])


def _subgroup_row(row: SubgroupRow, *, of_films: bool) -> tuple[str, ...]:
    cells = [row.group, *((str(row.num_films),) if of_films else ()), str(row.num_nodules), show_estimate(row.recall)]
    cells += [show_estimate(found.sensitivity) for found in row.sensitivities]
    cells += [show_estimate(row.film_auc)] if of_films else []
    return tuple(cells)


def show_estimate(estimate: Estimate | None) -> str:
    """A figure with its interval; what is undefined is said, what was not asked for is a dash.

    >>> show_estimate(Estimate(0.5, 0.41, 0.6)), show_estimate(Estimate(None)), show_estimate(None)
    ('0.50 [0.41, 0.60]', 'undefined', '-')
    """
    if estimate is None:
        return "-"
    if estimate.value is None:
        return "undefined"
    interval = "" if estimate.low is None or estimate.high is None else f" [{estimate.low:.2f}, {estimate.high:.2f}]"
    return f"{estimate.value:.2f}{interval}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [
        f"| {' | '.join(map(_line, head))} |",
        f"|{' --- |' * len(head)}",
        *(f"| {' | '.join(map(_line, row))} |" for row in rows),
    ]


def _line(text: str) -> str:
    """Text that stays in its cell and its paragraph, and is no HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
