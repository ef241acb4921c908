"""The findings as marks over the film itself: a Grayscale Softcopy Presentation State for viewers that draw it.

A presentation state replaces the film's own grey-scale pipeline (PS3.4 N.2), so it carries all of it: the modality
transform, the VOI that the file asks for, and the polarity. MONOCHROME1 is shown by Presentation LUT Shape INVERSE:
viewers do not look at the film's Photometric Interpretation once a presentation state applies.

Graphics are in PIXEL units, which PS3.3 C.10.5.1.2 counts as ``geometry`` does: the film's top left corner is 0\\0.
"""

from typing import Final, cast

import highdicom as hd
import numpy as np
from highdicom.color import CIELabColor
from highdicom.pr import (
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GrayscaleSoftcopyPresentationState,
    SoftcopyVOILUTTransformation,
    TextObject,
)
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from xraynet.findings import Finding, Reading
from xraynet.radiograph import Radiograph, VoiLut, Window
from xraynet.reading_file import DISCLAIMER
from xraynet.reporting.dicom_object import (
    MANUFACTURER,
    MODEL_NAME,
    DicomObject,
    ResultContext,
    evidence_of,
    finish_object,
    software_versions,
)
from xraynet.reporting.dicom_tree import outline_of
from xraynet.reporting.window import choose_window
from xraynet.reporting.words import name_finding, show_score

_LAYER: Final = "XRAYNET"
_CYAN: Final = CIELabColor(85.0, -25.0, -25.0)
_LABEL_HEIGHT: Final = 0.022
_LABEL_WIDTH: Final = 0.16


def make_presentation_state(radiograph: Radiograph, reading: Reading, *, context: ResultContext) -> DicomObject:
    """The marks of a film that was analysed; without a finding, the words that nothing was reported."""
    film = evidence_of(context.source)
    layer = GraphicLayer(_LAYER, order=1, description=f"xraynet findings. {DISCLAIMER}", display_color=_CYAN)
    marked = [(number, one) for number, one in enumerate(reading.detections, start=1) if one.reported]
    marks = GraphicAnnotation(
        referenced_images=[film],
        graphic_layer=layer,
        graphic_objects=[_draw(number, finding, context) for number, finding in marked] or None,
        text_objects=[*(_label(number, finding, radiograph.size) for number, finding in marked), _note(len(marked))],
    )
    state = GrayscaleSoftcopyPresentationState(
        referenced_images=[film],
        series_instance_uid=context.series_uid("pr"),
        series_number=context.series_number("pr"),
        sop_instance_uid=context.instance_uid("pr"),
        instance_number=context.source.instance_number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL_NAME,
        # highdicom annotates one version where it takes several.
        software_versions=cast(tuple[str], software_versions(context.model)),
        device_serial_number=context.model.checkpoint.fingerprint[:16],
        content_label="XRAYNET NODULES",
        content_description=f"xraynet findings. {DISCLAIMER}",
        graphic_annotations=[marks],
        graphic_layers=[layer],
        voi_lut_transformations=[_make_window(radiograph)],
        presentation_lut_transformation=hd.PresentationLUTTransformation(
            presentation_lut_shape="INVERSE" if radiograph.grey.is_inverted else "IDENTITY"
        ),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    _put_voi_table(state, radiograph)
    _put_modality(state, context)
    _put_aspect(state, radiograph)
    return finish_object(state, context=context, kind="pr")


def _draw(number: int, finding: Finding, context: ResultContext) -> GraphicObject:
    return GraphicObject(
        graphic_type="POLYLINE",
        graphic_data=outline_of(finding.box),
        units="PIXEL",
        tracking_id=f"xraynet finding {number}",
        tracking_uid=context.tracking_uid(number),
    )


def _label(number: int, finding: Finding, size: tuple[int, int]) -> TextObject:
    """Number, name and score above the box, below it at the film's upper border; always inside the film."""
    rows, columns = size
    height, width = max(1.0, _LABEL_HEIGHT * rows), max(1.0, _LABEL_WIDTH * columns)
    x1, y1, _, y2 = finding.box
    left = min(x1, max(0.0, columns - width))
    top = y1 - height if y1 >= height else min(y2, max(0.0, rows - height))
    box = (left, top, min(left + width, float(columns)), min(top + height, float(rows)))
    return TextObject(
        text_value=f"{number} {name_finding(finding)} {show_score(finding.score)}",
        units="PIXEL",
        bounding_box=box,
        text_justification="LEFT",
    )


def _note(num_marked: int) -> TextObject:
    found = "" if num_marked else "No finding above the operating point. "
    return TextObject(
        text_value=f"xraynet: {found}{DISCLAIMER}",
        units="DISPLAY",
        bounding_box=(0.01, 0.95, 0.99, 0.99),
        text_justification="LEFT",
    )


def _make_window(radiograph: Radiograph) -> SoftcopyVOILUTTransformation:
    """The window with which ``reporting.window`` shows the film: the file's own, else nearly the film's whole range."""
    window: Window = choose_window(radiograph).window
    return SoftcopyVOILUTTransformation(
        window_center=_shorten(window.centre), window_width=_shorten(window.width), voi_lut_function=window.function
    )


def _put_voi_table(state: Dataset, radiograph: Radiograph) -> None:
    """A VOI LUT instead of the window nearest to it, where the file asks for one."""
    voi = radiograph.grey.voi
    if not isinstance(voi, VoiLut):
        return
    item = state.SoftcopyVOILUTSequence[0]
    for keyword in ("WindowCenter", "WindowWidth", "VOILUTFunction"):
        if keyword in item:
            del item[keyword]
    entries = np.rint(np.clip(voi.table, 0, 1) * 65535).astype(np.uint16)
    item.VOILUTSequence = [_make_table(entries, first_value=voi.first_value, bits=16)]


def _put_modality(state: Dataset, context: ResultContext) -> None:
    source = context.source
    if source.modality_table is not None:
        table = source.modality_table
        item = _make_table(np.array(table.entries, dtype=np.uint16), first_value=table.first_value, bits=table.bits)
        item.ModalityLUTType = table.kind
        state.ModalityLUTSequence = [item]
    elif source.rescale is not None:
        slope, intercept = source.rescale
        state.RescaleSlope, state.RescaleIntercept, state.RescaleType = _shorten(slope), _shorten(intercept), "US"


def _make_table(entries: np.ndarray[tuple[int, ...], np.dtype[np.uint16]], *, first_value: int, bits: int) -> Dataset:
    item = Dataset()
    # An unsigned descriptor cannot start below 0, and a signed one cannot count past 32767: 0 stands for 65536 entries.
    is_signed = first_value < 0
    num = len(entries) % 65536
    count = num - 65536 if is_signed and num > 32767 else num
    item.add(DataElement(0x00283002, "SS" if is_signed else "US", [count, first_value, bits]))
    item.add(DataElement(0x00283006, "OW", entries.astype("<u2").tobytes()))
    return item


def _put_aspect(state: Dataset, radiograph: Radiograph) -> None:
    """Pixels that are not square are shown so, by their spacing (PS3.3 C.10.4: spacing or ratio, never both)."""
    spacing = radiograph.spacing
    if spacing is None or spacing.row_mm == spacing.column_mm:
        return
    area = state.DisplayedAreaSelectionSequence[0]
    del area.PresentationPixelAspectRatio
    area.PresentationPixelSpacing = [_shorten(spacing.row_mm), _shorten(spacing.column_mm)]


def _shorten(number: float) -> float:
    """A number that a decimal string of 16 characters can hold."""
    return float(f"{number:.9g}")
