"""What a run leaves for people: a worklist, most suspicious film first, and tables of findings, films and failures."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xraynet.csv_text import write_csv
from xraynet.findings import CheckpointIdentity, Outcome, OutcomeStatus, Reading
from xraynet.radiograph import PatientIdentity
from xraynet.reporting.html import content_policy, data_uri, identity_lines, read_part, render_template
from xraynet.reporting.language import Language
from xraynet.reporting.language_files import english
from xraynet.reporting.words import OperatingFacts, describe_absence, describe_finding, describe_gate, describe_outcome

PAGE_LENGTH: Final = 500
_IDENTITY_COLUMNS: Final = ("patient_name", "patient_id", "birth_date", "accession_number", "study_date")


@dataclass(frozen=True, eq=False)
class WorklistRow:
    """One film of the worklist. ``reading`` is None where the file never became a film; ``paths`` are all its files.

    ``report`` and ``pdf`` are relative links, None where they were not asked for; ``thumbnail`` the file of a small JPEG,
    which is read only when its page is made. ``visit`` is a relative link to the page of the film's visit, which has
    ``num_priors`` earlier visits. Of ``reading`` only the reported detections are needed.
    """

    paths: tuple[str, ...]
    status: OutcomeStatus
    code: str = ""
    reason: str = ""
    reading: Reading | None = None
    report: str | None = None
    pdf: str | None = None
    thumbnail: Path | None = None
    identity: PatientIdentity | None = None
    visit: str | None = None
    num_priors: int = 0

    @property
    def film_score(self) -> float | None:
        """The highest score on the film; None where it was not analysed."""
        return self.reading.film_score if self.reading is not None else None

    @property
    def picture(self) -> str | None:
        """The thumbnail as the page carries it."""
        return data_uri(self.thumbnail.read_bytes(), "image/jpeg") if self.thumbnail is not None else None


def describe_row(row: WorklistRow, *, language: Language | None = None) -> list[str]:
    """The reported findings of a film in words, or, as the only entry, why there is no analysis."""
    spoken = language or english()
    if row.reading is None:
        return [describe_outcome(row.code, language=spoken)]
    if row.reading.film_score is None:
        return [describe_gate(row.reading.gate.reasons, language=spoken)]
    plane = row.reading.image.spacing_plane
    return [describe_finding(finding, plane=plane, language=spoken) for finding in row.reading.reported]


def sort_rows(rows: Iterable[WorklistRow]) -> list[WorklistRow]:
    """Most suspicious first; then what the gate held back, then what was refused or failed; by path where equal."""

    def suspicion(row: WorklistRow) -> tuple[int, float, tuple[str, ...]]:
        group = 0 if row.film_score is not None else 1 if row.reading is not None else 2 if row.status == "refused" else 3
        return (group, -(row.film_score or 0.0), row.paths)

    return sorted(rows, key=suspicion)


def page_names(num_rows: int, *, page_length: int = PAGE_LENGTH) -> list[str]:
    """The files of a worklist of so many rows.

    >>> page_names(501)
    ['index.html', 'index-2.html']
    >>> page_names(0)
    ['index.html']
    """
    return ["index.html", *(f"index-{page}.html" for page in range(2, math.ceil(num_rows / page_length) + 1))]


def render_worklist(
    rows: Sequence[WorklistRow],
    *,
    page: int,
    facts: OperatingFacts,
    model: CheckpointIdentity,
    page_length: int = PAGE_LENGTH,
    language: Language | None = None,
) -> str:
    """Page ``page`` (from 0) of the worklist of sorted ``rows`` as HTML."""
    spoken = language or english()
    names = page_names(len(rows), page_length=page_length)
    first = page * page_length
    style = read_part("worklist.css")
    analysed = [row for row in rows if row.film_score is not None]
    return render_template(
        "worklist.html.j2",
        {
            "rows": rows[first : first + page_length],
            "first": first + 1,
            "num_rows": len(rows),
            "num_analysed": len(analysed),
            "num_with_findings": sum(bool(row.reading and row.reading.reported) for row in analysed),
            "num_refused": sum(row.status == "refused" for row in rows),
            "num_failed": sum(row.status == "failed" for row in rows),
            "with_identity": any(row.identity is not None and identity_lines(row.identity) for row in rows),
            "pages": [(str(number), name) for number, name in enumerate(names, start=1)],
            "page": page,
            "facts": facts,
            "words_of": lambda row: describe_row(row, language=spoken),
            "identity_of": lambda row: identity_lines(row.identity, language=spoken) if row.identity is not None else [],
            "absence": describe_absence(facts, language=spoken),
            "not_looked_for": spoken.say("notice.not_looked_for"),
            "model": model,
            "disclaimer": spoken.say("notice.disclaimer"),
            "style": style,
            "policy": content_policy(style=style, script=None),
        },
        language=spoken,
    )


def findings_csv(rows: Iterable[WorklistRow], *, with_identity: bool = False) -> str:
    """One line a reported finding and file, boxes in stored pixels."""
    columns = (
        *("path", "id", "finding", "x1", "y1", "x2", "y2", "score", "diameter_mm", "spacing_plane", "side", "zone"),
        *("film_score", "checkpoint", "fingerprint"),
        *(_IDENTITY_COLUMNS if with_identity else ()),
    )
    lines = (
        (
            *(path, reading.id, number, *finding.box, round(finding.score, 6), finding.diameter_mm),
            *(reading.image.spacing_plane, finding.side, finding.zone, round(reading.film_score or 0.0, 6)),
            *(reading.checkpoint.name, reading.checkpoint.fingerprint),
            *(_identity_cells(row.identity) if with_identity else ()),
        )
        for row in rows
        if (reading := row.reading) is not None
        for path in row.paths
        for number, finding in enumerate(reading.reported, start=1)
    )
    return write_csv(columns, lines)


def films_csv(rows: Iterable[WorklistRow], *, with_identity: bool = False) -> str:
    """One line a file that became a film: its score, how much was reported, what the gate said."""
    columns = (
        *("path", "id", "status", "film_score", "num_reported", "gate_passed", "gate_reasons", "view_position"),
        *(_IDENTITY_COLUMNS if with_identity else ()),
    )
    lines = (
        (
            *(path, reading.id, row.status, round(reading.film_score, 6) if reading.film_score is not None else None),
            *(len(reading.reported), str(reading.gate.passed).lower(), " ".join(reading.gate.reasons)),
            reading.image.view_position.value,
            *(_identity_cells(row.identity) if with_identity else ()),
        )
        for row in rows
        if (reading := row.reading) is not None
        for path in row.paths
    )
    return write_csv(columns, lines)


def failures_csv(outcomes: Iterable[Outcome]) -> str:
    """One line a file that was refused or failed, and why."""
    return write_csv(
        ("path", "id", "status", "code", "reason"),
        ((item.path, item.id, item.status, item.code, item.reason) for item in outcomes if item.status != "ok"),
    )


def _identity_cells(identity: PatientIdentity | None) -> tuple[str, ...]:
    if identity is None:
        return ("",) * len(_IDENTITY_COLUMNS)
    return (identity.name, identity.patient_id, identity.birth_date, identity.accession_number, identity.study_date)
