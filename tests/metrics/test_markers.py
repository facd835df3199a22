from __future__ import annotations

import pytest

from cutline.metrics import Scorer


@pytest.mark.parametrize("side", ["hypothesis", "reference"])
@pytest.mark.parametrize("marked", ["{} <end>", "[START] {} [END]", "{} <|im_end|>", "{}</s>.", "sos {} eos"])
def test_markers_left_in_are_told_by_the_signature(side, marked):
    hypothesis, reference = "a dog runs", "a dog runs"
    if side == "hypothesis":
        hypothesis = marked.format(hypothesis)
    else:
        reference = marked.format(reference)
    scores = Scorer({"a": [reference]}).score({"a": hypothesis})
    assert "|markers:left in|" in scores.signature
    assert "|markers:stripped|" in Scorer({"a": ["a dog"]}).score({"a": "a cat"}).signature
