"""The same finding before and now: two films of one patient laid over each other by their lung fields, findings paired.

Films of two visits differ in position, magnification and depth of breath. A place is therefore told relative to the box of
the lung field it lies in (0 to 1 from its left to its right and from its top to its bottom), and findings are paired, one
to one, nearest first, where their places differ by less than a stated part of the lung's height.

A size has changed only beyond what measuring it again would give: 2 mm (Fleischner Society, for nodules on CT: MacMahon et
al., Radiology 2017;284:228; Bankier et al., Radiology 2017;285:584) and 20 % (the least growth that RECIST 1.1 counts,
Eisenhauer et al., Eur J Cancer 2009;45:228), whichever is more. Films are measured less exactly than CT: these are floors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from xraynet.findings import Finding, Reading
from xraynet.lung_frame import BoxEdges, LungBoxes, lies_on_image_left
from xraynet.radiograph import ViewPosition

Change = Literal["new", "grown", "smaller", "unchanged", "size-not-compared", "not-seen-now", "place-not-compared"]
WhyNotSized = Literal["", "planes-differ", "no-millimetres", "views-differ"]
WhyNotAligned = Literal["", "not-analysed-now", "not-analysed-then", "no-lungs"]

LEAST_CHANGE_MM: Final = 2.0
LEAST_CHANGE_SHARE: Final = 0.2
TOLERANCE: Final = 0.12
"""Of the lung field's height: about 3 cm on an adult's film."""
LEAST_SCORE_SHARE: Final = 0.1
"""Marks below this part of the operating point are noise, and are not taken for a finding that was there already."""
_NEAR_MIDLINE: Final = 0.08


@dataclass(frozen=True)
class FollowedFinding:
    """One place on two films. ``now`` and ``then`` are indices into the readings' detections, None where nothing is marked.

    ``growth_mm`` is the size now less the size then, where the two may be compared; ``why_not_sized`` says why not.
    """

    change: Change
    now: int | None
    then: int | None
    growth_mm: float | None = None
    why_not_sized: WhyNotSized = ""

    def __post_init__(self) -> None:
        if self.now is None and self.then is None:
            raise ValueError("a followed finding lies on neither film")


@dataclass(frozen=True)
class Comparison:
    """Two readings of one patient, compared: findings reported now first, then those that were reported only then.

    ``why_not_aligned``: why nothing is compared. ``turned``: one film is shown mirrored, and was turned for the comparison.
    """

    findings: tuple[FollowedFinding, ...] = ()
    why_not_aligned: WhyNotAligned = ""
    turned: bool = False


def compare_readings(now: Reading, then: Reading) -> Comparison:
    """Pair the findings of a film with those of an earlier film of the same patient, and say what became of each.

    Findings that are reported on either film are followed; on the other film marks below the operating point count too,
    down to a tenth of it, so that a finding that was seen faintly is not called new.
    """
    why = _why_not_aligned(now, then)
    if why:
        return Comparison(why_not_aligned=why)
    turned = now.lungs is not None and then.lungs is not None and now.lungs.mirrored != then.lungs.mirrored
    earlier = turn_over(then) if turned else then
    pairs = _pair_detections(now, earlier)
    of_now, of_then = dict(pairs), {second: first for first, second in pairs}
    findings = [
        _follow(now, then, place, of_now.get(place), compared=_has_place(finding.box, now, earlier))
        for place, finding in enumerate(now.detections)
        if finding.reported or _is_reported(then, of_now.get(place))
    ]
    findings += [
        _follow(now, then, None, place, compared=_has_place(earlier.detections[place].box, earlier, now))
        for place, finding in enumerate(then.detections)
        if finding.reported and place not in of_then
    ]
    return Comparison(findings=tuple(findings), turned=turned)


def match_places(
    first: Sequence[BoxEdges], second: Sequence[BoxEdges], *, lungs: LungBoxes, other_lungs: LungBoxes
) -> list[tuple[int, int]]:
    """(index in ``first``, index in ``second``) of boxes in the same place of two films' lungs, nearest first, one to one."""
    found = []
    for one, box in enumerate(first):
        for other, other_box in enumerate(second):
            distance = place_distance(box, other_box, lungs=lungs, other_lungs=other_lungs)
            if distance is not None and distance <= _reach(box, lungs, other_box, other_lungs):
                found.append((distance, one, other))
    pairs: list[tuple[int, int]] = []
    for _, one, other in sorted(found):
        if all(one != taken and other != taken_too for taken, taken_too in pairs):
            pairs.append((one, other))
    return pairs


