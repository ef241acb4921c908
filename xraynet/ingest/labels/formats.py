"""The names of the annotation formats, and the one door through which any of them is read."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

from xraynet.errors import LabelError
from xraynet.ingest.labels.chestxdet import read_chestxdet
from xraynet.ingest.labels.coco import read_coco
from xraynet.ingest.labels.jsrt import read_jsrt
from xraynet.ingest.labels.lidc_drr import read_lidc_drr
from xraynet.ingest.labels.nih import read_nih
from xraynet.ingest.labels.node21 import read_node21
from xraynet.ingest.labels.pascal_voc import read_pascal_voc
from xraynet.ingest.labels.plain_csv import read_plain_csv
from xraynet.ingest.labels.records import LabelTable, merge_tables, rename_readers
from xraynet.ingest.labels.review import read_review
from xraynet.ingest.labels.sr import read_sr
from xraynet.ingest.labels.sr_observer import NamePerson, withhold_person
from xraynet.ingest.labels.vindr import read_vindr


class LabelFormat(StrEnum):
    """The annotation formats, as ``--format`` names them."""

    NIH = "nih"
    VINDR = "vindr"
    NODE21 = "node21"
    JSRT = "jsrt"
    CHESTXDET = "chestxdet"
    COCO = "coco"
    VOC = "voc"
    CSV = "plain-csv"
    LIDC_DRR = "lidc-drr"
    REVIEW = "review"
    REVIEW_FIRST = "review-first"
    SR = "sr"


NAMING_PEOPLE: Final = frozenset({LabelFormat.REVIEW, LabelFormat.REVIEW_FIRST})
"""The formats whose readers are all persons by name, which a catalogue never holds. (In reports, some are devices.)"""


def read_labels(path: Path, *, label_format: LabelFormat, name_person: NamePerson = withhold_person) -> LabelTable:
    """The labels in one table of that format. Raises LabelError where it cannot be understood.

    ``name_person`` makes pseudonyms of readers whom a format knows by name.
    """
    match label_format:
        case LabelFormat.NIH:
            return read_nih(path)
        case LabelFormat.VINDR:
            return read_vindr(path)
        case LabelFormat.NODE21:
            return read_node21(path)
        case LabelFormat.JSRT:
            return read_jsrt(path)
        case LabelFormat.CHESTXDET:
            return read_chestxdet(path)
        case LabelFormat.COCO:
            return read_coco(path)
        case LabelFormat.VOC:
            return read_pascal_voc(path)
        case LabelFormat.CSV:
            return read_plain_csv(path)
        case LabelFormat.LIDC_DRR:
            return read_lidc_drr(path)
        case LabelFormat.REVIEW:
            return read_review(path, look="final")
        case LabelFormat.REVIEW_FIRST:
            return read_review(path, look="first")
        case LabelFormat.SR:
            return read_sr(path, name_person=name_person)


def read_all_labels(
    paths: Sequence[Path], *, formats: Sequence[LabelFormat], name_reader: Callable[[str], str] | None = None
) -> LabelTable:
    """Several tables about one set of films, merged film by film.

    ``formats`` has one entry a table, or one for all; ``name_reader`` makes of a reader's own name what may be kept.
    Raises LabelError where the numbers do not fit.
    """
    if len(formats) == 1:
        formats = [formats[0]] * len(paths)
    if len(formats) != len(paths):
        raise LabelError(
            f"there are {len(paths)} label files and {len(formats)} formats; give one format for all, or one for each"
        )
    tables = [
        rename_readers(
            read_labels(path, label_format=label_format, name_person=name_reader or withhold_person),
            name_reader if name_reader is not None and label_format in NAMING_PEOPLE else str,
        )
        for path, label_format in zip(paths, formats, strict=True)
    ]
    return merge_tables(tables)
