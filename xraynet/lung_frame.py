"""Where in the lungs something lies: the boxes of the lung fields, and the side, zone and relative place they give.

The boxes are kept with a reading, so that places can be told, and two films of one patient compared, without the network
that outlined the lungs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Side = Literal["right", "left"]
Zone = Literal["upper", "mid", "lower"]
BoxEdges = tuple[float, float, float, float]

# Beyond this part of the lung fields' own size outside their box, a finding is in the arm, the neck or the abdomen.
MARGIN: Final = 0.15


@dataclass(frozen=True)
class LungBoxes:
    """The boxes (x1, y1, x2, y2), in stored pixels, of the lung fields on one film; None where that lung was not found.

    ``right`` lies on the image's left: the patient's right, unless ``mirrored`` says that the film is shown the other way
    round (or the heart lies on the right): then sides are not to be stated.
    """

    right: BoxEdges | None
    left: BoxEdges | None
    mirrored: bool = False

    def __post_init__(self) -> None:
        for box in (self.right, self.left):
            if box is not None and not (box[0] < box[2] and box[1] < box[3]):
                raise ValueError(f"a lung field's box is {box}; x1 < x2 and y1 < y2 were expected")

    @property
    def joint(self) -> BoxEdges | None:
        """The box around both lung fields; None where no lung was found."""
        boxes = [box for box in (self.right, self.left) if box is not None]
        if not boxes:
            return None
        x1, y1, x2, y2 = zip(*boxes, strict=True)
        return (min(x1), min(y1), max(x2), max(y2))

    def flipped(self, *, width: float) -> "LungBoxes":
        """The boxes on the film turned over left to right."""
        right, left = (
            None if box is None else (width - box[2], box[1], width - box[0], box[3]) for box in (self.left, self.right)
        )
        return LungBoxes(right=right, left=left, mirrored=not self.mirrored)


def locate(box: Sequence[float], lungs: LungBoxes, *, mirrored: bool = False) -> tuple[Side | None, Zone | None]:
    """The patient's side, and the upper, mid or lower third of that lung field's height, at the centre of a box.

    ``box`` is (x1, y1, x2, y2) in stored pixels. Either is None where it is not known: no lungs were found, the centre is
    far outside them. The side is None, too, on a film that is mirrored (``mirrored``, or by ``lungs.mirrored``), since
    a heart on the right and a film turned over look alike.
    """
    joint = lungs.joint
    if joint is None:
        return None, None
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    left_edge, top, right_edge, bottom = joint
    wide, high = MARGIN * (right_edge - left_edge), MARGIN * (bottom - top)
    if not (left_edge - wide <= x <= right_edge + wide and top - high <= y <= bottom + high):
        return None, None
    on_image_left = lies_on_image_left(x, lungs)
    lung = lungs.right if on_image_left else lungs.left
    if lung is not None:
        top, bottom = lung[1], lung[3]
    third = (y - top) / (bottom - top) * 3
    zone: Zone = "upper" if third < 1 else "mid" if third < 2 else "lower"
    if mirrored or lungs.mirrored:
        return None, zone
    return ("right" if on_image_left else "left"), zone


def lies_on_image_left(x: float, lungs: LungBoxes) -> bool:
    """Whether a column lies on the image's left of the line between the lungs (their inner edges' middle)."""
    right, left = lungs.right, lungs.left
    if right is not None and left is not None:
        return x < (right[2] + left[0]) / 2
    if right is not None:
        return x <= right[2]
    return left is not None and x < left[0]