def place_distance(box: BoxEdges, other: BoxEdges, *, lungs: LungBoxes, other_lungs: LungBoxes) -> float | None:
    """How far apart two boxes' centres lie, in lung heights; None where their places cannot be compared.

    Places are told in the lung field of their side. Close to the midline, where the side is chance, both lungs' box serves.
    """
    on_left, other_on_left = (
        lies_on_image_left(_centre(edges)[0], fields) for edges, fields in ((box, lungs), (other, other_lungs))
    )
    if on_left == other_on_left:
        field = lungs.right if on_left else lungs.left
        other_field = other_lungs.right if on_left else other_lungs.left
        if field is None or other_field is None:
            return None
        return _distance(box, field, other, other_field)
    if not (_is_whole(lungs) and _is_whole(other_lungs)):
        return None
    joint, other_joint = lungs.joint, other_lungs.joint
    assert joint is not None
    assert other_joint is not None
    if not (_is_central(box, lungs) and _is_central(other, other_lungs)):
        return None
    return _distance(box, joint, other, other_joint)


def compare_sizes(now: Finding, then: Finding) -> tuple[Change, float]:
    """What became of a size in millimetres (both in one plane), and by how much it differs."""
    assert now.diameter_mm is not None
    assert then.diameter_mm is not None
    growth_mm = round(now.diameter_mm - then.diameter_mm, 1)
    if abs(growth_mm) < max(LEAST_CHANGE_MM, LEAST_CHANGE_SHARE * then.diameter_mm):
        return "unchanged", growth_mm
    return ("grown" if growth_mm > 0 else "smaller"), growth_mm


def turn_over(reading: Reading) -> Reading:
    """The reading of the film as it would be seen turned over left to right (boxes and lungs; sides are left alone)."""
    width = float(reading.image.width)
    detections = tuple(
        replace(one, box=(width - one.box[2], one.box[1], width - one.box[0], one.box[3])) for one in reading.detections
    )
    lungs = reading.lungs.flipped(width=width) if reading.lungs is not None else None
    return replace(reading, detections=detections, lungs=lungs)


def _why_not_aligned(now: Reading, then: Reading) -> WhyNotAligned:
    if now.film_score is None:
        return "not-analysed-now"
    if then.film_score is None:
        return "not-analysed-then"
    if now.lungs is None or then.lungs is None or now.lungs.joint is None or then.lungs.joint is None:
        return "no-lungs"
    return ""


def _pair_detections(now: Reading, then: Reading) -> list[tuple[int, int]]:
    """Reported findings of both films first; what is left over with marks below the operating point of the other film."""
    reported_now, faint_now = _split(now)
    reported_then, faint_then = _split(then)
    pairs: list[tuple[int, int]] = []
    for first, second in ((reported_now, reported_then), (reported_now, faint_then), (faint_now, reported_then)):
        taken_now, taken_then = {one for one, _ in pairs}, {other for _, other in pairs}
        ones = [place for place in first if place not in taken_now]
        others = [place for place in second if place not in taken_then]
        assert now.lungs is not None
        assert then.lungs is not None
        pairs += [
            (ones[one], others[other])
            for one, other in match_places(
                [now.detections[place].box for place in ones],
                [then.detections[place].box for place in others],
                lungs=now.lungs,
                other_lungs=then.lungs,
            )
        ]
    return pairs


def _split(reading: Reading) -> tuple[list[int], list[int]]:
    """The detections that are reported, and those below the operating point that are more than noise."""
    least = LEAST_SCORE_SHARE * reading.operating_threshold
    reported = [place for place, one in enumerate(reading.detections) if one.reported]
    faint = [place for place, one in enumerate(reading.detections) if not one.reported and one.score >= least]
    return reported, faint


def _is_reported(reading: Reading, place: int | None) -> bool:
    return place is not None and reading.detections[place].reported


