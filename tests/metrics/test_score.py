from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import made_up_captions

from cutline.errors import DataError
from cutline.metrics import CiderD, ReferenceSet, Scorer, bleu, cider_d, rouge_l, score

caption = st.lists(st.sampled_from(["a", "red", "dog", "runs", "Ball", "on", "GRASS"]), max_size=9).map(
    " ".join
)
data_sets = st.dictionaries(
    st.text("pqrst", min_size=1, max_size=2),
    st.tuples(caption, st.lists(caption, min_size=1, max_size=4)),
    min_size=1,
    max_size=6,
)


def parts(data: dict) -> tuple[dict[str, str], dict[str, list[str]]]:
    return {key: pair[0] for key, pair in data.items()}, {key: pair[1] for key, pair in data.items()}


def numbers(hypotheses, references) -> list[float]:
    return [value for value in score(hypotheses, references).as_dict().values() if isinstance(value, float)]


@given(data_sets, st.randoms(use_true_random=False))
def test_the_order_of_images_changes_nothing(data, rng):
    shuffled = list(data.items())
    rng.shuffle(shuffled)
    assert numbers(*parts(dict(shuffled))) == pytest.approx(numbers(*parts(data)), rel=1e-12, abs=1e-12)


@given(data_sets, st.randoms(use_true_random=False))
def test_the_order_of_references_changes_nothing(data, rng):
    hypotheses, references = parts(data)
    shuffled = {key: rng.sample(captions, len(captions)) for key, captions in references.items()}
    assert numbers(hypotheses, shuffled) == pytest.approx(
        numbers(hypotheses, references), rel=1e-12, abs=1e-12
    )


@given(data_sets)
def test_case_and_final_stop_change_nothing(data):
    hypotheses, references = parts(data)
    shouted = {key: f"{text.upper()} ." for key, text in hypotheses.items()}
    assert numbers(shouted, references) == numbers(hypotheses, references)


@given(data_sets)
def test_scores_stay_in_their_ranges(data):
    hypotheses, references = parts(data)
    scores = score(hypotheses, references)
    shares = [scores.bleu_1, scores.bleu_2, scores.bleu_3, scores.bleu_4, scores.rouge_l]
    assert all(0 <= value <= 100 + 1e-9 for value in shares)
    assert 0 <= scores.cider_d <= 1000 + 1e-6
    assert scores.images == len(references)
    assert scores.references == sum(map(len, references.values()))


@given(st.lists(caption.filter(lambda text: len(text.split()) >= 4), min_size=1, max_size=5))
def test_a_reference_given_back_scores_100(captions):
    references = {str(number): [text] for number, text in enumerate(captions)}
    scores = score({key: texts[0] for key, texts in references.items()}, references)
    assert [scores.bleu_1, scores.bleu_4, scores.rouge_l] == pytest.approx([100, 100, 100], rel=1e-6)


def test_the_only_reference_of_a_telling_image_scores_1000_in_cider_d():
    references = {"a": ["a red dog runs fast"], "b": ["two boats on a lake"]}
    _, per_image = cider_d({"a": "a red dog runs fast", "b": "nothing shared whatsoever here"}, references)
    assert per_image.tolist() == pytest.approx([1000, 0])


def test_a_caption_without_a_shared_word_scores_0():
    hypotheses, references = made_up_captions(6)
    hypotheses = dict.fromkeys(hypotheses, "quick zebras juggle eleven xylophones")
    assert cider_d(hypotheses, references)[0] == 0
    assert rouge_l(hypotheses, references)[0] == 0
    assert bleu(hypotheses, references)[0] == pytest.approx([0, 0, 0, 0], abs=1e-6)


@pytest.mark.parametrize("blank", ["", "  ", "...", "\u2028"])
def test_blank_captions_are_allowed_and_score_0(blank):
    hypotheses, references = made_up_captions(5)
    assert numbers(dict.fromkeys(hypotheses, blank), references) == [0] * 7


def test_a_blank_reference_is_no_match_for_a_blank_caption():
    assert numbers({"a": "", "b": ""}, {"a": ["."], "b": ["a dog", "!"]}) == [0] * 7


def test_per_image_scores_follow_the_references():
    references = {"z": ["a red dog runs"], "a": ["two boats on a lake"]}
    hypotheses = {"a": "two boats on a lake", "z": "zebra"}
    assert ReferenceSet(references).image_ids == ("z", "a")
    for images in (bleu(hypotheses, references)[1][3], rouge_l(hypotheses, references)[1]):
        assert images.tolist() == pytest.approx([0, 100], abs=1e-3)


def test_another_tokenisation_is_used_and_named():
    hypotheses, references = {"a": "狗在跑", "b": "猫"}, {"a": ["狗跑"], "b": ["两只猫"]}
    scores = score(hypotheses, references, tokenise=list, tokenizer_name="character")
    assert scores.tokenizer == "character"
    assert scores.bleu_1 == pytest.approx(100 * 3 / 4 * np.exp(1 - 5 / 4))
    assert score(hypotheses, references).bleu_1 == pytest.approx(0, abs=1e-6)


def test_another_tokenisation_is_never_called_ptb():
    assert score({"a": "x"}, {"a": ["x"]}, tokenise=str.split).tokenizer == "custom"


def test_missing_and_extra_images_are_both_listed():
    scorer = Scorer({"a.jpg": ["x"], "b.jpg": ["y"], "c.jpg": ["z"]})
    message = r"no hypothesis for 2 images \(b.jpg, c.jpg\); no references for 1 image \(d.jpg\)"
    with pytest.raises(DataError, match=message):
        scorer.score({"a.jpg": "x", "d.jpg": "x"})


def test_long_lists_of_missing_images_are_cut():
    with pytest.raises(DataError, match=r"no hypothesis for 40 images \(.* and 35 more\)") as caught:
        score({}, {f"{number}.jpg": ["x"] for number in range(40)})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ({}, "no references to score against"),
        ({"a.jpg": []}, "image 'a.jpg' has no references"),
        ({"a.jpg": "a dog"}, "references of image 'a.jpg' are one string, 'a dog'; a list"),
    ],
)
def test_references_that_cannot_be_used_are_refused(references, message):
    with pytest.raises(DataError, match=message):
        Scorer(references)


def test_references_are_tokenised_once():
    seen = []

    def tokenise(text: str) -> list[str]:
        seen.append(text)
        return text.split()

    cider = CiderD({"a": ["one", "two"], "b": ["three"]}, tokenise)
    for _ in range(3):
        cider.score({"a": "one", "b": "four"})
    assert [seen.count(text) for text in ("one", "two", "three")] == [4, 1, 1]


def test_a_thousand_images_take_little_memory():
    rng = np.random.default_rng(0)
    words = [f"word{number}" for number in range(3000)]
    references = {str(image): [" ".join(rng.choice(words, 11)) for _ in range(5)] for image in range(1000)}
    hypotheses = {image_id: captions[0] for image_id, captions in references.items()}
    tracemalloc.start()
    try:
        Scorer(references).score(hypotheses)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20e6
