"""Reads CSV and JSON tables of labels with their line numbers; what cannot be read is noted, never guessed."""

import csv
import gzip
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xraynet.errors import LabelError
from xraynet.ingest.labels.records import LabelIssue, Place, Sex
from xraynet.radiograph import ViewPosition


def read_label_text(path: Path) -> str:
    """The text of a table, gunzipped where its name ends in ``.gz``; UTF-8 with or without a byte order mark.

    Raises LabelError where the file is not there or is not text.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        raise LabelError(f"the labels {path} cannot be read: {type(error).__name__}: {error}") from error
    except UnicodeDecodeError as error:
        raise LabelError(f"the labels {path} are not UTF-8 text: {error}") from error


def read_label_json(path: Path) -> object:
    """The content of a JSON table. Raises LabelError where it is not JSON."""
    try:
        content: object = json.loads(read_label_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise LabelError(f"the labels {path} are not JSON: {error}") from error
    return content


@dataclass
class IssueLog:
    """Gathers what could not be read while a table is read."""

    issues: list[LabelIssue] = field(default_factory=list)

    def add_unreadable(self, place: Place, message: str) -> None:
        """Note a value that could not be read, and what was done instead."""
        self.issues.append(LabelIssue("unreadable-value", (place,), message))


@dataclass(frozen=True)
class LabelRow:
    """One row of a table: its place, and its cells by column name. An absent column reads as an empty cell."""

    place: Place
    cells: Mapping[str, str]
    log: IssueLog

    def text(self, column: str) -> str:
        """The cell without blanks at its ends; empty where there is none."""
        return (self.cells.get(column) or "").strip()

    def number(self, column: str) -> float | None:
        """The cell as a number, None where it is empty or not a number (then noted)."""
        text = self.text(column)
        if not text or text.lower() in {"nan", "na", "?", "none", "null"}:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.log.add_unreadable(self.place, f"{column} is not a number; it was left out")
            return None
        return value

    def coordinate(self, column: str) -> float:
        """The cell as a number for a box, NaN where it is none: the box is then reported and not used."""
        try:
            return float(self.text(column))
        except ValueError:
            return math.nan

    def subtlety(self, column: str) -> int | None:
        """The cell as 1 (extremely subtle) to 5 (obvious), None where it is empty or anything else (then noted)."""
        value = self.number(column)
        if value is not None and value not in (1, 2, 3, 4, 5):
            self.log.add_unreadable(self.place, f"{column} is {value:g}; 1 to 5 was expected; it was left out")
            return None
        return None if value is None else int(value)

    def frame(self, height: str, width: str) -> tuple[int, int] | None:
        """Two cells as the (height, width) of a frame in pixels, None where either is missing or below 1 (then noted)."""
        sides = self.positive_pair(height, width)
        if sides is None:
            return None
        if min(sides) < 1:
            self.log.add_unreadable(self.place, f"{height}, {width} are {sides[0]:g}, {sides[1]:g}; no frame; left out")
            return None
        return (round(sides[0]), round(sides[1]))

    def positive_pair(self, first: str, second: str) -> tuple[float, float] | None:
        """Two cells as numbers above 0, or None where either is missing or not above 0."""
        one, two = self.number(first), self.number(second)
        if one is None or two is None:
            return None
        if not (one > 0 and two > 0):
            self.log.add_unreadable(self.place, f"{first}, {second} are {one:g}, {two:g}; above 0 was expected; left out")
            return None
        return (one, two)

    def sex(self, column: str) -> Sex | None:
        """The cell as F, M or O."""
        return parse_sex(self.text(column))

    def age_years(self, column: str) -> float | None:
        """The cell as an age in years ("58", "058Y", "011M"), None where unknown or impossible (then noted)."""
        text = self.text(column)
        years = parse_age_years(text)
        if years is None and text and text not in {"?", "-"}:
            self.log.add_unreadable(self.place, f"{column} is not an age from 0 to 120 years; it was left out")
        return years

    def view_position(self, column: str) -> ViewPosition:
        """The cell as a view position, UNKNOWN where it is empty or no view."""
        return parse_view_position(self.text(column))


def read_label_rows(
    path: Path, *, columns: tuple[str, ...] = (), log: IssueLog | None = None
) -> tuple[list[LabelRow], IssueLog]:
    """The rows of a CSV file with a header, with the line on which each ends.

    ``columns`` must be there. Raises LabelError where the file is empty, lacks one of them, or names a column twice. A row
    with more cells than the header names is noted: a comma inside a cell may have shifted it.
    """
    log = log or IssueLog()
    rows = iter(iterate_csv(read_label_text(path), path=path))
    _, header = next(rows, (0, []))
    names = [name.strip() for name in header]
    missing = [name for name in columns if name not in names]
    if missing:
        raise LabelError(f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(names) or 'no header at all'}")
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise LabelError(f"{path} names the columns {', '.join(twice)} more than once; each was expected once")
    read = []
    for line, cells in rows:
        if not any(map(str.strip, cells)):
            continue
        place = Place(path.name, line)
        if any(map(str.strip, cells[len(names) :])):
            log.add_unreadable(place, f"the row has {len(cells)} cells, the header {len(names)}; those after it were left out")
        read.append(LabelRow(place, dict(zip(names, cells, strict=False)), log))
    return read, log


def iterate_csv(text: str, *, path: Path, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of every row of a CSV text. Raises LabelError where the text is no CSV."""
    # Not str.splitlines, which also ends lines at characters that a cell may hold (U+0085, U+2028, form feed).
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise LabelError(f"{path} line {reader.line_num} is not CSV: {error}") from error


def parse_sex(text: str) -> Sex | None:
    """F, M or O from the words of the sources.

    >>> parse_sex("Female"), parse_sex("m"), parse_sex("?")
    ('F', 'M', None)
    """
    match text.strip().lower():
        case "f" | "female" | "w":
            return "F"
        case "m" | "male":
            return "M"
        case "o" | "other":
            return "O"
        case _:
            return None


def parse_age_years(text: str) -> float | None:
    """An age in years from a number or a DICOM age string (PS3.5 6.2, AS); None where impossible.

    >>> parse_age_years("058Y"), parse_age_years("006M"), parse_age_years("414Y"), parse_age_years("?")
    (58.0, 0.5, None, None)
    """
    cleaned = text.strip().upper()
    per_year = {"Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}.get(cleaned[-1:])
    try:
        years = float(cleaned if per_year is None else cleaned[:-1]) / (per_year or 1.0)
    except ValueError:
        return None
    return years if 0 <= years <= 120 else None


def parse_view_position(text: str) -> ViewPosition:
    """A view position from the words of the sources.

    >>> parse_view_position("pa").value, parse_view_position("LL").value, parse_view_position("").value
    ('PA', 'LATERAL', 'UNKNOWN')
    """
    match text.strip().upper():
        case "PA":
            return ViewPosition.PA
        case "AP" | "AP SUPINE" | "AP ERECT" | "APS":
            return ViewPosition.AP
        case "L" | "LL" | "RL" | "LAT" | "LATERAL" | "LLD" | "RLD":
            return ViewPosition.LATERAL
        case "LAO" | "RAO" | "LPO" | "RPO" | "OBLIQUE":
            return ViewPosition.OBLIQUE
        case "OTHER":
            return ViewPosition.OTHER
        case _:
            return ViewPosition.UNKNOWN
