"""Writes DICOM films for tests: any transfer syntax, any tag, right or wrong on purpose."""

import io
import warnings
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    generate_uid,
)

HTJ2K_LOSSLESS = UID("1.2.840.10008.1.2.4.201")
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)

TagValue = str | int | float | bytes | list[str] | list[int] | list[float] | Sequence | None


def write_dicom(
    path: Path,
    pixels: NDArray[np.integer],
    *,
    syntax: UID = ExplicitVRLittleEndian,
    frame: bytes | None = None,
    part10: bool = True,
    **tags: TagValue,
) -> Path:
    """A DX film for presentation with these pixels; ``tags`` (by keyword) replace the defaults, None removes one.

    ``frame``: the compressed image, for a syntax that ``encode_frame`` does not know. ``part10``: False leaves out the
    preamble and the file meta information.
    """
    film = build_dicom(pixels, syntax=syntax, frame=frame, **tags)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if part10:
            pydicom.dcmwrite(path, film, enforce_file_format=True)
        else:
            stream = io.BytesIO()
            implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
            bare = Dataset(film)
            bare._dict = {tag: element for tag, element in film.items() if tag.group != 2}
            pydicom.dcmwrite(stream, bare, implicit_vr=implicit, little_endian=little, force_encoding=True)
            path.write_bytes(stream.getvalue())
    return path


def build_dicom(
    pixels: NDArray[np.integer], *, syntax: UID = ExplicitVRLittleEndian, frame: bytes | None = None, **tags: TagValue
) -> FileDataset:
    """The film that ``write_dicom`` writes, as a dataset."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    film = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    bits = pixels.dtype.itemsize * 8
    defaults: dict[str, TagValue] = {
        "SOPClassUID": DigitalXRayImageStorageForPresentation,
        "SOPInstanceUID": generate_uid(entropy_srcs=[str(path_seed(pixels))]),
        "Modality": "DX",
        "PresentationIntentType": "FOR PRESENTATION",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "PatientName": "Phantom^Test",
        "PatientID": "phantom-1",
        "PhotometricInterpretation": "MONOCHROME2",
        "SamplesPerPixel": 1 if pixels.ndim == 2 else pixels.shape[-1],
        "PlanarConfiguration": None if pixels.ndim == 2 else 0,
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": None,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }
    values = defaults | tags
    if values["HighBit"] is None and "HighBit" not in tags:
        values["HighBit"] = int(values["BitsStored"]) - 1  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, value in values.items():
            if value is not None:
                setattr(film, keyword, value)
        meta.MediaStorageSOPClassUID = film.get("SOPClassUID", DigitalXRayImageStorageForPresentation)
        meta.MediaStorageSOPInstanceUID = film.get("SOPInstanceUID", generate_uid())
        if "PixelData" not in values:
            if syntax in NATIVE:
                order = ">" if syntax == ExplicitVRBigEndian else "<"
                raw = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
                film.PixelData = raw + b"\0" * (len(raw) % 2)
                film["PixelData"].VR = "OW" if bits > 8 else "OB"
            else:
                film.PixelData = encapsulate([encode_frame(pixels, syntax) if frame is None else frame])
                film["PixelData"].VR = "OB"
                film["PixelData"].is_undefined_length = True
    return film


def path_seed(pixels: NDArray[np.integer]) -> int:
    """A number that follows from the pixels, so that a film written twice is the same file."""
    return zlib.crc32(np.ascontiguousarray(pixels).tobytes())


def encode_frame(pixels: NDArray[np.integer], syntax: UID) -> bytes:
    """One monochrome frame, compressed."""
    if syntax == RLELossless:
        from pydicom.pixels.encoders import RLELosslessEncoder

        depth = pixels.dtype.itemsize * 8
        return RLELosslessEncoder.encode(
            pixels.tobytes(),
            rows=pixels.shape[0],
            columns=pixels.shape[1],
            samples_per_pixel=1,
            number_of_frames=1,
            bits_allocated=depth,
            bits_stored=depth,
            pixel_representation=0,
            photometric_interpretation="MONOCHROME2",
            encoding_plugin="pydicom",
        )
    bits = max(2, int(pixels.max()).bit_length())
    if syntax == JPEGBaseline8Bit:
        return imagecodecs.jpeg8_encode(pixels, level=98)
    if syntax == JPEGExtended12Bit:
        return imagecodecs.jpeg8_encode(pixels, level=98, bitspersample=12)
    if syntax in (JPEGLossless, JPEGLosslessSV1):
        return imagecodecs.ljpeg_encode(pixels, bitspersample=max(bits, 8))
    if syntax in (JPEGLSLossless, JPEGLSNearLossless):
        return imagecodecs.jpegls_encode(pixels, level=2 if syntax == JPEGLSNearLossless else 0)
    if syntax == HTJ2K_LOSSLESS:
        return imagecodecs.htj2k_encode(pixels, reversible=True)
    assert syntax == JPEG2000Lossless or syntax == UID("1.2.840.10008.1.2.4.91")
    return imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True, level=0)
