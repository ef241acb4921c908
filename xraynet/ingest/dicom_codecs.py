"""Decoders for compressed DICOM pixels, without GPL code: imagecodecs where pydicom's own plugins lack or are slow.

JPEG lossless and 12-bit JPEG Extended have no permissive plugin in pydicom; imagecodecs (BSD) has them through
libjpeg-turbo 3, and HTJ2K through OpenJPH. Monochrome only: colour goes to pydicom's own plugins.
"""

from functools import cache
from typing import Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from xraynet.ingest.codestream import CodestreamKind

_PLUGIN: Final = "xraynet-imagecodecs"
_JPEG: Final = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1})
_JPEG_LS: Final = frozenset({JPEGLSLossless, JPEGLSNearLossless})
_HTJ2K: Final = frozenset({HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K})
_JPEG_2000: Final = frozenset({JPEG2000Lossless, JPEG2000})

# pydicom asks every plugin for this table, to say what is missing.
DECODER_DEPENDENCIES: Final = dict.fromkeys((*_JPEG, *_JPEG_LS, *_HTJ2K), ("imagecodecs>=2025.3.30",))

# Fastest first on a 3000 x 2500 film of 12 bits: imagecodecs 46 ms for JPEG lossless (stock 270), 7 for JPEG,
# 115 for JPEG-LS, 37 for HTJ2K (OpenJPEG 86); OpenJPEG 820 for JPEG 2000; pylibjpeg's Rust 46 for RLE.
_PREFERRED: Final = {
    **dict.fromkeys((*_JPEG, *_JPEG_LS, *_HTJ2K), _PLUGIN),
    **dict.fromkeys((*_JPEG_2000, RLELossless), "pylibjpeg"),
}

_SYNTAX_OF_KIND: Final[dict[CodestreamKind, UID]] = {
    "jpeg": JPEGExtended12Bit,
    "jpeg-lossless": JPEGLossless,
    "jpeg-ls": JPEGLSNearLossless,
    "jpeg-2000": JPEG2000,
    "htj2k": HTJ2K,
}


def is_available(uid: UID) -> bool:
    """True where this installation's imagecodecs decodes the transfer syntax (pydicom asks before it takes the plugin)."""
    if uid in _HTJ2K:
        return bool(imagecodecs.HTJ2K.available)
    return bool(imagecodecs.JPEG8.available if uid in _JPEG else imagecodecs.JPEGLS.available if uid in _JPEG_LS else False)


def decode_frame(src: bytes, runner: DecodeRunner) -> bytes:
    """One monochrome frame, decoded by imagecodecs, for pydicom's ``Decoder``: raw bytes in native order.

    Raises ValueError for colour, so that pydicom goes on to its next plugin.
    """
    if runner.samples_per_pixel != 1:
        raise ValueError("only one sample per pixel is decoded here")
    syntax = runner.transfer_syntax
    if syntax in _JPEG:
        decoded: NDArray[np.integer] = imagecodecs.jpeg8_decode(src)
    elif syntax in _JPEG_LS:
        decoded = imagecodecs.jpegls_decode(src)
    else:
        decoded = imagecodecs.htj2k_decode(src)
    # The container follows the codestream's depth, not the header's Bits Allocated.
    runner.set_option("bits_allocated", decoded.dtype.itemsize * 8)
    return decoded.tobytes()


@cache
def install_decoders() -> None:
    """Add xraynet's decoders to pydicom's, once per process."""
    for uid in DECODER_DEPENDENCIES:
        decoder = get_decoder(uid)
        if _PLUGIN not in decoder.available_plugins:
            decoder.add_plugin(_PLUGIN, (__name__, "decode_frame"))


def choose_plugin(syntax: UID) -> str | None:
    """The name of the fastest plugin that this installation has for a transfer syntax; None where it has none."""
    install_decoders()
    try:
        available = get_decoder(syntax).available_plugins
    except NotImplementedError:
        return None
    preferred = _PREFERRED.get(syntax, "")
    return preferred if preferred in available else next(iter(available), None)


def syntax_of(kind: CodestreamKind) -> UID | None:
    """A transfer syntax that decodes such a codestream, for files that do not state theirs."""
    return _SYNTAX_OF_KIND.get(kind)


def list_codecs() -> dict[str, bool]:
    """What this installation decodes: the name of each compressed transfer syntax, and whether it can."""
    known = (*_PREFERRED, *_JPEG_2000)
    return {uid.name: choose_plugin(uid) is not None for uid in dict.fromkeys(known)}
