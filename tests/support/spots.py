"""A detector that needs no training: it marks bright round spots. And lungs that let every film pass, or none."""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor, nn

from xraynet.checkpoint import Checkpoint, CheckpointSettings, OperatingPoint, Provenance
from xraynet.detector.network import Detector, DetectorConfig, DetectorOutput
from xraynet.findings import GateVerdict
from xraynet.inference.predictor import Predictor
from xraynet.lungs.config import GateThresholds, LungsConfig
from xraynet.lungs.fields import LungFields
from xraynet.lungs.network import LungsNetwork
from xraynet.lungs.segmenter import LungSegmenter
from xraynet.preparation import prepare_thumbnail
from xraynet.radiograph import Radiograph, ViewPosition

OPERATING_POINT = OperatingPoint(
    threshold=0.3,
    false_positives_per_normal_film=0.25,
    sensitivity=0.63,
    sensitivity_low=0.51,
    sensitivity_high=0.74,
    calibrated_on="120 synthetic films",
    rule="node21",
)


class SpotDetector(Detector):
    """High where a location is brighter than its surroundings by a good part of the film's grey range."""

    def __init__(self, *, side_px: float = 16.0) -> None:
        nn.Module.__init__(self)
        self.config = DetectorConfig()
        self.side_px = side_px

    def forward(self, films: Tensor) -> DetectorOutput:
        coarse = functional.avg_pool2d(films, 4)
        near = functional.avg_pool2d(coarse, 3, stride=1, padding=1, count_include_pad=False)
        around = functional.avg_pool2d(coarse, 15, stride=1, padding=7, count_include_pad=False)
        logits = ((near - around) - 0.15) * 25
        return DetectorOutput(score_logits=logits, box_distances=torch.full_like(logits, self.side_px / 2).repeat(1, 4, 1, 1))


class OpenLungs(LungSegmenter):
    """Two lungs in the left and right third of every film; the gate holds back what is named."""

    def judge(self, radiograph: Radiograph) -> tuple[GateVerdict, LungFields]:
        prepared = prepare_thumbnail(radiograph, side_px=self.config.side_px, grey=self.config.grey)
        probability = np.zeros((self.config.side_px,) * 2, dtype=np.float32)
        side = self.config.side_px
        probability[side // 6 : side * 5 // 6, side // 8 : side * 7 // 16] = 1
        probability[side // 6 : side * 5 // 6, side * 9 // 16 : side * 7 // 8] = 1
        fields = LungFields(probability=probability, letterbox=prepared.letterbox, mirrored=radiograph.mirrored)
        if radiograph.view_position is ViewPosition.LATERAL:
            return GateVerdict(passed=False, reasons=("lateral",)), fields
        return GateVerdict(passed=True), fields


def make_lungs() -> OpenLungs:
    """Lungs with untrained networks that nobody asks."""
    torch.manual_seed(0)
    config = LungsConfig(side_px=64, segmenter_widths=(2, 2), gate_widths=(2, 2))
    made = LungSegmenter.of_network(LungsNetwork(config), config=config, thresholds=GateThresholds(), provenance={})
    return OpenLungs(
        network=made.network, config=config, thresholds=made.thresholds, provenance={}, fingerprint=made.fingerprint
    )


def make_checkpoint(**changes: object) -> Checkpoint:
    """A checkpoint without weights, of a detector that is put beside it."""
    settings = replace(CheckpointSettings(operating_point=OPERATING_POINT), **changes)
    return Checkpoint(name="spots", settings=settings, weights={}, provenance=Provenance(versions={"xraynet": "0.1.0"}))


def make_predictor(**changes: object) -> Predictor:
    """A predictor that marks bright spots."""
    return Predictor(
        checkpoint=make_checkpoint(**changes), detector=SpotDetector(), lungs=make_lungs(), device=torch.device("cpu")
    )


def spot_film(
    *spots: tuple[int, int], size: tuple[int, int] = (400, 320), radius: float = 9.0, level: int = 1100, seed: int = 0
) -> NDArray[np.uint16]:
    """A 12-bit film of smooth noise with bright round spots at (x, y): what the spot detector finds."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    film = 600 + 1800 * np.sin(np.pi * x / size[1]) * np.sin(np.pi * y / size[0]) + rng.normal(0, 8, size)
    for spot_x, spot_y in spots:
        film += level * np.exp(-(((x - spot_x) ** 2 + (y - spot_y) ** 2) / (2 * (radius / 1.5) ** 2)))
    return np.clip(film, 0, 4095).astype(np.uint16)
