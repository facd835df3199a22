"""Many short strings in one block of memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray


class PackedTexts(Sequence[str]):
    """An immutable list of strings, kept as one UTF-8 block and the place where each ends.

    A Python string costs about fifty bytes beside its letters; with hundreds of thousands of captions that is
    more than all the rest that training keeps for each image.

    Example:
        >>> texts = PackedTexts(["a dog", "两只狗"])
        >>> len(texts), texts[1], texts[:1], texts.take(np.array([1, 0])).tolist()[1]
        (2, '两只狗', ['a dog'], b'a dog')
    """

    def __init__(self, texts: Iterable[str]) -> None:
        """Pack strings; the iterable is read once."""
        block = bytearray()
        ends: list[int] = [0]
        for text in texts:
            block += text.encode()
            ends.append(len(block))
        self._block = bytes(block)
        self._ends = np.asarray(ends, np.int64)

    def __len__(self) -> int:
        """Count strings."""
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        """Return one string, or a list of several."""
        if isinstance(index, slice):
            return [self._bytes(at).decode() for at in range(*index.indices(len(self)))]
        return self._bytes(range(len(self))[index]).decode()

    def __iter__(self) -> Iterator[str]:
        """Unpack one string after the other."""
        return (self._bytes(at).decode() for at in range(len(self)))

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.object_]:
        """Return the strings at indices (N,) as UTF-8 bytes, an object array (N,)."""
        chosen = np.empty(len(indices), object)
        chosen[:] = [self._bytes(at) for at in indices.tolist()]
        return chosen

    def _bytes(self, at: int) -> bytes:
        return self._block[self._ends[at] : self._ends[at + 1]]
