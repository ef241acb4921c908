"""The films of a folder of results, as it is now: a run or a node may be writing into it."""

import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xraynet.batch.journal import OUTCOMES_NAME, RUN_NAME, read_outcomes
from xraynet.batch.reading_folder import HEATMAP_NAME, READING_NAME, REPORT_NAME, read_identity
from xraynet.errors import PredictionsError, ReviewError
from xraynet.findings import Reading
from xraynet.radiograph import PatientIdentity
from xraynet.reading_file import read_reading
from xraynet.reporting.report_file import ReportedFilm, read_reported_film

FILM_ID: Final = re.compile(r"[0-9a-f]{16}")
_RESCAN_S: Final = 1.0
_SCAN_SHARE: Final = 20.0
_REPORTS_KEPT: Final = 3

FileStamp = tuple[int, int, int]


@dataclass(frozen=True)
class ListedFilm:
    """A film of the folder: what the detector says of it, and whose it is where the run was asked to keep that."""

    reading: Reading
    identity: PatientIdentity | None
    stamp: FileStamp

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.reading.id


class FilmFolder:
    """A folder that ``xraynet predict`` or a node wrote, or is writing. Safe to use from several threads."""

    def __init__(self, root: Path) -> None:
        """Look at a folder of results. Raises ReviewError where it is none."""
        if not any((root / name).exists() for name in (RUN_NAME, OUTCOMES_NAME, "readings")):
            raise ReviewError(f"{root}: holds no results; xraynet predict FILMS --out {root} makes them")
        self.root = root
        self._lock = threading.RLock()
        self._films: dict[str, ListedFilm] = {}
        self._damaged: dict[str, FileStamp] = {}
        self._scan_due_at = float("-inf")
        self._reports: dict[str, tuple[FileStamp, ReportedFilm]] = {}

    def films(self) -> dict[str, ListedFilm]:
        """Every film that is whole, by id."""
        with self._lock:
            started_at = time.monotonic()
            if started_at >= self._scan_due_at:
                self._films = dict(self._scan())
                now = time.monotonic()
                # A large folder on a slow disk is looked at less often: at most a twentieth of the time goes into that.
                self._scan_due_at = now + max(_RESCAN_S, _SCAN_SHARE * (now - started_at))
            return self._films

    def find(self, film: str) -> ListedFilm | None:
        """The film of that id; None where there is none (also for what is no id at all)."""
        return self.films().get(film) if FILM_ID.fullmatch(film) else None

    def read_film(self, film: str) -> ReportedFilm:
        """A film's grey values and heatmap, from its report.

        Raises PredictionsError where the run wrote no report, or it cannot be read.
        """
        path = self._folder(film) / REPORT_NAME
        stamp = _stamp_of(path)
        if stamp is None:
            raise PredictionsError("this film has no report, which carries its pixels; run predict with --outputs report")
        with self._lock:
            kept = self._reports.pop(film, None)
        report = kept[1] if kept is not None and kept[0] == stamp else read_reported_film(path)
        with self._lock:
            self._reports[film] = (stamp, report)
            while len(self._reports) > _REPORTS_KEPT:
                del self._reports[next(iter(self._reports))]
        return report

    def read_heatmap(self, film: str) -> bytes | None:
        """A film's heatmap as PNG, its own file or the one that the report carries; None where there is none."""
        path = self._folder(film) / HEATMAP_NAME
        if path.is_file():
            return path.read_bytes()
        return self.read_film(film).heatmap if (self._folder(film) / REPORT_NAME).is_file() else None

    def count_others(self) -> int:
        """How many files of the run never became a film: failed, or refused before they were read."""
        try:
            outcomes = {item.path: item for item in read_outcomes(self.root / OUTCOMES_NAME, torn="drop")}
        except PredictionsError:
            return 0
        return sum(item.status != "ok" and not item.code.startswith("gate.") for item in outcomes.values())

    def _folder(self, film: str) -> Path:
        if not FILM_ID.fullmatch(film):
            raise PredictionsError("this is no id of a film; 16 hex digits were expected")
        return self.root / "readings" / film

    def _scan(self) -> list[tuple[str, ListedFilm]]:
        try:
            entries = sorted(entry.name for entry in os.scandir(self.root / "readings") if entry.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return []
        found = [(name, self._read(name)) for name in entries if FILM_ID.fullmatch(name)]
        return [(name, film) for name, film in found if film is not None]

    def _read(self, film: str) -> ListedFilm | None:
        folder = self.root / "readings" / film
        stamp = _stamp_of(folder / READING_NAME)
        if stamp is None:
            return None
        known = self._films.get(film)
        if (known is not None and known.stamp == stamp) or self._damaged.get(film) == stamp:
            return known
        try:
            reading = read_reading(folder / READING_NAME)
            identity = read_identity(folder)
        except (PredictionsError, OSError, ValueError, TypeError):
            self._damaged[film] = stamp
            return known  # what was known of it still holds
        return ListedFilm(reading, identity, stamp) if reading.id == film else None


def _stamp_of(path: Path) -> FileStamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
