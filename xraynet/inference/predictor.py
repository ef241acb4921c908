"""The predictor: from a film to a reading, through gate, lung fields, preparation and detector.

>>> import xraynet
>>> predictor = xraynet.Predictor.from_checkpoint()  # doctest: +SKIP
>>> reading = predictor.read(xraynet.read_radiograph("film.dcm"))  # doctest: +SKIP
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray

from xraynet.checkpoint import Checkpoint, find_shipped_checkpoint, read_checkpoint
from xraynet.detector.decode import decode_detections
from xraynet.detector.network import Detector
from xraynet.detector.views import read_films
from xraynet.findings import FilmFacts, FilmSource, Finding, GateVerdict, NoduleDetections, Reading
from xraynet.geometry import Boxes, clip_boxes, diameters_mm
from xraynet.inference.heatmap import ScoreMap
from xraynet.lung_frame import LungBoxes
from xraynet.lungs.fields import LungFields
from xraynet.lungs.segmenter import LungSegmenter, shipped_lungs
from xraynet.lungs.zones import locate_finding
from xraynet.preparation import PreparedFilm, ScaleSource, prepare_film
from xraynet.radiograph import Radiograph

Precision = Literal["float32", "bfloat16"]

_SCALE_WARNINGS: dict[ScaleSource, str] = {
    "lungs": "The film has no pixel spacing: sizes are in pixels, and the detector's scale was taken from the lung fields.",
    "film": "The film has no pixel spacing and no lung fields were found: the detector's scale was taken from the film's size.",
}
# A film that is turned shows the patient's right anywhere, and the lungs of a film that is none of ours are no lungs.
_NO_PLACES: Final = "The gate would not have let this film pass: sides and zones are not stated."


@dataclass(frozen=True, eq=False)
class Analysis:
    """A reading and the evidence behind it. ``heat`` is None where the film was not analysed."""

    reading: Reading
    heat: ScoreMap | None

    @property
    def score_map(self) -> Float32[NDArray[np.float32], "height width"] | None:
        """The calibrated scores over the film's stored pixels."""
        return self.heat.stored() if self.heat is not None else None


