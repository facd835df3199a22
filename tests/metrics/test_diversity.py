from __future__ import annotations

import math

import numpy as np
import pytest
from tests.fakes import made_up_captions

from cutline.metrics import (
    DocumentFrequencies,
    bleu,
    measure_diversity,
    most_common,
    mutual_bleu_4,
    self_cider,
    unique_share,
)


@pytest.mark.parametrize(
    ("captions", "share"),
    [(["a", "b", "c", "d"], 1.0), (["a", "a", "a", "a"], 0.25), (["a", "A"], 1.0), ([], 0.0)],
)
def test_unique_share_is_distinct_captions_over_all(captions, share):
    assert unique_share(captions) == share


def test_most_common_are_sorted_by_count_then_alphabet():
    assert most_common(["b", "c", "a", "c", "b", "d"], 3) == [("b", 2), ("c", 2), ("a", 1)]
    assert most_common([], 3) == []


def test_diversity_of_no_captions_is_zero_everywhere():
    found = measure_diversity([])
    assert (found.distinct_1, found.unique_captions, found.mean_length, found.most_repeated) == (0, 0, 0, ())
    assert (found.function_word_endings, found.self_cider, found.mbleu_4) == (None, None, None)


def test_words_and_pairs_are_counted_over_all_captions():
    found = measure_diversity(["A dog runs.", "a dog", "", "dog"])
    assert found.words == 3
    assert (found.distinct_1, found.distinct_2) == (pytest.approx(3 / 6), pytest.approx(2 / 3))
    assert found.mean_length == 6 / 4


def test_novel_captions_are_compared_as_tokens():
    assert measure_diversity(["a dog", "a cat"], training=["A dog ."]).novel_captions == 0.5
    assert measure_diversity(["a dog"]).novel_captions is None


def test_english_captions_that_stop_at_a_function_word_are_counted():
    captions = ["a man with a", "a man is on the", "the dog runs to him", "a man in a hat .", ""]
    assert measure_diversity(captions).function_word_endings == 2 / 5


@pytest.mark.parametrize(
    "captions",
    [
        ["zwei Hunde laufen durch den Schnee", "ein Mann steht in einem Boot"],
        ["un chien court dans la neige", "un homme a un chapeau"],
        ["un perro corre por la nieve", "el hombre está a caballo"],
        ["狗在雪地里跑"],
        ["कुत्ता बर्फ में दौड़ रहा है"],
        ["zebra zebra zebra"],
    ],
)
def test_endings_in_other_languages_are_not_judged_unless_words_are_given(captions):
    assert measure_diversity(captions).function_word_endings is None
    last = captions[0].split()[-1]
    found = measure_diversity(captions, str.split, function_words=[last]).function_word_endings
    assert found == pytest.approx(1 / len(captions))


def plain_self_cider(captions: list[str], documents: list[list[str]]) -> float:
    """Compute Self-CIDEr of one list with dictionaries, from the singular values of the captions' vectors."""

    def ngrams(caption: str, order: int) -> list[tuple[str, ...]]:
        words = caption.split()
        return [tuple(words[at : at + order]) for at in range(len(words) - order + 1)]

    columns = []
    for order in (1, 2, 3, 4):
        terms = sorted({ngram for caption in captions for ngram in ngrams(caption, order)})
        rarity = {
            term: math.log(
                len(documents)
                / max(1, sum(any(term in ngrams(text, order) for text in texts) for texts in documents))
            )
            for term in terms
        }
        for caption in captions:
            vector = np.array([ngrams(caption, order).count(term) * rarity[term] for term in terms])
            norm = np.linalg.norm(vector) if len(vector) else 0
            columns.append(vector / norm if norm else vector)
    size = len(captions)
    kernel = sum(
        np.array([[a @ b for b in columns[at : at + size]] for a in columns[at : at + size]]) / 4
        for at in range(0, len(columns), size)
    )
    values = np.linalg.svd(np.linalg.cholesky(kernel + 1e-14 * np.eye(size)), compute_uv=False)
    return float(-np.log(values[0] / values.sum()) / np.log(size))


def test_self_cider_is_that_of_plain_counting():
    lists = {key: sorted(set(texts)) for key, texts in made_up_captions(12, seed=4)[1].items()}
    documents = made_up_captions(30, seed=5)[1]
    frequencies = DocumentFrequencies.from_references(documents)
    several = [texts for texts in lists.values() if len(texts) > 1]
    expected = np.mean([plain_self_cider(texts, list(documents.values())) for texts in several])
    assert len(several) > 5
    assert self_cider(lists, frequencies=frequencies) == pytest.approx(expected, abs=1e-5)


def test_equal_captions_have_no_self_cider_and_full_mutual_bleu():
    lists = {"a": ["a red dot on blue"] * 3, "b": ["two rings are touching here"] * 2}
    assert self_cider(lists) == pytest.approx(0, abs=1e-6)
    assert mutual_bleu_4(lists) == pytest.approx(100, rel=1e-6)


def test_captions_that_share_nothing_have_full_self_cider_and_no_mutual_bleu():
    lists = {"a": ["a red dot on blue", "two rings are touching here"], "b": ["one more caption"]}
    assert self_cider(lists) == pytest.approx(1)
    assert mutual_bleu_4(lists) == pytest.approx(0, abs=1e-6)


def test_blank_and_single_captions_in_lists_do_no_harm():
    assert self_cider({"a": ["", ""], "b": ["one"]}) == 0
    assert self_cider({"a": ["one"], "b": []}) is None
    assert mutual_bleu_4({"a": ["one"]}) is None


def test_mutual_bleu_compares_each_caption_with_the_others_of_its_image():
    lists = {"a": ["a red dog runs fast", "a red dog runs", "a dog"]}
    hypotheses = {"0": lists["a"][0], "1": lists["a"][1], "2": lists["a"][2]}
    references = {"0": lists["a"][1:], "1": [lists["a"][0], lists["a"][2]], "2": lists["a"][:2]}
    assert mutual_bleu_4(lists) == bleu(hypotheses, references)[0][3]
    assert measure_diversity(["a dog"], lists=lists).mbleu_4 == mutual_bleu_4(lists)
