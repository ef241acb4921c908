"""``predict dicomweb:…``: the films that a search finds, fetched one after the other, read, and their results sent back."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xraynet.batch.film_reader import reading_folder
from xraynet.batch.folder import RunSummary, predict_films
from xraynet.batch.incoming import IncomingFilm
from xraynet.batch.journal import hold_folder
from xraynet.batch.options import DEFAULT_OPTIONS, FolderOptions
from xraynet.csv_text import write_csv
from xraynet.errors import ArchiveError
from xraynet.files import sha256_of_file, write_text_atomically
from xraynet.findings import Outcome
from xraynet.inference.predictor import Predictor
from xraynet.service.dicomweb import Archive, ArchivedFilm
from xraynet.service.dicomweb_ledger import Ledger

STAGING_NAME: Final = ".dicomweb"
UIDS_NAME: Final = "dicomweb-uids.csv"


@dataclass(frozen=True)
class ArchiveSummary:
    """What a run over an archive did. ``not_stored`` says of each result that the archive did not take why."""

    run: RunSummary
    num_stored: int = 0
    not_stored: tuple[str, ...] = ()


def predict_archive(
    archive: Archive,
    *,
    predictor: Predictor,
    out: Path,
    options: FolderOptions = DEFAULT_OPTIONS,
    store_results: bool = False,
    on_outcome: Callable[[Outcome, bool], None] | None = None,
    on_start: Callable[[tuple[str, ...], int], None] | None = None,
) -> ArchiveSummary:
    """Read every film that the archive's address asks for, as ``predict_folder`` reads files.

    A film lies in ``out/.dicomweb`` only while it is read, under a name from a hash. ``store_results`` sends the DICOM
    results that ``options`` ask for back to the archive. Called again, it fetches and sends only what is missing.
    Raises ArchiveError where the archive cannot be searched, or nothing is found.
    """
    with hold_folder(out), _staging(out) as staging:
        ledger = Ledger(out, url=archive.address.url)
        films = [film for film in archive.search() if not ledger.is_own(film.name)]
        if not films:
            raise ArchiveError(f"{archive.address.url}: the search finds no film")
        _write_uids(out, films if options.identify else [])
        courier = _Courier(archive, ledger, out) if store_results else None

        def advance(outcome: Outcome, kept: bool) -> None:
            if on_outcome is not None:
                on_outcome(outcome, kept)
            if outcome.sha256:
                ledger.note_content(outcome.path, outcome.sha256)
            if courier is not None and outcome.id:
                courier.send_results(outcome)

        run = predict_films(
            [_incoming(film, archive=archive, ledger=ledger, staging=staging) for film in films],
            predictor=predictor,
            out=out,
            options=options,
            on_outcome=advance,
            on_start=on_start,
        )
    if courier is None:
        return ArchiveSummary(run)
    return ArchiveSummary(run, num_stored=courier.num_stored, not_stored=tuple(courier.not_stored))


def _incoming(film: ArchivedFilm, *, archive: Archive, ledger: Ledger, staging: Path) -> IncomingFilm:
    path = staging / f"{film.digest[:32]}.dcm"

    def fetch() -> Path:
        archive.fetch(film, path)
        return path

    def release() -> None:
        path.unlink(missing_ok=True)

    return IncomingFilm(name=film.name, fetch=fetch, release=release, sha256=ledger.find_content(film.name), is_anonymous=True)


@contextmanager
def _staging(out: Path) -> Iterator[Path]:
    """A folder for the few films that are being read. They name patients: nobody else may look, and nothing stays."""
    staging = out / STAGING_NAME
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o700)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_uids(out: Path, films: list[ArchivedFilm]) -> None:
    """The table that leads from the names in outcomes to the archive's UIDs, under ``--identify`` only."""
    path = out / UIDS_NAME
    if not films:
        path.unlink(missing_ok=True)
        return
    rows = [(film.name, film.study_uid, film.series_uid, film.sop_uid) for film in films if film.has_uids]
    write_text_atomically(path, write_csv(("path", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"), rows))
    path.chmod(0o600)


class _Courier:
    """Sends the results of films to the archive, each until it is taken once."""

    def __init__(self, archive: Archive, ledger: Ledger, out: Path) -> None:
        self._archive = archive
        self._ledger = ledger
        self._out = out
        self.num_stored = 0
        self.not_stored: list[str] = []

    def send_results(self, outcome: Outcome) -> None:
        """Send what the reading's folder holds and the archive does not have yet."""
        for result in sorted(reading_folder(self._out, outcome.id).glob("*.dcm")):
            sha256 = sha256_of_file(result)
            if self._ledger.is_stored(sha256):
                continue
            try:
                name = self._archive.store(result)
            except ArchiveError as error:
                self.not_stored.append(f"{outcome.path}: {error}")
                continue
            self._ledger.note_stored(sha256, name=name)
            self.num_stored += 1
