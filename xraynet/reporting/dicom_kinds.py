"""The kinds of DICOM results, by the names that options and files have for them. (No DICOM library is loaded for a name.)"""

from typing import Final, Literal, get_args

DicomKind = Literal["sr", "sc", "pr"]
ALL_DICOM_KINDS: Final[tuple[DicomKind, ...]] = get_args(DicomKind)
