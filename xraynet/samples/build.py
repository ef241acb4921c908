"""Builds the film cache: decode each film once, find its lungs, prepare it, keep it."""

import fcntl
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy.typing import NDArray

from xraynet.errors import FilmError, XraynetError
from xraynet.files import write_text_atomically
from xraynet.geometry import Letterbox
from xraynet.ingest.catalogue import FilmEntry, read_entry
from xraynet.preparation import PreparationConfig, prepare_film
from xraynet.radiograph import Radiograph
from xraynet.samples.cache import (
    HEADER_NAME,
    CacheFailure,
    CacheHeader,
    FilmCache,
    GreyCode,
    read_index,
)
from xraynet.samples.records import FilmRecord, cache_fingerprint
from xraynet.samples.writer import CacheWriter


@runtime_checkable
class LungsOfFilm(Protocol):
    """Where the lungs of one film are, as the lung-field segmenter says it."""

    @property
    def box(self) -> Float32[NDArray[np.float32], "num 4"]:
        """Around both lungs in stored pixels, or (0, 4)."""

    def mask_stored(self) -> Bool[NDArray[np.bool_], "height width"]:
        """True where there is lung, in the stored frame."""


@runtime_checkable
class LungFinder(Protocol):
    """A lung-field segmenter, and the fingerprint of its weights."""

    @property
    def fingerprint(self) -> str:
        """Changes with the weights."""

    def segment(self, radiograph: Radiograph) -> LungsOfFilm:
        """The lung fields of a film."""


ReadFilm = Callable[[FilmEntry], Radiograph]
Progress = Callable[[int, int], None]
Item = TypeVar("Item")
Result = TypeVar("Result")


def build_cache(
    folder: Path,
    entries: Sequence[FilmEntry],
    *,
    catalogue_fingerprint: str,
    preparation: PreparationConfig,
    lungs: LungFinder | None,
    num_workers: int = 0,
    read: ReadFilm = read_entry,
    progress: Progress | None = None,
) -> FilmCache:
    """The cache of ``entries`` under ``folder``, built as far as it is missing.

    Caches of other catalogues, preparations or lungs live beside it, each in a folder named by its fingerprint. Two
    processes that ask at once build it once. ``num_workers`` processes decode (0: this one). Without ``lungs`` no mask
    is kept and no nodule will be simulated. ``progress(done, all)`` is called after each film. Films that cannot be
    read are in ``failures`` of the result, and are tried again by the next build.
    """
    lungs_fingerprint = None if lungs is None else lungs.fingerprint
    fingerprint = cache_fingerprint(
        catalogue_fingerprint=catalogue_fingerprint, preparation=preparation, lungs_fingerprint=lungs_fingerprint
    )
    home = folder / f"films-{fingerprint}"
    home.mkdir(parents=True, exist_ok=True)
    header = CacheHeader(fingerprint=fingerprint, headroom=preparation.grey.headroom, lungs_fingerprint=lungs_fingerprint)
    with _only_builder(home):
        if not (home / HEADER_NAME).exists():
            write_text_atomically(home / HEADER_NAME, header.to_text())
        held = {record.key for record in read_index(home)}
        missing = list({entry.key: entry for entry in entries if entry.key not in held}.values())
        failures: list[CacheFailure] = []
        with CacheWriter.open(home, GreyCode(header.headroom)) as writer:
            for done, (entry, decoded) in enumerate(_decode_films(missing, read=read, num_workers=num_workers), start=1):
                if isinstance(decoded, CacheFailure):
                    failures.append(decoded)
                else:
                    _add_film(writer, entry, decoded, preparation, lungs)
                if progress is not None:
                    progress(done, len(missing))
    return FilmCache(home, failures=tuple(failures))


@contextmanager
def _only_builder(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _decode_films(
    entries: Sequence[FilmEntry], *, read: ReadFilm, num_workers: int
) -> Iterator[tuple[FilmEntry, Radiograph | CacheFailure]]:
    jobs = [(entry, read) for entry in entries]
    if num_workers == 0 or len(jobs) < 2:
        yield from zip(entries, map(_decode_film, jobs), strict=True)
        return
    # Spawned, never forked: torch's threads hold locks that a forked child would wait on for ever.
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        yield from zip(entries, _map_bounded(pool, _decode_film, jobs, ahead=2 * num_workers), strict=True)


def _map_bounded(
    pool: ProcessPoolExecutor, function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int
) -> Iterator[Result]:
    waiting = iter(items)
    pending = [pool.submit(function, item) for item in islice(waiting, ahead)]
    while pending:
        yield pending.pop(0).result()
        pending += [pool.submit(function, item) for item in islice(waiting, 1)]


def _decode_film(job: tuple[FilmEntry, ReadFilm]) -> Radiograph | CacheFailure:
    entry, read = job
    try:
        return read(entry)
    except FilmError as error:
        return CacheFailure(key=entry.key, code=error.code, reason=error.reason)
    except (XraynetError, OSError) as error:
        return CacheFailure(key=entry.key, code="damaged", reason=f"{type(error).__name__}: {error}")


def _add_film(
    writer: CacheWriter, entry: FilmEntry, radiograph: Radiograph, preparation: PreparationConfig, lungs: LungFinder | None
) -> None:
    fields = None if lungs is None else lungs.segment(radiograph)
    film = prepare_film(radiograph, preparation, lung_box=None if fields is None else fields.box)
    mask = np.zeros(film.letterbox.net_size, dtype=np.uint8)
    if fields is not None:
        mask = _mask_in_net_frame(fields.mask_stored(), film.letterbox)
    record = FilmRecord.of(
        entry.key, radiograph, film, first_pixel=writer.num_pixels, lung_fraction=round(float(mask.mean()), 6)
    )
    writer.append(record, film.pixels, mask)


def _mask_in_net_frame(
    mask: Bool[NDArray[np.bool_], "height width"], letterbox: Letterbox
) -> UInt8[NDArray[np.uint8], "net_height net_width"]:
    lung_share = letterbox.pixels_to_net(mask.astype(np.float32))
    return (lung_share > 0.5).astype(np.uint8)
