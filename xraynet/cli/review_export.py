"""``xraynet review OUT --export``: what readers said, as files for other programs, without a server."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from xraynet.errors import ReviewError
from xraynet.files import write_bytes_atomically, write_text_atomically

if TYPE_CHECKING:
    from xraynet.service.review.export import ExportedLook

ExportKind = Literal["coco", "csv", "sr", "backup"]
LookChoice = Literal["first", "final"]


def export_readings(out: Path, *, store: Path, kind: ExportKind, to: Path, reader: str | None, look: LookChoice | None) -> None:
    """Write one kind of export to ``to``. Raises ReviewError where there is nothing to export, or no place for it."""
    from xraynet.service.review.export import render_coco, render_csv

    if not to.absolute().parent.is_dir():
        raise ReviewError(f"{to}: there is no folder {to.parent} to write it to")
    if kind == "backup":
        _copy_store(store, to=to)
        return
    looks = _select(out, store=store, kind=kind, reader=reader, look=look)
    if reader is not None and not looks:
        raise ReviewError(f"{store}: holds no such reading of {reader}")
    if kind == "sr":
        _write_reports(looks, out=out, to=to)
        return
    write_text_atomically(to, render_coco(looks) if kind == "coco" else render_csv(looks))
    typer.echo(f"{to}: {_count(looks)}")


def _copy_store(store: Path, *, to: Path) -> None:
    from xraynet.service.review.store import ReviewStore

    with ReviewStore(store, read_only=True) as opened:
        opened.backup(to)
        typer.echo(f"{to}: a copy of {opened.revision()} actions")


def _select(out: Path, *, store: Path, kind: ExportKind, reader: str | None, look: LookChoice | None) -> "list[ExportedLook]":
    from xraynet.service.review.export import select_looks
    from xraynet.service.review.films import FilmFolder
    from xraynet.service.review.store import ReviewStore

    if not store.exists() and store.parent == out:
        FilmFolder(out)  # raises ReviewError where it is no folder of results
        return []  # results that nobody has read yet
    with ReviewStore(store, read_only=True) as opened:
        wanted = look if kind == "csv" else look or "final"
        return select_looks(opened, reader=reader, look=wanted, finished=kind != "csv")


def _count(looks: "list[ExportedLook]") -> str:
    return f"{len(looks)} readings, {len({item.reader for item in looks})} readers"


def _write_reports(looks: "list[ExportedLook]", *, out: Path, to: Path) -> None:
    from xraynet.service.review.export_sr import list_left_out, pack_reports, write_reports

    if to.suffix == ".zip":
        write_bytes_atomically(to, pack_reports(looks, root=out))
        typer.echo(f"{to}: {_count(looks)}; left-out.csv in it says which have no report")
        return
    if to.exists():
        raise ReviewError(f"{to}: exists already; reports go to a new folder, or to a .zip")
    written = list(write_reports(looks, root=out))
    to.mkdir()
    for item in written:
        if item.report is not None:
            (to / item.name).parent.mkdir(exist_ok=True)
            write_bytes_atomically(to / item.name, item.report.content)
    left_out = [item for item in written if item.report is None]
    if left_out:
        write_text_atomically(to / "left-out.csv", list_left_out(left_out))
    typer.echo(f"{to}: {len(written) - len(left_out)} reports, {len(left_out)} readings left out")
