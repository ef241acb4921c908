"""Earlier films out of a catalogue: found by patient and day, and read now by the detector that reads the present ones.

What was read is kept in ``priors/<film>/`` of the folder of results, so that a run that goes on reads no film twice.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from xraynet.batch.decode import DecodeRequest, DecodeWorker
from xraynet.batch.film_reader import FilmReader
from xraynet.batch.reading_folder import FILM_NAME, IDENTITY_NAME, READING_NAME, encode_identity
from xraynet.batch.visit_record import PRIORS_NAME, VisitOptions
from xraynet.errors import CatalogueError, FilmError, PredictionsError
from xraynet.files import write_bytes_atomically
from xraynet.findings import NoduleAnnotations, Reading
from xraynet.ingest.catalogue import Catalogue, FilmEntry, read_catalogue
from xraynet.ingest.entries import complete_film
from xraynet.ingest.limits import DecodeLimits
from xraynet.reading_file import read_reading, write_reading
from xraynet.reporting.visit_picture import render_plain_film


@dataclass(frozen=True, eq=False)
class DatedFilm:
    """A film of a patient with its visit and day. ``entry`` is the catalogue's, None for a film of the run itself."""

    reading_id: str
    study_key: str
    day: int
    folder: Path
    entry: FilmEntry | None = None


def open_catalogue(options: VisitOptions) -> Catalogue | None:
    """The catalogue that earlier films are looked up in; None where none was named.

    Raises CatalogueError where its patient keys were made with another salt, so that no patient of it could be recognised.
    """
    if options.catalogue is None:
        return None
    catalogue = read_catalogue(options.catalogue)
    if catalogue.facts.salt_fingerprint != options.salt_fingerprint:
        raise CatalogueError(
            f"{options.catalogue} was made with salt {catalogue.facts.salt_fingerprint}; this run uses "
            f"{options.salt_fingerprint}, under which no patient of it can be recognised (--salt-file names the salt)"
        )
    return catalogue


@dataclass(frozen=True, eq=False)
class PriorFilms:
    """The catalogue's films by patient, and the readings of those that a page needs."""

    reader: FilmReader
    worker: DecodeWorker
    by_patient: dict[str, list[DatedFilm]] = field(default_factory=dict)

    @classmethod
    def of(cls, reader: FilmReader, options: VisitOptions, *, worker: DecodeWorker) -> "PriorFilms":
        """The films of the catalogue that ``options`` name; none without one. ``worker`` decodes those that are read."""
        catalogue = open_catalogue(options)
        by_patient: dict[str, list[DatedFilm]] = {}
        for entry in catalogue.entries(need_films=False) if catalogue is not None else []:
            if entry.patient_key is not None and entry.study_key is not None and entry.day is not None:
                folder = reader.out / PRIORS_NAME / entry.key
                film = DatedFilm(entry.key, entry.study_key, entry.day, folder, entry)
                by_patient.setdefault(entry.patient_key, []).append(film)
        return cls(reader, worker, by_patient)

    def read(self, film: DatedFilm) -> Reading | None:
        """The reading of a film of the catalogue, made now where it is not kept yet; None where it cannot be read."""
        entry = film.entry
        assert entry is not None
        kept = self._kept(film)
        if kept is not None:
            return kept
        options = self.reader.options
        request = DecodeRequest(path=entry.path, limits=DecodeLimits.of_megapixels(options.max_megapixels), spacing_mm=None)
        decoded = self.worker.take(self.worker.ask(request))
        if isinstance(decoded, FilmError):
            return None
        try:
            radiograph = complete_film(decoded, entry)
        except CatalogueError:
            return None
        # The path of a catalogued film may say who the patient is.
        radiograph = replace(radiograph, path="")
        reading = self.reader.predictor.analyse(radiograph, enforce_gate=options.enforce_gate).reading
        film.folder.mkdir(parents=True, exist_ok=True)
        write_bytes_atomically(film.folder / FILM_NAME, render_plain_film(radiograph))
        if options.identify:
            write_bytes_atomically(film.folder / IDENTITY_NAME, encode_identity(radiograph.identity))
            (film.folder / IDENTITY_NAME).chmod(0o600)
        write_reading(film.folder / READING_NAME, reading)
        return reading

    def _kept(self, film: DatedFilm) -> Reading | None:
        try:
            reading = read_reading(film.folder / READING_NAME)
        except PredictionsError:
            return None
        return reading if reading.checkpoint == self.reader.predictor.checkpoint.identity else None


def annotations_of(film: DatedFilm) -> NoduleAnnotations:
    """What readers marked on a film; nothing for a film of the run itself."""
    return film.entry.annotations if film.entry is not None else NoduleAnnotations()
