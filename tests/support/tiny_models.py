"""A detector and lungs that read a film in milliseconds: untrained, reporting something on about half of the films."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from xraynet.checkpoint import Checkpoint, CheckpointSettings, OperatingPoint, write_checkpoint
from xraynet.detector.network import Detector, DetectorConfig
from xraynet.inference.predictor import Predictor
from xraynet.lungs.config import GateThresholds, LungsConfig
from xraynet.lungs.network import LungsNetwork
from xraynet.lungs.segmenter import LungSegmenter
from xraynet.preparation import PreparationConfig
from xraynet.radiograph import Radiograph

PREPARATION = PreparationConfig(mm_per_pixel=3.2, lung_side_px=85.0, film_long_side_px=128, largest_side_px=256)


@dataclass(frozen=True)
class TinyModels:
    """Where the two checkpoints lie."""

    detector: Path
    lungs: Path

    @property
    def options(self) -> list[str]:
        """The options of ``xraynet predict`` that name them."""
        return ["--checkpoint", str(self.detector), "--lungs", str(self.lungs)]


def write_tiny_models(folder: Path, films: list[Radiograph]) -> TinyModels:
    """Write both checkpoints. The gate refuses only blank films; the threshold is the median of the scores of ``films``."""
    models = TinyModels(detector=folder / "tiny.safetensors", lungs=folder / "lungs.safetensors")
    torch.manual_seed(0)
    config = LungsConfig(side_px=64, segmenter_widths=(2, 2), gate_widths=(2, 2))
    open_gate = GateThresholds(frontal=1e-6, displaced=1 - 1e-6, inverted=1 - 1e-6, flat_range=1e-6)
    lungs = LungSegmenter.of_network(LungsNetwork(config), config=config, thresholds=open_gate, provenance={})
    lungs.write(models.lungs)
    detector = Detector(DetectorConfig(backbone="test_resnet", channels=16, head_depth=1))
    with torch.no_grad():
        detector.head.score.weight *= 1000  # an untrained network hardly tells one place from another
    settings = CheckpointSettings(detector=detector.config, preparation=PREPARATION, lungs_fingerprint=lungs.fingerprint)
    checkpoint = Checkpoint("tiny", settings, detector.state_dict())
    write_checkpoint(models.detector, checkpoint)
    predictor = Predictor.from_checkpoint(models.detector, lungs=LungSegmenter.from_file(models.lungs))
    scores = [predictor.read(film).film_score for film in films]
    threshold = float(np.median([score for score in scores if score is not None]))
    settings = CheckpointSettings(
        detector=detector.config,
        preparation=PREPARATION,
        lungs_fingerprint=lungs.fingerprint,
        operating_point=OperatingPoint(threshold=threshold),
    )
    write_checkpoint(models.detector, checkpoint.with_settings(settings))
    return models
