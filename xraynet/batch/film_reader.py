"""One decoded film on its way to an outcome: read, its files written, and whatever goes wrong told as an outcome."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import xraynet
from xraynet.batch.decode import DecodedFilm
from xraynet.batch.dicom_results import ResultSettings, results_of_film, results_of_refusal
from xraynet.batch.film_files import ModelFacts, render_film, write_film, write_objects
from xraynet.batch.options import FolderOptions, RunKey
from xraynet.batch.reading_folder import VISIT_NAME
from xraynet.batch.visit_record import encode_visit
from xraynet.checkpoint import Checkpoint
from xraynet.dicom_source import DicomSource, NoSource
from xraynet.errors import FilmError, FilmRefused
from xraynet.findings import Outcome, OutcomeStatus
from xraynet.inference.predictor import Analysis, Predictor
from xraynet.ingest.visit_keys import VisitKeys, visit_keys
from xraynet.radiograph import Radiograph
from xraynet.reporting.colour import ColourScale
from xraynet.reporting.dicom_object import DicomObject
from xraynet.reporting.words import OperatingFacts, describe_gate


def facts_of_checkpoint(checkpoint: Checkpoint) -> ModelFacts:
    """What documents say of a checkpoint's operating point."""
    point = checkpoint.settings.operating_point
    rule = f" (rule {point.rule})" if point.rule else ""
    operating = OperatingFacts(
        threshold=point.threshold,
        sensitivity=point.sensitivity,
        low=point.sensitivity_low,
        high=point.sensitivity_high,
        measured_on=f"{point.calibrated_on}{rule}" if point.calibrated_on else "",
        false_positives_per_normal_film=point.false_positives_per_normal_film,
    )
    return ModelFacts(operating=operating, scale=ColourScale.of_threshold(point.threshold))


def reading_folder(out: Path, reading_id: str) -> Path:
    """Where the files of a reading lie in a folder of results."""
    return out / "readings" / reading_id


@dataclass(frozen=True, eq=False)
class FilmReader:
    """The one road from a decoded film to its outcome, for a run over a folder and for whatever else reads films.

    ``take_objects`` hears the DICOM results of a film in place of their being written beside its reading.
    """

    predictor: Predictor
    out: Path
    options: FolderOptions
    facts: ModelFacts
    take_objects: Callable[[tuple[DicomObject, ...]], None] | None = None

    @classmethod
    def of(
        cls,
        predictor: Predictor,
        *,
        out: Path,
        options: FolderOptions,
        take_objects: Callable[[tuple[DicomObject, ...]], None] | None = None,
    ) -> "FilmReader":
        """The reader that writes what ``options`` ask for into ``out``."""
        facts = facts_of_checkpoint(predictor.checkpoint)
        return cls(predictor=predictor, out=out, options=options, facts=facts, take_objects=take_objects)

    @property
    def key(self) -> RunKey:
        """All that the results depend on, besides the films."""
        return RunKey(
            checkpoint=self.predictor.checkpoint.fingerprint,
            lungs=self.predictor.lungs.fingerprint,
            precision=self.predictor.precision,
            version=xraynet.__version__,
            options=self.options,
        )

    @property
    def results(self) -> ResultSettings:
        """Which DICOM results are written, and who speaks in them."""
        return ResultSettings.of(self.predictor, facts=self.facts, options=self.options)

    def conclude(self, decoded: DecodedFilm, *, shown: str, sha256: str, started_at: float) -> Outcome:
        """Read one film and write its files; ``shown`` is what the film is called, ``started_at`` of ``perf_counter``.

        Never raises for what is wrong with the film; an OSError of the disk that the files go to is the caller's.
        """
        status: OutcomeStatus
        try:
            if isinstance(decoded.film, FilmError):
                self._report_refusal(decoded.film, decoded.source, sha256=sha256)
                raise decoded.film
            analysis, files = self._read(decoded.film, decoded.source, shown=shown, sha256=sha256)
        except FilmError as error:
            status = "refused" if isinstance(error, FilmRefused) else "failed"
            code, reason = error.code, error.reason
        except Exception as error:  # the one boundary where a file may fail in any way, and the run goes on
            status, code, reason = "failed", "internal-error", f"xraynet broke on this film with {type(error).__name__}"
        else:
            write_film(reading_folder(self.out, sha256[:16]), analysis, files)
            reading = analysis.reading
            status = reading.status
            code = "" if status == "ok" else f"gate.{reading.gate.reasons[0]}"
            reason = "" if status == "ok" else describe_gate(reading.gate.reasons)
        return Outcome(
            path=shown,
            id=sha256[:16],
            sha256=sha256,
            status=status,
            code=code,
            reason=reason,
            elapsed_s=round(time.perf_counter() - started_at, 3),
        )

    def _read(
        self, film: Radiograph, source: DicomSource | NoSource, *, shown: str, sha256: str
    ) -> tuple[Analysis, dict[str, bytes]]:
        film = replace(film, path="" if self.options.hash_paths else shown, sha256=sha256)
        if self.options.dicom_results and isinstance(source, NoSource) and source.is_dicom:
            film = replace(film, warnings=(*film.warnings, f"The film has no DICOM results: {source.reason}."))
        analysis = self.predictor.analyse(film, enforce_gate=self.options.enforce_gate)
        visits = self.options.visits
        keys = visit_keys(film.identity, salt=visits.salt) if visits is not None else VisitKeys()
        files = render_film(film, analysis, facts=self.facts, options=self.options, study_key=keys.study_key)
        if visits is not None:
            files[VISIT_NAME] = encode_visit(keys, visits)
        if self.options.dicom_results and isinstance(source, DicomSource):
            objects = results_of_film(source, film, analysis, settings=self.results)
            if self.take_objects is not None:
                self.take_objects(objects)
            else:
                files |= {item.name: item.content for item in objects}
        return analysis, files

    def _report_refusal(self, error: FilmError, source: DicomSource | NoSource, *, sha256: str) -> None:
        """A radiograph refused at the door gets a report that says so, where reports are wanted; nothing else does."""
        if isinstance(source, DicomSource):
            objects = results_of_refusal(source, error, sha256=sha256, settings=self.results)
            if self.take_objects is not None:
                self.take_objects(objects)
            else:
                write_objects(reading_folder(self.out, sha256[:16]), objects)
