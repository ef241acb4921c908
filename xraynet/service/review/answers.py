"""The server's answers as plain values: sessions, worklists, films, readings."""

from collections.abc import Mapping

from xraynet.errors import PredictionsError
from xraynet.findings import Reading
from xraynet.radiograph import PatientIdentity
from xraynet.reading_file import DISCLAIMER
from xraynet.reporting.colour import ColourScale
from xraynet.reporting.html import identity_lines
from xraynet.reporting.report_file import ReportedFilm
from xraynet.reporting.words import NOT_LOOKED_FOR, describe_finding, describe_gate, describe_sensitivity
from xraynet.service.review.desk import FilmView, ReviewDesk, WorklistFilm
from xraynet.service.review.look import Look, Mark
from xraynet.service.review.measure import locate_mark, measure_mark
from xraynet.service.review.store import ReaderFilm

Answer = dict[str, object]


def answer_session(desk: ReviewDesk, reader: str | None, *, readers: set[str], has_sr: bool) -> Answer:
    """Who sits here, what is to be read, and which detector spoke (the one of the film read last by it)."""
    films = desk.folder.films().values()
    latest = max(films, key=lambda film: film.stamp, default=None)
    reading = latest.reading if latest is not None else None
    return {
        "reader": reader,
        "readers": sorted(readers | set(desk.store.readers())),
        "store": desk.store.store_id(),
        "second_reader": desk.mode == "second-reader",
        "model": _answer_model(reading) if reading is not None else None,
        "operating_threshold": reading.operating_threshold if reading is not None else None,
        "facts": {"sensitivity": _say_sensitivity(desk, reading), "not_looked_for": NOT_LOOKED_FOR},
        "disclaimer": DISCLAIMER,
        "num_films": len(films),
        "num_unread": desk.count_unread(reader),
        "outputs": {"sr": has_sr},
    }


def _answer_model(reading: Reading) -> Answer:
    checkpoint = reading.checkpoint
    return {"name": checkpoint.name, "version": checkpoint.version, "fingerprint": checkpoint.fingerprint}


def _say_sensitivity(desk: ReviewDesk, reading: Reading | None) -> str | None:
    if reading is None:
        return None
    try:
        facts = desk.folder.read_film(reading.id).operating
    except PredictionsError:
        return None
    return describe_sensitivity(facts) if facts is not None else None


def answer_worklist(desk: ReviewDesk, reader: str | None) -> Answer:
    """The worklist of a reader, in order."""
    rows = desk.worklist(reader)
    return {
        "revision": desk.store.revision(),
        "films": [_answer_row(row) for row in rows],
        "num_unread": sum(row.state != "read" for row in rows),
        "num_not_films": desk.folder.count_others(),
    }


def _answer_row(row: WorklistFilm) -> Answer:
    reading = row.film.reading
    return {
        "id": row.film.id,
        "path": reading.source.path,
        "status": reading.status,
        "film_score": row.suspicion,
        "num_reported": None if row.is_hidden else len(reading.reported),
        "hidden": row.is_hidden,
        "view": reading.image.view_position.value,
        "state": row.state,
        "read_by": list(row.read_by),
        "verdict": row.verdict,
        **_answer_identity(row.film.identity),
    }


def _answer_identity(identity: PatientIdentity | None) -> Answer:
    # A run without --identify keeps none.
    return {"identity": [list(line) for line in identity_lines(identity)]} if identity is not None else {}


def answer_film(desk: ReviewDesk, view: FilmView, *, reader: str | None) -> Answer:
    """A film as this reader may see it now."""
    reading = view.reading
    previous, following = desk.neighbours(view.film.id, reader)
    return {
        "id": view.film.id,
        "path": view.film.reading.source.path,
        **_answer_identity(view.film.identity),
        "status": reading.status,
        "size": [reading.image.height, reading.image.width],
        "spacing_mm": list(reading.image.spacing_mm) if reading.image.spacing_mm is not None else None,
        "spacing_plane": reading.image.spacing_plane,
        "view": reading.image.view_position.value,
        "warnings": list(reading.warnings),
        "gate": {
            "passed": reading.gate.passed,
            "enforced": reading.gate_enforced,
            "reasons": list(reading.gate.reasons),
            "words": describe_gate(reading.gate.reasons),
        },
        "film_score": None if view.is_hidden else reading.film_score,
        "scale": _answer_scale(reading),
        "previous": previous,
        "next": following,
        "hidden": view.is_hidden,
        "detections": [] if view.is_hidden else answer_detections(reading),
        "mine": answer_reading(desk, view.mine, view) if view.mine is not None else None,
        "others": [answer_reading(desk, other, view) for other in view.others],
        **_answer_pixels(desk, view),
    }


def _answer_pixels(desk: ReviewDesk, view: FilmView) -> Answer:
    try:
        film: ReportedFilm = desk.folder.read_film(view.film.id)
    except PredictionsError as error:
        return {"film": None, "display_size": None, "has_heatmap": False, "message": str(error)}
    has_heatmap = not view.is_hidden and desk.folder.read_heatmap(view.film.id) is not None
    return {"film": dict(film.facts), "display_size": list(film.size), "has_heatmap": has_heatmap, "message": None}


def _answer_scale(reading: Reading) -> Answer:
    scale = ColourScale.of_threshold(reading.operating_threshold)
    return {
        "lowest": scale.lowest,
        "operating": scale.operating,
        "highest": scale.highest,
        "stops": [list(stop) for stop in scale.stops()],
        "ticks": [list(tick) for tick in scale.ticks()],
    }


def answer_detections(reading: Reading) -> list[Answer]:
    """The detections as a reader judges them, ``d1`` first."""
    plane = reading.image.spacing_plane
    return [
        {
            "id": f"d{number}",
            "box": list(finding.box),
            "score": finding.score,
            "reported": finding.reported,
            "diameter_mm": finding.diameter_mm,
            "side": finding.side,
            "zone": finding.zone,
            "words": describe_finding(finding, plane=plane),
        }
        for number, finding in enumerate(reading.detections, start=1)
    ]


def answer_reading(desk: ReviewDesk, found: ReaderFilm, view: FilmView) -> Answer:
    """A reader's reading of a film."""
    history = found.history
    return {
        "reader": found.reader,
        "revision": history.revision,
        "started_at": history.started_at,
        "can_undo": history.can_undo,
        "can_redo": history.can_redo,
        "model_changed": desk.has_changed(found, view.film),
        **_answer_look(history.look, found),
        "first": _first_look(found),
    }


def _first_look(found: ReaderFilm) -> Mapping[str, object] | None:
    first = found.history.look.first
    if first is None:
        return None
    return {
        "reader": found.reader,
        "revision": found.history.revision,
        "started_at": found.history.started_at,
        "can_undo": False,
        "can_redo": False,
        "model_changed": False,
        **_answer_look(first, found),
        "first": None,
    }


def _answer_look(look: Look, found: ReaderFilm) -> Answer:
    return {
        "phase": look.phase,
        "verdict": look.verdict,
        "finished_at": look.finished_at,
        "note": look.note,
        "marks": [_answer_mark(mark, found.results.reading) for mark in look.marks],
    }


def _answer_mark(mark: Mark, reading: Reading) -> Answer:
    side, zone = locate_mark(mark, reading)
    return {
        "id": mark.id,
        "detection": mark.detection,
        "state": mark.state,
        "box": list(mark.box),
        "moved": mark.moved,
        "diameter_mm": measure_mark(mark, reading),
        "side": side,
        "zone": zone,
        "note": mark.note,
    }
