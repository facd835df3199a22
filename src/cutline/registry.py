"""Names → builders. An unknown name lists the known ones and suggests the nearest."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from cutline.errors import UnknownNameError

Builder = TypeVar("Builder", bound=Callable[..., object])


def require_known(kind: str, name: str, known: Iterable[str], listing: str = "") -> None:
    """Raise UnknownNameError unless ``name`` is known.

    Args:
        kind: What it is, in the singular.
        name: What somebody wrote.
        known: The known names.
        listing: Command that lists them, to be told instead where they are many.

    Example:
        >>> require_known("encoder", "resnet50", ["resnet50"])
        >>> require_known("shape", "circl", ["circle", "star"])
        Traceback (most recent call last):
        cutline.errors.UnknownNameError: unknown shape 'circl'; known: circle, star; did you mean 'circle'?
    """
    names = sorted(known)
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    if listing:
        raise UnknownNameError(f"unknown {kind} {name!r}{hint}; {len(names)} are known, listed by: {listing}")
    raise UnknownNameError(f"unknown {kind} {name!r}; known: {', '.join(names)}{hint}")


class Registry(Generic[Builder]):
    """A table of builders under stable public names.

    Example:
        >>> shapes = Registry("shape")
        >>> @shapes.register("circle")
        ... def circle() -> str:
        ...     return "round"
        >>> shapes.get("circle")()
        'round'
    """

    def __init__(self, kind: str) -> None:
        """Name what is registered, in the singular: it appears in messages."""
        self._kind = kind
        self._builders: dict[str, Builder] = {}

    def register(self, name: str) -> Callable[[Builder], Builder]:
        """Return a decorator that files a builder under ``name``; a name is given once."""

        def file(builder: Builder) -> Builder:
            if name in self._builders:
                raise ValueError(f"{self._kind} {name!r} is registered twice")
            self._builders[name] = builder
            return builder

        return file

    def names(self) -> list[str]:
        """Return the known names, sorted."""
        return sorted(self._builders)

    def get(self, name: str) -> Builder:
        """Return the builder of ``name`` or raise UnknownNameError."""
        require_known(self._kind, name, self._builders)
        return self._builders[name]
