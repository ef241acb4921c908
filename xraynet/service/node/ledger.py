"""The films whose files are gone: one line each, so that a film sent again after months is still known."""

from collections import Counter
from pathlib import Path

from xraynet.findings import OutcomeStatus
from xraynet.service.node.film_store import append_line, read_lines
from xraynet.service.node.records import LedgerLine, from_json, to_json


class Ledger:
    """``ledger.jsonl``. Not safe for several threads at once: the queue guards it."""

    def __init__(self, path: Path) -> None:
        """Read the ledger. Raises ServiceError where a line is none of it."""
        self._path = path
        self._films: dict[str, bool] = {}
        self._of_uid: dict[str, set[str]] = {}
        self._counts: Counter[OutcomeStatus] = Counter()
        for text in read_lines(path):
            self._note(from_json(LedgerLine, text, where=path))

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._films

    def films_of(self, uid_digest: str) -> set[str]:
        """The SHA-256 of all removed films with this SOP Instance UID."""
        return self._of_uid.get(uid_digest, set())

    def has_results(self, uid_digest: str) -> bool:
        """Whether results about this SOP Instance UID went to the archive."""
        return any(self._films[sha256] for sha256 in self.films_of(uid_digest))

    def counts(self) -> Counter[OutcomeStatus]:
        """How many of the removed films were ok, refused and failed."""
        return Counter(self._counts)

    def append(self, line: LedgerLine) -> None:
        """Add a film, on disk before this returns."""
        append_line(self._path, to_json(line))
        self._note(line)

    def _note(self, line: LedgerLine) -> None:
        if line.sha256 not in self._films:
            self._counts[line.status] += 1
        self._films[line.sha256] = line.has_results
        self._of_uid.setdefault(line.uid_digest, set()).add(line.sha256)
