"""Loading TensorFlow without the chatter of its native code.

TensorFlow 2.21 writes notes about its own build to standard error while it is imported, whatever its
environment variables say. An error of cutline would drown in them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

_CHATTER: Final = (
    b"All log messages before absl::InitializeLog() is called",
    b"oneDNN custom operations are on",
    b"This TensorFlow binary is optimized to use available CPU instructions",
    b"To enable the following instructions",
)


def quieten_loading(module: str = "tensorflow") -> None:
    """Let the next import of ``module`` keep back known chatter; everything else it writes is passed on."""
    if module not in sys.modules and not any(
        isinstance(finder, _QuietFinder) and finder.module == module for finder in sys.meta_path
    ):
        sys.meta_path.insert(0, _QuietFinder(module))


class _QuietFinder(MetaPathFinder):
    """Finds one module as usual and has it loaded quietly, once."""

    def __init__(self, module: str) -> None:
        self.module = module

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.module:
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next(filter(None, found), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader, self)
        return spec


class _QuietLoader(Loader):
    def __init__(self, loader: Loader, finder: _QuietFinder) -> None:
        self._loader, self._finder = loader, finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # Only now: a program may ask where the module is without loading it.
        sys.meta_path.remove(self._finder)
        # What is loaded later, such as resources, asks the module for its own loader.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with _without_chatter():
            self._loader.exec_module(module)


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, and pass on the lines that are no chatter."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        kept = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not any(words in line for words in _CHATTER):
                    os.write(2, line)
