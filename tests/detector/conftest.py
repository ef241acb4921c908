"""A small detector and films of bright discs."""

import pytest
import torch

from xraynet.detector import Detector, DetectorConfig


@pytest.fixture
def tiny_config() -> DetectorConfig:
    return DetectorConfig(backbone="test_resnet", channels=16, head_depth=1)


@pytest.fixture
def tiny_detector(tiny_config: DetectorConfig) -> Detector:
    torch.manual_seed(0)
    return Detector(tiny_config)
