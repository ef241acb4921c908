"""Options of the verbs that make and read catalogues, parsed."""

import os

import typer

_MOST_WORKERS = 8


def parse_numbers(text: str, *, count: int, name: str) -> tuple[float, ...]:
    """Numbers with commas between them. Raises typer.BadParameter where there are not ``count`` of them."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise typer.BadParameter(f"{name} is '{text}'; {count} numbers with commas between them were expected")
    return numbers


def count_workers(asked: int | None) -> int:
    """Decoding processes: as asked, else one for each CPU that this process may use, at most 8."""
    if asked is not None:
        if asked < 0:
            raise typer.BadParameter(f"--workers is {asked}; 0 or more was expected")
        return asked
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _MOST_WORKERS)