@dataclass(frozen=True, eq=False)
class Predictor:
    """A detector and a lung-field segmenter, ready to read films one by one."""

    checkpoint: Checkpoint
    detector: Detector
    lungs: LungSegmenter
    device: torch.device
    precision: Precision = "float32"

    @classmethod
    def from_checkpoint(
        cls,
        path: Path | str | None = None,
        *,
        lungs: LungSegmenter | None = None,
        device: str = "cpu",
        precision: Precision = "float32",
    ) -> "Predictor":
        """The predictor of a checkpoint file; without ``path``, of the checkpoint that xraynet ships.

        ``lungs``: the segmenter, by default the shipped one. ``precision``: what the network computes in.
        Raises CheckpointError where the file is missing, damaged or of another kind, ValueError for an unknown device.
        """
        checkpoint = read_checkpoint(path if path is not None else find_shipped_checkpoint())
        place = _find_device(device)
        detector = checkpoint.build_detector().to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(
            checkpoint=checkpoint,
            detector=detector,
            lungs=lungs if lungs is not None else shipped_lungs(),
            device=place,
            precision=precision,
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What holds for every film: the lungs are not those that the checkpoint was made with, for example."""
        expected = self.checkpoint.settings.lungs_fingerprint
        if expected is None or expected == self.lungs.fingerprint:
            return ()
        return (
            f"The checkpoint was made with lung fields {expected[:16]}; {self.lungs.fingerprint[:16]} are in use: "
            "scales of films without spacing, zones and the gate may differ.",
        )

    def read(self, radiograph: Radiograph, *, enforce_gate: bool = True) -> Reading:
        """What the detector says of one film."""
        return self.analyse(radiograph, enforce_gate=enforce_gate).reading

    def analyse(self, radiograph: Radiograph, *, enforce_gate: bool = True) -> Analysis:
        """The reading of one film and its score map.

        A film that the gate does not let through is refused and not analysed, unless ``enforce_gate`` is False.
        """
        verdict, fields = self.lungs.judge(radiograph)
        if enforce_gate and not verdict.passed:
            return Analysis(reading=self._write_up(radiograph, verdict), heat=None)
        prepared = prepare_film(radiograph, self.checkpoint.settings.preparation, lung_box=fields.box)
        detections, heat = self.detect(prepared)
        findings = self._describe(radiograph, detections, fields=fields if verdict.passed else None)
        scale = _SCALE_WARNINGS.get(prepared.scale_source)
        warnings = (*(() if scale is None else (scale,)), *(() if verdict.passed else (_NO_PLACES,)))
        return Analysis(
            reading=self._write_up(
                radiograph,
                verdict,
                findings=findings,
                film_score=findings[0].score if findings else 0.0,
                warnings=warnings,
                enforced=enforce_gate,
                lungs=replace(fields.boxes, mirrored=fields.mirrored or radiograph.mirrored) if verdict.passed else None,
            ),
            heat=heat,
        )

    @torch.inference_mode()
    def detect(self, prepared: PreparedFilm) -> tuple[NoduleDetections, ScoreMap]:
        """The detector alone, on a prepared film: detections in stored pixels, and the score map."""
        settings = self.checkpoint.settings
        film = torch.from_numpy(np.ascontiguousarray(prepared.pixels))[None, None].to(self.device)
        film = film.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"):
            output = read_films(self.detector, film, config=settings.decoding)
        boxes_net, scores = decode_detections(output, config=settings.decoding, calibration=settings.calibration)[0]
        boxes = prepared.letterbox.boxes_to_stored(boxes_net.float().cpu().numpy())
        boxes = clip_boxes(boxes, size=prepared.letterbox.stored_size).round(2)
        inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        detections = NoduleDetections(boxes=boxes, scores=scores.float().cpu().numpy()).select(inside)
        scores_net = settings.calibration.apply(output.score_logits[0, 0]).float().cpu().numpy()
        return detections, ScoreMap(scores_net=scores_net, letterbox=prepared.letterbox)

    def _describe(
        self, radiograph: Radiograph, detections: NoduleDetections, *, fields: LungFields | None
    ) -> tuple[Finding, ...]:
        """The detections as findings; without ``fields`` their places are not stated."""
        threshold = self.checkpoint.settings.operating_point.threshold
        sizes = _sizes_mm(radiograph, detections.boxes)
        findings = []
        for box, score, size in zip(detections.boxes, detections.scores, sizes, strict=True):
            x1, y1, x2, y2 = (round(float(edge), 2) for edge in box)
            side, zone = (
                (None, None) if fields is None else locate_finding((x1, y1, x2, y2), fields, mirrored=radiograph.mirrored)
            )
            findings.append(
                Finding(
                    box=(x1, y1, x2, y2),
                    score=float(score),
                    reported=bool(score >= threshold),
                    diameter_mm=size,
                    side=side,
                    zone=zone,
                )
            )
        return tuple(findings)

    def _write_up(
        self,
        radiograph: Radiograph,
        verdict: GateVerdict,
        *,
        findings: tuple[Finding, ...] = (),
        film_score: float | None = None,
        warnings: tuple[str, ...] = (),
        enforced: bool = True,
        lungs: LungBoxes | None = None,
    ) -> Reading:
        height, width = radiograph.size
        spacing = radiograph.spacing
        return Reading(
            source=FilmSource(path=radiograph.path or None, sha256=radiograph.sha256),
            status="ok" if film_score is not None else "refused",
            image=FilmFacts(
                height=height,
                width=width,
                spacing_mm=spacing.row_column_mm if spacing is not None else None,
                spacing_plane=spacing.plane if spacing is not None else None,
                view_position=radiograph.view_position,
            ),
            gate=verdict,
            film_score=film_score,
            detections=findings,
            warnings=(*radiograph.warnings, *verdict.warnings, *warnings, *self.warnings),
            checkpoint=self.checkpoint.identity,
            operating_threshold=self.checkpoint.settings.operating_point.threshold,
            gate_enforced=enforced,
            lungs=lungs,
        )


def _find_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device is '{name}'; one that torch knows was expected (cpu, cuda, cuda:1, mps)") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device is '{name}'; torch sees {torch.cuda.device_count()} CUDA devices")
    return device


def _sizes_mm(radiograph: Radiograph, boxes: Boxes) -> list[float | None]:
    if radiograph.spacing is None:
        return [None] * len(boxes)
    return [round(float(size), 1) for size in diameters_mm(boxes, spacing_mm=radiograph.spacing.row_column_mm)]
