"""Single values out of a DICOM dataset, where any of them may be missing, empty, multiple or garbage.

Every function answers with nothing ("", (), None) instead of an exception: whether that matters is the caller's question.
"""

import math
from collections.abc import Sequence

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset


def _read_values(dataset: Dataset, keyword: str) -> list[object]:
    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom converts values on access, and hostile ones fail in ways that nobody lists
        return []
    if value is None:
        return []
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        return [value]
    return list(value)


def read_texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """All values of a text element, stripped of blanks and nulls."""
    return tuple(str(value).strip(" \0\t\r\n") for value in _read_values(dataset, keyword))


def read_text(dataset: Dataset, keyword: str) -> str:
    """The first value of a text element, or ""."""
    return next(iter(read_texts(dataset, keyword)), "")


def read_numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """All values of a number element; () where one of them is not a finite number."""
    numbers = []
    for value in _read_values(dataset, keyword):
        try:
            number = float(str(value))
        except ValueError:
            return ()
        if not math.isfinite(number):
            return ()
        numbers.append(number)
    return tuple(numbers)


def read_number(dataset: Dataset, keyword: str) -> float | None:
    """The first value of a number element, or None."""
    return next(iter(read_numbers(dataset, keyword)), None)


def read_integer(dataset: Dataset, keyword: str) -> int | None:
    """The first value of a number element where it is whole, or None."""
    number = read_number(dataset, keyword)
    return int(number) if number is not None and number == int(number) else None


def has_value(dataset: Dataset, keyword: str) -> bool:
    """True where the element is there and not empty, readable or not."""
    element: object = dataset.get_item(tag_for_keyword(keyword) or 0, keep_deferred=True)
    if isinstance(element, RawDataElement):
        return element.length != 0
    return isinstance(element, DataElement) and not element.is_empty


def read_first_item(dataset: Dataset, keyword: str) -> Dataset | None:
    """The first item of a sequence, or None."""
    item = next(iter(_read_values(dataset, keyword)), None)
    return item if isinstance(item, Dataset) else None


def read_items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """All items of a sequence."""
    return tuple(item for item in _read_values(dataset, keyword) if isinstance(item, Dataset))


def read_bytes(dataset: Dataset, keyword: str) -> bytes | None:
    """The value of a binary element (OB, OW), or None where it is absent or was read as something else."""
    value = next(iter(_read_values(dataset, keyword)), None)
    return value if isinstance(value, bytes) else None
