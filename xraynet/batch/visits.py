"""The pages of visits over a folder of results: films grouped by study, earlier films beside them, findings followed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from xraynet.batch.decode import DecodeWorker
from xraynet.batch.film_files import write_tables
from xraynet.batch.film_reader import FilmReader, reading_folder
from xraynet.batch.prior_films import DatedFilm, PriorFilms, annotations_of
from xraynet.batch.reading_folder import FILM_NAME, READING_NAME, REPORT_NAME, read_identity
from xraynet.batch.visit_record import VISIT_PAGES, VISITS_NAME, VisitOptions, page_of_visit, read_visit
from xraynet.errors import PredictionsError
from xraynet.findings import Outcome, Reading
from xraynet.follow_up import compare_readings, match_annotations
from xraynet.ingest.visit_keys import VisitKeys
from xraynet.lung_frame import BoxEdges
from xraynet.reading_file import read_reading
from xraynet.reporting.visit import ComparedFilm, EarlierFilm, EarlierVisit, Visit, VisitFilm
from xraynet.reporting.visit_file import visit_to_json
from xraynet.reporting.visit_page import render_visit


@dataclass(frozen=True)
class VisitLink:
    """The page that a film's visit has, relative to the folder of results, and how many earlier visits it shows."""

    page: str
    num_priors: int


@dataclass(frozen=True, eq=False)
class _RunFilm:
    """A film of the run that belongs to a visit."""

    reading: Reading
    keys: VisitKeys
    folder: Path


def write_visits(outcomes: Iterable[Outcome], *, reader: FilmReader) -> dict[str, VisitLink]:
    """Write the page of every visit that the folder's films belong to; the links, by reading.

    Nothing is written, and there are no links, where the reader's options ask for no visits. A film whose file names no
    study, nor patient and date, belongs to none. Raises CatalogueError where the catalogue is not to be used.
    """
    options = reader.options.visits
    if options is None:
        return {}
    films = list(_films_of_run(outcomes, reader=reader, options=options))
    # Its process starts with the first film that it is asked for.
    with DecodeWorker(limit_s=reader.options.decode_limit_s) as worker:
        pages, links = _write_up(films, PriorFilms.of(reader, options, worker=worker), options)
    (reader.out / VISITS_NAME).mkdir(exist_ok=True)
    for stale in set((reader.out / VISITS_NAME).glob(VISIT_PAGES)) - {reader.out / name for name in pages}:
        stale.unlink()
    write_tables(reader.out, pages)
    return links


def _write_up(
    films: Sequence[_RunFilm], priors: PriorFilms, options: VisitOptions
) -> tuple[dict[str, str], dict[str, VisitLink]]:
    """The files of all visits by name, and the links to them by reading."""
    settings = priors.reader.options
    by_patient = _by_patient(films, priors)
    visits: dict[str, list[_RunFilm]] = {}
    for film in films:
        visits.setdefault(str(film.keys.study_key), []).append(film)
    pages: dict[str, str] = {}
    links: dict[str, VisitLink] = {}
    for study_key, members in sorted(visits.items()):
        visit = _gather(study_key, members, by_patient=by_patient, priors=priors, options=options)
        name = page_of_visit(study_key)
        worklist = "../index.html" if "index" in settings.outputs else None
        pages[name] = render_visit(visit, worklist=worklist, language=settings.language)
        pages[name.removesuffix(".html") + ".json"] = visit_to_json(visit)
        links |= {member.reading.id: VisitLink(name, len(visit.earlier)) for member in members}
    return pages, links


def _films_of_run(outcomes: Iterable[Outcome], *, reader: FilmReader, options: VisitOptions) -> Iterable[_RunFilm]:
    ids = dict.fromkeys(one.id for one in outcomes if one.status == "ok" or one.code.startswith("gate."))
    for reading_id in ids:
        folder = reading_folder(reader.out, reading_id)
        keys = read_visit(folder, options)
        if keys is None or keys.study_key is None:
            continue
        try:
            yield _RunFilm(read_reading(folder / READING_NAME), keys, folder)
        except PredictionsError:
            continue  # the worklist tells of a reading that was removed or changed


def _by_patient(films: Sequence[_RunFilm], priors: PriorFilms) -> dict[str, list[DatedFilm]]:
    """All dated films by patient, those of the run first: a film that is in both is the run's."""
    found: dict[str, list[DatedFilm]] = {}
    for film in films:
        keys = film.keys
        if keys.patient_key is not None and keys.study_key is not None and keys.day is not None:
            dated = DatedFilm(film.reading.id, keys.study_key, keys.day, film.folder)
            found.setdefault(keys.patient_key, []).append(dated)
    for patient, theirs in found.items():
        known = {film.reading_id for film in theirs}
        theirs += [film for film in priors.by_patient.get(patient, []) if film.reading_id not in known]
    return found


