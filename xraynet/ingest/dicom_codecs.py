"""Decoders for compressed DICOM pixels, without GPL code: imagecodecs where pydicom's own plugins lack or are slow.

JPEG lossless and 12-bit JPEG Extended have no permissive plugin in pydicom; imagecodecs (BSD) has them through
libjpeg-turbo 3. Monochrome only: colour goes to pydicom's own plugins.
"""

import threading
from typing import Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder
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
_lock = threading.Lock()
_JPEG: Final = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1})
_JPEG_LS: Final = frozenset({JPEGLSLossless, JPEGLSNearLossless})
_HTJ2K: Final = frozenset({HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K})
_JPEG_2000: Final = frozenset({JPEG2000Lossless, JPEG2000})

# pydicom asks every plugin for this table, to say what is missing.
DECODER_DEPENDENCIES: Final = dict.fromkeys((*_JPEG, *_JPEG_LS, RLELossless), ("imagecodecs>=2025.3.30",))

# Fastest first on a 3000 x 2500 film of 12 bits: imagecodecs 46 ms for JPEG lossless (stock 270), 7 for JPEG,
# 115 for JPEG-LS; OpenJPEG 820 for JPEG 2000 and 86 for HTJ2K (OpenJPH has 37, but fills what is missing in a cut stream
# and writes to standard error). pylibjpeg's RLE, in Rust, panics on damaged files, past every ``except Exception``.
_PREFERRED: Final = {
    **dict.fromkeys((*_JPEG, *_JPEG_LS, RLELossless), _PLUGIN),
    **dict.fromkeys((*_JPEG_2000, *_HTJ2K), "pylibjpeg"),
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
    if uid == RLELossless:
        return bool(imagecodecs.PACKBITS.available)
    return bool(imagecodecs.JPEG8.available if uid in _JPEG else imagecodecs.JPEGLS.available if uid in _JPEG_LS else False)


def decode_frame(src: bytes, runner: DecodeRunner) -> bytes:
    """One monochrome frame, decoded by imagecodecs, for pydicom's ``Decoder``: raw bytes in native order.

    Raises ValueError for colour, so that pydicom goes on to its next plugin.
    """
    if runner.samples_per_pixel != 1:
        raise ValueError("only one sample per pixel is decoded here")
    syntax = runner.transfer_syntax
    if syntax == RLELossless:
        return _decode_rle(src, num_pixels=runner.rows * runner.columns, depth=runner.bits_allocated // 8)
    if syntax in _JPEG:
        decoded: NDArray[np.integer] = imagecodecs.jpeg8_decode(src)
    else:
        decoded = imagecodecs.jpegls_decode(src)
    # The container follows the codestream's depth, not the header's Bits Allocated.
    runner.set_option("bits_allocated", decoded.dtype.itemsize * 8)
    return decoded.tobytes()


def _decode_rle(src: bytes, *, num_pixels: int, depth: int) -> bytes:
    """One monochrome RLE frame (PS3.5 G.5): a header of 16 words, then one PackBits segment a byte, the highest first."""
    header = np.frombuffer(src[:64], dtype="<u4")
    if header.size < 16 or header[0] != depth:
        raise ValueError(f"{header[:1]} segments; {depth} were expected")
    ends = [*(int(offset) for offset in header[2 : depth + 1]), len(src)]
    planes = np.empty((num_pixels, depth), dtype=np.uint8)
    for plane, (start, end) in enumerate(zip(header[1 : depth + 1], ends, strict=True)):
        segment = np.frombuffer(imagecodecs.packbits_decode(src[int(start) : end]), dtype=np.uint8)
        # Too short a segment raises here; a byte of padding after the pixels is allowed.
        planes[:, depth - 1 - plane] = segment[:num_pixels]
    return planes.tobytes()


def install_decoders() -> None:
    """Add xraynet's decoders to pydicom's, once per process; safe from several threads."""
    with _lock:
        for uid in DECODER_DEPENDENCIES:
            decoder = get_decoder(uid)
            if _PLUGIN not in decoder.available_plugins:
                decoder.add_plugin(_PLUGIN, (__name__, "decode_frame"))


def choose_plugin(syntax: UID, *, is_colour: bool = False) -> str | None:
    """The name of the fastest plugin that this installation has for a transfer syntax; None where it has none.

    For colour it is "" (pydicom tries its own, one after another), but for RLE, where one of them panics.
    """
    install_decoders()
    if is_colour:
        return "pydicom" if syntax == RLELossless else ""
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
    return {uid.name: choose_plugin(uid) is not None for uid in _PREFERRED}
