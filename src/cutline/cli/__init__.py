"""The command line: one sub-command per recipe, and the only room that prints.

Results go to standard output; progress, notes, warnings and errors to standard error. Exit codes: 0 all
done; 1 done, but some items failed (each is listed); 2 given up: bad usage, configuration or data, a full
disk, or a bug (nothing was begun, or what had been finished before is kept); 130 interrupted by Ctrl-C. A
reader that closes the pipe early (``| head``) ends ``cutline caption`` quietly with 0; other commands go on
and end as they would have.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command that the arguments of this process name, and exit with its code."""
    from cutline.cli.app import app

    app(prog_name="cutline")
