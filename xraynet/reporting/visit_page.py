"""One page per visit: its films, beside each the earlier films of the same patient, and what became of every finding.

A finding has the same letter on every film. The page fetches nothing and runs no script.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from xraynet.follow_up import LEAST_CHANGE_MM, LEAST_CHANGE_SHARE, TOLERANCE, WhyNotAligned, match_places
from xraynet.reporting.html import content_policy, data_uri, identity_lines, read_part, render_template
from xraynet.reporting.language import Language
from xraynet.reporting.language_files import english
from xraynet.reporting.visit import ComparedFilm, EarlierFilm, EarlierVisit, Visit, VisitFilm
from xraynet.reporting.visit_picture import LaidBox, lay_box, picture_frame
from xraynet.reporting.visit_words import (
    describe_annotation,
    describe_finding_now,
    describe_interval,
    describe_then,
    describe_unaligned,
)
from xraynet.reporting.words import describe_gate, describe_view

READER_LETTER: Final = "R"


@dataclass(frozen=True)
class ShownPicture:
    """A picture with its boxes and the words under it."""

    heading: str
    picture: str
    size: tuple[int, int]
    boxes: tuple[LaidBox, ...]
    notes: tuple[str, ...]
    report: str | None


@dataclass(frozen=True)
class FollowedRow:
    """One line of the table: a letter, the finding now, and a cell for each earlier film."""

    letter: str
    now: str
    then: tuple[str, ...]
    is_changed: bool


@dataclass(frozen=True)
class ShownFilm:
    """A film of the visit with the pictures beside it and the table under them.

    ``is_compared``: every earlier film beside it was analysed and laid over it, and no reader had marked anything there.
    """

    now: ShownPicture
    then: tuple[ShownPicture, ...]
    headings: tuple[str, ...]
    rows: tuple[FollowedRow, ...]
    is_analysed: bool
    is_compared: bool


def render_visit(visit: Visit, *, worklist: str | None, language: Language | None = None) -> str:
    """The page of a visit as HTML; ``worklist`` is a relative link."""
    spoken = language or english()
    style = read_part("visit.css")
    return render_template(
        "visit.html.j2",
        {
            "visit": visit,
            "identity": identity_lines(visit.identity, language=spoken) if visit.identity is not None else [],
            "films": [_show_film(film, language=spoken) for film in visit.films],
            "no_priors": spoken.say(f"visit.{visit.why_no_priors}") if visit.why_no_priors else "",
            "not_read": sum(earlier.num_not_read for earlier in visit.earlier),
            "rules": spoken.say(
                "visit.rules",
                tolerance=spoken.say("number.percent", value=spoken.plain(100 * TOLERANCE)),
                least=spoken.plain(LEAST_CHANGE_MM),
                share=spoken.say("number.percent", value=spoken.plain(100 * LEAST_CHANGE_SHARE)),
            ),
            "worklist": worklist,
            "disclaimer": spoken.say("notice.disclaimer"),
            "not_looked_for": spoken.say("notice.not_looked_for"),
            "style": style,
            "policy": content_policy(style=style, script=None),
        },
        language=spoken,
    )


def name_letter(place: int) -> str:
    """The letter of the finding at that place of the table.

    >>> name_letter(0), name_letter(25), name_letter(26)
    ('A', 'Z', 'A2')
    """
    turn, letter = divmod(place, 26)
    return chr(ord("A") + letter) + (str(turn + 1) if turn else "")


Line = tuple[int | None, tuple[int | None, ...]]
"""One line of a film's table: the detection now, and the detection then on each earlier film."""


def letter_findings(film: ComparedFilm) -> list[Line]:
    """The lines of a film's table, in the order of their letters.

    First what is followed on this film, by falling score; then what was reported on earlier films only, a place that is
    marked on several of them once.
    """
    places = {place for place, one in enumerate(film.film.reading.detections) if one.reported}
    places |= {one.now for earlier in film.earlier for one in earlier.comparison.findings if one.now is not None}
    lines: list[Line] = []
    for place in sorted(places):
        then = tuple(
            next((one.then for one in earlier.comparison.findings if one.now == place), None) for earlier in film.earlier
        )
        lines.append((place, then))
    return [*lines, *((None, then) for then in _gone(film))]


def _gone(film: ComparedFilm) -> list[tuple[int | None, ...]]:
    """What was reported on earlier films and is not marked now: a detection for each of them, or None."""
    gone: list[list[int | None]] = []
    for column, earlier in enumerate(film.earlier):
        there = [one.then for one in earlier.comparison.findings if one.now is None and one.then is not None]
        known = _known_places(film, gone, there, column)
        for place in there:
            if place in known:
                gone[known[place]][column] = place
            else:
                gone.append([place if at == column else None for at in range(len(film.earlier))])
    return [tuple(line) for line in gone]


