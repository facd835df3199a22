"""That NumPy's products keep to one thread while batches are captioned side by side, and only then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from cutline.runtime.product_threads import one_thread_each


def threads() -> set[int]:
    return {found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with threadpool_limits(2, "blas"):
        if threads() != {2}:
            pytest.skip("NumPy's products are not computed by a library whose threads can be told")
        yield


def test_inside_a_block_there_is_one_and_behind_it_what_was_before():
    with one_thread_each():
        assert threads() == {1}
    assert threads() == {2}


def test_blocks_that_overlap_end_with_the_last_one():
    one, other = one_thread_each(), one_thread_each()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert threads() == {1}
    other.__exit__(None, None, None)
    assert threads() == {2}


def test_a_block_that_fails_leaves_nothing_changed():
    with pytest.raises(ZeroDivisionError), one_thread_each():
        raise ZeroDivisionError
    assert threads() == {2}
