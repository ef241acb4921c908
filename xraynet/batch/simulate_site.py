"""Known nodules in a site's own normal films: how many of them does a detector find, without a single label?

Each film is read twice, as it is and with nodules drawn into it. What is drawn depends on the seed and on the film's
content only, so that two detectors can be compared on the same nodules, in any order of files.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

import xraynet
from xraynet.batch.decode import DecodeRequest, DecodeWorker
from xraynet.batch.site_options import MATCH_RULE, SiteOptions
from xraynet.batch.site_pictures import picture_nodule, write_film_png
from xraynet.batch.site_results import NoduleRecord, SiteFilm, SiteResult
from xraynet.errors import FilmError, FilmFailed, FilmRefused, XraynetError
from xraynet.evaluation.films import ScoredFilm
from xraynet.evaluation.matching import MatchTable, match_films
from xraynet.evaluation.rules import parse_rule
from xraynet.findings import GateVerdict, NoduleAnnotations, Outcome, OutcomeStatus, Reading
from xraynet.inference.predictor import Predictor
from xraynet.ingest.discover import FoundFile, find_films
from xraynet.ingest.limits import DecodeLimits
from xraynet.ingest.read import sha256_of_film
from xraynet.lungs.fields import LungFields
from xraynet.radiograph import Radiograph
from xraynet.reporting.words import describe_gate
from xraynet.simulation.film import SimulatedFilm, annotate_nodules, simulate_stored
from xraynet.simulation.grey import contrast_to_noise, inside_share

CLEAR_LUNG: Final = "clear lung"
HIDDEN_LUNG: Final = "behind heart or diaphragm"


@dataclass(frozen=True, eq=False)
class MissedNodule:
    """A nodule that was not found, with its surroundings before and after it was drawn (8-bit PNG, side by side)."""

    record: NoduleRecord
    picture: bytes


@dataclass(frozen=True, eq=False)
class SiteRun:
    """A run's result, and the plainest nodules that it missed."""

    result: SiteResult
    missed: tuple[MissedNodule, ...]


def simulate_site(
    paths: Iterable[Path | str],
    *,
    predictor: Predictor,
    out: Path,
    options: SiteOptions,
    num_missed_shown: int = 12,
    on_outcome: Callable[[Outcome, int], None] | None = None,
) -> SiteRun:
    """Draw nodules into every film under ``paths`` and see which of them the detector finds.

    Films that the gate holds back are listed, not used; a file met twice counts once. ``on_outcome`` hears each outcome
    and how many files there are. Raises XraynetError where there is no file at all. Saved films lie in ``out/films``.
    """
    found = list(find_films(paths, exclude=(out,)))
    if not found:
        raise XraynetError(f"no files were found under {', '.join(str(path) for path in paths)}")
    run = _SiteRun(predictor, out=out, options=options, num_missed_shown=num_missed_shown)
    with DecodeWorker(limit_s=options.decode_limit_s) as worker:
        for file in found:
            outcome = run.settle(file, worker)
            if on_outcome is not None:
                on_outcome(outcome, len(found))
    return run.conclude()


