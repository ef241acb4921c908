"""What the film cache remembers of each prepared film, and the fingerprint of everything that shaped it."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Final, get_args

from xraynet.errors import CatalogueError
from xraynet.geometry import Letterbox
from xraynet.preparation import PreparationConfig, PreparedFilm, ScaleSource
from xraynet.radiograph import Radiograph

CACHE_VERSION: Final = 1


@dataclass(frozen=True)
class FilmRecord:
    """One prepared film in the cache.

    ``first_pixel`` is its place in the flat files, counted in pixels. ``mm_per_net_pixel`` is None where the film has
    no spacing: its scale then came from its lungs or its size, and no millimetre is made up. ``lung_fraction`` is the
    part of the network frame that is lung (0 where no lungs were found or looked for).
    """

    key: str
    first_pixel: int
    letterbox: Letterbox
    scale_source: ScaleSource
    mm_per_net_pixel: float | None
    lung_fraction: float

    def __post_init__(self) -> None:
        if self.scale_source not in get_args(ScaleSource):
            raise ValueError(f"scale source is {self.scale_source!r}; one of {get_args(ScaleSource)} was expected")
        if self.first_pixel < 0:
            raise ValueError(f"first pixel is {self.first_pixel}; 0 or more was expected")

    @property
    def net_size(self) -> tuple[int, int]:
        """(height, width) of the prepared film."""
        return self.letterbox.net_size

    @property
    def end_pixel(self) -> int:
        """Where the next film may start."""
        return self.first_pixel + self.net_size[0] * self.net_size[1]

    @classmethod
    def of(
        cls, key: str, radiograph: Radiograph, film: PreparedFilm, *, first_pixel: int, lung_fraction: float
    ) -> "FilmRecord":
        """The record of a film that was just prepared."""
        millimetres = None
        if radiograph.spacing is not None and film.scale_source == "spacing":
            row_mm, column_mm = radiograph.spacing.row_column_mm
            # Rounding to whole pixels parts the two by under 0.2 %; the geometric mean keeps areas.
            millimetres = ((row_mm / film.letterbox.scale_y) * (column_mm / film.letterbox.scale_x)) ** 0.5
        return cls(
            key=key,
            first_pixel=first_pixel,
            letterbox=film.letterbox,
            scale_source=film.scale_source,
            mm_per_net_pixel=millimetres,
            lung_fraction=lung_fraction,
        )

    def to_line(self) -> str:
        """The record as one line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str) -> "FilmRecord":
        """The record that ``to_line`` wrote. Raises CatalogueError where the line is something else."""
        try:
            values = json.loads(line)
            frame = {name: (int(pair[0]), int(pair[1])) for name, pair in values["letterbox"].items()}
            millimetres = values["mm_per_net_pixel"]
            return cls(
                key=str(values["key"]),
                first_pixel=int(values["first_pixel"]),
                letterbox=Letterbox(**frame),
                scale_source=values["scale_source"],
                mm_per_net_pixel=None if millimetres is None else float(millimetres),
                lung_fraction=float(values["lung_fraction"]),
            )
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise CatalogueError(f"a line of the film cache's index cannot be read: {line[:80]!r}") from error


def cache_fingerprint(*, catalogue_fingerprint: str, preparation: PreparationConfig, lungs_fingerprint: str | None) -> str:
    """16 hex digits that change with the catalogue, the preparation, the lung segmenter and the cache's own format.

    >>> cache_fingerprint(catalogue_fingerprint="a", preparation=PreparationConfig(), lungs_fingerprint=None) == (
    ...     cache_fingerprint(catalogue_fingerprint="b", preparation=PreparationConfig(), lungs_fingerprint=None))
    False
    """
    parts = {
        "version": CACHE_VERSION,
        "catalogue": catalogue_fingerprint,
        "preparation": asdict(preparation),
        "lungs": lungs_fingerprint,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
