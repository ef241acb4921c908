"""The worklist and the tables over all outcomes of a folder of results."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from xraynet.batch.film_files import READING_NAME, REPORT_NAME, find_thumbnail, read_identity, write_tables
from xraynet.batch.film_reader import FilmReader, reading_folder
from xraynet.batch.options import FolderOptions
from xraynet.batch.reading_folder import PDF_NAME
from xraynet.batch.visits import VisitLink
from xraynet.errors import PredictionsError
from xraynet.findings import Outcome
from xraynet.reading_file import read_reading
from xraynet.reporting.worklist import (
    WorklistRow,
    failures_csv,
    films_csv,
    findings_csv,
    page_names,
    render_worklist,
    sort_rows,
)

NO_VISITS: Final[Mapping[str, VisitLink]] = MappingProxyType({})


def write_worklist(outcomes: list[Outcome], *, reader: FilmReader, visits: Mapping[str, VisitLink] = NO_VISITS) -> None:
    """Write the pages and tables that the reader's options ask for, over everything that its folder holds.

    ``visits``: the links to the pages of visits, by reading.
    """
    out, options = reader.out, reader.options
    wanted = options.outputs & {"index", "csv"}
    rows = sort_rows(_with_visits(_rows(outcomes, out=out, options=options), visits)) if wanted else []
    texts: dict[str, str] = {}
    if "csv" in wanted:
        texts["findings.csv"] = findings_csv(rows, with_identity=options.identify)
        texts["films.csv"] = films_csv(rows, with_identity=options.identify)
        texts["failures.csv"] = failures_csv(outcomes)
    write_tables(out, texts)
    if "index" in wanted:
        identity = reader.predictor.checkpoint.identity
        names = page_names(len(rows))
        for stale in set(out.glob("index-*.html")) - {out / name for name in names}:
            stale.unlink()
        for page, name in enumerate(names):
            text = render_worklist(rows, page=page, facts=reader.facts.operating, model=identity, language=options.language)
            write_tables(out, {name: text})


def _with_visits(rows: Iterable[WorklistRow], visits: Mapping[str, VisitLink]) -> Iterator[WorklistRow]:
    for row in rows:
        link = visits.get(row.reading.id) if row.reading is not None else None
        yield row if link is None else replace(row, visit=link.page, num_priors=link.num_priors)


def _rows(outcomes: Iterable[Outcome], *, out: Path, options: FolderOptions) -> Iterator[WorklistRow]:
    of_reading: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.status == "ok" or outcome.code.startswith("gate."):
            of_reading.setdefault(outcome.id, []).append(outcome)
        else:
            yield WorklistRow(paths=(outcome.path,), status=outcome.status, code=outcome.code, reason=outcome.reason)
    for reading_id, twins in of_reading.items():
        yield _row(reading_id, twins, out=out, options=options)


def _row(reading_id: str, twins: list[Outcome], *, out: Path, options: FolderOptions) -> WorklistRow:
    folder, first = reading_folder(out, reading_id), twins[0]
    paths = tuple(twin.path for twin in twins)
    try:
        reading = read_reading(folder / READING_NAME)
    except PredictionsError:
        reason = "its reading.json was removed or changed; delete outcomes.jsonl and run again"
        return WorklistRow(paths=paths, status="failed", code="internal-error", reason=reason)
    has_report = "report" in options.outputs
    return WorklistRow(
        paths=paths,
        status=first.status,
        code=first.code,
        reason=first.reason,
        reading=replace(reading, detections=reading.reported),
        report=f"readings/{reading_id}/{REPORT_NAME}" if has_report else None,
        pdf=f"readings/{reading_id}/{PDF_NAME}" if options.pdf else None,
        thumbnail=find_thumbnail(folder),
        identity=read_identity(folder) if options.identify else None,
    )
