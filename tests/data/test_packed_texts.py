import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import CAPTIONS_IN_MANY_SCRIPTS

from cutline.data.packed_texts import PackedTexts


@given(st.lists(st.text()))
def test_a_packed_list_reads_like_the_list(texts: list[str]) -> None:
    packed = PackedTexts(iter(texts))

    assert list(packed) == texts
    assert [packed[at] for at in range(len(texts))] == texts
    assert packed[1:] == texts[1:]
    assert packed[::-2] == texts[::-2]


def test_taken_strings_are_utf8_in_the_order_asked_for() -> None:
    captions = [caption for written in CAPTIONS_IN_MANY_SCRIPTS.values() for caption in written]
    packed = PackedTexts(captions)

    taken = packed.take(np.array([2, 0, 2]))

    assert [text.decode() for text in taken] == [captions[2], captions[0], captions[2]]


def test_negative_indices_count_from_the_end_and_others_out_of_range_raise() -> None:
    packed = PackedTexts(["one", "two"])

    assert packed[-1] == "two"
    with pytest.raises(IndexError):
        packed[2]
