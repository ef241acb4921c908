"""A decoder that crashes or hangs on cue, in a module that a fresh process loads quickly."""

import os
import time

from xraynet.batch.decode import DecodeRequest
from xraynet.errors import FilmError, FilmFailed
from xraynet.radiograph import Radiograph


def crash_on_cue(request: DecodeRequest) -> Radiograph | FilmError:
    """Die on a file called ``crash``, sleep on one called ``hang``, else fail with the file's name."""
    if request.path.name == "crash":
        os._exit(11)
    if request.path.name == "hang":
        time.sleep(120)
    return FilmFailed(request.path.name, code="damaged")
