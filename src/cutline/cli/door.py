"""The frame around every command: common options, a screen to write on, errors turned into exit codes."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer

from cutline.cli.failures import guarded
from cutline.cli.quiet_loading import quieten_loading
from cutline.cli.screen import Flags, Screen


def _flag(name: str, help: str) -> Any:
    # Without a metavar the help says <bool> beside a flag that takes no value.
    return typer.Option(name, metavar="", help=help, rich_help_panel="What is shown")


Debug = Annotated[bool, _flag("--debug", "Show tracebacks and library logs.")]
Quiet = Annotated[bool, _flag("--quiet", "Show no progress and no notes.")]
Json = Annotated[bool, _flag("--json", "Print results as JSON.")]


def door(
    shares_terminal: bool = False, captions: bool = False
) -> Callable[[Callable[..., int]], Callable[..., None]]:
    """Return a decorator that makes a command of a function.

    The function takes a :class:`Screen` first and returns an exit code. The command has the function's other
    parameters as its arguments, and --debug, --quiet and --json after them.

    Args:
        shares_terminal: The command prints results while it works.
        captions: The command writes captions, several batches side by side.
    """

    def frame(function: Callable[..., int]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(context: typer.Context, **arguments: Any) -> None:
            asked = Flags(arguments.pop("debug"), arguments.pop("quiet"), arguments.pop("as_json"))
            flags = asked.or_else(context.obj or Flags())
            _quieten_libraries(flags)
            if captions:
                _leave_cores_to_batches()

            def run() -> int:
                return function(Screen(flags, shares_terminal=shares_terminal), **arguments)

            raise typer.Exit(guarded(run, flags.debug, streams=shares_terminal))

        _show_parameters(command, function)
        return command

    return frame


def _show_parameters(command: Callable[..., None], function: Callable[..., int]) -> None:
    """Give the command the signature from which the options are made."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter(name, keyword, default=False, annotation=annotation)
        for name, annotation in (("debug", Debug), ("quiet", Quiet), ("as_json", Json))
    ]
    context = inspect.Parameter("context", keyword, annotation=typer.Context)
    parameters = [context, *(parameter.replace(kind=keyword) for parameter in own), *added]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


def _leave_cores_to_batches() -> None:
    """Have NumPy's products computed by the thread that asks for them, unless somebody set another number."""
    # OpenBLAS wakes a thread per core for a product, and these wait for the next one with full power: a batch
    # beside it loses more than the product gains. It reads this when NumPy is imported, inside the command.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _quieten_libraries(flags: Flags) -> None:
    # TensorFlow reads both when it is imported, which happens later, inside the command.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if flags.debug else "3")
    os.environ.setdefault("GRPC_VERBOSITY", "INFO" if flags.debug else "ERROR")
    if flags.debug:
        return
    quieten_loading()
    # Odd metadata does not concern the pixels, and images above Pillow's limit are refused in one line.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    for name in ("matplotlib", "tensorflow", "absl", "h5py"):
        logging.getLogger(name).setLevel(logging.ERROR)
