"""Which DICOM objects are films for xraynet, and why the others are refused."""

from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)

from xraynet.errors import FilmFailed, FilmRefused
from xraynet.ingest.dicom_pixels import PIXEL_DATA
from xraynet.ingest.dicom_tags import read_integer, read_text, read_texts

_MANUFACTURER: Final = "xraynet"
_FILM_CLASSES: Final = frozenset(
    {ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation, SecondaryCaptureImageStorage}
)
# CR and DX as acquired, RG for film; OT and an empty modality are what film digitisers and de-identified collections write.
_FILM_MODALITIES: Final = frozenset({"CR", "DX", "RG"})
_UNSAID_MODALITIES: Final = frozenset({"", "OT"})
_CHEST_WORDS: Final = ("CHEST", "THORAX", "LUNG", "PULMON", "TORAX", "THX", "RIB")


def check_admission(dataset: Dataset) -> tuple[str, ...]:
    """Warnings about an object that xraynet reads. Raises FilmRefused for one that it does not read.

    Modality and SOP class decide what a radiograph is; Body Part Examined never does, for it is too often wrong: the gate
    looks at the pixels. MG, PX and IO are radiographs, but of no chest; RF and XA are fluoroscopy. CR and DX may be
    DERIVED (most films for presentation are); a DERIVED secondary capture is somebody's picture of a film.
    """
    if read_text(dataset, "Manufacturer").lower() == _MANUFACTURER:
        raise FilmRefused("the object was written by xraynet (Manufacturer); a film was expected", code="own-result")
    if PIXEL_DATA not in dataset:
        _refuse_without_pixels(dataset)
    sop_class, modality = read_text(dataset, "SOPClassUID"), read_text(dataset, "Modality").upper()
    intent = read_text(dataset, "PresentationIntentType").upper()
    check_kind(sop_class=sop_class, modality=modality, for_processing=intent == "FOR PROCESSING")
    frames = read_integer(dataset, "NumberOfFrames") or 1
    if frames > 1:
        raise FilmRefused(f"Number of Frames is {frames}; a single film was expected", code="multi-frame")
    is_capture = sop_class == SecondaryCaptureImageStorage
    _check_colour(dataset, is_capture=is_capture)
    if is_capture and "DERIVED" in (kind.upper() for kind in read_texts(dataset, "ImageType")[:1]):
        raise FilmRefused("the secondary capture is DERIVED; a digitised film as scanned was expected", code="derived")
    return tuple(_warn(dataset, modality))


def check_kind(*, sop_class: str, modality: str, for_processing: bool = False) -> None:
    """Raise FilmRefused where SOP class and modality (empty where unknown) say that an object is no radiograph for us."""
    if sop_class == DigitalXRayImageStorageForProcessing or for_processing:
        raise FilmRefused(
            "the film is FOR PROCESSING (raw detector values); FOR PRESENTATION was expected", code="for-processing"
        )
    if (sop_class and sop_class not in _FILM_CLASSES) or modality not in _FILM_MODALITIES | _UNSAID_MODALITIES:
        raise FilmRefused(
            f"the object is of modality {_quote(modality)}, class {_name_class(sop_class)}; CR, DX or RG was expected",
            code="not-a-radiograph",
        )


def _refuse_without_pixels(dataset: Dataset) -> None:
    """A film cut before its pixels has failed; a report or a plan never had any, and is refused."""
    name = _name_class(read_text(dataset, "SOPClassUID"))
    was_cut = not read_text(dataset, "StudyInstanceUID") and "DirectoryRecordSequence" not in dataset
    if "Image" in name or read_integer(dataset, "Rows") is not None or (name == "unknown" and was_cut):
        raise FilmFailed("the DICOM file ends before its Pixel Data; a whole file was expected", code="truncated")
    raise FilmRefused(f"the DICOM object is {name} without pixels; a film was expected", code="not-an-image")


def _check_colour(dataset: Dataset, *, is_capture: bool) -> None:
    photometric = read_text(dataset, "PhotometricInterpretation").upper()
    if photometric in ("MONOCHROME1", "MONOCHROME2", ""):
        return
    if photometric == "RGB" and not is_capture:
        # Three equal channels are grey, and only the pixels can tell.
        return
    raise FilmRefused(f"Photometric Interpretation is {_quote(photometric)}; MONOCHROME was expected", code="true-colour")


def _warn(dataset: Dataset, modality: str) -> list[str]:
    warnings = []
    if modality in _UNSAID_MODALITIES:
        warnings.append(f"Modality is {_quote(modality)}; the object was taken for a radiograph.")
    photometric, shape = (
        read_text(dataset, keyword).upper() for keyword in ("PhotometricInterpretation", "PresentationLUTShape")
    )
    if not photometric:
        warnings.append("Photometric Interpretation is missing; MONOCHROME2 was assumed.")
    if (photometric, shape) in {("MONOCHROME1", "IDENTITY"), ("MONOCHROME2", "INVERSE")}:
        warnings.append(f"Presentation LUT Shape {shape} contradicts {photometric}; {photometric} was believed.")
    if read_text(dataset, "PixelIntensityRelationship").upper() == "LIN":
        warnings.append("Pixel Intensity Relationship is LIN: values are linear in dose, and the film may look unusual.")
    body_part = read_text(dataset, "BodyPartExamined").upper()
    if body_part and not any(word in body_part for word in _CHEST_WORDS):
        warnings.append(f"Body Part Examined is {_quote(body_part)}; a chest was expected.")
    return warnings


def _name_class(stated: str) -> str:
    name = UID(stated, validation_mode=0).name
    return name if name and name != stated else "unknown"


def _quote(value: str) -> str:
    """A coded value for a message: short, and nothing but what DICOM codes are made of (no free text, no mark-up)."""
    kept = "".join(letter for letter in value[:16] if letter.isalnum() or letter in " _-")
    return kept or "empty"
