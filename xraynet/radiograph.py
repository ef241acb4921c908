"""Radiograph: a film's pixels, never without their geometry, their grey scale and what is known of their making."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32
from numpy.typing import NDArray

SpacingPlane = Literal["detector", "calibrated"]


class ViewPosition(StrEnum):
    """How the patient stood to the beam (DICOM PS3.3 C.8.11.5, View Position)."""

    PA = "PA"
    AP = "AP"
    LATERAL = "LATERAL"
    OBLIQUE = "OBLIQUE"
    OTHER = "OTHER"
    UNKNOWN = "UNKNOWN"

    @property
    def is_frontal(self) -> bool | None:
        """True for PA and AP, False for the views known to be others, None where nothing is known."""
        if self is ViewPosition.UNKNOWN:
            return None
        return self in (ViewPosition.PA, ViewPosition.AP)


@dataclass(frozen=True)
class PixelSpacing:
    """Millimetres between neighbouring rows and columns, and the plane in which they hold.

    ``detector``: at the detector (DICOM Imager Pixel Spacing): anatomy is shown magnified. ``calibrated``: in the
    patient (Pixel Spacing with a calibration, PS3.3 10.7.1.1).
    """

    row_mm: float
    column_mm: float
    plane: SpacingPlane = "detector"

    def __post_init__(self) -> None:
        if not (0 < self.row_mm < 100 and 0 < self.column_mm < 100):
            raise ValueError(f"spacing is {self.row_mm} x {self.column_mm} mm; both must lie between 0 and 100")

    @property
    def row_column_mm(self) -> tuple[float, float]:
        """(row, column) in mm, the order of every function in ``geometry``."""
        return (self.row_mm, self.column_mm)


@dataclass(frozen=True)
class Window:
    """A VOI window in modality units (DICOM PS3.3 C.11.2.1.2): output 0..1, dark to bright as the values rise."""

    centre: float
    width: float
    function: Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"] = "LINEAR"

    def __post_init__(self) -> None:
        smallest = 1.0 if self.function == "LINEAR" else 0.0
        if not np.isfinite([self.centre, self.width]).all() or self.width < smallest or self.width == 0:
            raise ValueError(f"window width is {self.width}; {self.function} needs at least {smallest} (and above 0)")

    def apply(self, values: Float32[NDArray[np.float32], "*shape"]) -> Float32[NDArray[np.float32], "*shape"]:
        """Modality values through the window, in [0, 1]."""
        if self.function == "SIGMOID":
            exponent = np.clip(-4.0 * (values - self.centre) / self.width, -80, 80)
            sigmoid: NDArray[np.float32] = (1.0 / (1.0 + np.exp(exponent))).astype(np.float32)
            return sigmoid
        if self.function == "LINEAR":
            if self.width == 1:
                return (values > self.centre - 0.5).astype(np.float32)
            shown = (values - (self.centre - 0.5)) / (self.width - 1.0) + 0.5
        else:
            shown = (values - self.centre) / self.width + 0.5
        clipped: NDArray[np.float32] = np.clip(shown, 0.0, 1.0).astype(np.float32)
        return clipped


@dataclass(frozen=True)
class VoiLut:
    """A VOI lookup table (DICOM PS3.3 C.11.2.1.1): ``table[i]``, in [0, 1], is the output of value ``first_value + i``."""

    first_value: int
    table: Float32[NDArray[np.float32], " entries"]

    def __post_init__(self) -> None:
        if self.table.size < 1:
            raise ValueError("the VOI lookup table has 0 entries; at least 1 is needed")

    def apply(self, values: Float32[NDArray[np.float32], "*shape"]) -> Float32[NDArray[np.float32], "*shape"]:
        """Modality values through the table; values outside it take its first or last entry."""
        index = np.clip(np.rint(values) - self.first_value, 0, self.table.size - 1).astype(np.int64)
        shown: NDArray[np.float32] = self.table[index]
        return shown


@dataclass(frozen=True)
class GreyScale:
    """How a Radiograph's pixels relate to the modality values, and how the file asks to be shown.

    ``modality = pixels * slope + intercept``; ``slope`` is negative where low modality values are dense (MONOCHROME1),
    because ``Radiograph.pixels`` are always bright where the film is dense.
    """

    slope: float = 1.0
    intercept: float = 0.0
    voi: Window | VoiLut | None = None
    bits_stored: int = 8

    def __post_init__(self) -> None:
        if self.slope == 0 or not np.isfinite([self.slope, self.intercept]).all():
            raise ValueError(f"grey slope is {self.slope}, intercept {self.intercept}; finite and not 0 was expected")

    @property
    def is_inverted(self) -> bool:
        """True where the file shows low modality values as bright (MONOCHROME1)."""
        return self.slope < 0


@dataclass(frozen=True)
class PatientIdentity:
    """Who the film shows, as the file says it. Never logged; printed only where ``--identify`` asks for it.

    ``sop_instance_uid`` is the film's own name among all DICOM objects: labels may call it so.
    """

    name: str = ""
    patient_id: str = ""
    issuer: str = ""
    birth_date: str = ""
    accession_number: str = ""
    study_date: str = ""
    study_uid: str = ""
    sop_instance_uid: str = ""

    def __repr__(self) -> str:
        return "PatientIdentity(withheld)"


@dataclass(frozen=True, eq=False)
class Radiograph:
    """One film: what was stored, as numbers that mean the same for every file format.

    ``pixels``: float32 (height, width) in [0, 1], bright = dense, a linear map of the modality values' full stored
    range (padding excluded, nothing clipped). ``padding``: True where the file holds pixel padding, not film (there
    ``pixels`` are 0), or None. ``spacing`` is None where the file does not honestly say. ``warnings`` are sentences for
    a person. ``sha256`` is the file's.
    """

    pixels: Float32[NDArray[np.float32], "height width"]
    grey: GreyScale = field(default_factory=GreyScale)
    padding: Bool[NDArray[np.bool_], "height width"] | None = None
    spacing: PixelSpacing | None = None
    view_position: ViewPosition = ViewPosition.UNKNOWN
    mirrored: bool = False
    sex: Literal["F", "M", "O"] | None = None
    age_years: float | None = None
    warnings: tuple[str, ...] = ()
    path: str = ""
    sha256: str = ""
    source_format: str = ""
    identity: PatientIdentity = field(default_factory=PatientIdentity)

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or min(self.pixels.shape) < 1:
            raise ValueError(f"pixels have shape {self.pixels.shape}; (height, width) with at least 1 pixel was expected")
        if self.padding is not None and self.padding.shape != self.pixels.shape:
            raise ValueError(f"padding has shape {self.padding.shape}; the pixels have {self.pixels.shape}")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in stored pixels."""
        height, width = self.pixels.shape
        return (height, width)

    @property
    def id(self) -> str:
        """The first 16 hex digits of the file's SHA-256."""
        return self.sha256[:16]

    def modality_values(self) -> Float32[NDArray[np.float32], "height width"]:
        """The values after the modality transform, in the file's own units."""
        return self.pixels * np.float32(self.grey.slope) + np.float32(self.grey.intercept)

    def display(self) -> Float32[NDArray[np.float32], "height width"]:
        """The film as its file asks to be shown: VOI, then presentation; [0, 1], bright = dense.

        Without a VOI the whole stored range is shown. Padding is black.
        """
        if self.grey.voi is None:
            shown = self.pixels
        else:
            shown = self.grey.voi.apply(self.modality_values())
            if self.grey.is_inverted:
                shown = np.float32(1.0) - shown
        if self.padding is not None:
            shown = np.where(self.padding, np.float32(0.0), shown)
        return shown

    def with_pixels(self, pixels: Float32[NDArray[np.float32], "height width"]) -> "Radiograph":
        """The same film with other pixels of the same size (a simulated nodule drawn in, for example)."""
        if pixels.shape != self.pixels.shape:
            raise ValueError(f"new pixels have shape {pixels.shape}; the film has {self.pixels.shape}")
        return replace(self, pixels=pixels)
