"""A folder of results and its store, together: what a reader sees of a film, of the worklist, and of the others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from xraynet.findings import Reading
from xraynet.service.review.films import FilmFolder, ListedFilm
from xraynet.service.review.history import History, Mode
from xraynet.service.review.results import DetectorResults
from xraynet.service.review.store import LookFacts, ReaderFilm, ReviewStore

ReadState = Literal["unread", "started", "read"]


@dataclass(frozen=True)
class WorklistFilm:
    """A film as a reader's worklist has it. ``is_hidden``: the reader must not know yet what the detector says of it."""

    film: ListedFilm
    state: ReadState
    verdict: str | None
    read_by: tuple[str, ...]
    is_hidden: bool

    @property
    def suspicion(self) -> float | None:
        """The film's score; None where it was not analysed, or must not be known."""
        return None if self.is_hidden else self.film.reading.film_score


@dataclass(frozen=True)
class FilmView:
    """A film for a reader: what the detector said as he began (or says now), his own reading, and those of others."""

    film: ListedFilm
    reading: Reading
    mine: ReaderFilm | None
    others: tuple[ReaderFilm, ...]
    is_hidden: bool


class ReviewDesk:
    """What the server's answers are made of. Safe to use from several threads."""

    def __init__(self, folder: FilmFolder, store: ReviewStore, *, mode: Mode) -> None:
        self.folder = folder
        self.store = store
        self.mode: Mode = mode

    def worklist(self, reader: str | None) -> list[WorklistFilm]:
        """All films, unread first, then by suspicion (by path where that is hidden); refused films last."""
        looks = _looks_by_film(self.store.looks())
        rows = [self._row(film, looks.get(film.id, []), reader) for film in self.folder.films().values()]
        return sorted(rows, key=lambda row: (row.film.reading.status == "refused", row.state == "read", *_suspicion_key(row)))

    def count_unread(self, reader: str | None) -> int:
        """How many films the reader has not finished."""
        done = {look.film for look in self.store.looks() if look.reader == reader and _is_complete(look)}
        return sum(film not in done for film in self.folder.films())

    def view(self, film: ListedFilm, reader: str | None) -> FilmView:
        """A film as this reader may see it now."""
        mine = self.store.read(film.id, reader) if reader is not None else None
        look = mine.history.look if mine is not None else History.begin(self.mode).look
        looks = self.store.looks(film=film.id)
        names = [facts.reader for facts in looks if facts.reader != reader and _is_complete(facts)]
        found = [self.store.read(film.id, name) for name in names] if self._may_see_others(looks, reader) else []
        return FilmView(
            film=film,
            reading=mine.results.reading if mine is not None else film.reading,
            mine=mine,
            others=tuple(other for other in found if other is not None),
            is_hidden=look.phase == "first",
        )

    def films_open_to(self, reader: str | None) -> set[str]:
        """The films of which this reader may see what others said, of all that anybody has begun."""
        looks = _looks_by_film(self.store.looks())
        return {film for film, theirs in looks.items() if self._may_see_others(theirs, reader)}

    def _may_see_others(self, looks: Iterable[LookFacts], reader: str | None) -> bool:
        """Of a film with these looks. What others accepted tells what the detector marked: an unaided look comes first."""
        mine = [look for look in looks if look.reader == reader]
        if any(_is_complete(look) for look in mine):
            return True
        return self.mode == "plain" and all(look.look == "final" for look in mine)

    def neighbours(self, film: str, reader: str | None) -> tuple[str | None, str | None]:
        """(previous, next) in the order of suspicion; next is the next unread one, from the top where there is none below."""
        rows = sorted(self.worklist(reader), key=_suspicion_key)
        ids = [row.film.id for row in rows]
        if film not in ids:
            return None, None
        at = ids.index(film)
        ahead = [*rows[at + 1 :], *rows[:at]]
        unread = next((row.film.id for row in ahead if row.state != "read"), None)
        return (ids[at - 1] if at else None), unread or (ids[at + 1] if at + 1 < len(ids) else None)

    def has_changed(self, mine: ReaderFilm, film: ListedFilm) -> bool:
        """True where the detector says something else of the film than it did when the reader began."""
        return replace(mine.results.reading, source=film.reading.source) != film.reading

    def results_of(self, film: ListedFilm) -> DetectorResults:
        """What the detector says of a film now, as the store keeps it."""
        return DetectorResults.of(film.reading)

    def _row(self, film: ListedFilm, looks: list[LookFacts], reader: str | None) -> WorklistFilm:
        mine = {look.look: look for look in looks if look.reader == reader}
        final = mine.get("final")
        state: ReadState = "unread" if not mine else "read" if final is not None and _is_complete(final) else "started"
        return WorklistFilm(
            film=film,
            state=state,
            verdict=(final or mine["first"]).verdict if mine else None,
            read_by=tuple(look.reader for look in looks if _is_complete(look)),
            is_hidden=final is None if mine else self.mode == "second-reader",
        )


def _is_complete(look: LookFacts) -> bool:
    return look.look == "final" and look.verdict is not None


def _looks_by_film(looks: list[LookFacts]) -> Mapping[str, list[LookFacts]]:
    found: dict[str, list[LookFacts]] = {}
    for look in looks:
        found.setdefault(look.film, []).append(look)
    return found


def _suspicion_key(row: WorklistFilm) -> tuple[bool, float, str, str]:
    reading = row.film.reading
    return (reading.status == "refused", -(row.suspicion or 0.0), reading.source.path or "", row.film.id)
