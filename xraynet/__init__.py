"""xraynet finds pulmonary nodules on chest radiographs.

The public surface is small: ``read_radiograph``, ``Radiograph``, ``Predictor``, ``Reading`` and ``XraynetError``.
Importing the package is cheap; torch is loaded when ``Predictor`` is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from xraynet.errors import XraynetError

if TYPE_CHECKING:
    from xraynet.findings import Finding, NoduleAnnotations, NoduleDetections, Outcome, Reading
    from xraynet.inference.predictor import Predictor
    from xraynet.ingest.read import read_radiograph
    from xraynet.radiograph import Radiograph

__version__ = "0.1.0"

_HOME = {
    "Finding": "xraynet.findings",
    "NoduleAnnotations": "xraynet.findings",
    "NoduleDetections": "xraynet.findings",
    "Outcome": "xraynet.findings",
    "Reading": "xraynet.findings",
    "Predictor": "xraynet.inference.predictor",
    "read_radiograph": "xraynet.ingest.read",
    "Radiograph": "xraynet.radiograph",
}

__all__ = [
    "Finding",
    "NoduleAnnotations",
    "NoduleDetections",
    "Outcome",
    "Predictor",
    "Radiograph",
    "Reading",
    "XraynetError",
    "__version__",
    "read_radiograph",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'xraynet' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
