import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from xraynet.simulation.shadow import render_shadow

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
TOTAL = 77831.02926635742


@pytest.fixture(scope="module")
def frozen() -> ModuleType:
    spec = importlib.util.spec_from_file_location("frozen_nodules", BENCHMARKS / "frozen_nodules.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_frozen_nodules_are_what_their_protocol_says(frozen: ModuleType) -> None:
    nodules = frozen.read_list()
    assert len(nodules) == len({one.pixel_hash for one in nodules}) >= 150
    assert all(10 <= one.nodule.diameter_mm <= 15 for one in nodules)
    assert all(one.contrast_to_noise >= 3 for one in nodules)
    assert np.mean([one.hidden for one in nodules]) < 0.2


def test_the_simulator_still_casts_the_frozen_shadows(frozen: ModuleType) -> None:
    shadows = [render_shadow(one.nodule, spacing_mm=(0.4, 0.35)) for one in frozen.read_list()]
    # A change here moves every figure on these nodules: raise SIMULATOR_VERSION and draw a new list beside this one.
    assert sum(float(cast.shadow.sum()) for cast in shadows) == pytest.approx(TOTAL, rel=1e-5)


def test_a_list_of_another_simulator_is_refused_and_a_kept_one_is_read_back(frozen: ModuleType, tmp_path: Path) -> None:
    nodules = frozen.read_list()[:3]
    frozen.write_list(nodules, tmp_path / "list.json")
    assert frozen.read_list(tmp_path / "list.json") == nodules
    text = (tmp_path / "list.json").read_text().replace('"simulator_version": 1', '"simulator_version": 0')
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(ValueError, match="simulator version 0"):
        frozen.read_list(tmp_path / "other.json")
