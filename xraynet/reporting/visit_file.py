"""``visits/<key>.json``: what the page of a visit says, for programs. Described by ``xraynet/schemas/visit-1.json``."""

import json
from importlib import resources
from typing import Final

from xraynet.findings import Reading
from xraynet.follow_up import (
    LEAST_CHANGE_MM,
    LEAST_CHANGE_SHARE,
    LEAST_SCORE_SHARE,
    TOLERANCE,
    FollowedFinding,
)
from xraynet.reading_file import DISCLAIMER
from xraynet.reporting.visit import ComparedFilm, EarlierFilm, Visit

VISIT_SCHEMA_VERSION: Final = 1


def visit_to_json(visit: Visit) -> str:
    """The visit as JSON: films and earlier films by reading, findings by their places in the readings' detections.

    Neither a date nor anything of a patient's identity is in it, asked for or not.
    """
    content = {
        "schema_version": VISIT_SCHEMA_VERSION,
        "notice": DISCLAIMER,
        "key": visit.key,
        "rules": {
            "tolerance_of_lung_height": TOLERANCE,
            "least_change_mm": LEAST_CHANGE_MM,
            "least_change_share": LEAST_CHANGE_SHARE,
            "least_score_share": LEAST_SCORE_SHARE,
        },
        "why_no_priors": visit.why_no_priors or None,
        "earlier_visits": [
            {
                "days_earlier": earlier.days_earlier,
                "from_catalogue": earlier.from_catalogue,
                "readings": [film.reading.id for film in earlier.films],
                "num_not_read": earlier.num_not_read,
            }
            for earlier in visit.earlier
        ],
        "films": [_film(film) for film in visit.films],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def read_visit_schema() -> dict[str, object]:
    """The JSON schema of the present version of a visit's file."""
    text = (resources.files("xraynet") / "schemas" / f"visit-{VISIT_SCHEMA_VERSION}.json").read_text(encoding="utf-8")
    schema: dict[str, object] = json.loads(text)
    return schema


def _film(film: ComparedFilm) -> dict[str, object]:
    return {
        "reading": film.film.reading.id,
        "compared_with": [_earlier(film.film.reading, earlier) for earlier in film.earlier],
    }


def _earlier(now: Reading, earlier: EarlierFilm) -> dict[str, object]:
    return {
        "reading": earlier.film.reading.id,
        "days_earlier": earlier.visit.days_earlier,
        "why_not_compared": earlier.comparison.why_not_aligned or None,
        "turned": earlier.comparison.turned,
        "findings": [_finding(one, now, earlier.film.reading) for one in earlier.comparison.findings],
        "marked_by_readers_then": [
            {"detection": place, "annotation": mark} for place, mark in sorted(earlier.marked_then.items())
        ],
    }


def _finding(followed: FollowedFinding, now: Reading, then: Reading) -> dict[str, object]:
    return {
        "change": followed.change,
        "growth_mm": followed.growth_mm,
        "why_not_sized": followed.why_not_sized or None,
        "now": _mark(followed.now, now),
        "then": _mark(followed.then, then),
    }


def _mark(place: int | None, reading: Reading) -> dict[str, object] | None:
    if place is None:
        return None
    finding = reading.detections[place]
    return {
        "detection": place,
        "box": list(finding.box),
        "score": finding.score,
        "reported": finding.reported,
        "diameter_mm": finding.diameter_mm,
        "spacing_plane": reading.image.spacing_plane,
        "side": finding.side,
        "zone": finding.zone,
    }
