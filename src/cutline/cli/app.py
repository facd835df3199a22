"""The ``cutline`` command: its sub-commands and what they have in common."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cutline import __version__
from cutline.cli.caption import caption
from cutline.cli.check import check
from cutline.cli.demo import demo
from cutline.cli.door import Debug, Json, Quiet
from cutline.cli.encoders import encoders
from cutline.cli.evaluate import evaluate
from cutline.cli.explain import explain
from cutline.cli.export import export
from cutline.cli.failures import INTERRUPTED, tell_error
from cutline.cli.models import models
from cutline.cli.report import report
from cutline.cli.score import score
from cutline.cli.screen import Flags
from cutline.cli.train import train
from cutline.cli.tune import tune


class OneLineErrors(TyperGroup):
    """Tells bad usage in one line, as every other error."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command and exit with its code; 2 when it was called wrongly."""
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except typer.TyperException as error:
            tell_error(_usage_message(error))
            sys.exit(error.exit_code)
        except typer.Abort:
            sys.exit(INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)


def _usage_message(error: typer.TyperException) -> str:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    separator = "" if message.endswith("?") else ";"
    return f"{message}{separator} see {context.command_path} --help"


app = typer.Typer(
    cls=OneLineErrors,
    name="cutline",
    help="Teach a small CNN-LSTM to caption your own photos, on your own machine.",
    epilog="First time? Try: cutline caption PHOTO",
    context_settings={"help_option_names": ["--help", "-h"]},
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"cutline {__version__}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def common(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 (its callback answers)
        bool,
        typer.Option(
            "--version", metavar="", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    debug: Debug = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Teach a small CNN-LSTM to caption your own photos, on your own machine."""
    context.obj = Flags(debug, quiet, as_json)
    if context.invoked_subcommand is None:
        with contextlib.redirect_stdout(sys.stderr):
            print(context.get_help())
        raise typer.Exit(2)


for _function, _example in (
    (demo, "cutline demo"),
    (check, "cutline check captions.csv --images photos/"),
    (train, "cutline train captions.csv --images photos/ --run runs/first"),
    (tune, "cutline tune runs/first captions.csv --images photos/"),
    (evaluate, "cutline evaluate runs/first captions.csv --images photos/ --split val"),
    (caption, "cutline caption new.jpg holiday/ --model runs/first --output holiday.csv"),
    (explain, "cutline explain new.jpg --model runs/first --out why.html"),
    (export, "cutline export runs/first --format web --out page"),
    (models, "cutline models show flickr8k-lite0"),
    (encoders, "cutline encoders"),
    (report, "cutline report runs/first"),
    (score, "cutline score captions.json references.csv --split test --against other.json"),
):
    app.command(epilog=f"Example: {_example}")(_function)
