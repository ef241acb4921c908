"""``visit.json`` beside a reading: whose film it is and of which visit, by keys that only the site's salt can make."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from xraynet.batch.reading_folder import VISIT_NAME
from xraynet.ingest.salt import salt_fingerprint
from xraynet.ingest.visit_keys import VisitKeys

VISITS_NAME: Final = "visits"
VISIT_PAGES: Final = "[0-9a-f]" * 16 + ".*"
"""The files in ``visits/`` that are pages of visits, and what they hold for programs."""
PRIORS_NAME: Final = "priors"
"""The folder of earlier films out of a catalogue, read for a folder of results."""


@dataclass(frozen=True)
class VisitOptions:
    """How a run finds the films of a visit, and earlier films of the same patient.

    ``salt``: the site's, which makes patients and visits comparable without naming them. ``catalogue``: where earlier films
    are looked up beside those of the run itself. ``most_priors``: of so many earlier visits films are shown.
    """

    salt: bytes = field(repr=False)
    catalogue: Path | None = None
    most_priors: int = 3

    def __post_init__(self) -> None:
        if self.most_priors < 1:
            raise ValueError(f"most_priors is {self.most_priors}; at least 1 was expected")

    @property
    def salt_fingerprint(self) -> str:
        """What tells this salt from others."""
        return salt_fingerprint(self.salt)


def page_of_visit(study_key: str) -> str:
    """The page of a visit, in a folder of results."""
    return f"{VISITS_NAME}/{study_key[:16]}.html"


def encode_visit(keys: VisitKeys, options: VisitOptions) -> bytes:
    """The content of ``visit.json``."""
    return (json.dumps({"salt_fingerprint": options.salt_fingerprint, **asdict(keys)}, indent=1) + "\n").encode("ascii")


def read_visit(folder: Path, options: VisitOptions) -> VisitKeys | None:
    """The keys beside a reading; None where there are none, or where another salt made them."""
    try:
        content = json.loads((folder / VISIT_NAME).read_text(encoding="ascii"))
        if content.pop("salt_fingerprint") != options.salt_fingerprint:
            return None
        return VisitKeys(**content)
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None