class _SiteRun:
    def __init__(self, predictor: Predictor, *, out: Path, options: SiteOptions, num_missed_shown: int) -> None:
        self.predictor = predictor
        self.out = out
        self.options = options
        self.rule = parse_rule(MATCH_RULE)
        self.threshold = predictor.checkpoint.settings.operating_point.threshold
        self._limits = DecodeLimits.of_megapixels(options.max_megapixels)
        self._num_missed_shown = num_missed_shown
        self._nodules: list[NoduleRecord] = []
        self._films: list[SiteFilm] = []
        self._outcomes: list[Outcome] = []
        self._missed: list[MissedNodule] = []
        self._of_content: dict[str, Outcome] = {}
        self._num_duplicates = 0

    def settle(self, file: FoundFile, worker: DecodeWorker) -> Outcome:
        """One file, from disk to its outcome; whatever breaks costs this file alone."""
        started_at, sha256 = time.perf_counter(), ""
        status: OutcomeStatus
        status, code, reason = "ok", "", ""
        try:
            sha256 = _fingerprint(file.path)
            if sha256 in self._of_content:
                self._num_duplicates += 1
                return self._keep(replace(self._of_content[sha256], path=self._name(file, sha256)), count=False)
            self._use(self._decode(file, worker), path=self._name(file, sha256), sha256=sha256)
        except _HeldBack as held:
            status, code, reason = "refused", f"gate.{held.verdict.reasons[0]}", describe_gate(held.verdict.reasons)
        except FilmError as error:
            status = "refused" if isinstance(error, FilmRefused) else "failed"
            code, reason = error.code, error.reason
        except Exception as error:  # the one boundary where a file may fail in any way, and the run goes on
            status, code, reason = "failed", "internal-error", f"xraynet broke on this film with {type(error).__name__}"
        outcome = Outcome(
            path=self._name(file, sha256),
            id=sha256[:16],
            sha256=sha256,
            status=status,
            code=code,
            reason=reason,
            elapsed_s=round(time.perf_counter() - started_at, 3),
        )
        return self._keep(outcome, count=bool(sha256))

    def _keep(self, outcome: Outcome, *, count: bool) -> Outcome:
        self._outcomes.append(outcome)
        if count:
            self._of_content[outcome.sha256] = outcome
        return outcome

    def _name(self, file: FoundFile, sha256: str) -> str:
        return (sha256[:16] or "unreadable") if self.options.hash_paths else file.relative

    def _decode(self, file: FoundFile, worker: DecodeWorker) -> Radiograph:
        request = DecodeRequest(path=file.path, limits=self._limits, spacing_mm=self.options.spacing_mm)
        decoded = worker.take(worker.ask(request))
        if isinstance(decoded, FilmError):
            raise decoded
        return decoded

    def _use(self, radiograph: Radiograph, *, path: str, sha256: str) -> None:
        radiograph = replace(radiograph, path=path, sha256=sha256)
        verdict, fields = self.predictor.lungs.judge(radiograph)
        if not verdict.passed:
            raise _HeldBack(verdict)
        # The film's own content joins the seed: its nodules do not depend on what other films there are.
        rng = np.random.default_rng([self.options.seed, int(sha256[:16], 16)])
        lungs = fields.mask_stored()
        drawn, film = simulate_stored(
            radiograph, lung_mask=lungs, rng=rng, config=self.options.simulation, num_nodules=self.options.num_per_film
        )
        before = self.predictor.read(radiograph, enforce_gate=False)
        after = self.predictor.read(drawn, enforce_gate=False)
        annotations = annotate_nodules(
            film.boxes, spacing_mm=radiograph.spacing.row_column_mm if radiograph.spacing is not None else None
        )
        table_before, table = (self._match(reading, annotations) for reading in (before, after))
        self._record(radiograph, drawn, film, annotations, fields=fields, tables=(table_before, table))
        self._films.append(
            SiteFilm(
                path=path,
                film_id=sha256[:16],
                height=radiograph.size[0],
                width=radiograph.size[1],
                spacing_mm=radiograph.spacing.row_column_mm if radiograph.spacing is not None else None,
                num_nodules=len(film.boxes),
                num_marks_before=len(before.reported),
                num_false_marks=int((table.false_scores >= self.threshold).sum()),
            )
        )
        if self.options.save_films:
            write_film_png(self.out / "films" / f"{sha256[:16]}.png", drawn)

    def _match(self, reading: Reading, annotations: NoduleAnnotations) -> MatchTable:
        film = ScoredFilm(key=reading.id, annotations=annotations, detections=reading.to_detections())
        return match_films([film], self.rule)

    def _record(
        self,
        before: Radiograph,
        drawn: Radiograph,
        film: SimulatedFilm,
        annotations: NoduleAnnotations,
        *,
        fields: LungFields,
        tables: tuple[MatchTable, MatchTable],
    ) -> None:
        shares = inside_share(film.boxes, fields.mask_stored())
        for index, (box, nodule) in enumerate(zip(film.boxes, film.nodules, strict=True)):
            earlier, score = (float(table.nodule_scores[index]) for table in tables)
            x1, y1, x2, y2 = (round(float(side), 2) for side in box)
            contrast, diameter = contrast_to_noise(drawn.pixels, box), annotations.diameter_mm[index]
            record = NoduleRecord(
                path=before.path,
                film_id=before.id,
                box=(x1, y1, x2, y2),
                diameter_mm=round(diameter, 1) if diameter is not None else None,
                contrast_to_noise=round(contrast, 3) if contrast is not None else None,
                kind=nodule.kind,
                place=CLEAR_LUNG if shares[index] >= 0.5 else HIDDEN_LUNG,
                score=round(score, 5) if score >= 0 else None,
                score_before=round(earlier, 5) if earlier >= 0 else None,
                found=score >= self.threshold,
                found_before=earlier >= self.threshold,
            )
            self._nodules.append(record)
            if not record.found:
                self._show_missed(MissedNodule(record, picture=picture_nodule(before, drawn, box)))

    def _show_missed(self, missed: MissedNodule) -> None:
        self._missed.append(missed)
        self._missed.sort(key=lambda item: -(item.record.contrast_to_noise or 0.0))
        del self._missed[self._num_missed_shown :]

    def conclude(self) -> SiteRun:
        """The result of all files."""
        result = SiteResult(
            checkpoint=self.predictor.checkpoint.identity,
            threshold=self.threshold,
            xraynet_version=xraynet.__version__,
            settings=self.options.to_tables(),
            nodules=tuple(self._nodules),
            films=tuple(self._films),
            outcomes=tuple(self._outcomes),
            num_duplicates=self._num_duplicates,
            warnings=self.predictor.warnings,
        )
        return SiteRun(result=result, missed=tuple(self._missed))


class _HeldBack(Exception):
    def __init__(self, verdict: GateVerdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict


def _fingerprint(path: Path) -> str:
    try:
        return sha256_of_film(path)
    except OSError as error:
        raise FilmFailed(f"the file cannot be opened ({type(error).__name__})", code="not-found") from error
