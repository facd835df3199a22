"""The command line: one sub-command per recipe, and the only room that prints.

Results go to standard output; progress, notes, warnings and errors to standard error. Exit codes: 0 all
done; 1 done, but some items failed (each is listed); 2 nothing done: bad usage, configuration or data, or a
bug; 130 interrupted by Ctrl-C. A reader that closes the pipe early (``| head``) ends the command quietly
with 0.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command that the arguments of this process name, and exit with its code."""
    from cutline.cli.app import app

    app(prog_name="cutline")
