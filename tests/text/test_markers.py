from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.data.checks.damage import damage_in, mended
from cutline.text.markers import first_marker, has_marker, strip_markers

MARKERS = ["<start>", "<end>", "<s>", "</s>", "<EOS>", "<bos>", "<pad>", "startseq", "endseq", "[SEP]",
           "<|endoftext|>", "<startseq>", "<endseq>", "[START]", "[END]", "[SOS]", "<|im_start|>",
           "<|im_end|>", "<|startoftext|>", "<cls>", "<|end_of_text|>", "<|eot_id|>"]  # fmt: skip
words = st.lists(st.sampled_from(["a", "dog", "end", "sequence", "(", "start", "[red]", "<b>"]), max_size=5)


@given(st.lists(st.sampled_from(MARKERS)), words, st.lists(st.sampled_from(MARKERS)))
def test_markers_at_both_ends_go_and_nothing_else(before, kept, after):
    caption = " ".join(kept)
    assert strip_markers(" ".join([*before, *kept, *after])) == caption
    assert has_marker(" ".join([*before, *kept, *after])) == bool(before or after)


@pytest.mark.parametrize("marker", MARKERS)
def test_scores_and_the_doctor_know_the_same_markers(marker):
    assert strip_markers(f"a dog {marker}") == "a dog"
    assert damage_in(f"a dog {marker}")["marker in a caption"] == marker
    assert mended(f"a dog {marker}") == "a dog"


@pytest.mark.parametrize(
    "caption",
    ["<startseq> a dog <endseq>", "[START] a dog [END]", "a dog <|im_end|>", "a dog</s>.", "a dog <end> !",
     "sos a dog eos", "SOS a dog EOS", "bos a dog eos.", "<pad> sos a dog eos <pad>", "a dog </s> . </s>"],
)  # fmt: skip
def test_every_form_of_a_marked_caption_is_the_plain_one(caption):
    assert strip_markers(caption) == "a dog"
    assert has_marker(caption)
    assert "marker in a caption" in damage_in(caption)
    assert mended(caption).rstrip(" .!") == "a dog"


@pytest.mark.parametrize(
    "caption",
    ["the end", "start", "start a dog end", "a < b", "[red]", "a <end> dog", "endseqs", " a dog ", "a dog.",
     "sos in the sand", "a ship calls sos", "eos", "a sos eos dog", "the eos camera of a bos", "sos videos",
     "a <unk> dog", "a dog <unk>"],
)  # fmt: skip
def test_captions_that_only_look_like_it_stay(caption):
    assert strip_markers(caption) == caption
    assert not has_marker(caption)


@pytest.mark.parametrize(
    "caption", ["start a dog end", "sos in the sand", "a sos eos dog", "[red]", "sos videos"]
)
def test_the_doctor_lists_no_words_that_only_look_like_it(caption):
    assert first_marker(caption) == ""
    assert "marker in a caption" not in damage_in(caption)
    assert mended(caption) == caption


@pytest.mark.parametrize("marker", ["<unk>", "[UNK]", "<mask>", "[MASK]"])
def test_what_stands_for_a_word_is_listed_but_is_no_end_of_a_caption(marker):
    assert damage_in(f"a {marker} dog")["marker in a caption"] == marker
    assert strip_markers(f"a dog {marker}") == f"a dog {marker}"
