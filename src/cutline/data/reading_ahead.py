"""Reading what comes next while somebody works on what came before."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import repeat
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")

_THREADS = 4


def read_ahead(
    read: Callable[[Item], Read], items: Iterable[Item], most: int, threads: int = _THREADS
) -> Generator[tuple[Item, Future[Read]], None, None]:
    """Yield items in order, each with what reading it gave or raised, while threads read the next ones.

    Args:
        read: Called in threads; Pillow decodes outside the interpreter's lock, so that threads are enough.
        items: Taken one by one; they may have no end.
        most: Items read ahead of the one that was yielded last.
        threads: Items read at the same time at the most; never more than there are cores.

    Example:
        >>> [(item, future.result()) for item, future in read_ahead(len, ["a", "to", "dog"], 2)]
        [('a', 1), ('to', 2), ('dog', 3)]
    """
    pool = ThreadPoolExecutor(min(threads, os.cpu_count() or 1), thread_name_prefix="read")
    waiting: deque[tuple[Item, Future[Read]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(read, item)))
            if len(waiting) > most:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    except BaseException:
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    # The last ones were yielded before they were read.
    pool.shutdown(wait=False)


def batch_sizes(items: int | None, most: int, at_once: int) -> Iterator[int]:
    """Yield how many items each batch has, in rounds of ``at_once``; those of the last share what is left.

    Args:
        items: How many there are; None where nobody knows, and batches never end.
        most: Items in a batch at the most.
        at_once: Batches that are worked on at the same time.

    Example:
        >>> list(batch_sizes(21, 8, 2)), list(batch_sizes(2, 8, 2)), list(batch_sizes(1, 8, 2))
        ([8, 8, 3, 2], [1, 1], [1])
    """
    if items is None:
        yield from repeat(most)
    left = items or 0
    while left > most * at_once:
        left -= most * at_once
        yield from repeat(most, at_once)
    share, more = divmod(left, at_once)
    yield from (share + (place < more) for place in range(min(at_once, left)))
