"""``dicomweb.jsonl``: which films of an archive were fetched before and which results it has, so that a run goes on.

Lines hold hashes only: of UIDs, of files, of the archive's address. A line that was cut off by a crash is left out; what it
said is done again.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Final

LEDGER_NAME: Final = "dicomweb.jsonl"


class Ledger:
    """What is known of one archive in one folder of results."""

    def __init__(self, folder: Path, *, url: str) -> None:
        """Read what earlier runs left in ``folder`` about the archive at ``url``."""
        self._path = folder / LEDGER_NAME
        self._archive = hashlib.sha256(url.encode("utf-8")).hexdigest()[:16]
        self._contents: dict[str, str] = {}
        self._stored: set[str] = set()
        self._own: set[str] = set()
        content = self._path.read_bytes() if self._path.is_file() else b""
        self._is_torn = not content.endswith(b"\n") and content != b""
        for line in content.splitlines():
            self._take(line)

    def find_content(self, name: str) -> str:
        """The SHA-256 that the film of this name had when it was fetched; "" where it never was."""
        return self._contents.get(name, "")

    def note_content(self, name: str, sha256: str) -> None:
        """Keep what a fetched film holds."""
        if self._contents.get(name) != sha256:
            self._contents[name] = sha256
            self._append({"name": name, "sha256": sha256})

    def is_stored(self, sha256: str) -> bool:
        """True where the archive has taken the result with this content."""
        return sha256 in self._stored

    def note_stored(self, sha256: str, *, name: str) -> None:
        """Keep that the archive has taken a result, which searches will find under ``name`` from now on."""
        self._stored.add(sha256)
        self._own.add(name)
        self._append({"stored": sha256, "name": name})

    def is_own(self, name: str) -> bool:
        """True where the object of this name is a result that was sent from here."""
        return name in self._own

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if not isinstance(entry, dict) or entry.get("archive") != self._archive:
            return
        name, sha256, stored = entry.get("name"), entry.get("sha256"), entry.get("stored")
        if isinstance(name, str) and isinstance(sha256, str):
            self._contents[name] = sha256
        if isinstance(name, str) and isinstance(stored, str):
            self._stored.add(stored)
            self._own.add(name)

    def _append(self, entry: dict[str, str]) -> None:
        line = json.dumps({"archive": self._archive, **entry}) + "\n"
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(f"\n{line}" if self._is_torn else line)
            stream.flush()
            os.fsync(stream.fileno())
        self._is_torn = False
