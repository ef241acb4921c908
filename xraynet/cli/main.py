"""The ``xraynet`` command: gathers the verbs and maps errors to exit codes.

Exit codes: 0 all well; 2 wrong usage or input that cannot be accepted; 3 some films failed; 1 xraynet itself failed.
"""

import importlib
import sys
from typing import Final

import typer

from xraynet.errors import EXIT_INTERNAL, EXIT_USAGE, XraynetError

VERBS: Final = (
    "ingest",
    "catalogue",
    "import-backbone",
    "train-lungs",
    "train",
    "calibrate",
    "evaluate",
    "card",
    "predict",
    "review",
    "listen",
    "simulate",
    "phantoms",
    "doctor",
)


def build_app(verbs: tuple[str, ...] = VERBS) -> typer.Typer:
    """The command line with these verbs; each lives in ``xraynet.cli.<verb>``, in a function of the verb's name."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

    @app.callback()
    def xraynet() -> None:
        """Find pulmonary nodules on chest radiographs. Research use, not for diagnosis."""

    for verb in verbs:
        name = verb.replace("-", "_")
        app.command(verb)(getattr(importlib.import_module(f"xraynet.cli.{name}"), name))
    return app


def run() -> None:
    """Run the command line and exit with the code that DESIGN promises."""
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        build_app((asked,) if asked in VERBS else VERBS)(prog_name="xraynet")
    except XraynetError as error:
        typer.echo(f"xraynet: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except KeyboardInterrupt:
        typer.echo("xraynet: interrupted; what was written stays", err=True)
        sys.exit(130)
    except Exception as error:  # the last boundary: xraynet itself failed
        typer.echo(f"xraynet: internal error: {type(error).__name__}: {error}", err=True)
        sys.exit(EXIT_INTERNAL)
