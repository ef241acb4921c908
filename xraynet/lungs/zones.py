"""In which lung and which third of it a finding lies, as a radiologist would say it."""

from collections.abc import Sequence

from xraynet.lung_frame import Side, Zone, locate
from xraynet.lungs.fields import LungFields


def locate_finding(box: Sequence[float], fields: LungFields, *, mirrored: bool = False) -> tuple[Side | None, Zone | None]:
    """The patient's side, and the upper, mid or lower third of that lung field's height, at the centre of a box.

    ``box`` is (x1, y1, x2, y2) in stored pixels. Either is None where it is not known (``lung_frame.locate``).
    """
    return locate(box, fields.boxes, mirrored=mirrored)
