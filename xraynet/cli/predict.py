"""``xraynet predict``: films in, readings, pictures, reports and a worklist out."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xraynet.errors import EXIT_FAILED, XraynetError

if TYPE_CHECKING:
    from xraynet.batch.options import FolderOptions
    from xraynet.batch.visit_record import VisitOptions
    from xraynet.cli.predict_archive import ArchiveRequest
    from xraynet.findings import Outcome


def predict(
    paths: Annotated[
        list[str],
        typer.Argument(help="Films, folders of films, or an archive: dicomweb:https://HOST/ROOT?NAME=VALUE", metavar="PATH…"),
    ],
    out: Annotated[Path, typer.Option(help="The folder for results; a run that was cut off goes on there.")],
    checkpoint: Annotated[Path | None, typer.Option(help="A detector's checkpoint; by default the shipped one.")] = None,
    lungs: Annotated[Path | None, typer.Option(help="A lungs checkpoint; by default the shipped one.")] = None,
    outputs: Annotated[
        str, typer.Option(help="What to write: reading, heatmap, overlay, report, index, csv.", metavar="NAME,…")
    ] = "reading,heatmap,overlay,report,index,csv",
    spacing_mm: Annotated[
        str | None, typer.Option(help="Row and column spacing in mm of films that state none.", metavar="ROW,COL")
    ] = None,
    no_gate: Annotated[bool, typer.Option("--no-gate", help="Analyse films that the gate would hold back, too.")] = False,
    identify: Annotated[
        bool, typer.Option("--identify", help="Print the patient's name, ID, birth date, accession number and study date.")
    ] = False,
    hash_paths: Annotated[bool, typer.Option("--hash-paths", help="Leave the paths of films out of all results.")] = False,
    save_map: Annotated[bool, typer.Option("--save-map", help="Keep the score map as numbers (score_map.npz).")] = False,
    dicom_results: Annotated[
        str | None,
        typer.Option(
            help="DICOM objects to write beside each reading of a DICOM film: sr (report), sc (picture), pr (marks).",
            metavar="NAME,…",
        ),
    ] = None,
    language: Annotated[
        str, typer.Option(help="The language of what people read: en, de, es, or a language file.", metavar="CODE|FILE")
    ] = "en",
    pdf: Annotated[bool, typer.Option("--pdf", help="Write a report.pdf of each film, too (extra: pdf).")] = False,
    paper: Annotated[str | None, typer.Option(help="Of the PDF: a4 or letter; by default the language's own.")] = None,
    store_results: Annotated[
        bool, typer.Option("--store-results", help="Send the DICOM results back to the archive (dicomweb: only).")
    ] = False,
    credentials: Annotated[
        Path | None,
        typer.Option(help="A file of mode 0600 with 'bearer TOKEN' or 'basic USER:PASSWORD' for the archive.", metavar="FILE"),
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="The certificate authority that signed the archive's certificate.", metavar="FILE")
    ] = None,
    allow_http: Annotated[
        bool, typer.Option("--allow-http", help="Speak unencrypted http to an archive on another machine.")
    ] = False,
    max_films: Annotated[
        int | None, typer.Option(help="A search of the archive that finds more is an error (10000).", show_default=False)
    ] = None,
    visits: Annotated[
        bool, typer.Option("--visits", help="Write a page of each visit, with earlier films of the same patient in this run.")
    ] = False,
    catalogue: Annotated[
        Path | None, typer.Option(help="Look for earlier films in this catalogue, too; implies --visits.", file_okay=False)
    ] = None,
    salt_file: Annotated[
        Path | None, typer.Option(help="The site's salt for patient keys; made once. Default: ~/.config/xraynet/patient-salt.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps …")] = "cpu",
    precision: Annotated[str, typer.Option(help="What the detector computes in: float32 or bfloat16.")] = "float32",
    max_megapixels: Annotated[float, typer.Option(help="Larger films are refused before they are decoded.")] = 200.0,
) -> None:
    """Find nodules on chest radiographs and write a report of each. Research use, not for diagnosis."""
    from xraynet.batch.options import FolderOptions, parse_dicom_results, parse_outputs, parse_paper, parse_spacing
    from xraynet.cli.language import ask_language
    from xraynet.cli.predict_archive import ask_archive

    try:
        options = FolderOptions(
            outputs=parse_outputs(outputs),
            spacing_mm=parse_spacing(spacing_mm) if spacing_mm is not None else None,
            enforce_gate=not no_gate,
            identify=identify,
            hash_paths=hash_paths,
            save_map=save_map,
            max_megapixels=max_megapixels,
            dicom_results=parse_dicom_results(dicom_results) if dicom_results is not None else frozenset(),
            language=ask_language(language),
            pdf=pdf,
            paper=parse_paper(paper) if paper is not None else None,
            visits=_ask_visits(catalogue, salt_file) if visits or catalogue is not None else None,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if precision not in ("float32", "bfloat16"):
        raise typer.BadParameter(f"precision is '{precision}'; float32 or bfloat16 was expected")
    if pdf and find_spec("reportlab") is None:
        raise XraynetError("--pdf needs reportlab, which is not installed: pip install 'xraynet[pdf]'")
    archive = ask_archive(
        paths,
        credentials=credentials,
        ca_file=ca_file,
        allow_http=allow_http,
        max_films=max_films,
        store_results=store_results,
        has_dicom_results=dicom_results is not None,
    )
    if archive is None and not any(Path(path).exists() for path in paths):
        raise typer.BadParameter(f"there is nothing at {', '.join(paths)}")
    failed = _run(
        archive or paths, out=out, checkpoint=checkpoint, lungs=lungs, options=options, device=device, precision=precision
    )
    if failed:
        raise typer.Exit(EXIT_FAILED)


def _ask_visits(catalogue: Path | None, salt_file: Path | None) -> "VisitOptions":
    """How visits are found. Raises CatalogueError at once where the catalogue cannot be used with this salt."""
    from xraynet.batch.prior_films import open_catalogue
    from xraynet.batch.visit_record import VisitOptions
    from xraynet.ingest.salt import default_salt_path, read_or_make_salt

    options = VisitOptions(salt=read_or_make_salt(salt_file or default_salt_path()), catalogue=catalogue)
    open_catalogue(options)
    return options


def _run(
    films: "ArchiveRequest | list[str]",
    *,
    out: Path,
    checkpoint: Path | None,
    lungs: Path | None,
    options: "FolderOptions",
    device: str,
    precision: str,
) -> int:
    from xraynet.batch.folder import predict_folder
    from xraynet.inference.predictor import Predictor
    from xraynet.lungs.segmenter import LungSegmenter

    try:
        predictor = Predictor.from_checkpoint(
            checkpoint,
            lungs=LungSegmenter.from_file(lungs) if lungs is not None else None,
            device=device,
            precision="bfloat16" if precision == "bfloat16" else "float32",
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for warning in predictor.warnings:
        typer.echo(f"xraynet: warning: {warning}", err=True)
    progress = _Progress()
    num_not_stored = 0
    if isinstance(films, list):
        summary = predict_folder(
            films, predictor=predictor, out=out, options=options, on_start=progress.start, on_outcome=progress.advance
        )
    else:
        summary, num_not_stored = films.run(
            predictor=predictor, out=out, options=options, on_start=progress.start, on_outcome=progress.advance
        )
    if summary.num_kept:
        typer.echo(f"{summary.num_kept} of {sum(summary.counts.values())} files were done by an earlier run and were kept")
    for reason, num_films in summary.without_dicom:
        typer.echo(f"{num_films} {'film has' if num_films == 1 else 'films have'} no DICOM results: {reason}")
    if "index" in options.outputs:
        typer.echo(f"worklist: {out / 'index.html'}")
    if summary.visits is not None:
        with_earlier = sum(num > 0 for num in summary.visits)
        typer.echo(f"visits: {len(summary.visits)}, {with_earlier} of them with earlier films")
    counts = summary.counts
    typer.echo(f"{counts['ok']} ok, {counts['refused']} refused, {counts['failed']} failed")
    return counts["failed"] + num_not_stored


class _Progress:
    """One line for what goes wrong, and one every so often for how far the run is."""

    def __init__(self) -> None:
        self._num_files = 0
        self._num_done = 0
        self._next_line = 1

    def start(self, restarted: tuple[str, ...], num_files: int) -> None:
        self._num_files = num_files
        if restarted:
            typer.echo(f"another {', '.join(restarted)} than in the earlier run there: every film is read again")

    def advance(self, outcome: "Outcome", kept: bool) -> None:
        self._num_done += 1
        if outcome.status != "ok" and not kept:
            typer.echo(f"{outcome.status}: {_plain(outcome.path)}: {outcome.reason} ({outcome.code})")
        if self._num_done >= self._next_line or self._num_done == self._num_files:
            typer.echo(f"{self._num_done} of {self._num_files} films")
            self._next_line = max(self._num_done + 1, round(self._num_done * 1.5))


def _plain(name: str) -> str:
    """A file's name without characters that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
