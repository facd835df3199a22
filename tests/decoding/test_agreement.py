from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.decoding import agreement

CAPTIONS = st.lists(st.integers(4, 9), max_size=8)


def test_counts_tokens_and_pairs_in_common():
    # tokens: 2 of 3 and 3 in both, pairs: 1 of 2 and 2 in both
    assert agreement([5, 6, 7], [[5, 6, 8]]) == pytest.approx((4 / 6 + 2 / 4) / 2)


def test_a_token_counts_as_often_as_it_is_in_both():
    assert agreement([5, 5, 5], [[5]]) == pytest.approx((2 / 4 + 0) / 2)


def test_captions_of_one_token_agree_only_when_it_is_the_same():
    assert agreement([5], [[6]]) == 0
    assert agreement([5], [[5]]) == 1


def test_without_others_there_is_no_agreement():
    assert agreement([5, 6], []) == 0


@given(CAPTIONS, CAPTIONS)
def test_is_the_same_both_ways_and_between_0_and_1(first, second):
    value = agreement(first, [second])
    assert 0 <= value <= 1
    assert value == agreement(second, [first])


@given(CAPTIONS)
def test_a_caption_agrees_with_itself(caption):
    assert agreement(caption, [caption, caption]) == 1
