"""What ``xraynet predict dicomweb:…`` asks of the command line, and what it tells; nothing else ever opens a connection."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from xraynet.errors import XraynetError

if TYPE_CHECKING:
    from xraynet.batch.folder import RunSummary
    from xraynet.batch.options import FolderOptions
    from xraynet.findings import Outcome
    from xraynet.inference.predictor import Predictor
    from xraynet.service.dicomweb_address import DicomwebAddress


@dataclass(frozen=True)
class ArchiveRequest:
    """An archive to read from, and how it is spoken to. None stands for an option that was not given."""

    address: "DicomwebAddress"
    credentials: Path | None
    ca_file: Path | None
    allow_http: bool
    max_films: int
    store_results: bool

    def run(
        self,
        *,
        predictor: "Predictor",
        out: Path,
        options: "FolderOptions",
        on_outcome: "Callable[[Outcome, bool], None]",
        on_start: Callable[[tuple[str, ...], int], None],
    ) -> "tuple[RunSummary, int]":
        """Read the archive's films; returns what the run did and how many results the archive did not take."""
        from xraynet.service.dicomweb import Archive
        from xraynet.service.dicomweb_run import predict_archive
        from xraynet.service.dicomweb_session import Access, DicomwebLimits, read_credentials

        access = Access(authorization=read_credentials(self.credentials), ca_file=self.ca_file, allow_http=self.allow_http)
        with Archive(self.address, access=access, limits=DicomwebLimits(max_films=self.max_films)) as archive:
            summary = predict_archive(
                archive,
                predictor=predictor,
                out=out,
                options=options,
                store_results=self.store_results,
                on_outcome=on_outcome,
                on_start=on_start,
            )
        if self.store_results:
            typer.echo(f"{summary.num_stored} results stored in the archive, {len(summary.not_stored)} not taken")
        for sentence in summary.not_stored[:20]:
            typer.echo(f"not stored: {sentence}")
        if len(summary.not_stored) > 20:
            typer.echo(f"not stored: {len(summary.not_stored) - 20} more; the same command sends them again")
        return summary.run, len(summary.not_stored)


def ask_archive(
    paths: list[str],
    *,
    credentials: Path | None,
    ca_file: Path | None,
    allow_http: bool,
    max_films: int | None,
    store_results: bool,
    has_dicom_results: bool,
) -> ArchiveRequest | None:
    """The archive that the paths name; None where they are files. Raises BadParameter for what does not go together."""
    from xraynet.service.dicomweb_address import is_dicomweb_address, parse_address

    if not any(is_dicomweb_address(path) for path in paths):
        given = {"--credentials": credentials, "--ca-file": ca_file, "--max-films": max_films}
        stray = [name for name, value in given.items() if value is not None]
        stray += ["--allow-http"] * allow_http + ["--store-results"] * store_results
        if stray:
            raise typer.BadParameter(f"{', '.join(stray)} goes with an archive (dicomweb:http…), and none is named")
        return None
    if len(paths) > 1:
        raise typer.BadParameter("an archive (dicomweb:…) is read alone; one PATH was expected")
    if store_results and not has_dicom_results:
        raise typer.BadParameter("--store-results sends DICOM results, and none are asked for; add --dicom-results sr,sc,pr")
    _check_extra()
    from xraynet.service.dicomweb_session import DEFAULT_LIMITS, Access

    try:
        address = parse_address(paths[0])
        Access(ca_file=ca_file, allow_http=allow_http).check(address)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    limit = DEFAULT_LIMITS.max_films if max_films is None else max_films
    if limit < 1:
        raise typer.BadParameter(f"--max-films is {limit}; at least 1 was expected")
    return ArchiveRequest(
        address=address,
        credentials=credentials,
        ca_file=ca_file,
        allow_http=allow_http,
        max_films=limit,
        store_results=store_results,
    )


def _check_extra() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("requests", "dicomweb_client") if find_spec(name) is None]
    if missing:
        raise XraynetError(
            f"reading from an archive needs {', '.join(missing)}, not installed here: pip install 'xraynet[pacs]'"
        )
