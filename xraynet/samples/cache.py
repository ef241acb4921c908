"""FilmCache: prepared films and their lung masks in two flat files, mapped into memory, so that decoding happens once.

The index is a log: a film's line is written after its pixels, so what an interrupted build left behind is a shorter
cache, never a damaged one, and the next build goes on from there.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray

from xraynet.errors import CatalogueError
from xraynet.samples.records import FilmRecord

HEADER_NAME: Final = "cache.json"
INDEX_NAME: Final = "index.jsonl"
PIXELS_NAME: Final = "films.uint16"
MASKS_NAME: Final = "lungs.uint8"
_LEVELS: Final = 65535


@dataclass(frozen=True)
class GreyCode:
    """Prepared grey values as 16-bit numbers: -headroom is 0, 1 + headroom is 65535 (a step is under 3e-5)."""

    headroom: float

    @property
    def span(self) -> float:
        """The width of the range of prepared values."""
        return 1.0 + 2.0 * self.headroom

    def encode(self, pixels: Float32[NDArray[np.float32], "height width"]) -> NDArray[np.uint16]:
        """Prepared pixels as 16-bit numbers; values outside the headroom are clipped."""
        scaled = np.clip((pixels + np.float32(self.headroom)) * np.float32(_LEVELS / self.span), 0, _LEVELS)
        encoded: NDArray[np.uint16] = np.rint(scaled).astype(np.uint16)
        return encoded

    def decode(self, encoded: NDArray[np.uint16]) -> NDArray[np.float32]:
        """The prepared pixels of ``encode``, in an array of their own."""
        pixels: NDArray[np.float32] = encoded.astype(np.float32)
        pixels *= np.float32(self.span / _LEVELS)
        pixels -= np.float32(self.headroom)
        return pixels


@dataclass(frozen=True, eq=False)
class CachedFilm:
    """One film out of the cache: ``pixels`` to write on, the lung mask (1 is lung) read-only, both in the network frame."""

    record: FilmRecord
    pixels: Float32[NDArray[np.float32], "height width"]
    lung_mask: UInt8[NDArray[np.uint8], "height width"]


@dataclass(frozen=True)
class CacheFailure:
    """A film that could not be prepared: its key, the outcome code, and the reason without any identity."""

    key: str
    code: str
    reason: str


@dataclass(frozen=True)
class CacheHeader:
    """What shaped the films of a cache: its fingerprint, the grey headroom, and the segmenter of its masks."""

    fingerprint: str
    headroom: float
    lungs_fingerprint: str | None

    def to_text(self) -> str:
        """The header as JSON."""
        values = {"fingerprint": self.fingerprint, "headroom": self.headroom, "lungs_fingerprint": self.lungs_fingerprint}
        return json.dumps(values, indent=1) + "\n"

    @classmethod
    def read(cls, folder: Path) -> "CacheHeader":
        """The header of the cache in ``folder``. Raises CatalogueError where there is none."""
        path = folder / HEADER_NAME
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            lungs = values["lungs_fingerprint"]
            return cls(
                fingerprint=str(values["fingerprint"]),
                headroom=float(values["headroom"]),
                lungs_fingerprint=None if lungs is None else str(lungs),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CatalogueError(f"{path}: not the header of a film cache: {error}") from error


class FilmCache:
    """Prepared films by key, memory-mapped; ``failures`` lists the films that the build could not prepare.

    Cheap to send to another process: the receiver maps the same files again.
    """

    def __init__(self, folder: Path, *, failures: tuple[CacheFailure, ...] = ()) -> None:
        self.folder = folder
        self.failures = failures
        self.header = CacheHeader.read(folder)
        self.records = {record.key: record for record in read_index(folder)}
        self._grey = GreyCode(self.header.headroom)
        end = max((record.end_pixel for record in self.records.values()), default=0)
        self._pixels = _map_bytes(folder / PIXELS_NAME, 2 * end).view(np.uint16)
        self._masks = _map_bytes(folder / MASKS_NAME, end)

    def __reduce__(self) -> tuple[object, tuple[Path, tuple[CacheFailure, ...]]]:
        return (_open_cache, (self.folder, self.failures))

    def __len__(self) -> int:
        return len(self.records)

    def __contains__(self, key: object) -> bool:
        return key in self.records

    @property
    def fingerprint(self) -> str:
        """The fingerprint of catalogue, preparation and lungs that the cache was built from."""
        return self.header.fingerprint

    @property
    def headroom(self) -> float:
        """How far beyond 0..1 the pixels may reach."""
        return self.header.headroom

    def read(self, key: str) -> CachedFilm:
        """The prepared film of ``key``. Raises CatalogueError where the cache does not hold it."""
        record = self.records.get(key)
        if record is None:
            raise CatalogueError(f"film {key} is not in the film cache at {self.folder}, which holds {len(self)} films")
        span = slice(record.first_pixel, record.end_pixel)
        return CachedFilm(
            record=record,
            pixels=self._grey.decode(self._pixels[span]).reshape(record.net_size),
            lung_mask=self._masks[span].reshape(record.net_size),
        )


def _open_cache(folder: Path, failures: tuple[CacheFailure, ...]) -> FilmCache:
    return FilmCache(folder, failures=failures)


def read_index(folder: Path) -> list[FilmRecord]:
    """The records of the films that were written whole; the part of a line that an interrupted build left is passed over."""
    path = folder / INDEX_NAME
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [FilmRecord.from_line(line) for line in lines if line.endswith("\n")]


def _map_bytes(path: Path, num_bytes: int) -> UInt8[NDArray[np.uint8], " num_bytes"]:
    if num_bytes == 0:
        return np.zeros(0, dtype=np.uint8)
    found = path.stat().st_size if path.exists() else 0
    if found < num_bytes:
        raise CatalogueError(f"{path}: {found} bytes; its index promises {num_bytes}: delete the cache and build it again")
    mapped: NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r", shape=(num_bytes,)).view(np.ndarray)
    return mapped
