"""From exceptions to exit codes: the one place where errors become lines."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable
from typing import Final

from cutline.cli.streams import silence
from cutline.errors import CutlineError

DONE: Final = 0
SOME_FAILED: Final = 1
NOTHING_DONE: Final = 2
INTERRUPTED: Final = 130

_INSTALLED_BY: Final = {
    "tensorflow": "train",
    "keras": "train",
    "onnx": "train",
    "matplotlib": "train",
    "tensorboard": "train",
    "pyarrow": "parquet",
}


def guarded(command: Callable[[], int], debug: bool, *, streams: bool = False) -> int:
    """Run a command and return its exit code, whatever happens in it.

    Everything that goes wrong becomes one line on standard error; with ``debug`` the traceback precedes it.

    Args:
        command: Returns its exit code.
        debug: Show tracebacks.
        streams: The command only prints results, one after the other: whoever closes the pipe has seen
            enough of them, and the command ends there, quietly and well.
    """
    try:
        return command()
    except KeyboardInterrupt:
        tell_error("interrupted")
        return INTERRUPTED
    except Exception as error:
        if streams and isinstance(error, BrokenPipeError):
            silence(sys.stdout)
            return DONE
        if debug:
            traceback.print_exc()
        tell_error(describe(error))
        return error.exit_code if isinstance(error, CutlineError) else NOTHING_DONE


def tell_error(message: str) -> None:
    """Print an error on one line of standard error."""
    # Spaces stay as they are: the message may hold a path, or a command to be copied.
    with contextlib.suppress(OSError):
        print(f"error: {' '.join(message.splitlines())}", file=sys.stderr, flush=True)


def describe(error: Exception) -> str:
    """Say in one line what went wrong and what to do.

    Example:
        >>> describe(CutlineError("captions.csv: no such file"))
        'captions.csv: no such file'
        >>> describe(KeyError("x"))
        "this is a bug in cutline: KeyError: 'x'; please report it with the traceback that --debug shows"
    """
    if isinstance(error, CutlineError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        if package in _INSTALLED_BY:
            extra = _INSTALLED_BY[package]
            return f"{package} is not installed; install it with: pip install 'cutline[{extra}]'"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror[:1].lower()}{error.strerror[1:]}"
    if isinstance(error, MemoryError):
        return "out of memory; close other programs, or use smaller batches (--set training.batch_size=16)"
    return (
        f"this is a bug in cutline: {type(error).__name__}: {error}; "
        "please report it with the traceback that --debug shows"
    )
