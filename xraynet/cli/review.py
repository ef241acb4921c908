"""``xraynet review``: a web page on which radiologists read the films of a folder of results, and what they said of them."""

import importlib.util
from pathlib import Path
from typing import Annotated, Final

import typer

from xraynet.cli.review_export import ExportKind, LookChoice, export_readings
from xraynet.errors import ReviewError

STORE_NAME: Final = "review.sqlite"


def review(
    out: Annotated[Path, typer.Argument(help="A folder of results: predict's --out, or a node's.", metavar="OUT")],
    host: Annotated[str, typer.Option(help="The address or name to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0: any free one.", min=0, max=65535)] = 8765,
    second_reader: Annotated[
        bool, typer.Option("--second-reader", help="Films are read first, then the detector's marks are shown; both are kept.")
    ] = False,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Let other machines in; needs a certificate, or a proxy that has one.")
    ] = False,
    tls_cert: Annotated[Path | None, typer.Option(help="The server's certificate (PEM).", exists=True, dir_okay=False)] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).", exists=True, dir_okay=False)] = None,
    behind_proxy: Annotated[
        str | None, typer.Option(help="The https origin of the proxy that readers open.", metavar="ORIGIN")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="The file of readings; by default OUT/review.sqlite.")] = None,
    export: Annotated[
        ExportKind | None, typer.Option(help="Write what readers said to --to, and serve nothing.", show_default=False)
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Where --export writes: a file (sr: a new folder, or a .zip).")] = None,
    reader: Annotated[str | None, typer.Option(help="Export this reader alone; by default all, kept apart.")] = None,
    look: Annotated[
        LookChoice | None, typer.Option(help="Export the first looks of second readers, or the final ones (default).")
    ] = None,
) -> None:
    """Read films on a page of your own machine: accept, reject, move and add findings. Research use, not for diagnosis."""
    if (export is None) != (to is None):
        raise typer.BadParameter("--export and --to are given together")
    if export is not None and to is not None:
        export_readings(out, store=store or out / STORE_NAME, kind=export, to=to, reader=reader, look=look)
        return
    if reader is not None or look is not None:
        raise typer.BadParameter("--reader and --look belong to --export")
    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise ReviewError(f"the review page needs {' and '.join(missing)}: pip install 'xraynet[review]'")
    from xraynet.service.review.server import ServerOptions, serve

    try:
        options = ServerOptions(
            host=host,
            port=port,
            second_reader=second_reader,
            allow_remote=allow_remote,
            tls_cert=tls_cert,
            tls_key=tls_key,
            proxy_origin=behind_proxy,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        serve(out, store=store or out / STORE_NAME, options=options, on_ready=_say_ready)
    except KeyboardInterrupt:
        typer.echo("stopped; all that the page showed as saved is kept")


def _say_ready(url: str) -> None:
    typer.echo("Research use, not for diagnosis.")
    typer.echo(f"review: {url}")
    typer.echo("Open this link; whoever has it can read and change everything here. Ctrl-C stops the server.")
