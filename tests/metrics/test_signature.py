from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.metrics import DocumentFrequencies, Scorer, signature


def test_known_facts_come_in_their_order_and_others_last():
    facts = {"colour": "red", "data": "ab12", "tokenizer": "ptb", "split": "val", "decoding": "greedy"}
    assert signature(facts) == "cutline:1|tokenizer:ptb|decoding:greedy|split:val|data:ab12|colour:red"


def test_unknown_facts_are_left_out():
    assert signature({"split": "", "decoding": None, "references": 0}) == "cutline:1|references:0"


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_it_is_one_line_with_one_field_per_fact(facts):
    line = signature(facts)
    assert len(line.splitlines()) == 1
    assert line.count("|") <= len(facts)


def test_a_scorer_says_what_it_knows_and_is_told_the_rest():
    references = {"a": ["a dog", "one dog"], "b": ["a cat"]}
    frequencies = DocumentFrequencies.from_references({str(n): ["a dog"] for n in range(7)})
    scores = Scorer(references, frequencies=frequencies).score(
        {"a": "x", "b": "y"}, facts={"split": "val", "decoding": "greedy | at most 20"}
    )
    assert scores.signature == (
        "cutline:1|tokenizer:ptb|case:lower|markers:stripped|references:1-2|document frequencies:7 images "
        f"({frequencies.fingerprint})"
        "|decoding:greedy / at most 20|split:val"
    )


@pytest.mark.parametrize(
    ("tokenise", "case"), [(str.split, "kept"), (lambda text: text.lower().split(), "lower")]
)
def test_case_is_found_out_by_trying(tokenise, case):
    scores = Scorer({"a": ["A dog"]}, tokenise, "own").score({"a": "a dog"})
    assert f"|tokenizer:own|case:{case}|" in scores.signature


def test_another_corpus_of_as_many_images_has_another_signature():
    def signature_with(corpus):
        frequencies = DocumentFrequencies.from_references(corpus)
        return Scorer({"a": ["a dog"]}, frequencies=frequencies).score({"a": "a dog"}).signature

    one = {"x": ["a red dog", "a dog"], "y": ["two cats"]}
    same = {"y": ["two cats"], "x": ["a dog", "a red dog"]}
    assert signature_with(one) == signature_with(same)
    assert signature_with(one) != signature_with({"x": ["a red dog", "a dog"], "y": ["two dogs"]})
    assert signature_with(one) != signature_with({"x": ["red a dog", "a dog"], "y": ["two cats"]})
