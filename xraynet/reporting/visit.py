"""A visit and what is known of the patient's earlier ones: what its page shows and its file keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from xraynet.findings import NoduleAnnotations, Reading
from xraynet.follow_up import Comparison
from xraynet.radiograph import PatientIdentity


@dataclass(frozen=True, eq=False)
class VisitFilm:
    """A film on the page: its reading, its picture (JPEG, None where it cannot be shown) and a relative link to its report.

    ``annotations``: what readers marked on it, where the catalogue knows.
    """

    reading: Reading
    picture: bytes | None = None
    report: str | None = None
    annotations: NoduleAnnotations = field(default_factory=NoduleAnnotations)


@dataclass(frozen=True, eq=False)
class EarlierVisit:
    """An earlier visit of the same patient: how many days before, its films, and how many could not be read.

    ``date`` is empty unless identities are asked for; ``from_catalogue`` says that the run itself has no film of it.
    """

    days_earlier: int
    films: tuple[VisitFilm, ...] = ()
    num_not_read: int = 0
    date: str = ""
    from_catalogue: bool = False

    def __post_init__(self) -> None:
        if self.days_earlier < 1:
            raise ValueError(f"an earlier visit lies {self.days_earlier} days before; at least 1 was expected")


@dataclass(frozen=True, eq=False)
class EarlierFilm:
    """The film of an earlier visit that a film is compared with, and how they compare.

    ``marked_then``: by index of a detection of the present film, the index of a reader's mark on the earlier one.
    """

    visit: EarlierVisit
    film: VisitFilm
    comparison: Comparison
    marked_then: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ComparedFilm:
    """A film of the visit, and the earlier films beside it, the latest first."""

    film: VisitFilm
    earlier: tuple[EarlierFilm, ...] = ()


@dataclass(frozen=True, eq=False)
class Visit:
    """A visit with its films and its earlier visits, the latest first.

    ``why_no_priors`` is a key of the language files (``no-date``, ``no-patient``, ``none-known``), empty where there are
    some. ``identity`` only where it was asked for.
    """

    key: str
    films: tuple[ComparedFilm, ...]
    earlier: tuple[EarlierVisit, ...] = ()
    why_no_priors: str = ""
    identity: PatientIdentity | None = None
