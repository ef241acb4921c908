"""What every structured report of ours is built of: the document's root, the film, regions, and a diameter in its plane.

Regions are closed polylines of column\\row pairs. PS3.3 C.18.6.1.1 counts them as ``geometry`` does: the top left corner of
the top left pixel is 0\\0, its bottom right corner 1\\1; so a box's edges are written as they are.
"""

from collections.abc import Iterable, Sequence

import highdicom.sr as sr
import numpy as np

from xraynet.dicom_source import DicomSource
from xraynet.lung_frame import Side
from xraynet.radiograph import SpacingPlane
from xraynet.reporting import dicom_codes as codes


def build_tree(
    *,
    observer: sr.ObserverContext,
    source: DicomSource,
    groups: Sequence[sr.PlanarROIMeasurementsAndQualitativeEvaluations],
    closing: sr.ContainerContentItem,
) -> sr.ContainerContentItem:
    """The document (TID 1500): language, observer, procedure, the film, measurements, then what is said of the whole film.

    Not highdicom's ``MeasurementReport``: it cannot say "nothing found", and its image library needs a spacing.
    """
    root = sr.ContainerContentItem(name=codes.REPORT_TITLE, template_id="1500")
    root.ContentSequence = sr.ContentSequence()
    root.ContentSequence.extend(sr.LanguageOfContentItemAndDescendants(sr.CodedConcept("en", "RFC5646", "English")))
    root.ContentSequence.extend(observer)
    root.ContentSequence.append(
        sr.CodeContentItem(name=codes.PROCEDURE_REPORTED, value=codes.CHEST_RADIOGRAPH, relationship_type="HAS CONCEPT MOD")
    )
    root.ContentSequence.append(_list_film(source))
    if groups:
        root.ContentSequence.append(contain(codes.IMAGING_MEASUREMENTS, (item for group in groups for item in group)))
    root.ContentSequence.append(closing)
    return root


def contain(name: sr.CodedConcept, items: Iterable[sr.ContentItem]) -> sr.ContainerContentItem:
    """A container of that name, with these items in it."""
    container = sr.ContainerContentItem(name=name, relationship_type="CONTAINS")
    container.ContentSequence = sr.ContentSequence()
    for item in items:
        container.ContentSequence.append(item)
    return container


def say(text: str) -> sr.TextContentItem:
    """A sentence for a person."""
    return sr.TextContentItem(name=codes.COMMENT, value=text, relationship_type="CONTAINS")


def _list_film(source: DicomSource) -> sr.ContainerContentItem:
    film = sr.ImageContentItem(
        name=codes.SOURCE_IMAGE,
        referenced_sop_class_uid=source.sop_class_uid,
        referenced_sop_instance_uid=source.sop_instance_uid,
        relationship_type="CONTAINS",
    )
    return contain(codes.IMAGE_LIBRARY, [contain(codes.IMAGE_LIBRARY_GROUP, [film])])


def region_of(box: Sequence[float], source: DicomSource) -> sr.ImageRegion:
    """A box (x1, y1, x2, y2) in stored pixels as a region of the film."""
    return sr.ImageRegion(
        graphic_type=sr.GraphicTypeValues.POLYLINE,
        graphic_data=outline_of(box),
        source_image=sr.SourceImageForRegion(source.sop_class_uid, source.sop_instance_uid),
    )


def outline_of(box: Sequence[float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A box as a closed outline of (column, row) corners, in stored pixels: five points, the last the first."""
    x1, y1, x2, y2 = box
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)], dtype=np.float32)


def site_of(side: Side | None) -> sr.FindingSite:
    """The lung, and which of the two where it is known."""
    return sr.FindingSite(codes.LUNG, laterality=codes.SIDES[side] if side is not None else None)


def measure_diameter(diameter_mm: float | None, plane: SpacingPlane | None) -> list[sr.Measurement]:
    """The diameter and the plane in which it holds; none where no millimetre is honest."""
    if diameter_mm is None or plane is None:
        return []
    return [
        sr.Measurement(
            name=codes.DIAMETER, value=round(diameter_mm, 1), unit=codes.MILLIMETRE, method=codes.PLANE_METHODS[plane]
        )
    ]
