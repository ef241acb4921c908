"""The DICOM results of one film: report, picture and marks, ready to be written beside its reading or sent to an archive.

``DecodeRequest(..., with_source=True)`` brings a film's header along; ``results_of_film`` makes the objects of a film that
was analysed or held back by the gate, ``results_of_refusal`` those of a radiograph that was refused before.
"""

from dataclasses import dataclass
from typing import Final

from xraynet.batch.film_files import ModelFacts
from xraynet.batch.options import FolderOptions
from xraynet.dicom_source import DicomSource
from xraynet.errors import FilmError, FilmRefused
from xraynet.inference.predictor import Analysis, Predictor
from xraynet.ingest.dicom_quiet import quiet_pydicom
from xraynet.radiograph import Radiograph
from xraynet.reporting.capture import draw_capture
from xraynet.reporting.dicom_gsps import make_presentation_state
from xraynet.reporting.dicom_kinds import DicomKind
from xraynet.reporting.dicom_object import DicomObject, ResultContext, ResultModel
from xraynet.reporting.dicom_sc import make_secondary_capture
from xraynet.reporting.dicom_sr import make_refusal_report, make_report
from xraynet.reporting.frame import SHORTEST_LONG_SIDE, DisplayFrame
from xraynet.reporting.window import show_film

_REPORTED_REFUSALS: Final = frozenset({"for-processing", "multi-frame", "true-colour"})
_RADIOGRAPHS: Final = frozenset({"CR", "DX", "RG"})


@dataclass(frozen=True)
class ResultSettings:
    """Which results are wanted, and who speaks in them."""

    kinds: frozenset[DicomKind]
    model: ResultModel
    facts: ModelFacts

    @classmethod
    def of(cls, predictor: Predictor, *, facts: ModelFacts, options: FolderOptions) -> "ResultSettings":
        """The settings of a run: everything that changes what is said of a film goes into the results' UIDs."""
        gate = "gate enforced" if options.enforce_gate else "gate not enforced"
        spacing = "" if options.spacing_mm is None else ", films without spacing {:g} x {:g} mm".format(*options.spacing_mm)
        model = ResultModel(
            checkpoint=predictor.checkpoint.identity,
            lungs=predictor.lungs.fingerprint,
            configuration=f"{predictor.precision}, {gate}{spacing}",
        )
        return cls(kinds=options.dicom_results, model=model, facts=facts)


def results_of_film(
    source: DicomSource, radiograph: Radiograph, analysis: Analysis, *, settings: ResultSettings
) -> tuple[DicomObject, ...]:
    """The objects of a film, in the order sr, sc, pr. A film that the gate held back has a report only: nothing to show."""
    context = ResultContext(source=source, sha256=radiograph.sha256, model=settings.model)
    reading, facts = analysis.reading, settings.facts
    results = []
    with quiet_pydicom():
        if "sr" in settings.kinds:
            results.append(make_report(reading, context=context, facts=facts.operating))
        if analysis.heat is None:
            return tuple(results)
        if "sc" in settings.kinds:
            spacing = radiograph.spacing.row_column_mm if radiograph.spacing is not None else None
            frame = DisplayFrame.of(radiograph.size, spacing_mm=spacing, least=SHORTEST_LONG_SIDE)
            picture = draw_capture(
                frame.show(show_film(radiograph)),
                analysis.heat.resized(frame.size),
                reading=reading,
                frame=frame,
                scale=facts.scale,
                facts=facts.operating,
            )
            results.append(make_secondary_capture(picture, context=context))
        if "pr" in settings.kinds:
            results.append(make_presentation_state(radiograph, reading, context=context))
    return tuple(results)


def has_refusal_report(error: FilmError, source: DicomSource) -> bool:
    """True for a radiograph that was refused for what it is: its study should say that it was not analysed, and why.

    A CT, a picture of somebody else's, and our own results get no report; nor does a damaged file, which may be sent again.
    """
    return isinstance(error, FilmRefused) and error.code in _REPORTED_REFUSALS and source.modality in _RADIOGRAPHS


def results_of_refusal(
    source: DicomSource, error: FilmError, *, sha256: str, settings: ResultSettings
) -> tuple[DicomObject, ...]:
    """The report of a radiograph refused at the door, where one is wanted and it gets one; else nothing."""
    if "sr" not in settings.kinds or not has_refusal_report(error, source):
        return ()
    with quiet_pydicom():
        return (make_refusal_report(error.reason, context=ResultContext(source, sha256, settings.model)),)
