"""Tells when two files show the same film: a hash of the pixels that file format, header and polarity do not change."""

import hashlib

import numpy as np

from xraynet.radiograph import Radiograph


def pixel_hash(radiograph: Radiograph) -> str:
    """The SHA-256 of the film's size and of its stored grey steps above the darkest, 32 hex digits.

    ``Radiograph.pixels`` are a linear map of the stored range with bright = dense, so ``pixels * (2 ** bits - 1)`` are whole
    steps again: a DICOM film and its PNG give one hash, MONOCHROME1 or 2, whatever the rescale. A film that was resized,
    windowed or compressed with losses gives another.
    """
    steps = np.rint(radiograph.pixels * np.float32(2**radiograph.grey.bits_stored - 1))
    if radiograph.padding is not None:
        steps = np.where(radiograph.padding, steps.min(), steps)
    steps = steps - steps.min()
    digest = hashlib.sha256(f"{radiograph.size[0]}x{radiograph.size[1]}".encode("ascii"))
    digest.update(np.ascontiguousarray(steps, dtype="<u4" if radiograph.grey.bits_stored > 16 else "<u2").tobytes())
    return digest.hexdigest()[:32]
