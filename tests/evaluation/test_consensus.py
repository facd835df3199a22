from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutline.evaluation.consensus import Consensus
from cutline.metrics import Cider

captions = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), min_size=1, max_size=7).map(" ".join)
pools = st.lists(st.lists(captions, min_size=1, max_size=3), min_size=2, max_size=6)


@given(pools)
@settings(max_examples=60, deadline=None)
def test_the_choice_has_the_highest_mean_similarity_computed_pair_by_pair(pool):
    by_id = {str(number): texts for number, texts in enumerate(pool)}
    chosen = Consensus(by_id).choose(list(by_id))
    texts = [text for texts in pool for text in texts]
    values = _votes(by_id, texts)
    assert values[texts.index(chosen)] == pytest.approx(values.max(), abs=1e-6)


def _votes(by_id: dict[str, list[str]], texts: list[str]) -> np.ndarray:
    """Compare every caption with every other one by the scorer, with the pool's document frequencies."""
    from cutline.metrics import DocumentFrequencies, ReferenceSet

    frequencies = DocumentFrequencies.of(ReferenceSet(by_id))
    votes = np.zeros(len(texts))
    for at, text in enumerate(texts):
        others = {str(n): [other] for n, other in enumerate(texts) if n != at}
        cosine = Cider(others, frequencies=frequencies).score(dict.fromkeys(others, text))[1]
        gap = np.array([len(other.split()) - len(text.split()) for n, other in enumerate(texts) if n != at])
        votes[at] = (cosine * np.exp(-(gap**2) / 72)).sum()
    return votes


def test_of_captions_that_say_the_same_the_first_is_taken():
    same = {"a": ["two dots", "two dots"], "b": ["two dots"], "c": ["a line"]}
    assert Consensus(same).choose(["a", "b"]) == "two dots"
