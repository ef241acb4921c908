"""CacheWriter: adds prepared films to a cache so that neither a killed process nor a lost machine can leave a damaged one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray

from xraynet.errors import CatalogueError
from xraynet.samples.cache import INDEX_NAME, MASKS_NAME, PIXELS_NAME, GreyCode, read_index
from xraynet.samples.records import FilmRecord

_FILMS_AT_ONCE: Final = 32
"""Waiting for the disk costs some milliseconds: the films of so many waits share one."""


class CacheWriter:
    """Appends films: pixels and masks go to the disk first, and only then the lines of the index that make them count."""

    def __init__(self, *, pixels: BinaryIO, masks: BinaryIO, index: BinaryIO, grey: GreyCode) -> None:
        self._pixels = pixels
        self._masks = masks
        self._index = index
        self._grey = grey
        self._waiting: list[FilmRecord] = []

    @classmethod
    @contextmanager
    def open(cls, folder: Path, grey: GreyCode) -> Iterator["CacheWriter"]:
        """A writer that goes on behind the last film that the index of ``folder`` names.

        Raises CatalogueError where the files are shorter than the index promises.
        """
        end = max((record.end_pixel for record in read_index(folder)), default=0)
        index_path = folder / INDEX_NAME
        num_whole = index_path.read_bytes().rfind(b"\n") + 1 if index_path.exists() else 0
        with (
            _open_to_append(folder / PIXELS_NAME, 2 * end) as pixels,
            _open_to_append(folder / MASKS_NAME, end) as masks,
            _open_to_append(index_path, num_whole) as index,
        ):
            writer = cls(pixels=pixels, masks=masks, index=index, grey=grey)
            try:
                yield writer
            finally:
                writer.settle()

    @property
    def num_pixels(self) -> int:
        """How many pixels were written so far."""
        return self._masks.tell()

    def append(
        self,
        record: FilmRecord,
        pixels: Float32[NDArray[np.float32], "height width"],
        mask: UInt8[NDArray[np.uint8], "height width"],
    ) -> None:
        """Write one film; its line follows when its pixels are on the disk."""
        self._pixels.write(self._grey.encode(pixels).tobytes())
        self._masks.write(mask.tobytes())
        self._waiting.append(record)
        if len(self._waiting) >= _FILMS_AT_ONCE:
            self.settle()

    def settle(self) -> None:
        """Bring the films written so far to the disk, then their lines."""
        if not self._waiting:
            return
        for stream in (self._pixels, self._masks):
            stream.flush()
            os.fsync(stream.fileno())
        self._index.write("".join(record.to_line() for record in self._waiting).encode())
        self._index.flush()
        os.fsync(self._index.fileno())
        self._waiting.clear()


@contextmanager
def _open_to_append(path: Path, num_bytes: int) -> Iterator[BinaryIO]:
    """``path`` open for writing after its first ``num_bytes`` bytes; what an interrupted build left beyond them goes."""
    path.touch()
    with path.open("r+b") as stream:
        found = stream.seek(0, os.SEEK_END)
        if found < num_bytes:
            raise CatalogueError(f"{path}: {found} bytes; its index promises {num_bytes}: delete the cache and build it again")
        stream.truncate(num_bytes)
        stream.seek(num_bytes)
        yield stream
