from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cutline.metrics.ngrams import NgramIndex, count_ngrams, find, pack

captions = st.lists(st.lists(st.sampled_from("abcd"), max_size=7), min_size=1, max_size=6)
later_captions = st.lists(st.lists(st.sampled_from("abcdxy"), max_size=7), min_size=1, max_size=6)


def counted_plainly(tokens: list[str], order: int) -> Counter:
    return Counter(tuple(tokens[at : at + order]) for at in range(len(tokens) - order + 1))


@given(known=captions, later=later_captions, order=st.integers(1, 4))
def test_counts_are_those_of_plain_counting(known, later, order):
    counts = count_ngrams(NgramIndex(known).encode(later), order)
    for number, tokens in enumerate(later):
        mine = sorted(counts.count[counts.owner == number].tolist())
        assert mine == sorted(counted_plainly(tokens, order).values())


@given(known=captions, later=later_captions, order=st.integers(1, 4))
def test_equal_ngrams_and_no_others_have_equal_numbers(known, later, order):
    encoded = NgramIndex(known).encode(later)
    ngrams = [tuple(tokens[at : at + order]) for tokens in later for at in range(len(tokens) - order + 1)]
    pairs = set(zip(ngrams, encoded.ngrams[order - 1].tolist(), strict=True))
    assert len(pairs) == len({ngram for ngram, _ in pairs}) == len({number for _, number in pairs})


@given(known=captions, later=later_captions, order=st.integers(1, 4))
def test_numbers_below_the_size_mean_known_ngrams(known, later, order):
    index = NgramIndex(known)
    seen = {ngram for tokens in known for ngram in counted_plainly(tokens, order)}
    assert index.size(order) == len(seen)
    ngrams = [tuple(tokens[at : at + order]) for tokens in later for at in range(len(tokens) - order + 1)]
    known_numbers = (index.encode(later).ngrams[order - 1] < index.size(order)).tolist()
    assert known_numbers == [ngram in seen for ngram in ngrams]


@given(known=captions, later=later_captions)
def test_a_restored_index_gives_the_same_numbers(known, later):
    index = NgramIndex(known)
    restored = NgramIndex.restored(index.words(), index.keys())
    for mine, other in zip(index.encode(later).ngrams, restored.encode(later).ngrams, strict=True):
        assert mine.tolist() == other.tolist()


def test_packed_numbers_sort_by_owner_first():
    largest = 2**31 - 1
    keys = pack(np.array([0, 1, largest], np.int32), np.array([largest, 0, largest], np.int32))
    assert (np.diff(keys) > 0).all()
    assert (keys >= 0).all()


def test_nothing_is_found_among_no_keys():
    positions, found = find(np.zeros(0, np.int64), np.array([3, 4]))
    assert positions.tolist() == [0, 0]
    assert not found.any()
