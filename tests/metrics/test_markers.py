from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.metrics import Scorer, strip_markers
from cutline.metrics.markers import has_marker

MARKERS = ["<start>", "<end>", "<s>", "</s>", "<EOS>", "<bos>", "<pad>", "startseq", "endseq", "[SEP]",
           "<|endoftext|>"]  # fmt: skip
words = st.lists(st.sampled_from(["a", "dog", "end", "sequence", "(", "start", "[red]", "<b>"]), max_size=5)


@given(st.lists(st.sampled_from(MARKERS)), words, st.lists(st.sampled_from(MARKERS)))
def test_markers_at_both_ends_go_and_nothing_else(before, kept, after):
    caption = " ".join(kept)
    assert strip_markers(" ".join([*before, *kept, *after])) == caption
    assert has_marker(" ".join([*before, *kept, *after])) == bool(before or after)


@pytest.mark.parametrize(
    "caption", ["the end", "start", "a < b", "[red]", "a <end> dog", "endseqs", " a dog "]
)
def test_captions_that_only_look_like_it_stay(caption):
    assert strip_markers(caption) == caption
    assert not has_marker(caption)


@pytest.mark.parametrize("side", ["hypothesis", "reference"])
def test_markers_left_in_are_told_by_the_signature(side):
    hypothesis, reference = "a dog runs", "a dog runs"
    if side == "hypothesis":
        hypothesis += " <end>"
    else:
        reference += " <end>"
    scores = Scorer({"a": [reference]}).score({"a": hypothesis})
    assert "|markers:left in|" in scores.signature
    assert "|markers:stripped|" in Scorer({"a": ["a dog"]}).score({"a": "a cat"}).signature
