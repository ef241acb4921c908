"""A run over files and folders: every file gets one outcome, one bad file never stops it, and it can be gone on with."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from xraynet.batch.decode import DecodedFilm, DecodeRequest, DecodeWorker
from xraynet.batch.film_files import READING_NAME
from xraynet.batch.film_reader import FilmReader, reading_folder
from xraynet.batch.incoming import IncomingFilm, take_film
from xraynet.batch.journal import Journal, hold_folder
from xraynet.batch.options import DEFAULT_OPTIONS, FolderOptions
from xraynet.batch.visits import VisitLink, write_visits
from xraynet.batch.worklist_files import write_worklist
from xraynet.dicom_source import NoSource
from xraynet.errors import FilmError, XraynetError
from xraynet.findings import Outcome, OutcomeStatus, count_by_status
from xraynet.inference.predictor import Predictor
from xraynet.ingest.discover import find_films
from xraynet.ingest.limits import DecodeLimits
from xraynet.radiograph import Radiograph

LOOK_AHEAD: Final = 3
"""Films decoded or waiting to be decoded while one is read: bounds the memory of a run of any length."""


@dataclass(frozen=True)
class RunSummary:
    """What a run did. ``counts`` are over its own input files; ``num_kept`` of them were done by an earlier run.

    ``restarted``: what differs from the earlier run in the same folder, whose results were replaced.
    ``without_dicom``: how many films that were read now have no DICOM results though some were asked for, by reason.
    ``visits``: for each visit that the folder's films belong to, how many earlier visits it shows; None where no page of
    visits was asked for.
    """

    counts: dict[OutcomeStatus, int]
    num_kept: int
    restarted: tuple[str, ...]
    without_dicom: tuple[tuple[str, int], ...] = ()
    visits: tuple[int, ...] | None = None


@dataclass(frozen=True)
class _Item:
    """A file on its way. Without ``kept`` (its earlier outcome), ``ticket`` or ``broken``, its content was met before."""

    film: IncomingFilm
    shown: str
    sha256: str
    kept: Outcome | None = None
    ticket: int | None = None
    broken: FilmError | None = None


def predict_folder(
    paths: Iterable[Path | str],
    *,
    predictor: Predictor,
    out: Path,
    options: FolderOptions = DEFAULT_OPTIONS,
    on_outcome: Callable[[Outcome, bool], None] | None = None,
    on_start: Callable[[tuple[str, ...], int], None] | None = None,
    worker: DecodeWorker | None = None,
) -> RunSummary:
    """Read every film under ``paths`` and write what ``options`` ask for into ``out``.

    ``on_start`` hears what differs from an earlier run in ``out`` and how many files there are; ``on_outcome`` each
    outcome, and whether it was kept from an earlier run. ``worker`` decodes the films; by default one of the run's own.
    Raises XraynetError where there is no file at all.
    """
    found = list(find_films(paths, exclude=(out,)))
    if not found:
        raise XraynetError(f"no files were found under {', '.join(str(path) for path in paths)}")
    with hold_folder(out):
        return predict_films(
            [IncomingFilm.of_file(file) for file in found],
            predictor=predictor,
            out=out,
            options=options,
            on_outcome=on_outcome,
            on_start=on_start,
            worker=worker,
        )


def predict_films(
    films: Sequence[IncomingFilm],
    *,
    predictor: Predictor,
    out: Path,
    options: FolderOptions = DEFAULT_OPTIONS,
    on_outcome: Callable[[Outcome, bool], None] | None = None,
    on_start: Callable[[tuple[str, ...], int], None] | None = None,
    worker: DecodeWorker | None = None,
) -> RunSummary:
    """Read films that come from anywhere, as ``predict_folder`` does; at most ``LOOK_AHEAD`` + 1 are fetched at a time.

    The caller holds ``out`` (``hold_folder``).
    """
    run = _FolderRun(predictor, out=out, options=options)
    if on_start is not None:
        on_start(run.journal.restarted, len(films))
    outcomes, num_kept = [], 0
    with DecodeWorker(limit_s=options.decode_limit_s) if worker is None else nullcontext(worker) as decoder:
        for outcome, is_kept in run.read_all(films, decoder):
            outcomes.append(outcome)
            num_kept += is_kept
            if on_outcome is not None:
                on_outcome(outcome, is_kept)
    links = run.finish()
    pages = {link.page: link.num_priors for link in links.values()}
    return RunSummary(
        counts=count_by_status(outcomes),
        num_kept=num_kept,
        restarted=run.journal.restarted,
        without_dicom=tuple(sorted(run.without_dicom.items())),
        visits=tuple(pages.values()) if options.visits is not None else None,
    )


class _FolderRun:
    def __init__(self, predictor: Predictor, *, out: Path, options: FolderOptions) -> None:
        self.options = options
        self.reader = FilmReader.of(predictor, out=out, options=options)
        self.journal = Journal(out, self.reader.key)
        self.without_dicom: Counter[str] = Counter()
        self._limits = DecodeLimits.of_megapixels(options.max_megapixels)
        self._done: dict[str, Outcome] = {}
        self._shown: dict[str, int] = {}

    def read_all(self, films: Iterable[IncomingFilm], worker: DecodeWorker) -> Iterator[tuple[Outcome, bool]]:
        """(outcome, kept from an earlier run) of every film, in order; films are decoded a few films ahead."""
        ahead: deque[_Item] = deque()
        asked: set[str] = set()
        for film in films:
            ahead.append(self._send(film, worker, asked))
            if len(ahead) > LOOK_AHEAD:
                yield self._settle(ahead.popleft(), worker)
        while ahead:
            yield self._settle(ahead.popleft(), worker)

    def _send(self, film: IncomingFilm, worker: DecodeWorker, asked: set[str]) -> _Item:
        if film.sha256 and self._find_kept(self._call(film, film.sha256), film.sha256) is not None:
            path, sha256, broken = None, film.sha256, None
        else:
            path, sha256, broken = take_film(film)
        item = _Item(film=film, shown=self._name(film, sha256), sha256=sha256, broken=broken)
        kept = self._find_kept(item.shown, sha256) if broken is None else None
        if kept is not None:
            asked.add(sha256)
            return replace(item, kept=kept)
        if broken is not None or sha256 in asked or path is None:
            return item
        asked.add(sha256)
        request = DecodeRequest(
            path=path,
            limits=self._limits,
            spacing_mm=self.options.spacing_mm,
            with_source=bool(self.options.dicom_results),
        )
        return replace(item, ticket=worker.ask(request))

    def _find_kept(self, shown: str, sha256: str) -> Outcome | None:
        kept = self.journal.find(shown, sha256)
        return kept if kept is not None and self._is_whole(kept) else None

    def _is_whole(self, outcome: Outcome) -> bool:
        has_reading = outcome.status == "ok" or outcome.code.startswith("gate.")
        return not has_reading or (reading_folder(self.reader.out, outcome.id) / READING_NAME).is_file()

    def _settle(self, item: _Item, worker: DecodeWorker) -> tuple[Outcome, bool]:
        try:
            return self._outcome_of(item, worker)
        finally:
            item.film.release()

    def _outcome_of(self, item: _Item, worker: DecodeWorker) -> tuple[Outcome, bool]:
        started_at = time.perf_counter()
        if item.kept is not None:
            self._done.setdefault(item.sha256, item.kept)
            return item.kept, True
        if item.ticket is not None:
            outcome = self._conclude(item, worker.take_decoded(item.ticket), started_at)
        elif item.broken is not None:
            outcome = self._conclude(item, DecodedFilm(item.broken), started_at)
        else:  # the same content, met before in this run
            elapsed_s = round(time.perf_counter() - started_at, 3)
            outcome = replace(self._done[item.sha256], path=item.shown, elapsed_s=elapsed_s)
        if item.sha256:
            self._done.setdefault(item.sha256, outcome)
        self.journal.append(outcome)
        return outcome, False

    def _conclude(self, item: _Item, decoded: DecodedFilm, started_at: float) -> Outcome:
        if self.options.dicom_results and isinstance(decoded.film, Radiograph) and isinstance(decoded.source, NoSource):
            self.without_dicom[decoded.source.reason] += 1
        return self.reader.conclude(decoded, shown=item.shown, sha256=item.sha256, started_at=started_at)

    def _name(self, film: IncomingFilm, sha256: str) -> str:
        """What a film is called in outcomes: the name that it came with, or, under ``hash_paths``, its content's id."""
        name = self._call(film, sha256)
        self._shown[name] = self._shown.get(name, 0) + 1
        return name if self._shown[name] == 1 else f"{name}#{self._shown[name]}"

    def _call(self, film: IncomingFilm, sha256: str) -> str:
        return film.name if film.is_anonymous or not self.options.hash_paths else sha256[:16] or "unreadable"

    def finish(self) -> dict[str, VisitLink]:
        """Write the worklist, visits and tables over everything that the folder holds; the links to visits by reading."""
        self.journal.compact()
        outcomes = self.journal.outcomes()
        visits = write_visits(outcomes, reader=self.reader)
        write_worklist(outcomes, reader=self.reader, visits=visits)
        return visits
