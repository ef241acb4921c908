"""The nodule detector: a fully convolutional network that gives every place on a film a nodule score and a box."""

from xraynet.detector.calibration import Calibration
from xraynet.detector.decode import DecodeConfig, decode_detections
from xraynet.detector.network import Detector, DetectorConfig, DetectorOutput

__all__ = ["Calibration", "DecodeConfig", "Detector", "DetectorConfig", "DetectorOutput", "decode_detections"]
