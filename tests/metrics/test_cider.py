"""CIDEr and CIDEr-D against the formulas of the paper, computed plainly."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import made_up_captions

from cutline.metrics import Cider, CiderD, DocumentFrequencies, Scorer
from cutline.metrics.ngrams import NgramIndex

captions = st.lists(st.sampled_from(["a", "red", "dog", "runs", "fast"]), max_size=7).map(" ".join)
data_sets = st.dictionaries(
    st.sampled_from("pqrst"),
    st.tuples(captions, st.lists(captions, min_size=1, max_size=3)),
    min_size=1,
)


def counted(caption: str, order: int) -> Counter:
    words = caption.split()
    return Counter(tuple(words[at : at + order]) for at in range(len(words) - order + 1))


def weighted(counts: Counter, documents: Sequence[set]) -> dict:
    return {
        ngram: count * math.log(len(documents) / max(1, sum(ngram in one for one in documents)))
        for ngram, count in counts.items()
    }


def plain_cider(hypotheses: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> list[float]:
    """Compute equations 1 to 3 of Vedantam et al., with the factor of 10, times 100."""
    found = []
    for image, hypothesis in hypotheses.items():
        total = 0.0
        for order in (1, 2, 3, 4):
            documents = [{n for text in texts for n in counted(text, order)} for texts in references.values()]
            mine = weighted(counted(hypothesis, order), documents)
            for text in references[image]:
                theirs = weighted(counted(text, order), documents)
                lengths = math.hypot(*mine.values()) * math.hypot(*theirs.values())
                product = sum(value * theirs.get(ngram, 0.0) for ngram, value in mine.items())
                total += product / lengths / len(references[image]) if lengths else 0.0
        found.append(1000 * total / 4)
    return found


@given(data_sets)
def test_cider_is_that_of_the_paper(data):
    hypotheses = {image: pair[0] for image, pair in data.items()}
    references = {image: pair[1] for image, pair in data.items()}
    expected = plain_cider(hypotheses, references)
    np.testing.assert_allclose(Cider(references).score(hypotheses)[1], expected, rtol=1e-9, atol=1e-9)
    assert Scorer(references).score(hypotheses).cider == pytest.approx(np.mean(expected), rel=1e-9, abs=1e-9)


def test_cider_of_a_caption_by_hand():
    # of 2 images; "a" stands in both and weighs nothing, each other n-gram log 2
    references = {"x": ["a red dog"], "y": ["a cat"]}
    hypotheses = {"x": "a red cat", "y": "a cat"}
    # unigrams red and cat against red and dog: one of two is shared; bigrams likewise "a red"
    x = 1000 * (1 / 2 + 1 / 2) / 4
    y = 1000 * (1 + 1) / 4
    assert Cider(references).score(hypotheses)[1].tolist() == pytest.approx([x, y])
    assert CiderD(references).score(hypotheses)[1].tolist() == pytest.approx([x, y])


def test_cider_d_cuts_repeated_words_and_punishes_length_and_cider_does_not():
    references = {"x": ["red dog"], "y": ["a cat"]}
    hypotheses = {"x": "red dog red dog", "y": "a cat"}
    # cosine of unigrams 1; bigrams (red dog 2, dog red 1) against (red dog 1)
    plain = 1000 * (1 + 2 / math.sqrt(5)) / 4
    # clipped products over the same norms; 2 bigrams too long
    clipped = 1000 * (1 / 2 + 1 / math.sqrt(5)) / 4 * math.exp(-(2**2) / 72)
    assert Cider(references).score(hypotheses)[1][0] == pytest.approx(plain)
    assert CiderD(references).score(hypotheses)[1][0] == pytest.approx(clipped)


@given(data_sets)
def test_a_caption_without_a_shared_ngram_scores_0(data):
    references = {image: pair[1] for image, pair in data.items()}
    strange = dict.fromkeys(references, "zebras juggle xylophones")
    assert Cider(references).score(strange)[1].tolist() == [0] * len(references)
    assert CiderD(references).score(strange)[1].tolist() == [0] * len(references)


def test_both_come_out_of_one_pass_as_they_do_alone():
    hypotheses, references = made_up_captions(25)
    both = CiderD(references).both(hypotheses)
    assert both[0].tolist() == Cider(references).score(hypotheses)[1].tolist()
    assert both[1].tolist() == CiderD(references).score(hypotheses)[1].tolist()


@given(st.lists(captions, min_size=1, max_size=4), st.lists(captions, min_size=1, max_size=4))
def test_ngrams_are_found_again_in_another_index(one, other):
    mine, theirs = ([text.split() for text in texts] for texts in (one, other))
    index, corpus = NgramIndex(mine), NgramIndex(theirs)
    translated = index.numbers_in(corpus)
    for order in (1, 2, 3, 4):
        expected = corpus.encode(mine).ngrams[order - 1]
        found = translated[order - 1][index.encode(mine).ngrams[order - 1]]
        assert found.tolist() == np.minimum(expected, corpus.size(order)).tolist()


def test_references_are_weighted_by_a_corpus_that_holds_more_captions():
    hypotheses, references = made_up_captions(5)
    corpus = references | {f"more {key}": texts for key, texts in made_up_captions(40, seed=8)[1].items()}
    everything = CiderD(corpus).score({key: hypotheses.get(key, "") for key in corpus})[1]
    frequencies = DocumentFrequencies.from_references(corpus)
    part = CiderD(references, frequencies=frequencies).score(hypotheses)[1]
    np.testing.assert_allclose(part, everything[:5], rtol=1e-12)
