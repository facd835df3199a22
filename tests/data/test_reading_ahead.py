"""Reading ahead: in order, no further than asked for, and nothing is lost or left running."""

from __future__ import annotations

import threading
import time
from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.data.reading_ahead import batch_sizes, read_ahead


def test_items_come_in_order_although_the_first_takes_longest():
    others_are_done, done = threading.Event(), []

    def read(item: int) -> int:
        if item == 0:
            others_are_done.wait(10)
        done.append(item)
        if item == 2:
            others_are_done.set()
        return item * item

    found = [(item, future.result()) for item, future in read_ahead(read, range(3), 5)]
    assert found == [(0, 0), (1, 1), (2, 4)]


def test_the_last_items_are_read_although_nobody_asks_for_more():
    def read(item: int) -> int:
        time.sleep(0.02)
        return item

    assert [future.result() for _, future in list(read_ahead(read, range(20), 3))] == list(range(20))


def test_no_more_is_read_than_was_asked_for():
    taken: list[int] = []

    def endless() -> object:
        for number in count():
            taken.append(number)
            yield number

    ahead = read_ahead(str, endless(), 3)  # type: ignore[arg-type]
    assert taken == []
    for number in range(5):
        assert next(ahead)[0] == number
        assert len(taken) == number + 4
    ahead.close()


def test_what_cannot_be_read_is_told_where_it_is_asked_for_and_the_rest_goes_on():
    ahead = read_ahead(int, ["1", "two", "3"], 2)
    results = [future for _, future in ahead]
    assert (results[0].result(), results[2].result()) == (1, 3)
    with pytest.raises(ValueError, match="two"):
        results[1].result()


def test_a_caller_that_stops_leaves_no_thread_behind():
    # Threads of other tests may end meanwhile: only new ones count.
    before = set(threading.enumerate())
    ahead = read_ahead(str, count(), 4)
    next(ahead)
    assert set(threading.enumerate()) - before
    ahead.close()
    assert not set(threading.enumerate()) - before


@given(st.integers(0, 200), st.integers(1, 20), st.integers(1, 8))
def test_no_order_of_rounds_takes_less_time_than_that_of_the_batches(items: int, most: int, at_once: int):
    sizes = list(batch_sizes(items, most, at_once))
    assert sum(sizes) == items
    assert all(0 < size <= most for size in sizes)
    rounds = [sizes[at : at + at_once] for at in range(0, len(sizes), at_once)]
    whole, left = divmod(items, most * at_once)
    # A round ends with its largest batch; the last one is as short as whole items allow.
    assert sum(max(batches) for batches in rounds) == whole * most + -(-left // at_once)


def test_where_nobody_knows_how_many_there_are_batches_do_not_end():
    assert list(islice(batch_sizes(None, 8, 2), 3)) == [8, 8, 8]
