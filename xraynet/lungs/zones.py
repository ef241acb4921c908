"""In which lung and which third of it a finding lies, as a radiologist would say it."""

from collections.abc import Sequence

from xraynet.findings import Side, Zone
from xraynet.lungs.fields import LungFields

# Beyond this part of the lung fields' own size outside their box, a finding is in the arm, the neck or the abdomen.
MARGIN = 0.15


def locate_finding(box: Sequence[float], fields: LungFields, *, mirrored: bool = False) -> tuple[Side | None, Zone | None]:
    """The patient's side, and the upper, mid or lower third of that lung field's height, at the centre of a box.

    ``box`` is (x1, y1, x2, y2) in stored pixels. Either is None where it is not known: no lungs were found, the centre is
    far outside them. The side is None, too, on a film that is mirrored (``mirrored``, or by ``fields.mirrored``), since
    a heart on the right and a film turned over look alike.
    """
    joint = fields.box
    if not len(joint):
        return None, None
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    left_edge, top, right_edge, bottom = (float(edge) for edge in joint[0])
    wide, high = MARGIN * (right_edge - left_edge), MARGIN * (bottom - top)
    if not (left_edge - wide <= x <= right_edge + wide and top - high <= y <= bottom + high):
        return None, None
    on_image_left = _is_on_image_left(x, fields)
    lung = fields.right_box if on_image_left else fields.left_box
    if len(lung):
        top, bottom = float(lung[0, 1]), float(lung[0, 3])
    third = (y - top) / (bottom - top) * 3
    zone: Zone = "upper" if third < 1 else "mid" if third < 2 else "lower"
    if mirrored or fields.mirrored:
        return None, zone
    return ("right" if on_image_left else "left"), zone


def _is_on_image_left(x: float, fields: LungFields) -> bool:
    """Whether a column lies on the image's left of the line between the lungs (their inner edges' middle)."""
    right, left = fields.right_box, fields.left_box
    if len(right) and len(left):
        return x < (float(right[0, 2]) + float(left[0, 0])) / 2
    if len(right):
        return x <= float(right[0, 2])
    return x < float(left[0, 0])
