"""How many threads NumPy's products take while several batches are captioned side by side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from threadpoolctl import threadpool_limits

_LOCK = Lock()
_blocks = 0
_limits: threadpool_limits | None = None


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Have every product of arrays computed by the thread that asks for it alone, while the block runs.

    OpenBLAS, which computes them for NumPy, otherwise wakes a thread for each core, and these go on waiting
    for more with full power: cores that are busy with other batches lose more by it than the product gains.

    The number is the whole process's. Blocks may overlap, in one thread or several: what there was before
    the first comes back behind the last.

    Example:
        >>> import numpy as np
        >>> with one_thread_each():
        ...     (np.ones((2, 3)) @ np.ones((3, 2))).tolist()
        [[3.0, 3.0], [3.0, 3.0]]
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _blocks, _limits
    with _LOCK:
        if not _blocks:
            _limits = threadpool_limits(limits=1, user_api="blas")
        _blocks += 1


def _leave() -> None:
    global _blocks, _limits
    with _LOCK:
        _blocks -= 1
        if not _blocks and _limits is not None:
            _limits.restore_original_limits()
            _limits = None
