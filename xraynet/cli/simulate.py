"""``xraynet simulate``: known nodules in a site's own normal films, and how many of them the detector finds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xraynet.errors import EXIT_FAILED

if TYPE_CHECKING:
    from xraynet.batch.site_options import SiteOptions
    from xraynet.batch.site_results import SiteResult
    from xraynet.findings import Outcome
    from xraynet.reporting.language import Language


def simulate(
    films: Annotated[list[Path], typer.Argument(help="Normal films, or folders of them.", metavar="FILMS…")],
    out: Annotated[Path, typer.Option(help="The folder for simulate.json, simulate.csv, simulate.html.")],
    checkpoint: Annotated[Path | None, typer.Option(help="A detector's checkpoint; by default the shipped one.")] = None,
    lungs: Annotated[Path | None, typer.Option(help="A lungs checkpoint; by default the shipped one.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed draws the same nodules into the same films.", min=0)] = 0,
    num_per_film: Annotated[int, typer.Option(help="Nodules drawn into each film.", min=1, max=10)] = 1,
    spacing_mm: Annotated[
        str | None, typer.Option(help="Row and column spacing in mm of films that state none.", metavar="ROW,COL")
    ] = None,
    diameters_mm: Annotated[
        str | None, typer.Option(help="Smallest and largest diameter drawn, in mm.", metavar="LOW,HIGH")
    ] = None,
    save_films: Annotated[
        bool, typer.Option("--save-films", help="Keep the films with their nodules as 16-bit PNG in OUT/films.")
    ] = False,
    hash_paths: Annotated[bool, typer.Option("--hash-paths", help="Leave the paths of films out of all results.")] = False,
    language: Annotated[
        str, typer.Option(help="The language of what people read: en, de, es, or a language file.", metavar="CODE|FILE")
    ] = "en",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps …")] = "cpu",
    max_megapixels: Annotated[float, typer.Option(help="Larger films are refused before they are decoded.")] = 200.0,
) -> None:
    """Draw known nodules into normal films and report how many are found. Research use, not for diagnosis."""
    from xraynet.batch.options import parse_spacing
    from xraynet.batch.site_options import SiteOptions, default_simulation, limit_diameters
    from xraynet.cli.language import ask_language

    try:
        simulation = default_simulation()
        options = SiteOptions(
            seed=seed,
            num_per_film=num_per_film,
            spacing_mm=parse_spacing(spacing_mm) if spacing_mm is not None else None,
            save_films=save_films,
            hash_paths=hash_paths,
            max_megapixels=max_megapixels,
            simulation=limit_diameters(simulation, diameters_mm) if diameters_mm is not None else simulation,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    missing = [path for path in films if not path.exists()]
    if len(missing) == len(films):
        raise typer.BadParameter(f"there is nothing at {', '.join(str(path) for path in missing)}")
    result = _run(
        films, out=out, checkpoint=checkpoint, lungs=lungs, options=options, device=device, language=ask_language(language)
    )
    _say(result, out)
    if result.counts["failed"]:
        raise typer.Exit(EXIT_FAILED)


def _run(
    films: list[Path],
    *,
    out: Path,
    checkpoint: Path | None,
    lungs: Path | None,
    options: "SiteOptions",
    device: str,
    language: "Language",
) -> "SiteResult":
    from xraynet.batch.journal import hold_folder
    from xraynet.batch.simulate_site import simulate_site
    from xraynet.batch.site_report import write_site_run
    from xraynet.inference.predictor import Predictor
    from xraynet.lungs.segmenter import LungSegmenter

    try:
        predictor = Predictor.from_checkpoint(
            checkpoint, lungs=LungSegmenter.from_file(lungs) if lungs is not None else None, device=device
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for warning in predictor.warnings:
        typer.echo(f"xraynet: warning: {warning}", err=True)
    with hold_folder(out):
        run = simulate_site(films, predictor=predictor, out=out, options=options, on_outcome=_Progress().advance)
        write_site_run(out, run, language=language)
    return run.result


def _say(result: "SiteResult", out: Path) -> None:
    from xraynet.batch.site_report import REPORT_NAME

    overall = result.overall
    if overall.value is not None:
        typer.echo(
            f"found {overall.num_found} of {overall.num_nodules} nodules: sensitivity {overall.value:.3f}"
            f" [{overall.low:.3f}, {overall.high:.3f}] at the operating point {result.threshold:.3f}"
        )
        typer.echo(f"marks per untouched film: {result.marks_per_untouched_film:.3f}")
    else:
        typer.echo("no nodule was drawn")
    typer.echo(f"report: {out / REPORT_NAME}")
    counts = result.counts
    typer.echo(f"{counts['ok']} ok, {counts['refused']} refused, {counts['failed']} failed")


class _Progress:
    """One line for what goes wrong, and one every so often for how far the run is."""

    def __init__(self) -> None:
        self._num_done = 0
        self._next_line = 1

    def advance(self, outcome: "Outcome", num_files: int) -> None:
        self._num_done += 1
        if outcome.status != "ok":
            typer.echo(f"{outcome.status}: {outcome.path}: {outcome.reason} ({outcome.code})")
        if self._num_done >= self._next_line or self._num_done == num_files:
            typer.echo(f"{self._num_done} of {num_files} films")
            self._next_line = max(self._num_done + 1, round(self._num_done * 1.5))
