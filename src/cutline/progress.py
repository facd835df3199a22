"""How long work tells that it goes on, without knowing who listens.

Rooms and recipes are given a :class:`Progress` and never print; the command line shows it as bars or
plain lines, the Python API stays silent by default.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Stage(Protocol):
    """One piece of work that is under way."""

    def advance(self, count: int = 1, **values: float) -> None:
        """Count finished items; ``values`` are shown beside them, e.g. ``loss=2.1``."""


class Progress(Protocol):
    """Receives stages, notes and warnings."""

    def stage(self, name: str, total: int | None, unit: str) -> AbstractContextManager[Stage]:
        """Open a stage of ``total`` items (None when unknown), counted in ``unit`` (a plural noun)."""

    def note(self, message: str) -> None:
        """Tell one line."""

    def warn(self, message: str) -> None:
        """Tell one line that deserves attention."""


class _SilentStage:
    def advance(self, count: int = 1, **values: float) -> None:
        """Do nothing."""


class Silent:
    """A Progress that shows nothing.

    Example:
        >>> with Silent().stage("reading", 3, "rows") as stage:
        ...     stage.advance()
    """

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str) -> Iterator[Stage]:  # noqa: ARG002
        """Yield a stage that counts nothing."""
        yield _SilentStage()

    def note(self, message: str) -> None:
        """Do nothing."""

    def warn(self, message: str) -> None:
        """Do nothing."""
