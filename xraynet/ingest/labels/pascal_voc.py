"""Reads Pascal VOC: a folder with one XML file a film (or one such file), boxes as xmin, ymin, xmax, ymax.

VOC counts pixels from 1 and includes the last; most tools that write it count from 0 and exclude it. The difference is one
pixel at most, and coordinates are taken as xraynet's own.

**Label state.** A file with an object of a target class makes its film boxed; a file without one says that its film was
looked at and nothing was marked: read and free of nodules and masses. A film without a file is unknown.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.parsers import expat

from xraynet.errors import LabelError
from xraynet.ingest.labels.records import BoxRow, FilmLabels, LabelTable, Place, gather_films
from xraynet.ingest.labels.tables import IssueLog, read_label_text
from xraynet.ingest.labels.vocabulary import DEFAULT_TARGETS

_CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")


@dataclass
class _VocObject:
    line: int
    texts: dict[str, str] = field(default_factory=dict)


@dataclass
class _VocFile:
    """What one XML file holds, filled while expat walks through it."""

    texts: dict[str, str] = field(default_factory=dict)
    objects: list[_VocObject] = field(default_factory=list)
    path: list[str] = field(default_factory=list)


def read_pascal_voc(path: Path) -> LabelTable:
    """The labels of every ``.xml`` file under a folder, or of one file.

    Raises LabelError where there is none, or one is not a VOC annotation.
    """
    files = sorted(path.rglob("*.xml")) if path.is_dir() else [path]
    if not files:
        raise LabelError(f"{path} holds no .xml file; Pascal VOC keeps one for each film")
    log = IssueLog()
    films = gather_films(_read_file(file, path, log) for file in files)
    return LabelTable(films=films, issues=tuple(log.issues))


def _read_file(file: Path, root: Path, log: IssueLog) -> FilmLabels:
    voc = _parse(read_label_text(file), file)
    member = file.relative_to(root).as_posix() if root.is_dir() else ""
    table = root.name
    film = voc.texts.get("annotation/filename") or file.stem
    height, width = _number(voc.texts.get("annotation/size/height")), _number(voc.texts.get("annotation/size/width"))
    boxes = []
    for item in voc.objects:
        place = Place(table, item.line, member=member)
        x1, y1, x2, y2 = (_number(item.texts.get(f"bndbox/{name}")) for name in _CORNERS)
        name = item.texts.get("name", "")
        if not name:
            log.add_unreadable(place, "the object has no name; taken as 'nodule', so that its film is no negative")
        boxes.append(BoxRow(place=place, xyxy=(x1, y1, x2, y2), class_name=name or "nodule"))
    return FilmLabels(
        film=film,
        places=(Place(table, 1, member=member),),
        boxes=tuple(boxes),
        read_for=DEFAULT_TARGETS,
        frame=(round(height), round(width)) if height >= 1 and width >= 1 else None,
    )


def _parse(text: str, file: Path) -> _VocFile:
    voc = _VocFile()
    parser = expat.ParserCreate()

    def start(name: str, _attributes: dict[str, str]) -> None:
        voc.path.append(name)
        if voc.path == ["annotation", "object"]:
            voc.objects.append(_VocObject(line=parser.CurrentLineNumber))

    def end(_name: str) -> None:
        voc.path.pop()

    def characters(content: str) -> None:
        if not content.strip():
            return
        if voc.path[:2] == ["annotation", "object"]:
            texts, key = voc.objects[-1].texts, "/".join(voc.path[2:])
        else:
            texts, key = voc.texts, "/".join(voc.path)
        texts[key] = (texts.get(key, "") + content).strip()

    def doctype(*_declaration: object) -> None:
        # An entity declared in a document type can unfold into gigabytes; VOC needs none.
        raise LabelError(f"{file} declares a document type; a plain Pascal VOC annotation was expected")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = characters, doctype
    parser.buffer_text = True
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise LabelError(f"{file} is not XML: {error}") from error
    if not any(key.startswith("annotation/") for key in voc.texts) and not voc.objects:
        raise LabelError(f"{file} has no <annotation>; a Pascal VOC annotation was expected")
    return voc


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
