"""What became of an ingest, for the person who must act on it: outcomes, labels that do not fit, duplicates."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from xraynet.csv_text import write_csv
from xraynet.findings import Outcome, count_by_status
from xraynet.ingest.labels.records import IssueKind, LabelIssue

_SHOWN_PER_KIND: Final = 5

WHAT_TO_DO: Final[dict[IssueKind, str]] = {
    "box-outside": "boxes outside their film, not used: is the label file for these films, at this size?",
    "box-clipped": "boxes that reach over the border, cut there",
    "box-zero-sized": "boxes without area, not used: correct or remove the rows",
    "box-not-a-number": "boxes with a side that is no number, not used: correct the rows",
    "box-duplicate": "boxes given twice, used once",
    "box-not-usable": "annotations that are no box; their films are unknown, not negative",
    "film-not-there": "films of the table that are not in the source",
    "film-not-read": "films of the table that are in the source but were refused or failed",
    "film-ambiguous": "names that mean several films, or several names for one, labels not used: name films with their folder",
    "film-without-label": "films that no table names: unknown, neither positive nor negative",
    "film-frame-differs": "films of other proportions than their labels' frame, boxes not used: were they cropped?",
    "contradiction": "rows that contradict each other",
    "unreadable-value": "values that could not be read",
    "report-not-used": "structured reports that could not be read, stand twice, or were replaced by a later version",
}


@dataclass(frozen=True)
class IngestReport:
    """Outcomes of all files, issues of all labels, and the groups of films that are one film more than once."""

    outcomes: tuple[Outcome, ...]
    issues: tuple[LabelIssue, ...]
    duplicates: tuple[tuple[str, ...], ...] = ()
    """Paths of files that show the same pixels, one tuple a film."""

    @property
    def num_failed(self) -> int:
        """How many files should have been readable and were not."""
        return count_by_status(self.outcomes)["failed"]


def render_report_text(report: IngestReport) -> str:
    """The summary for a terminal: what was refused or failed, which labels do not fit and where, and the count of all."""
    lines: list[str] = []
    for status in ("failed", "refused"):
        lines += _lines_of_outcomes([outcome for outcome in report.outcomes if outcome.status == status], status)
    for kind, meaning in WHAT_TO_DO.items():
        lines += _lines_of_issues([issue for issue in report.issues if issue.kind == kind], f"{kind}: {meaning}")
    if report.duplicates:
        spare = sum(len(group) - 1 for group in report.duplicates)
        lines.append(f"duplicate films: {spare} files show a film that another file shows; each group stays in one split")
        lines += [f"  {' = '.join(group)}" for group in report.duplicates[:_SHOWN_PER_KIND]]
    if lines:
        lines.append("every line of this, with its place: report.csv and report.json in the catalogue")
    counts = count_by_status(report.outcomes)
    lines.append(f"{counts['ok']} ok, {counts['refused']} refused, {counts['failed']} failed")
    return "\n".join(lines)


def _lines_of_outcomes(outcomes: Sequence[Outcome], status: str) -> list[str]:
    lines = []
    for code, num in sorted(Counter(outcome.code for outcome in outcomes).items()):
        lines.append(f"{status}, {code}: {num} files")
        examples = [outcome for outcome in outcomes if outcome.code == code]
        lines += [f"  {outcome.path}: {outcome.reason}" for outcome in examples[:_SHOWN_PER_KIND]]
    return lines


def _lines_of_issues(issues: Sequence[LabelIssue], title: str) -> list[str]:
    if not issues:
        return []
    lines = [f"{title} ({len(issues)})"]
    lines += [f"  {_describe_places(issue)}{issue.message}" for issue in issues[:_SHOWN_PER_KIND]]
    if len(issues) > _SHOWN_PER_KIND:
        lines.append(f"  and {len(issues) - _SHOWN_PER_KIND} more")
    return lines


def _describe_places(issue: LabelIssue) -> str:
    shown = ", ".join(str(place) for place in issue.places[:3]) + (", ..." if len(issue.places) > 3 else "")
    film = f"film {issue.key}: " if issue.key else ""
    return f"{shown}: {film}" if shown else film


def render_report_json(report: IngestReport) -> str:
    """The whole report as JSON: counts, every outcome that is not ok, every issue with its places, every duplicate."""
    content = {
        "outcomes": count_by_status(report.outcomes),
        "not_ok": [
            {"path": one.path, "id": one.id, "status": one.status, "code": one.code, "reason": one.reason}
            for one in report.outcomes
            if one.status != "ok"
        ],
        "issue_counts": dict(sorted(Counter(issue.kind for issue in report.issues).items())),
        "issues": [
            {
                "kind": issue.kind,
                "film": issue.key,
                "message": issue.message,
                "places": [
                    {"table": place.table, "file": place.member or None, place.unit: place.line} for place in issue.places
                ],
            }
            for issue in report.issues
        ],
        "duplicates": [list(group) for group in report.duplicates],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def render_report_csv(report: IngestReport) -> str:
    """The report as a table: one row an outcome that is not ok, a place of an issue, or a duplicate file."""
    rows: list[tuple[str, ...]] = [
        (f"{outcome.status}-{outcome.code}", "", "", outcome.path, outcome.reason)
        for outcome in report.outcomes
        if outcome.status != "ok"
    ]
    for issue in report.issues:
        for place in issue.places or (None,):
            table = "" if place is None else "/".join(part for part in (place.table, place.member) if part)
            line = "" if place is None else str(place.line)
            rows.append((issue.kind, table, line, issue.key or "", issue.message))
    for group in report.duplicates:
        rows += [("duplicate-film", "", "", path, f"the same film as {group[0]}") for path in group[1:]]
    return write_csv(("kind", "table", "line", "film", "message"), rows)
