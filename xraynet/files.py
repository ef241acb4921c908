"""Files that are written whole or not at all, and fingerprints of what is in them."""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of ``path`` when the block ends well, and leaves no trace when it does not.

    Written beside its target, flushed to disk, then renamed: a reader sees the old file or the new one, never a part.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to disk: only then does a file that was made or renamed in it survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_torn_files(folder: Path, names: Iterable[str]) -> None:
    """Remove the halves at which a writer of ``names`` (glob patterns) was killed. Only for the one writer of ``folder``."""
    for name in names:
        for path in folder.glob(f".{name}.*.part"):
            path.unlink()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Put ``content`` into ``path``, whole or not at all."""
    with open_atomically(path) as stream:
        stream.write(content)


def write_text_atomically(path: Path, text: str) -> None:
    """Put UTF-8 ``text`` into ``path``, whole or not at all."""
    write_bytes_atomically(path, text.encode("utf-8"))


def sha256_of_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
