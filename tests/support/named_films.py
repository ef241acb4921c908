"""Films whose patients have names of many scripts: the headers of pydicom's character set files, over a spot film."""

from pathlib import Path
from typing import Final

import pydicom
import spots

NAMED: Final = {
    "chrJapMulti.dcm": "やまだ^たろう",
    "chrJapMultiExplicitIR6.dcm": "やまだ^たろう",
    "chrKoreanMulti.dcm": "김희중",
    "chrH31.dcm": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "chrH32.dcm": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    "chrI2.dcm": "Hong^Gildong=洪^吉洞=홍^길동",
    "chrX1.dcm": "Wang^XiaoDong=王^小東",
    "chrGreek.dcm": "Διονυσιος",
}
"""File of pydicom's ``charset_files``, and the patient's name in it."""


def write_over(file: str, path: Path) -> Path:
    """That file with the pixels of a spot film, its texts left in the bytes in which they are."""
    header = pydicom.dcmread(Path(pydicom.__file__).parent / "data" / "charset_files" / file)
    film = spots.spot_film((90, 120))
    header.PixelData = film.tobytes()
    header["PixelData"].VR = "OW"
    header.Rows, header.Columns = film.shape
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 12, 11, 0
    header.PhotometricInterpretation, header.SamplesPerPixel = "MONOCHROME2", 1
    header.Modality = "CR"
    header.save_as(path)
    return path
