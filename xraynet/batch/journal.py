"""``outcomes.jsonl``: one line an input file, appended as the run goes, so that a run cut off anywhere can go on."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Final, Literal

from xraynet.batch.options import RunKey, differing_parts
from xraynet.batch.visit_record import PRIORS_NAME, VISIT_PAGES, VISITS_NAME
from xraynet.errors import PredictionsError, XraynetError
from xraynet.files import remove_torn_files, write_text_atomically
from xraynet.findings import Outcome

OUTCOMES_NAME: Final = "outcomes.jsonl"
RUN_NAME: Final = "run.json"
NODE_NAME: Final = "node"
"""The folder in which a node beside the PACS keeps its queue, within its folder of results."""
_FIELDS: Final = frozenset(item.name for item in fields(Outcome))
_STATUSES: Final = ("ok", "refused", "failed")
_TABLES: Final = ("index.html", "index-*.html", "findings.csv", "films.csv", "failures.csv")


class Journal:
    """The outcomes of a folder of results: those of earlier runs under the same key, and those of this one."""

    def __init__(self, folder: Path, key: RunKey, *, other_key: Literal["clear", "keep"] = "clear") -> None:
        """Open the journal in ``folder``; ``restarted`` names what differs from the key of the results that are there.

        Those are cleared away, for a run reads its films again; ``other_key="keep"`` is for whoever cannot, and leaves
        each as it was read (every reading names its checkpoint).
        """
        self.folder = folder
        self.path = folder / OUTCOMES_NAME
        self.restarted: tuple[str, ...] = ()
        earlier = _read_tables(folder / RUN_NAME)
        now = {**key.to_tables(), "digest": key.digest}
        _remove_torn_results(folder)
        if earlier is not None and earlier.get("digest") != key.digest:
            self.restarted = tuple(name for name in differing_parts(earlier, now) if name != "digest")
            if other_key == "clear":
                _refuse_service_folder(folder, self.restarted)
                clear_results(folder)
        self._outcomes = {outcome.path: outcome for outcome in read_outcomes(self.path, torn="drop")}
        write_text_atomically(folder / RUN_NAME, json.dumps(now, indent=1) + "\n")
        self.compact()

    def find(self, path: str, sha256: str) -> Outcome | None:
        """What became earlier of this very file; None where it is new, has changed, or failed (it is tried again)."""
        outcome = self._outcomes.get(path)
        return outcome if outcome is not None and outcome.sha256 == sha256 and outcome.status != "failed" else None

    def append(self, outcome: Outcome) -> None:
        """Write one line, on disk before this returns."""
        self._outcomes[outcome.path] = outcome
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(_line(outcome))
            stream.flush()
            os.fsync(stream.fileno())

    def outcomes(self) -> list[Outcome]:
        """The last outcome of every path, in the order in which they were first met."""
        return list(self._outcomes.values())

    def compact(self) -> None:
        """Rewrite the file with one line a path, whole or not at all."""
        write_text_atomically(self.path, "".join(_line(outcome) for outcome in self._outcomes.values()))


def read_outcomes(path: Path, *, torn: str = "refuse") -> Iterator[Outcome]:
    """The outcomes in a file. A last line that was cut off by a crash is an error, or left out with ``torn="drop"``.

    Raises PredictionsError where another line is not an outcome.
    """
    if not path.is_file():
        return
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield _parse(line)
        except ValueError as error:
            if number == len(lines) and torn == "drop":
                return
            raise PredictionsError(f"{path}, line {number}: not an outcome: {error}") from error


def _parse(line: bytes) -> Outcome:
    values = json.loads(line)
    if not isinstance(values, dict) or not _FIELDS >= values.keys() or values.get("status") not in _STATUSES:
        raise ValueError(f"an object with {', '.join(sorted(_FIELDS))} was expected")
    try:
        return Outcome(**values)
    except TypeError as error:
        raise ValueError(str(error)) from error


def _line(outcome: Outcome) -> str:
    return json.dumps(asdict(outcome), ensure_ascii=False) + "\n"


def _read_tables(path: Path) -> dict[str, object] | None:
    try:
        tables = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return tables if isinstance(tables, dict) else {}


def clear_results(folder: Path) -> None:
    """Remove what an earlier run wrote into ``folder``, and nothing else."""
    for reading in _reading_folders(folder):
        shutil.rmtree(reading)
    for pattern in (*_TABLES, OUTCOMES_NAME, f"{VISITS_NAME}/{VISIT_PAGES}"):
        for path in folder.glob(pattern):
            path.unlink()


def _refuse_service_folder(folder: Path, differing: tuple[str, ...]) -> None:
    # The films that a node received are gone after a while, so its readings could not be made again.
    if (folder / NODE_NAME).is_dir():
        raise XraynetError(
            f"{folder}: the results of `xraynet listen` are kept there, made with another {', '.join(differing)}; "
            "give another folder"
        )


def _remove_torn_results(folder: Path) -> None:
    # What a killed run left half written may hold an identity, and nobody reads it.
    remove_torn_files(folder, (*_TABLES, OUTCOMES_NAME, RUN_NAME))
    remove_torn_files(folder / VISITS_NAME, (VISIT_PAGES,))
    for reading in _reading_folders(folder):
        remove_torn_files(reading, ("*",))


def _reading_folders(folder: Path) -> Iterator[Path]:
    for readings in (folder / "readings", folder / PRIORS_NAME):
        for reading in readings.iterdir() if readings.is_dir() else ():
            if len(reading.name) == 16 and set(reading.name) <= set("0123456789abcdef") and not reading.is_symlink():
                yield reading


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder of results while the block lasts. Raises XraynetError where one is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise XraynetError(f"{folder}: another run writes its results there; wait for it, or give another folder") from None
        yield