def _known_places(
    film: ComparedFilm, gone: Sequence[Sequence[int | None]], there: Sequence[int], column: int
) -> dict[int, int]:
    """By detection on the film of ``column``, the line of what is gone that is marked in the same place on a later film."""
    reading = film.earlier[column].film.reading
    known: dict[int, int] = {}
    for later in range(column):
        other = film.earlier[later].film.reading
        if reading.lungs is None or other.lungs is None or reading.lungs.mirrored != other.lungs.mirrored:
            continue
        lines = [at for at, line in enumerate(gone) if line[later] is not None and at not in known.values()]
        boxes = [other.detections[place].box for at in lines if (place := gone[at][later]) is not None]
        left = [place for place in there if place not in known]
        pairs = match_places(
            [reading.detections[place].box for place in left], boxes, lungs=reading.lungs, other_lungs=other.lungs
        )
        known |= {left[one]: lines[two] for one, two in pairs}
    return known


def _show_film(film: ComparedFilm, *, language: Language) -> ShownFilm:
    lines = letter_findings(film)
    reading = film.film.reading
    rows = tuple(_row(film, place, line, language=language) for place, line in enumerate(lines))
    now = [(now, name_letter(place)) for place, (now, _) in enumerate(lines) if now is not None]
    then = [
        [
            *((line[column], name_letter(place)) for place, (_, line) in enumerate(lines) if line[column] is not None),
            *((place, "") for place in _uncompared(earlier)),
        ]
        for column, earlier in enumerate(film.earlier)
    ]
    return ShownFilm(
        now=_picture(film.film, now, heading=language.say("visit.now"), notes=(), language=language),
        then=tuple(
            _picture(
                earlier.film,
                [(place, letter) for place, letter in letters if place is not None],
                heading=_heading(earlier.visit, language=language),
                notes=_notes(earlier, language=language),
                language=language,
            )
            for earlier, letters in zip(film.earlier, then, strict=True)
        ),
        headings=tuple(_heading(earlier.visit, language=language) for earlier in film.earlier),
        rows=rows,
        is_analysed=reading.film_score is not None,
        is_compared=bool(film.earlier)
        and not any(one.comparison.why_not_aligned or len(one.film.annotations.boxes) for one in film.earlier),
    )


def _uncompared(earlier: EarlierFilm) -> list[int]:
    """What was reported on an earlier film that could not be laid over the present one: it is shown, without a letter."""
    if not earlier.comparison.why_not_aligned:
        return []
    return [place for place, one in enumerate(earlier.film.reading.detections) if one.reported]


def _heading(visit: EarlierVisit, *, language: Language) -> str:
    interval = describe_interval(visit.days_earlier, language=language)
    return f"{interval} ({language.date(visit.date)})" if visit.date else interval


def _notes(earlier: EarlierFilm, *, language: Language) -> tuple[str, ...]:
    why: WhyNotAligned = earlier.comparison.why_not_aligned
    notes = [describe_unaligned(why, language=language)] if why else []
    if earlier.comparison.turned:
        notes.append(language.say("visit.turned"))
    if earlier.visit.from_catalogue:
        notes.append(language.say("visit.from_catalogue"))
    return tuple(notes)


def _picture(
    film: VisitFilm, letters: Sequence[tuple[int, str]], *, heading: str, notes: tuple[str, ...], language: Language
) -> ShownPicture:
    frame = picture_frame(film.reading.image)
    detections = film.reading.detections
    boxes = [
        lay_box(detections[place].box, frame, kind="reported" if detections[place].reported else "faint", letter=letter)
        for place, letter in letters
    ]
    for box in film.annotations.boxes:
        x1, y1, x2, y2 = (float(edge) for edge in box)
        boxes.append(lay_box((x1, y1, x2, y2), frame, kind="annotated", letter=READER_LETTER))
    told = [language.say("visit.view", view=describe_view(film.reading.image.view_position, language=language))]
    if film.reading.film_score is None:
        told.append(language.say("absence.not_analysed", reasons=describe_gate(film.reading.gate.reasons, language=language)))
    told += [
        describe_annotation(film.annotations, place, film.reading, language=language)
        for place in range(len(film.annotations.boxes))
    ]
    return ShownPicture(
        heading=heading,
        picture=data_uri(film.picture, "image/jpeg") if film.picture is not None else "",
        size=frame.size,
        boxes=tuple(boxes),
        notes=(*told, *notes),
        report=film.report,
    )


def _row(film: ComparedFilm, place: int, line: Line, *, language: Language) -> FollowedRow:
    now, _ = line
    reading = film.film.reading
    cells = []
    changed = False
    for earlier, then in zip(film.earlier, line[1], strict=True):
        followed = next((one for one in earlier.comparison.findings if (one.now, one.then) == (now, then)), None)
        marked = earlier.marked_then.get(now) if now is not None else None
        cells.append(describe_then(followed, earlier, marked=marked, language=language))
        changed |= followed is not None and followed.change in ("new", "grown", "smaller", "not-seen-now")
    text = describe_finding_now(reading, now, language=language)
    return FollowedRow(letter=name_letter(place), now=text, then=tuple(cells), is_changed=changed)
