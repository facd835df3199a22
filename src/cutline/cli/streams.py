"""Standard output and standard error when nobody reads them any more."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Any, TextIO, cast


def lasting(stream: TextIO) -> TextIO:
    """Return the stream made such that writing goes on, to nowhere, when its reader has left.

    Hours of work do not end because ``| head`` did, or because the terminal was closed. Everything else that
    can go wrong, such as a full disk, is raised as ever.

    Example:
        >>> import io
        >>> text = io.StringIO()
        >>> lasting(text).write("kept")
        4
        >>> text.getvalue()
        'kept'
    """
    return cast(TextIO, _Lasting(stream))


def silence(stream: TextIO) -> None:
    """Send what is still buffered nowhere, so that the interpreter does not complain on its way out."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class _Lasting:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._forget_reader(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._forget_reader(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _forget_reader(self, error: OSError) -> None:
        # A closed pipe gives the first, a closed terminal the second.
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise error
        silence(self._stream)