def _follow(now: Reading, then: Reading, place_now: int | None, place_then: int | None, *, compared: bool) -> FollowedFinding:
    if place_now is None or place_then is None:
        alone: Change = "new" if place_then is None else "not-seen-now"
        return FollowedFinding(change=alone if compared else "place-not-compared", now=place_now, then=place_then)
    one, other = now.detections[place_now], then.detections[place_then]
    why = _why_not_sized(now, then, one, other)
    if why:
        return FollowedFinding(change="size-not-compared", now=place_now, then=place_then, why_not_sized=why)
    change, growth_mm = compare_sizes(one, other)
    return FollowedFinding(change=change, now=place_now, then=place_then, growth_mm=growth_mm)


def _why_not_sized(now: Reading, then: Reading, one: Finding, other: Finding) -> WhyNotSized:
    if one.diameter_mm is None or other.diameter_mm is None:
        return "no-millimetres"
    if now.image.spacing_plane != then.image.spacing_plane:
        return "planes-differ"
    # At the detector an AP film magnifies the front of the chest more, and its back less, than a PA film does.
    views = {now.image.view_position, then.image.view_position}
    if now.image.spacing_plane == "detector" and len(views) > 1 and ViewPosition.UNKNOWN not in views:
        return "views-differ"
    return ""


def _has_place(box: BoxEdges, reading: Reading, other: Reading) -> bool:
    """Whether the other film shows the lung field in which a box of this film lies."""
    assert reading.lungs is not None
    assert other.lungs is not None
    on_left = lies_on_image_left(_centre(box)[0], reading.lungs)
    field = reading.lungs.right if on_left else reading.lungs.left
    return field is not None and (other.lungs.right if on_left else other.lungs.left) is not None


def _centre(box: BoxEdges) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _relative(box: BoxEdges, field: BoxEdges) -> tuple[float, float]:
    x, y = _centre(box)
    return (x - field[0]) / (field[2] - field[0]), (y - field[1]) / (field[3] - field[1])


def _distance(box: BoxEdges, field: BoxEdges, other: BoxEdges, other_field: BoxEdges) -> float:
    (x, y), (other_x, other_y) = _relative(box, field), _relative(other, other_field)
    # A field's own proportions turn a part of its width into a part of its height.
    shape = sum((f[2] - f[0]) / (f[3] - f[1]) for f in (field, other_field)) / 2
    return float((((x - other_x) * shape) ** 2 + (y - other_y) ** 2) ** 0.5)


def _reach(box: BoxEdges, lungs: LungBoxes, other: BoxEdges, other_lungs: LungBoxes) -> float:
    """How far apart two boxes may lie: the tolerance, or half of the larger one, whose middle moves as it grows."""
    sizes = []
    for edges, fields in ((box, lungs), (other, other_lungs)):
        joint = fields.joint
        assert joint is not None
        sizes.append((edges[3] - edges[1]) / (joint[3] - joint[1]))
    return max(TOLERANCE, 0.5 * max(sizes))


def _is_whole(lungs: LungBoxes) -> bool:
    return lungs.right is not None and lungs.left is not None


def _is_central(box: BoxEdges, lungs: LungBoxes) -> bool:
    assert lungs.right is not None
    assert lungs.left is not None
    assert lungs.joint is not None
    middle = (lungs.right[2] + lungs.left[0]) / 2
    return abs(_centre(box)[0] - middle) <= _NEAR_MIDLINE * (lungs.joint[2] - lungs.joint[0])


def match_annotations(now: Reading, then: Reading, boxes: Sequence[BoxEdges], *, turned: bool) -> dict[int, int]:
    """By index of a detection of ``now``, the index of what readers marked on the earlier film in the same place.

    ``boxes`` are the marks on the film of ``then``, as it is stored; ``turned`` is the comparison's.
    """
    if now.lungs is None or then.lungs is None or now.lungs.joint is None or then.lungs.joint is None:
        return {}
    width = float(then.image.width)
    seen = [(width - b[2], b[1], width - b[0], b[3]) for b in boxes] if turned else list(boxes)
    lungs = then.lungs.flipped(width=width) if turned else then.lungs
    reported = [place for place, one in enumerate(now.detections) if one.reported]
    pairs = match_places([now.detections[place].box for place in reported], seen, lungs=now.lungs, other_lungs=lungs)
    return {reported[one]: other for one, other in pairs}
