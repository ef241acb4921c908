"""The single steps of a reading: accept, reject, add, move, a verdict ..., and what each makes of a look at a film."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from xraynet.errors import ActionRefused
from xraynet.findings import Finding, Reading
from xraynet.service.review.look import VERDICTS, Box, Look, Mark, Verdict, snap_box

Kind = Literal["accept", "reject", "clear", "add", "move", "remove", "note", "verdict", "reopen", "reveal", "undo", "redo"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

MOST_NOTE_LETTERS: Final = 2000
MOST_MARKS: Final = 200
_NEEDED: Final[Mapping[Kind, frozenset[str]]] = {
    "accept": frozenset({"detection"}),
    "reject": frozenset({"detection"}),
    "clear": frozenset({"detection"}),
    "add": frozenset({"mark", "box"}),
    "move": frozenset({"box"}),
    "remove": frozenset({"mark"}),
    "note": frozenset({"text"}),
    "verdict": frozenset({"verdict"}),
}
_ALLOWED: Final[Mapping[Kind, frozenset[str]]] = {
    "move": frozenset({"mark", "detection", "box"}),
    "note": frozenset({"mark", "text"}),
}
_IDENTIFIER: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_DETECTION: Final = re.compile(r"d[1-9][0-9]{0,3}")
_OF_A_FINISHED_LOOK: Final = frozenset({"reopen", "reveal", "note"})
_NEEDING_MARKS_SHOWN: Final = frozenset({"accept", "reject", "clear"})


@dataclass(frozen=True)
class Step:
    """What a reader did, without who and when: its kind and the facts that the kind needs."""

    kind: Kind
    detection: str | None = None
    mark: str | None = None
    box: Box | None = None
    text: str | None = None
    verdict: Verdict | None = None

    def to_tables(self) -> dict[str, object]:
        """The facts as plain values, without those that the kind does not have."""
        every = {
            "detection": self.detection,
            "mark": self.mark,
            "box": list(self.box) if self.box is not None else None,
            "text": self.text,
            "verdict": self.verdict,
        }
        return {name: value for name, value in every.items() if value is not None}


def parse_step(tables: Mapping[str, object]) -> Step:
    """The step in plain values. Raises ActionRefused for an unknown kind, a missing or unknown fact, or a wrong type."""
    kind = next((known for known in KINDS if known == tables.get("kind")), None)
    if kind is None:
        raise ActionRefused(f"the kind of action is unknown; expected one of {', '.join(KINDS)}")
    facts = {name: value for name, value in tables.items() if name != "kind"}
    needed = _NEEDED.get(kind, frozenset())
    unknown, missing = sorted(facts.keys() - _ALLOWED.get(kind, needed)), sorted(needed - facts.keys())
    if missing or unknown:
        found = f"lacks {', '.join(missing)}" if missing else f"has the unknown {', '.join(map(repr, unknown))}"
        raise ActionRefused(f"{kind} {found}")
    if kind == "move" and ("mark" in facts) == ("detection" in facts):
        raise ActionRefused("move names a mark or a detection, and not both")
    return Step(
        kind=kind,
        detection=_match(facts.get("detection"), _DETECTION, "detection"),
        mark=_match(facts.get("mark"), _IDENTIFIER, "mark"),
        box=_parse_box(facts.get("box")),
        text=_parse_text(facts.get("text")),
        verdict=_parse_verdict(facts.get("verdict")),
    )


def _match(value: object, pattern: re.Pattern[str], name: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise ActionRefused(f"the {name} is no id of a {name}")
    return value


def _parse_box(value: object) -> Box | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) != 4:
        raise ActionRefused("the box is not [x1, y1, x2, y2]")
    try:
        sides = [float(side) for side in value if isinstance(side, int | float) and not isinstance(side, bool)]
    except OverflowError:  # JSON knows no largest integer
        sides = []
    if len(sides) != 4:
        raise ActionRefused("a side of the box is not a number")
    return (sides[0], sides[1], sides[2], sides[3])


def _parse_text(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MOST_NOTE_LETTERS:
        raise ActionRefused(f"a note is a text of at most {MOST_NOTE_LETTERS} letters")
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in value).strip()


def _parse_verdict(value: object) -> Verdict | None:
    verdict = next((known for known in VERDICTS if known == value), None)
    if value is not None and verdict is None:
        raise ActionRefused(f"the verdict is unknown; expected one of {', '.join(VERDICTS)}")
    return verdict


def apply_step(look: Look, step: Step, *, reading: Reading, at: str) -> Look:
    """The look after a step on the film of ``reading``, taken ``at`` that time (undo and redo are the history's).

    Raises ActionRefused where the look does not allow it.
    """
    if look.verdict is not None and step.kind not in _OF_A_FINISHED_LOOK:
        raise ActionRefused("this film is finished; reopen it to change something")
    if look.phase == "first" and (step.kind in _NEEDING_MARKS_SHOWN or step.detection is not None):
        raise ActionRefused("the detector's marks are not shown yet: this is the first look")
    match step.kind:
        case "accept" | "reject" | "clear":
            return _judge(look, step, reading=reading)
        case "add":
            return _add(look, step, reading=reading)
        case "move":
            return _move(look, step, reading=reading)
        case "remove":
            if _find_mark(look, step).state != "added":
                raise ActionRefused("only an added mark can be removed; reject the detection, or clear it")
            return look.without_mark(_find_mark(look, step).id)
        case "note":
            assert step.text is not None
            if step.mark is None:
                return replace(look, note=step.text)
            return look.with_mark(replace(_find_mark(look, step), note=step.text))
        case "verdict":
            return _finish(look, step, at=at)
        case "reopen":
            if look.verdict is None:
                raise ActionRefused("this film is not finished")
            return replace(look, verdict=None, finished_at=None)
        case "reveal":
            return _reveal(look)
        case "undo" | "redo":
            raise ValueError(f"{step.kind} belongs to the history of a look, not to the look")


def find_detection(reading: Reading, name: str) -> Finding:
    """The detection ``d1``, ``d2`` ... of a reading, in its order. Raises ActionRefused where it has none of that name."""
    number = int(name[1:])
    if number > len(reading.detections):
        raise ActionRefused(f"there is no detection {name} on this film; it has {len(reading.detections)}")
    return reading.detections[number - 1]


def _judge(look: Look, step: Step, *, reading: Reading) -> Look:
    assert step.detection is not None
    finding = find_detection(reading, step.detection)
    known = look.find(step.detection)
    if step.kind == "clear":
        if known is None:
            raise ActionRefused(f"nothing was said of detection {step.detection}")
        return look.without_mark(known.id)
    note = known.note if known is not None else ""
    if step.kind == "reject":
        return look.with_mark(Mark(step.detection, step.detection, "rejected", finding.box, note=note))
    if known is not None and known.moved:
        return look.with_mark(replace(known, state="accepted"))
    return look.with_mark(Mark(step.detection, step.detection, "accepted", finding.box, note=note))


def _add(look: Look, step: Step, *, reading: Reading) -> Look:
    assert step.mark is not None
    assert step.box is not None
    if look.find(step.mark) is not None or _DETECTION.fullmatch(step.mark) is not None:
        raise ActionRefused(f"a mark {step.mark} is there already, or its id is a detection's")
    if len(look.marks) >= MOST_MARKS:
        raise ActionRefused(f"the film has {len(look.marks)} marks; more are not kept")
    return look.with_mark(Mark(step.mark, None, "added", snap_box(step.box, size=_size(reading))))


def _move(look: Look, step: Step, *, reading: Reading) -> Look:
    assert step.box is not None
    box = snap_box(step.box, size=_size(reading))
    if step.detection is None:
        mark = _find_mark(look, step)
        if mark.detection is None:
            return look.with_mark(replace(mark, box=box))
        return look.with_mark(replace(mark, state="accepted", box=box, moved=True))
    find_detection(reading, step.detection)
    known = look.find(step.detection)
    note = known.note if known is not None else ""
    return look.with_mark(Mark(step.detection, step.detection, "accepted", box, moved=True, note=note))


def _find_mark(look: Look, step: Step) -> Mark:
    assert step.mark is not None
    mark = look.find(step.mark)
    if mark is None:
        raise ActionRefused(f"there is no mark {step.mark} on this film")
    return mark


def _size(reading: Reading) -> tuple[int, int]:
    return (reading.image.height, reading.image.width)


def _finish(look: Look, step: Step, *, at: str) -> Look:
    if step.verdict == "findings" and not look.findings:
        raise ActionRefused("the verdict is findings, but no mark is accepted or added")
    if step.verdict == "normal" and look.findings:
        raise ActionRefused(f"the verdict is normal, but {len(look.findings)} marks are accepted or added")
    return replace(look, verdict=step.verdict, finished_at=at)


def _reveal(look: Look) -> Look:
    if look.phase != "first":
        raise ActionRefused("the detector's marks are shown already")
    if look.verdict is None:
        raise ActionRefused("say what the first look found (findings, normal or unreadable) before the marks are shown")
    return Look(phase="second", marks=look.marks, note=look.note, first=look)
