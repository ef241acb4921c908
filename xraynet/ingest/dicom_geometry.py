"""Where a DICOM film's pixels lie: spacing and its plane, view position, and whether it is mirrored."""

import re
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from xraynet.ingest.dicom_tags import has_value, read_first_item, read_number, read_numbers, read_text, read_texts
from xraynet.radiograph import PixelSpacing, SpacingPlane, ViewPosition

_VIEWS: Final = {
    "PA": ViewPosition.PA,
    "AP": ViewPosition.AP,
    **dict.fromkeys(("LL", "RL", "LLD", "RLD", "LATERAL", "LAT"), ViewPosition.LATERAL),
    **dict.fromkeys(("LAO", "RAO", "LPO", "RPO", "LLO", "RLO", "OBLIQUE"), ViewPosition.OBLIQUE),
}
# CID 4010 DX View: SNOMED CT, and the SNOMED-RT codes that older films carry.
_VIEW_CODES: Final = {
    **dict.fromkeys(("272479007", "R-10214", "R-40888"), ViewPosition.PA),
    **dict.fromkeys(("399348003", "R-10206"), ViewPosition.AP),
    **dict.fromkeys(("399067008", "R-102CD", "399173006", "R-10236", "399198007", "R-10232"), ViewPosition.LATERAL),
    **dict.fromkeys(
        (
            *("399182000", "399312000", "399059000", "399135007", "399356000", "399006002", "399038007"),
            *("R-102C1", "R-10208", "R-10216", "R-10212", "R-10210"),
        ),
        ViewPosition.OBLIQUE,
    ),
}
_AXES: Final = {"L": (1, 0), "R": (-1, 0), "F": (0, 1), "H": (0, -1)}


@dataclass(frozen=True)
class FilmGeometry:
    """Spacing (None where the file does not honestly say), view, mirroring, and sentences about what was odd."""

    spacing: PixelSpacing | None
    view_position: ViewPosition
    mirrored: bool
    warnings: tuple[str, ...]


def read_geometry(dataset: Dataset) -> FilmGeometry:
    """The geometry of a projection radiograph."""
    warnings: list[str] = []
    spacing = _read_spacing(dataset, warnings)
    view = _read_view(dataset)
    if view.is_frontal is False:
        warnings.append(f"The file calls this view {view.value.lower()}; a frontal one was expected.")
    mirrored = _read_mirrored(dataset, warnings)
    return FilmGeometry(spacing=spacing, view_position=view, mirrored=mirrored, warnings=tuple(warnings))


def _read_spacing(dataset: Dataset, warnings: list[str]) -> PixelSpacing | None:
    """PS3.3 10.7.1: Pixel Spacing is in the patient only if it was calibrated; else everything is at the detector."""
    patient = _read_pair(dataset, "PixelSpacing", warnings)
    imager = _read_pair(dataset, "ImagerPixelSpacing", warnings)
    scanned = _read_pair(dataset, "NominalScannedPixelSpacing", warnings)
    magnification = read_number(dataset, "EstimatedRadiographicMagnificationFactor")
    if magnification is not None and magnification != 1:
        warnings.append(f"Estimated Radiographic Magnification Factor is {magnification:g}; it was not applied.")
    is_calibrated = bool(read_text(dataset, "PixelSpacingCalibrationType"))
    plane: SpacingPlane = "detector"
    if patient is not None and (is_calibrated or (imager is not None and patient != imager)):
        chosen, plane = patient, "calibrated"
    elif imager is not None:
        chosen = imager
    elif patient is not None:
        if scanned is None:
            warnings.append("Pixel Spacing does not say its plane; it was taken to be at the detector.")
        chosen = patient
    elif scanned is not None:
        chosen = scanned
    else:
        _warn_about_aspect(dataset, warnings)
        return None
    return PixelSpacing(row_mm=chosen[0], column_mm=chosen[1], plane=plane)


def _read_pair(dataset: Dataset, keyword: str, warnings: list[str]) -> tuple[float, float] | None:
    if not has_value(dataset, keyword):
        return None
    numbers = read_numbers(dataset, keyword)
    if len(numbers) == 2 and all(0 < number < 100 for number in numbers):
        return (numbers[0], numbers[1])
    found = "\\".join(f"{number:g}" for number in numbers) or "unreadable"
    warnings.append(f"{keyword} is {found}; two lengths above 0 and below 100 mm were expected, and it was ignored.")
    return None


def _warn_about_aspect(dataset: Dataset, warnings: list[str]) -> None:
    aspect = read_numbers(dataset, "PixelAspectRatio")
    if len(aspect) == 2 and aspect[0] != aspect[1]:
        warnings.append(
            f"Pixel Aspect Ratio is {aspect[0]:g}\\{aspect[1]:g} without a spacing; pixels were taken to be square."
        )


def _read_view(dataset: Dataset) -> ViewPosition:
    words = re.findall("[A-Z]+", read_text(dataset, "ViewPosition").upper())
    if words:
        return next((_VIEWS[word] for word in words if word in _VIEWS), ViewPosition.OTHER)
    code = read_first_item(dataset, "ViewCodeSequence")
    if code is not None:
        known = _VIEW_CODES.get(read_text(code, "CodeValue"))
        return known if known is not None else _view_of_meaning(read_text(code, "CodeMeaning"))
    directions = read_texts(dataset, "PatientOrientation")
    if directions and directions[0][:1].upper() in ("A", "P"):
        # Rows that run front to back: the beam went through the side.
        return ViewPosition.LATERAL
    return ViewPosition.UNKNOWN


def _view_of_meaning(meaning: str) -> ViewPosition:
    words = meaning.lower().replace("-", "").replace(" ", "")
    for part, view in (
        ("oblique", ViewPosition.OBLIQUE),
        ("lateral", ViewPosition.LATERAL),
        ("posteroanterior", ViewPosition.PA),
        ("anteroposterior", ViewPosition.AP),
    ):
        if part in words:
            return view
    return ViewPosition.OTHER if words else ViewPosition.UNKNOWN


def _read_mirrored(dataset: Dataset, warnings: list[str]) -> bool:
    """True where Patient Orientation says that the patient's left is not on the right of the film.

    L\\F is the normal display. A reflection (R\\F, L\\H) and a half turn (R\\H) both swap the sides.
    """
    directions = tuple(direction[:1].upper() for direction in read_texts(dataset, "PatientOrientation")[:2])
    if not directions or directions[0] not in _AXES or directions == ("L", "F"):
        return False
    shown = "\\".join(directions)
    across = _AXES[directions[0]]
    down = _AXES.get(directions[1], (0, 0)) if len(directions) == 2 else (0, 0)
    mirrored = directions[0] == "R" or across[0] * down[1] - across[1] * down[0] < 0
    if mirrored:
        warnings.append(f"Patient Orientation is {shown}: the film is mirrored or turned, so sides are not stated.")
    elif len(directions) == 2:
        warnings.append(f"Patient Orientation is {shown}: the film is turned; L\\F was expected.")
    return mirrored
