"""What a run over a folder is asked to do, and the key by which a later run knows that it was asked the same."""

import hashlib
import json
import math
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from typing import Final, Literal, get_args

from xraynet.batch.visit_record import VisitOptions
from xraynet.reporting.dicom_kinds import ALL_DICOM_KINDS, DicomKind
from xraynet.reporting.language import Language, Paper
from xraynet.reporting.language_files import english

Output = Literal["reading", "heatmap", "overlay", "report", "index", "csv"]
ALL_OUTPUTS: Final[tuple[Output, ...]] = get_args(Output)


def check_limits(*, max_megapixels: float, decode_limit_s: float) -> None:
    """Raises ValueError where a limit is no finite number above 0 (a NaN passes every plain comparison)."""
    if not (0 < max_megapixels < math.inf and 0 < decode_limit_s < math.inf):
        raise ValueError(f"limits are {max_megapixels} megapixels and {decode_limit_s} s; both must be above 0 and finite")


@dataclass(frozen=True)
class FolderOptions:
    """How films are read and what is written of each.

    ``outputs``: reading.json and outcomes.jsonl are always written, for a run goes on from them. ``spacing_mm``:
    (row, column) for films that state none. ``identify`` prints the patient's identity; ``hash_paths`` removes the
    user's paths. ``decode_limit_s``: how long one file may take to become a film. ``dicom_results``: what is written of
    DICOM films as DICOM, beside the reading: report (``sr``), picture (``sc``), marks (``pr``). ``language``: of what
    people read; ``pdf`` writes a report.pdf, too, on ``paper`` (by default the language's own). ``visits``: how films of a
    visit, and earlier films, are found; None makes no page of a visit.
    """

    outputs: frozenset[Output] = frozenset(ALL_OUTPUTS)
    spacing_mm: tuple[float, float] | None = None
    enforce_gate: bool = True
    identify: bool = False
    hash_paths: bool = False
    save_map: bool = False
    max_megapixels: float = 200.0
    decode_limit_s: float = 120.0
    dicom_results: frozenset[DicomKind] = frozenset()
    language: Language = field(default_factory=english)
    pdf: bool = False
    paper: Paper | None = None
    visits: VisitOptions | None = None

    def __post_init__(self) -> None:
        check_limits(max_megapixels=self.max_megapixels, decode_limit_s=self.decode_limit_s)
        if self.spacing_mm is not None and not all(0 < side < 100 for side in self.spacing_mm):
            raise ValueError(f"spacing is {self.spacing_mm} mm; row and column must lie between 0 and 100")

    def to_tables(self) -> dict[str, object]:
        """The options as plain values, as ``run.json`` keeps them."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            **values,
            "outputs": sorted(self.outputs),
            "dicom_results": sorted(self.dicom_results),
            "language": f"{self.language.code} {self.language.fingerprint[:16]}",
            # Not the catalogue: it decides what earlier films are shown, and no film's reading depends on it.
            "visits": self.visits.salt_fingerprint if self.visits is not None else None,
        }


DEFAULT_OPTIONS: Final = FolderOptions()


@dataclass(frozen=True)
class RunKey:
    """All that the result of a film depends on, besides the film."""

    checkpoint: str
    lungs: str
    precision: str
    version: str
    options: FolderOptions

    def to_tables(self) -> dict[str, object]:
        """The key's parts as plain values."""
        return {**{item.name: getattr(self, item.name) for item in fields(self)}, "options": self.options.to_tables()}

    @property
    def digest(self) -> str:
        """One fingerprint of all parts."""
        return hashlib.sha256(json.dumps(self.to_tables(), sort_keys=True).encode()).hexdigest()


def parse_outputs(text: str) -> frozenset[Output]:
    """The outputs named in ``reading,report,...``. Raises ValueError for a name that is none.

    >>> sorted(parse_outputs("report, csv"))
    ['csv', 'report']
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = sorted(set(names) - set(ALL_OUTPUTS))
    if unknown or not names:
        found = f"unknown output {', '.join(unknown)}" if unknown else "no output is named"
        raise ValueError(f"{found}; known outputs: {', '.join(ALL_OUTPUTS)}")
    return frozenset(output for output in ALL_OUTPUTS if output in names)


def parse_dicom_results(text: str) -> frozenset[DicomKind]:
    """The kinds of DICOM results named in ``sr,sc,pr``. Raises ValueError for a name that is none.

    >>> sorted(parse_dicom_results("sr, pr"))
    ['pr', 'sr']
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = sorted(set(names) - set(ALL_DICOM_KINDS))
    if unknown or not names:
        found = f"unknown DICOM result {', '.join(unknown)}" if unknown else "no DICOM result is named"
        raise ValueError(f"{found}; known: sr (report), sc (secondary capture), pr (presentation state)")
    return frozenset(kind for kind in ALL_DICOM_KINDS if kind in names)


def parse_paper(text: str) -> Paper:
    """The paper of that name. Raises ValueError where it is none."""
    for paper in get_args(Paper):
        if text.strip().lower() == paper:
            return "letter" if paper == "letter" else "a4"
    raise ValueError(f"paper is '{text}'; {' or '.join(get_args(Paper))} was expected")


def parse_spacing(text: str) -> tuple[float, float]:
    """(row, column) in mm from ``ROW,COL``. Raises ValueError where it is not two lengths.

    >>> parse_spacing("0.4,0.35")
    (0.4, 0.35)
    """
    try:
        row_mm, column_mm = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"spacing is '{text}'; two numbers ROW,COL in mm were expected") from None
    return row_mm, column_mm


def differing_parts(earlier: dict[str, object], now: dict[str, object]) -> Collection[str]:
    """The names of what differs between two keys' tables, options by their own names."""
    flat_earlier, flat_now = _flatten(earlier), _flatten(now)
    return sorted(name for name in flat_earlier.keys() | flat_now.keys() if flat_earlier.get(name) != flat_now.get(name))


def _flatten(tables: dict[str, object]) -> dict[str, object]:
    options = tables.get("options")
    rest = {name: value for name, value in tables.items() if name != "options"}
    return {**rest, **(options if isinstance(options, dict) else {})}
