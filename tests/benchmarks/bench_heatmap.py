"""What the heatmap costs on top of the detector's forward pass: nothing is run again, the score map is only resized.

``python tests/benchmarks/bench_heatmap.py`` prints one JSON object. The network is the default detector with random weights
(the cost does not depend on what they are) on 512 x 512 network pixels, a chest at 0.8 mm; the heatmap is the calibrated
score map over 2048 x 2048 stored pixels, float32. Forward pass and heatmap alternate. The target is an overhead under 5 %.
``colour_ms``, the PNG's colours, belongs to the report.
"""

import json
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch

from xraynet.detector.calibration import UNCALIBRATED
from xraynet.detector.network import Detector, DetectorConfig, DetectorOutput
from xraynet.geometry import Letterbox
from xraynet.inference.heatmap import ScoreMap
from xraynet.reporting.colour import ColourScale

NET_SIDE, STORED_SIDE = 512, 2048


def run(*, repeats: int = 7) -> dict[str, float | int | str]:
    """Median times in milliseconds and the heatmap's share of the forward pass, in percent."""
    torch.manual_seed(0)
    detector = Detector(DetectorConfig()).eval().to(memory_format=torch.channels_last)
    film = torch.rand(1, 1, NET_SIDE, NET_SIDE).contiguous(memory_format=torch.channels_last)
    letterbox = Letterbox.of(stored_size=(STORED_SIDE, STORED_SIDE), scale_y=0.25, scale_x=0.25, net_size=(NET_SIDE, NET_SIDE))
    scale = ColourScale.of_threshold(0.3)
    with torch.inference_mode():
        output: DetectorOutput = detector(film)
        stored = _draw_map(output, letterbox)
        forward_ms, heatmap_ms, colour_ms = [], [], []
        for _ in range(repeats):
            forward_ms.append(_time_ms(lambda: detector(film)))
            heatmap_ms.append(_time_ms(lambda: _draw_map(output, letterbox)))
            colour_ms.append(_time_ms(lambda: scale.colours(stored)))
    forward, heatmap = median(forward_ms), median(heatmap_ms)
    return {
        "forward_ms": round(forward, 2),
        "heatmap_ms": round(heatmap, 2),
        "colour_ms": round(median(colour_ms), 2),
        "overhead_percent": round(100 * heatmap / forward, 2),
        "target_percent": 5.0,
        "threads": torch.get_num_threads(),
        "film": f"{NET_SIDE} x {NET_SIDE} network pixels, {STORED_SIDE} x {STORED_SIDE} stored",
    }


def _draw_map(output: DetectorOutput, letterbox: Letterbox) -> np.ndarray:
    scores_net = UNCALIBRATED.apply(output.score_logits[0, 0]).numpy()
    return ScoreMap(scores_net=scores_net, letterbox=letterbox).stored()


def _time_ms(work: Callable[[], object]) -> float:
    started_at = time.perf_counter()
    work()
    return (time.perf_counter() - started_at) * 1e3


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
