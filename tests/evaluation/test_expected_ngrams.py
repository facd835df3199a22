"""What people would write about an image is learned from features, and chooses captions."""

from __future__ import annotations

import numpy as np
import pytest

from cutline.evaluation import expected_ngrams as learning
from cutline.evaluation.expected_ngrams import learn_expected
from cutline.metrics import Cider, DocumentFrequencies
from cutline.progress import Silent
from cutline.records import Example
from cutline.runtime.expected_ngrams import ExpectedNgrams
from cutline.text import Tokenizer
from cutline.voters import Voters, frequencies_of, weighed_ngrams

COLOURS, THINGS = ("red", "green", "blue"), ("dog", "cat", "bird", "boat")


def data(images: int = 240, depth: int = 16) -> tuple[list[Example], dict[str, np.ndarray], np.ndarray]:
    """Images whose features are a colour and a thing, in a turned space, and captions that name both."""
    generator = np.random.default_rng(0)
    turned = np.linalg.qr(generator.normal(size=(depth, depth)))[0]
    examples, features = [], {}
    for number in range(images):
        colour, thing = generator.integers(3), generator.integers(4)
        plain = np.zeros(depth)
        plain[colour], plain[3 + thing] = 1, 1
        features[f"{number}"] = (plain + generator.normal(0, 0.05, depth)) @ turned
        named = f"{COLOURS[colour]} {THINGS[thing]}"
        examples.append(
            Example(
                f"{number}.png", f"{number}.png", (f"A {named}.", f"the {named} rests"), digest=f"{number}"
            )
        )
    return examples, features, turned


def learned(images: int = 240) -> tuple[ExpectedNgrams, np.ndarray]:
    examples, features, turned = data(images)
    expected = learn_expected(
        lambda digests: np.stack([features[digest] for digest in digests]), examples, Tokenizer(), Silent()
    )
    assert expected is not None
    return expected, turned


def features_of(turned: np.ndarray, *named: tuple[str, str]) -> np.ndarray:
    plain = np.zeros((len(named), len(turned)))
    for row, (colour, thing) in zip(plain, named, strict=True):
        row[COLOURS.index(colour)], row[3 + THINGS.index(thing)] = 1, 1
    return plain @ turned


def test_the_caption_that_fits_the_features_is_chosen_among_all():
    expected, turned = learned()
    candidates = [f"a {colour} {thing}" for colour in COLOURS for thing in THINGS]
    pictures = [(colour, thing) for colour in COLOURS for thing in THINGS]
    votes = Voters(None, Tokenizer(), expected).votes(
        features_of(turned, *pictures), [candidates] * len(pictures), 1
    )
    assert [int(np.argmax(own)) for own in votes] == list(range(len(pictures)))


def test_votes_rise_with_the_cider_with_what_people_write():
    expected, turned = learned()
    examples, _, _ = data()
    frequencies = frequencies_of([example.captions for example in examples], Tokenizer())
    scorer = Cider({"x": ["a green bird", "the green bird rests"]}, str.split, frequencies)
    candidates = ["a red dog", "a green dog", "the green boat rests", "a green bird", "the green bird rests"]
    (votes,) = Voters(None, Tokenizer(), expected).votes(
        features_of(turned, ("green", "bird")), [candidates], 1
    )
    scores = [scorer.score({"x": text})[0] for text in candidates]
    assert np.corrcoef(votes, scores)[0, 1] > 0.95
    assert votes[0] < 0 < votes[-1], "usual captions with other pictures are worth less than on average"


def test_images_side_by_side_get_the_votes_they_get_alone():
    expected, turned = learned()
    voters = Voters(None, Tokenizer(), expected)
    features = features_of(turned, ("red", "dog"), ("blue", "boat"), ("green", "cat"))
    candidates = [["a red dog", ""], ["a blue boat"], ["the cat", "a word unknown", "red red red"]]
    together = voters.votes(features, candidates, 1)
    for place, own in enumerate(together):
        alone = voters.votes(features[place : place + 1], [candidates[place]], 1)[0]
        assert own == pytest.approx(alone, abs=1e-6)
    assert together[0][1] == 0


def test_regions_are_averaged():
    expected, turned = learned()
    voters = Voters(None, Tokenizer(), expected)
    pooled = features_of(turned, ("red", "dog"))
    grid = np.stack([pooled * 0.5, pooled * 1.5], axis=1)
    candidates = [["a red dog", "a blue boat"]]
    assert voters.votes(grid, candidates, 1)[0] == pytest.approx(voters.votes(pooled, candidates, 1)[0])


def test_only_n_grams_of_several_images_are_kept_and_not_too_many(monkeypatch):
    expected, _ = learned()
    frequencies = DocumentFrequencies.from_arrays(dict(expected.frequencies))
    assert min(int(counts.min()) for counts in frequencies.counts() if len(counts)) >= 3
    monkeypatch.setattr(learning, "_NGRAMS", 20)
    fewer, _ = learned()
    assert 0 < len(fewer.weights) <= 20
    assert len(expected.weights) > 20


def test_nothing_is_learned_where_no_n_gram_repeats():
    examples = [Example(f"{n}.png", f"{n}.png", (f"word{n}",), digest=str(n)) for n in range(5)]
    read = lambda digests: np.ones((len(digests), 2)) * [[float(d), 1] for d in digests]  # noqa: E731
    assert learn_expected(read, examples, Tokenizer(), Silent()) is None


def test_the_regression_is_that_of_the_normal_equations_where_its_rank_suffices():
    generator = np.random.default_rng(2)
    images = generator.normal(size=(50, 6)).astype(np.float32)
    wanted = generator.normal(size=(50, 9)).astype(np.float32)
    axes, weights = learning.regression(images.T @ images, images.T @ wanted, 50, 1.0)
    ridge = np.linalg.solve(images.T @ images + np.eye(6), images.T @ wanted)
    assert axes @ weights.T == pytest.approx(ridge, abs=1e-4)
    assert np.mean((images @ axes) ** 2, axis=0) == pytest.approx(np.ones(6), abs=1e-3)


def test_weights_of_n_grams_have_length_one_in_each_order():
    frequencies = DocumentFrequencies.from_references(
        {"a": ["a dog runs on sand", "dogs"], "b": ["a cat sleeps", "cats"]}, str.split
    )
    captions = [["a", "dog", "runs", "on", "sand"], ["cat", "cat"], [], ["unheard", "of"]]
    rows, weights, owners = weighed_ngrams(captions, frequencies)
    sizes = np.array([frequencies.index.size(order) for order in (1, 2, 3, 4)])
    order = np.searchsorted(np.cumsum(sizes), rows, side="right")
    for n in range(4):
        mine = (owners == 0) & (order == n)
        assert np.sqrt((weights[mine] ** 2).sum()) == pytest.approx(2.5)
    assert (owners == 2).sum() == (owners == 3).sum() == 0
