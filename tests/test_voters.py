"""Captions of similar training images vote on candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.fakes import ScriptedStepModel

from cutline.config import DecodingOptions
from cutline.errors import BundleError, ConfigError
from cutline.metrics import CiderD, DocumentFrequencies
from cutline.runtime.confidence import TrainingFeatures, scaled
from cutline.runtime.expected_ngrams import ExpectedNgrams
from cutline.runtime.neighbours import Neighbours
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import SPECIALS
from cutline.voters import Voters, frequencies_of, weighed_ngrams
from cutline.wishes import Wishes
from cutline.writing import Writer

CAPTIONS = (
    ("A dog runs on grass.", "a brown dog"),
    ("the dog jumps", "a dog in the air", "..."),
    ("two cats sleep", "cats on a bed"),
)
# Three training images in three directions of a plane.
POINTS = scaled(np.array([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.0]]))
NEIGHBOURS = Neighbours(
    ("0.png", "1.png", "2.png"),
    CAPTIONS,
    TrainingFeatures(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), POINTS),
)
DOG, CAT = [1.0, 0.0], [-1.0, 0.05]


def votes(image, candidates, count):
    return Voters(NEIGHBOURS, Tokenizer()).votes(np.array([image]), [candidates], count)[0]


def test_a_vote_is_the_mean_cider_d_with_the_captions_of_the_nearest_images():
    plain = [
        ["a dog runs on grass", "a brown dog"],
        ["the dog jumps", "a dog in the air"],
        ["two cats sleep", "cats on a bed"],
    ]
    frequencies = DocumentFrequencies.from_references(
        {str(n): texts for n, texts in enumerate(plain)}, str.split
    )
    candidates = ["a brown dog runs", "two cats", "", "a dog"]
    expected = [
        CiderD({"x": plain[0] + plain[1]}, str.split, frequencies).score({"x": text})[0] / 100
        for text in candidates
    ]
    assert votes(DOG, candidates, 2) == pytest.approx(expected, abs=1e-12)


def test_votes_are_the_same_where_n_grams_were_counted_beforehand():
    counted = frequencies_of(CAPTIONS, Tokenizer()).without_singles().to_arrays()
    beforehand = Voters(replace(NEIGHBOURS, frequencies=counted), Tokenizer())
    candidates = [["a brown dog runs", "two cats", "", "a dog", "a dog that nobody knows"]]
    for image in (DOG, CAT):
        expected = Voters(NEIGHBOURS, Tokenizer()).votes(np.array([image]), candidates, 2)
        assert beforehand.votes(np.array([image]), candidates, 2)[0].tolist() == expected[0].tolist()


def test_counts_that_do_not_fit_are_refused():
    counted = frequencies_of(CAPTIONS, Tokenizer()).to_arrays()
    odd = Voters(replace(NEIGHBOURS, frequencies={**counted, "images": np.array(0)}), Tokenizer())
    with pytest.raises(BundleError, match="counted n-grams of the training captions"):
        odd.votes(np.array([DOG]), [["a dog"]], 1)


def test_neighbours_favour_what_they_show():
    dog, cats = "a brown dog runs", "two cats sleep"
    assert np.argmax(votes(DOG, [dog, cats], 2)) == 0
    assert np.argmax(votes(CAT, [dog, cats], 1)) == 1


def test_images_side_by_side_get_the_votes_they_get_alone():
    candidates = [["a brown dog", "two cats", "a bed"], ["cats"], []]
    together = Voters(NEIGHBOURS, Tokenizer()).votes(np.array([DOG, CAT, DOG]), candidates, 2)
    for image, own, found in zip((DOG, CAT, DOG), candidates, together, strict=True):
        assert found.tolist() == votes(image, own, 2).tolist()


def test_an_image_with_no_neighbour_but_itself_has_nobody_to_ask():
    only = Neighbours(
        ("0.png",),
        (("a dog",),),
        TrainingFeatures(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), POINTS[:1]),
    )
    assert Voters(only, Tokenizer()).votes(POINTS[:1], [["a dog", "a cat"]], 5)[0].tolist() == [0.0, 0.0]


WORDS = Vocabulary((*SPECIALS, "two", "cats", "a", "dog"), Tokenizer())
END, TWO, CATS, A, DOGS = 3, 4, 5, 6, 7


def cats_are_likelier(image: int, written: tuple[int, ...]) -> list[float]:
    """Whatever the image shows: "two cats" with 0.6, "a dog" with 0.4."""
    chances = np.full(len(WORDS), 1e-7)
    if not written:
        chances[[TWO, A]] = (0.6, 0.4)
    else:
        chances[{TWO: CATS, A: DOGS}.get(written[-1], END)] = 1.0
    return list(chances / chances.sum())


def write(image, **options):
    model = ScriptedStepModel(cats_are_likelier, start_id=2)
    writer = Writer(model, WORDS, Voters(NEIGHBOURS, Tokenizer()))
    n_best = options.pop("n_best", 1)
    wishes = options.pop("wishes", Wishes())
    found = writer.write(np.array([image]), DecodingOptions(**options), n_best, wishes)[0]
    return [hypothesis.text for hypothesis in found]


def test_by_consensus_the_caption_that_neighbours_agree_with_beats_the_likelier_one():
    assert write(DOG, beam_size=2) == ["two cats"]
    assert write(DOG, beam_size=2, consensus=2) == ["a dog"]
    assert write(CAT, beam_size=2, consensus=1) == ["two cats"]


def test_draws_bring_candidates_that_the_search_does_not_find():
    assert write(DOG, consensus=2, consensus_draws=0) == ["two cats"], "greedily there is one candidate"
    assert write(DOG, consensus=2, consensus_draws=20) == ["a dog"]


def test_more_beams_may_be_voted_on_than_are_searched_without_votes():
    assert write(DOG, consensus=2, consensus_draws=0, consensus_beams=2) == ["a dog"]
    assert write(DOG, consensus_beams=2) == ["two cats"]
    assert write(DOG, consensus=2, consensus_draws=0, consensus_beams=2, n_best=2) == ["a dog", "two cats"]
    with pytest.raises(ConfigError, match=r"n_best is 2, allowed is 1 to the beam size \(1\)"):
        write(DOG, consensus_beams=2, n_best=2)


def test_without_voters_the_beams_of_a_plain_search_count():
    model = ScriptedStepModel(cats_are_likelier, start_id=2)
    options = DecodingOptions(beam_size=1, consensus=2, consensus_beams=2)
    with pytest.raises(ConfigError, match=r"allowed is 1 to the beam size \(1\)"):
        Writer(model, WORDS).write(np.array([DOG]), options, 2)
    assert [found.text for found in Writer(model, WORDS).write(np.array([DOG]), options)[0]] == ["two cats"]


def test_likelihood_can_outweigh_the_votes():
    assert write(DOG, beam_size=2, consensus=2, consensus_likelihood=1000.0) == ["two cats"]


def test_likelihood_counts_by_a_power_of_the_length():
    def long_ones_are_likelier_by_the_token(image: int, written: tuple[int, ...]) -> list[float]:
        """Whatever the image shows: "dog" with 0.6, "two cats a dog" with 0.4."""
        chances = np.full(len(WORDS), 1e-7)
        if not written:
            chances[[DOGS, TWO]] = (0.6, 0.4)
        else:
            chances[{(TWO,): CATS, (TWO, CATS): A, (TWO, CATS, A): DOGS}.get(written, END)] = 1.0
        return list(chances / chances.sum())

    model = ScriptedStepModel(long_ones_are_likelier_by_the_token, start_id=2)
    writer = Writer(model, WORDS, Voters(NEIGHBOURS, Tokenizer()))

    def chosen(length_penalty: float) -> str:
        options = DecodingOptions(
            beam_size=2,
            consensus=2,
            consensus_likelihood=1000.0,
            consensus_length_penalty=length_penalty,
        )
        return writer.write(np.array([DOG]), options)[0][0].text

    # log 0.6 / 2 ** p against log 0.4 / 5 ** p: they are the same for p = 0.638.
    assert chosen(0.6) == "dog"
    assert chosen(0.7) == "two cats a dog"


def test_what_the_model_itself_says_most_can_outweigh_the_votes():
    assert write(DOG, beam_size=2, consensus=2, consensus_own=100.0) == ["two cats"]
    assert write(DOG, beam_size=2, consensus=2, consensus_own=100.0, consensus_draws=0) == ["a dog"]


def test_agreement_is_the_mean_cider_d_with_other_captions_and_none_without_others():
    voters = Voters(NEIGHBOURS, Tokenizer())
    candidates = [["a brown dog", "two cats"], ["cats"]]
    found = voters.agreement(candidates, [["a brown dog", "a dog"], []])
    assert found[0][0] == pytest.approx(
        np.mean(
            [float(voters.agreement([["a brown dog"]], [[text]])[0][0]) for text in ("a brown dog", "a dog")]
        )
    )
    assert found[0].tolist()[1] == found[1].tolist()[0] == 0.0


def test_what_was_learned_chooses_unless_the_neighbours_are_asked_for():
    # Against what its neighbours say, a picture of a dog is worth a word of cats.
    counted = frequencies_of([["cats"], ["dog"]], Tokenizer())
    rows, _, _ = weighed_ngrams([["cats"]], counted)
    weights = np.zeros((2, 1), np.int8)
    weights[rows[0]] = 1
    learned = ExpectedNgrams(
        np.zeros(2, np.float32),
        np.ones(2, np.float32),
        np.array([[1], [0]], np.int8),
        weights,
        np.ones(1, np.float32),
        counted.to_arrays(),
    )
    model = ScriptedStepModel(cats_are_likelier, start_id=2)
    writer = Writer(model, WORDS, Voters(NEIGHBOURS, Tokenizer(), learned))
    options = DecodingOptions(beam_size=2, consensus=2, consensus_by="learned", consensus_likelihood=0)
    assert writer.write(np.array([DOG]), options)[0][0].text == "two cats"
    asked = options.model_copy(update={"consensus_by": "neighbours"})
    assert writer.write(np.array([DOG]), asked)[0][0].text == "a dog"
    alone = Writer(model, WORDS, Voters(None, Tokenizer(), learned))
    assert alone.write(np.array([DOG]), options)[0][0].text == "two cats"


def test_the_best_come_in_the_order_of_their_votes():
    assert write(DOG, beam_size=2, consensus=2, n_best=2) == ["a dog", "two cats"]


def test_wishes_hold_for_all_candidates():
    assert write(DOG, beam_size=2, consensus=2, wishes=Wishes(forbid=("dog",)))[0].split()[-1] != "dog"
    assert write(DOG, beam_size=4, consensus=2, wishes=Wishes(require=("cats",))) == ["two cats"]


def test_without_voters_the_most_probable_caption_is_taken():
    writer = Writer(ScriptedStepModel(cats_are_likelier, start_id=2), WORDS)
    options = DecodingOptions(beam_size=2, consensus=2)
    assert writer.write(np.array([DOG]), options)[0][0].text == "two cats"


def test_drawing_one_caption_and_choosing_among_many_contradict_each_other():
    with pytest.raises(ConfigError, match="set one of them"):
        Wishes(decoding={"temperature": 1.0, "consensus": 5}).options(DecodingOptions())


def test_rarity_is_that_of_the_rarest_word():
    found = Voters(NEIGHBOURS, Tokenizer()).rarity([["a dog", "two dog a", "", "a zebra"], ["a cats"], []])
    # Of three images, "a" stands with all, "dog" with two, "two" and "cats" with one, "zebra" with none.
    assert [own.tolist() for own in found] == [
        pytest.approx([np.log(3 / 2), np.log(3), 0.0, np.log(3)]),
        pytest.approx([np.log(3)]),
        [],
    ]


def test_the_rarest_word_can_outweigh_the_votes():
    assert write(DOG, beam_size=2, consensus=2, consensus_rarity=100.0) == ["two cats"]
    assert write(DOG, beam_size=2, consensus=2, consensus_rarity=0.001) == ["a dog"]


@pytest.mark.parametrize(("least", "images_of_cats"), [(1, 1), (2, 2)])
def test_without_neighbours_rarity_is_that_of_what_was_learned(least: int, images_of_cats: int) -> None:
    captions = [["a cats"], ["a dog"], ["a dog"], ["a dog"]]
    counted = frequencies_of(captions, Tokenizer()).without_rare(least)
    learned = ExpectedNgrams(
        np.zeros(2, np.float32),
        np.ones(2, np.float32),
        np.zeros((2, 1), np.int8),
        np.zeros((sum(len(counts) for counts in counted.counts()), 1), np.int8),
        np.ones(1, np.float32),
        counted.to_arrays(),
    )
    found = Voters(None, Tokenizer(), learned).rarity([["a dog", "a cats"]])
    assert found[0] == pytest.approx([np.log(4 / 3), np.log(4 / images_of_cats)])
