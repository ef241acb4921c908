"""What the page of a visit says of intervals, and of a finding now and then, in the language it is given."""

from typing import Final

from xraynet.findings import Finding, NoduleAnnotations, Reading
from xraynet.follow_up import FollowedFinding, WhyNotAligned
from xraynet.lung_frame import locate
from xraynet.reporting.language import Language
from xraynet.reporting.visit import EarlierFilm
from xraynet.reporting.words import describe_place, describe_size, say_score

_DAYS_OF_MONTH: Final = 30.44
_DAYS_OF_YEAR: Final = 365.25


def describe_interval(days: int, *, language: Language) -> str:
    """How long ago an earlier film was taken, as people say it: days, weeks, months, from two years on years.

    An interval is no date: with nothing else it names no day, so that it is told without identities being asked for.
    """
    if days < 14:
        return language.say("visit.days", count=days)
    if days < 90:
        return language.say("visit.weeks", count=round(days / 7))
    if days < 2 * _DAYS_OF_YEAR:
        return language.say("visit.months", count=round(days / _DAYS_OF_MONTH))
    return language.say("visit.years", count=round(days / _DAYS_OF_YEAR))


def describe_finding_now(reading: Reading, place: int | None, *, language: Language) -> str:
    """A finding of the present film; a mark below the operating point says so; None is a place where nothing is marked."""
    if place is None:
        return language.say("visit.not_marked_now")
    finding = reading.detections[place]
    size = describe_size(finding, plane=reading.image.spacing_plane, language=language)
    where, score = describe_place(finding, language=language), say_score(finding, language=language)
    key = "visit.reported_now" if finding.reported else "visit.faint_now"
    return language.say(key, place=where, size=size, score=score)


def describe_then(followed: FollowedFinding | None, earlier: EarlierFilm, *, marked: int | None, language: Language) -> str:
    """The same finding on an earlier film, and what became of it; ``marked``: the reader's mark in the same place."""
    film = earlier.film
    said = "" if followed is None else _describe_followed(followed, film.reading, language=language)
    if marked is None:
        aligned = not earlier.comparison.why_not_aligned
        return said or language.say("visit.not_marked_then" if aligned else "visit.not_compared")
    size = _annotated_size(film.annotations, marked, language=language)
    reader = language.say("visit.reader_then", size=size) if size else language.say("visit.reader_then_unsized")
    return f"{said} {reader}".strip()


def _describe_followed(followed: FollowedFinding, then: Reading, *, language: Language) -> str:
    if followed.then is None:
        return language.say(f"visit.change_{followed.change}")
    earlier = then.detections[followed.then]
    seen = language.say(
        "visit.reported_then" if earlier.reported else "visit.faint_then",
        place=describe_place(earlier, language=language),
        size=describe_size(earlier, plane=then.image.spacing_plane, language=language),
        score=say_score(earlier, language=language),
    )
    return f"{seen} {_describe_change(followed, language=language)}"


def _describe_change(followed: FollowedFinding, *, language: Language) -> str:
    if followed.change == "size-not-compared":
        return language.say(f"visit.sizes_{followed.why_not_sized}")
    if followed.growth_mm is not None and followed.change in ("grown", "smaller"):
        return language.say(f"visit.change_{followed.change}", size=language.number(abs(followed.growth_mm), 0))
    return language.say(f"visit.change_{followed.change}")


def describe_annotation(annotations: NoduleAnnotations, place: int, reading: Reading, *, language: Language) -> str:
    """What a reader marked on a film: its class in the source's own word, its place and its size."""
    x1, y1, x2, y2 = (float(edge) for edge in annotations.boxes[place])
    side, zone = (None, None) if reading.lungs is None else locate((x1, y1, x2, y2), reading.lungs)
    where = describe_place(Finding(box=(x1, y1, x2, y2), score=0, reported=False, side=side, zone=zone), language=language)
    size = _annotated_size(annotations, place, language=language)
    facts = {"name": annotations.class_names[place], "place": where}
    return (
        language.say("visit.reader_marked", size=size, **facts)
        if size
        else language.say("visit.reader_marked_unsized", **facts)
    )


def _annotated_size(annotations: NoduleAnnotations, place: int, *, language: Language) -> str:
    """The size that came with a mark; empty where there is none."""
    size = annotations.diameter_mm[place]
    return "" if size is None else language.say("visit.millimetres", size=language.number(size, 0))


def describe_unaligned(why: WhyNotAligned, *, language: Language) -> str:
    """Why two films are not compared."""
    return language.say(f"visit.unaligned_{why}")
