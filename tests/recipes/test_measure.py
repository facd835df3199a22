from __future__ import annotations

import pytest

from cutline.config import DecodingOptions
from cutline.recipes.measure import describe_decoding


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "greedy, at most 40 tokens"),
        ({"beam_size": 3}, "beam search, beam size 3, length penalty 0, at most 40 tokens"),
        (
            {"beam_size": 4, "groups": 2, "length_penalty": 0.7, "max_length": 20},
            "beam search, beam size 4, 2 groups of diversity 0.5, length penalty 0.7, at most 20 tokens",
        ),
        (
            {"min_length": 4, "no_repeat_ngram": 3, "end_in_function_word": False},
            "greedy, at most 40 tokens, at least 4, no 3 tokens in a row twice, "
            "no English function word at the end",
        ),
        (
            {"temperature": 0.7, "top_k": 9, "top_p": 0.8, "seed": 2},
            "sampling, temperature 0.7, seed 2, top 9, top share 0.8, at most 40 tokens",
        ),
        (
            {"beam_size": 5, "consensus": 40, "consensus_beams": 20, "consensus_draws": 0},
            "beam search, beam size 20, length penalty 0, chosen from these by what was learned of the "
            "training captions and the captions of the 40 nearest training images, likelihood 0.2 "
            "(length penalty 0.7), at most 40 tokens",
        ),
        (
            {
                "consensus": 1,
                "consensus_by": "learned",
                "consensus_own": 2,
                "consensus_rarity": 0.04,
                "consensus_length_penalty": 0.5,
            },
            "greedy, chosen from these and 20 draws by what was learned of the training captions, "
            "likelihood 0.2 (length penalty 0.5), the draws 2, rarest word 0.04, at most 40 tokens",
        ),
    ],
)
def test_the_signature_names_everything_that_is_on(options, expected):
    assert describe_decoding(DecodingOptions(**options)) == expected
