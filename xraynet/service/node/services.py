"""What the node offers to the network: SOP classes, transfer syntaxes, and the statuses it answers with.

The server negotiates from these tables, and the conformance statement is written from them.
"""

from dataclasses import dataclass
from typing import Final

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from xraynet.ingest.dicom_codecs import choose_plugin

VERIFICATION: Final = UID("1.2.840.10008.1.1")
STORED_BY: Final = "XRAYNET"
"""Implementation Version Name in the stored films. Without a version, for it is part of the SHA-256 that tells films apart."""

STORAGE_CLASSES: Final[dict[UID, str]] = {
    ComputedRadiographyImageStorage: "read",
    DigitalXRayImageStorageForPresentation: "read",
    DigitalXRayImageStorageForProcessing: "accepted, and reported as not analysed (raw detector values)",
    SecondaryCaptureImageStorage: "read where it is a digitised film (Modality RG, CR, DX or OT, not DERIVED)",
}
"""What is accepted for storage, and what becomes of it."""

RESULT_CLASSES: Final[dict[UID, UID]] = {
    ComprehensiveSRStorage: ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage: JPEGBaseline8Bit,
    GrayscaleSoftcopyPresentationStateStorage: ExplicitVRLittleEndian,
}
"""What is sent to the archive, and the transfer syntax in which it is made."""

FALLBACK_SYNTAXES: Final = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
"""What a result is turned into where the archive does not accept its own transfer syntax."""

_NATIVE: Final = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian)
_COMPRESSED: Final = (
    *(JPEGLosslessSV1, JPEGLossless, JPEGLSLossless, JPEG2000Lossless, RLELossless, HTJ2KLossless, HTJ2KLosslessRPCL),
    *(JPEGLSNearLossless, JPEG2000, HTJ2K, JPEGExtended12Bit, JPEGBaseline8Bit),
)


def list_transfer_syntaxes() -> list[UID]:
    """The transfer syntaxes that this installation decodes: uncompressed first, lossless before lossy."""
    return [*_NATIVE, *(syntax for syntax in _COMPRESSED if choose_plugin(syntax) is not None)]


@dataclass(frozen=True)
class Answer:
    """A status of a C-STORE response (PS3.4 B.2.3, PS3.7 C), and when it is given."""

    status: int
    comment: str
    meaning: str

    def __post_init__(self) -> None:
        if len(self.comment) > 64:  # Error Comment is LO
            raise ValueError(f"the comment has {len(self.comment)} characters; at most 64 were expected")


SUCCESS: Final = Answer(0x0000, "", "The object is on disk, flushed, and will be read; or it is here already.")
OUT_OF_RESOURCES: Final = Answer(0xA700, "disk space below the floor", "Disk space is below the floor, or writing failed.")
STOPPING: Final = Answer(0xA701, "the node is stopping", "The node is being stopped; send again later.")
TOO_LARGE: Final = Answer(0xA702, "object over a limit", "The object is over a limit, where no abort came before the answer.")
MISMATCH: Final = Answer(0xA900, "data set does not match SOP class", "Data set and command name different SOP classes.")
NOT_UNDERSTOOD: Final = Answer(0xC000, "the data set cannot be parsed", "The data set's first elements cannot be parsed.")
OTHER_INSTANCE: Final = Answer(0xC001, "data set and command differ in SOP Instance UID", "They differ, or it is missing.")
OWN_RESULT: Final = Answer(0xC101, "own result of xraynet: refused, no loop", "The object is a result of xraynet.")
INTERNAL: Final = Answer(0x0110, "processing failure", "The node itself failed; send again.")
ANSWERS: Final = (
    SUCCESS,
    OUT_OF_RESOURCES,
    STOPPING,
    TOO_LARGE,
    MISMATCH,
    NOT_UNDERSTOOD,
    OTHER_INSTANCE,
    OWN_RESULT,
    INTERNAL,
)
