"""The picture of a reading as a Secondary Capture, for viewers that list reports but do not draw them.

JPEG Baseline: every viewer reads it, and the film itself, without loss, is in the study beside it. The picture says of
itself that it is derived, that words are burned into it, and that it was compressed with loss.
"""

import numpy as np
from highdicom.sc import SCImage
from highdicom.sr import CodedConcept
from jaxtyping import UInt8
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit

from xraynet.reporting.dicom_object import (
    MANUFACTURER,
    MODEL_NAME,
    DicomObject,
    ResultContext,
    finish_object,
    software_versions,
)


def make_secondary_capture(picture: UInt8[NDArray[np.uint8], "rows columns 3"], *, context: ResultContext) -> DicomObject:
    """A picture drawn by ``capture.draw_capture``, filed in the film's study."""
    source = context.source
    capture = SCImage(
        pixel_array=np.ascontiguousarray(picture),
        photometric_interpretation="YBR_FULL_422",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),
        study_instance_uid=source.study_instance_uid,
        series_instance_uid=context.series_uid("sc"),
        series_number=context.series_number("sc"),
        sop_instance_uid=context.instance_uid("sc"),
        instance_number=source.instance_number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL_NAME,
        software_versions=software_versions(context.model),
        device_serial_number=context.model.checkpoint.fingerprint[:16],
        transfer_syntax_uid=JPEGBaseline8Bit,
    )
    # highdicom cannot leave it open; a picture of a film with a panel of words has no orientation beyond the film's own.
    capture.PatientOrientation = list(source.patient_orientation or ())
    capture.SourceImageSequence = [_refer_to_film(context)]
    capture.BurnedInAnnotation = "YES"
    capture.RecognizableVisualFeatures = "NO"
    capture.ImageComments = "xraynet: film with the detector's boxes. Research use, not for diagnosis."
    capture.DerivationDescription = "Film as its file asks to be shown, with boxes, heatmap and words by xraynet"
    capture.LossyImageCompression = "01"
    capture.LossyImageCompressionMethod = "ISO_10918_1"
    capture.LossyImageCompressionRatio = round(picture.nbytes / len(capture.PixelData), 1)
    return finish_object(capture, context=context, kind="sc")


def _refer_to_film(context: ResultContext) -> Dataset:
    """The film that the picture was made of (PS3.3 C.7.6.1.1.4)."""
    film = Dataset()
    film.ReferencedSOPClassUID = context.source.sop_class_uid
    film.ReferencedSOPInstanceUID = context.source.sop_instance_uid
    film.PurposeOfReferenceCodeSequence = [CodedConcept("121322", "DCM", "Source image for image processing operation")]
    return film
