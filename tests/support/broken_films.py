"""Ways of reading a film that go wrong, importable by worker processes."""

import os
from pathlib import Path

from xraynet.ingest.read import read_radiograph
from xraynet.radiograph import Radiograph


def read_or_die(path: Path) -> Radiograph:
    """Read a film; a film named ``killer`` takes its process down, as an out-of-memory kill would."""
    if path.stem == "killer":
        os._exit(9)
    return read_radiograph(path)


def read_or_raise(path: Path) -> Radiograph:
    """Read a film; a film named ``surprise`` raises what nobody expects, with a name in its message."""
    if path.stem == "surprise":
        raise RuntimeError("PatientName Doe^Jane")
    return read_radiograph(path)
