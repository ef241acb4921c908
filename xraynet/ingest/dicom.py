"""A DICOM film as a Radiograph: parsed, admitted, decoded, its grey values and geometry understood."""

import re
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from xraynet.errors import FilmRefused
from xraynet.ingest.dicom_admission import check_admission
from xraynet.ingest.dicom_geometry import read_geometry
from xraynet.ingest.dicom_grey import read_modality, read_padding, read_voi
from xraynet.ingest.dicom_parse import parse_dicom
from xraynet.ingest.dicom_pixels import decode_stored, read_image_header
from xraynet.ingest.dicom_quiet import quiet_pydicom
from xraynet.ingest.dicom_tags import read_text
from xraynet.ingest.grayscale import ModalityLut, make_grey
from xraynet.ingest.limits import DecodeLimits
from xraynet.radiograph import PatientIdentity, Radiograph


def read_dicom(content: bytes, *, limits: DecodeLimits) -> Radiograph:
    """The film in a DICOM file's bytes (``path`` and ``sha256`` are left to the caller).

    Raises FilmRefused for what is not a single-frame grey radiograph for presentation, FilmFailed for what is damaged.
    """
    with quiet_pydicom():
        return _read(content, limits)


def _read(content: bytes, limits: DecodeLimits) -> Radiograph:
    parsed = parse_dicom(content, limits=limits)
    dataset = parsed.dataset
    warnings = list(check_admission(dataset))
    header = read_image_header(parsed, limits=limits)
    photometric = read_text(dataset, "PhotometricInterpretation").upper() or "MONOCHROME2"
    raw = decode_stored(parsed, header, photometric=photometric, limits=limits)
    if raw.ndim == 3:
        raw = _merge_channels(raw)
        warnings.append("Photometric Interpretation is RGB with three equal channels; the film was read as grey.")
    modality = read_modality(dataset, header.stored, warnings)
    padding = read_padding(dataset, header.stored, warnings)
    lowest = 0.0
    if modality is None:
        lowest = float(header.stored.value_range[0])
    elif not isinstance(modality, ModalityLut):
        lowest = min(bound * modality.slope + modality.intercept for bound in header.stored.value_range)
    grey = make_grey(
        raw,
        stored=header.stored,
        modality=modality,
        low_is_dense=photometric == "MONOCHROME1",
        padding=padding,
        voi=read_voi(dataset, lowest_value=lowest, warnings=warnings),
    )
    geometry = read_geometry(dataset)
    return Radiograph(
        pixels=grey.pixels,
        grey=grey.grey,
        padding=grey.padding,
        spacing=geometry.spacing,
        view_position=geometry.view_position,
        mirrored=geometry.mirrored,
        sex=_read_sex(dataset),
        age_years=_read_age(dataset),
        warnings=(*warnings, *grey.warnings, *geometry.warnings),
        source_format="dicom",
        identity=_read_identity(dataset),
    )


def _merge_channels(raw: NDArray[np.integer]) -> NDArray[np.integer]:
    first: NDArray[np.integer] = raw[..., 0]
    if any(not np.array_equal(first, raw[..., channel]) for channel in range(1, raw.shape[-1])):
        raise FilmRefused("the film is RGB with unequal channels; grey was expected", code="true-colour")
    return np.ascontiguousarray(first)


def _read_sex(dataset: Dataset) -> Literal["F", "M", "O"] | None:
    stated = read_text(dataset, "PatientSex").upper()
    return "F" if stated == "F" else "M" if stated == "M" else "O" if stated == "O" else None


def _read_age(dataset: Dataset) -> float | None:
    """Age in years from Patient's Age, else from birth and study dates; None where it is missing or impossible."""
    stated = re.fullmatch(r"(\d{1,3})([DWMY])", read_text(dataset, "PatientAge").upper())
    if stated:
        years = int(stated[1]) / {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[stated[2]]
    else:
        born, studied = (
            re.fullmatch(r"(\d{4})(\d{2})(\d{2})", read_text(dataset, k)) for k in ("PatientBirthDate", "StudyDate")
        )
        if born is None or studied is None:
            return None
        had_birthday = (studied[2], studied[3]) >= (born[2], born[3])
        years = float(int(studied[1]) - int(born[1]) - (0 if had_birthday else 1))
    return years if 0 <= years <= 130 else None


def _read_identity(dataset: Dataset) -> PatientIdentity:
    return PatientIdentity(
        name=read_text(dataset, "PatientName"),
        patient_id=read_text(dataset, "PatientID"),
        issuer=read_text(dataset, "IssuerOfPatientID"),
        birth_date=read_text(dataset, "PatientBirthDate"),
        accession_number=read_text(dataset, "AccessionNumber"),
        study_date=read_text(dataset, "StudyDate"),
        study_uid=read_text(dataset, "StudyInstanceUID"),
        sop_instance_uid=read_text(dataset, "SOPInstanceUID"),
    )