def _gather(
    study_key: str,
    members: Sequence[_RunFilm],
    *,
    by_patient: dict[str, list[DatedFilm]],
    priors: PriorFilms,
    options: VisitOptions,
) -> Visit:
    days = [film.keys.day for film in members if film.keys.day is not None]
    patient = next((film.keys.patient_key for film in members if film.keys.patient_key is not None), None)
    why = "no-patient" if patient is None else "no-date" if not days else ""
    earlier = _earlier_visits(study_key, min(days), by_patient[patient], options) if patient is not None and days else []
    shown = [_show_visit(films, day=min(days), priors=priors) for films in earlier]
    told = sorted(members, key=lambda film: (film.reading.film_score is None, -(film.reading.film_score or 0), film.reading.id))
    reports = "report" in priors.reader.options.outputs
    return Visit(
        key=study_key,
        films=tuple(
            _compare(_show_film(film.reading, film.folder, link=f"../readings/{film.reading.id}", reports=reports), shown)
            for film in told
        ),
        earlier=tuple(shown),
        why_no_priors=why or ("" if shown else "none-known"),
        identity=read_identity(told[0].folder) if priors.reader.options.identify else None,
    )


def _earlier_visits(study_key: str, day: int, films: Sequence[DatedFilm], options: VisitOptions) -> list[list[DatedFilm]]:
    """The films of the last visits before ``day``, the latest visit first; of two visits on one day neither is the earlier."""
    visits: dict[str, list[DatedFilm]] = {}
    for film in films:
        if film.study_key != study_key:
            visits.setdefault(film.study_key, []).append(film)
    before = [films for films in visits.values() if max(film.day for film in films) < day]
    before.sort(key=lambda films: (-max(film.day for film in films), films[0].study_key))
    return before[: options.most_priors]


def _show_visit(films: Sequence[DatedFilm], *, day: int, priors: PriorFilms) -> EarlierVisit:
    shown = []
    num_not_read = 0
    date = ""
    reports = "report" in priors.reader.options.outputs
    for film in films:
        reading = priors.read(film) if film.entry is not None else _read_kept(film)
        if reading is None:
            num_not_read += 1
            continue
        link = f"../readings/{film.reading_id}"
        told = _show_film(reading, film.folder, link=link, reports=reports and film.entry is None, marked=film)
        shown.append(told)
        identity = read_identity(film.folder) if priors.reader.options.identify else None
        date = date or (identity.study_date if identity is not None else "")
    return EarlierVisit(
        days_earlier=day - max(film.day for film in films),
        films=tuple(shown),
        num_not_read=num_not_read,
        date=date,
        from_catalogue=all(film.entry is not None for film in films),
    )


def _read_kept(film: DatedFilm) -> Reading | None:
    try:
        return read_reading(film.folder / READING_NAME)
    except PredictionsError:
        return None


def _show_film(reading: Reading, folder: Path, *, link: str, reports: bool, marked: DatedFilm | None = None) -> VisitFilm:
    picture = folder / FILM_NAME
    has_report = reports and (folder / REPORT_NAME).is_file()
    shown = VisitFilm(
        reading=reading,
        picture=picture.read_bytes() if picture.is_file() else None,
        report=f"{link}/{REPORT_NAME}" if has_report else None,
    )
    if marked is None:
        return shown
    return VisitFilm(shown.reading, shown.picture, shown.report, annotations_of(marked))


def _compare(film: VisitFilm, earlier: Sequence[EarlierVisit]) -> ComparedFilm:
    """A film beside the best film of each earlier visit. A film that was not analysed has none beside it."""
    if film.reading.film_score is None:
        return ComparedFilm(film)
    beside = []
    for visit in earlier:
        chosen = _choose(film, visit.films)
        if chosen is not None:
            comparison = compare_readings(film.reading, chosen.reading)
            boxes = [_edges(box.tolist()) for box in chosen.annotations.boxes]
            marked = match_annotations(film.reading, chosen.reading, boxes, turned=comparison.turned)
            beside.append(EarlierFilm(visit, chosen, comparison, marked))
    return ComparedFilm(film, tuple(beside))


def _choose(film: VisitFilm, films: Sequence[VisitFilm]) -> VisitFilm | None:
    """Of an earlier visit's films the one to compare with: analysed, of the same view, the most suspicious."""
    view = film.reading.image.view_position

    def fit(one: VisitFilm) -> tuple[bool, bool, float]:
        return (
            one.reading.film_score is not None,
            one.reading.image.view_position is view,
            one.reading.film_score or 0.0,
        )

    return max(films, key=fit, default=None)


def _edges(box: list[float]) -> BoxEdges:
    x1, y1, x2, y2 = box
    return (x1, y1, x2, y2)
