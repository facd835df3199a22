"""What a model learned of captions is kept, and more images teach what it did not foretell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.test_expected_ngrams import COLOURS, THINGS, data, features_of

from cutline.errors import BundleError
from cutline.evaluation import adapted_ngrams as adapting
from cutline.evaluation.adapted_ngrams import adapt_expected, leave_one_out, moved_rows
from cutline.evaluation.expected_ngrams import learn_expected
from cutline.metrics import DocumentFrequencies
from cutline.progress import Silent
from cutline.records import Example
from cutline.runtime.expected_ngrams import ExpectedNgrams
from cutline.text import Tokenizer
from cutline.voters import Voters

CANDIDATES = [f"a {colour} {thing}" for colour in COLOURS for thing in THINGS]


@pytest.fixture(scope="module")
def world():
    examples, features, turned = data()
    return examples, lambda digests: np.stack([features[digest] for digest in digests]), turned


def named(examples: list[Example], *things: str) -> list[Example]:
    return [example for example in examples if any(thing in example.captions[0] for thing in things)]


def learned(read, examples) -> ExpectedNgrams:
    expected = learn_expected(read, examples, Tokenizer(), Silent())
    assert expected is not None
    return expected


def adapted(start, read, examples) -> ExpectedNgrams | None:
    return adapt_expected(start, read, examples, Tokenizer(), Silent())


def best(expected: ExpectedNgrams, pictures: np.ndarray) -> list[str]:
    votes = Voters(None, Tokenizer(), expected).votes(pictures, [CANDIDATES] * len(pictures), 1)
    return [CANDIDATES[int(np.argmax(own))] for own in votes]


def foretold(expected: ExpectedNgrams, ngram: str, pictures: np.ndarray) -> np.ndarray:
    """What an n-gram weighs with pictures, by its place among all."""
    tokens = ngram.split()
    index = DocumentFrequencies.from_arrays(expected.frequencies).index
    row = sum(index.size(order) for order in range(1, len(tokens)))
    row += int(index.encode([tokens]).ngrams[len(tokens) - 1][0])
    return expected.places(pictures) @ expected.weights[row].astype(np.float32)


def test_what_was_known_of_other_images_is_kept_and_what_is_new_is_learned(world):
    examples, read, turned = world
    start = learned(read, named(examples, "dog", "cat", "bird"))
    new = [*named(examples, "red boat", "green boat")[:12], *named(examples, "red cat", "green cat")[:12]]
    both = adapted(start, read, new)
    assert both is not None
    # No boat was known, and there is neither a dog nor anything blue among the new images.
    pictures = features_of(turned, ("red", "boat"), ("blue", "dog"), ("green", "cat"))
    assert best(both, pictures) == ["a red boat", "a blue dog", "a green cat"]
    assert best(learned(read, new), pictures)[1] != "a blue dog"
    assert best(start, pictures)[0] != "a red boat"


def test_each_ngram_keeps_what_it_weighed_where_the_new_images_say_nothing_of_it(world):
    examples, read, turned = world
    start = learned(read, named(examples, "dog", "cat", "bird"))
    # Blue birds lie across what these images differ in.
    both = adapted(start, read, named(examples, "red boat", "green boat")[:20])
    assert both is not None
    pictures = features_of(turned, ("blue", "bird"), ("blue", "dog"))
    for ngram in ("blue", "bird", "a blue", "blue bird", "a blue bird", "the blue bird rests"):
        before, after = foretold(start, ngram, pictures), foretold(both, ngram, pictures)
        assert after[0] - after[1] == pytest.approx(before[0] - before[1], abs=0.05), ngram


def test_only_residuals_are_learned(world):
    examples, read, turned = world
    start = learned(read, examples[:120])
    # The same again from other images: hardly anything is left to learn, where it would double otherwise.
    both = adapted(start, read, examples[120:])
    assert both is not None
    pictures = features_of(turned, ("green", "bird"), ("red", "dog"))
    ratio = np.ptp(foretold(both, "bird", pictures)) / np.ptp(foretold(start, "bird", pictures))
    assert 0.85 < ratio < 1.15


@pytest.mark.parametrize("images", [1, 2, 5, 9, 10, 40])
def test_a_start_that_serves_is_kept_however_few_images_there_are(world, images):
    examples, read, turned = world
    found = adapted(learned(read, examples[:200]), read, examples[200 : 200 + images])
    assert found is not None
    assert best(found, features_of(turned, ("green", "bird"), ("red", "boat"))) == [
        "a green bird",
        "a red boat",
    ]


@pytest.mark.parametrize("images", [40, 240])
def test_a_start_that_misleads_is_left_out(world, images):
    examples, read, _ = world
    # Another language of the same words: what was a dog is called a boat now.
    names = dict(zip(THINGS, reversed(THINGS), strict=True))
    new = [
        replace(
            one,
            captions=tuple(
                " ".join(names.get(word.strip("."), word) for word in text.split()) for text in one.captions
            ),
        )
        for one in examples[:images]
    ]
    assert adapted(learned(read, examples), read, new) is None


def test_captions_of_other_words_are_learned_beside_what_was_known(world):
    examples, read, turned = world
    new = [
        replace(one, captions=(f"foto {THINGS.index(one.captions[0].split()[2].strip('.'))}",))
        for one in examples[:60]
    ]
    found = adapted(learned(read, examples[60:]), read, new)
    assert found is not None
    pictures = features_of(turned, ("red", "bird"), ("red", "dog"))
    other = foretold(found, f"foto {THINGS.index('bird')}", pictures)
    assert other[0] > other[1] + 0.5


def test_leaving_one_out_is_learning_from_all_others():
    generator = np.random.default_rng(0)
    images, targets = generator.normal(size=(9, 5)), generator.normal(size=(9, 3))
    values, vectors = np.linalg.eigh(images.T @ images)
    turned = images @ vectors
    found = leave_one_out(targets, turned, turned.T @ targets, values + 2.5)
    for place in range(9):
        others = np.arange(9) != place
        squares = images[others].T @ images[others] + 2.5 * np.eye(5)
        coefficients = np.linalg.solve(squares, images[others].T @ targets[others])
        np.testing.assert_allclose(found[place], targets[place] - images[place] @ coefficients, rtol=1e-9)


def test_rows_follow_their_ngrams_when_these_get_other_numbers():
    before = DocumentFrequencies.from_references({"a": ["b a c", "c a b"]}, str.split)
    after = before.joined(DocumentFrequencies.from_references({"b": ["z a c z", "a a b"]}, str.split))
    tables = []
    for frequencies in (before, after):
        index = frequencies.index
        found = {}
        for text in ("a", "b", "c", "z", "a b", "a c", "b a", "c a", "a a", "z a", "b a c", "z a c", "a a b"):
            tokens = text.split()
            number = int(index.encode([tokens]).ngrams[len(tokens) - 1][0])
            if number < index.size(len(tokens)):
                found[text] = sum(index.size(order) for order in range(1, len(tokens))) + number
        tables.append(found)
    old, new = tables
    weights = np.arange(1, 1 + sum(map(len, before.counts())), dtype=np.int8)[:, None]
    moved = moved_rows(weights, before, after)
    assert len(moved) == sum(map(len, after.counts()))
    for text, row in new.items():
        assert moved[row, 0] == (weights[old[text], 0] if text in old else 0), text


def test_directions_do_not_grow_without_end(world, monkeypatch):
    examples, read, turned = world
    monkeypatch.setattr(adapting, "AXES", 4)
    start = learned(read, examples[:120])
    found = adapted(start, read, examples[120:])
    assert found is not None
    assert len(start.steps) > 8 == len(found.steps) == found.weights.shape[1] == found.axes.shape[1]
    assert best(found, features_of(turned, ("green", "bird"))) == ["a green bird"]


def test_images_that_look_alike_and_captions_in_no_three_images_leave_a_start_as_it_is(world):
    examples, read, turned = world
    start = learned(read, examples)
    same = adapted(start, lambda digests: np.tile(start.mean, (len(digests), 1)), examples[:20])
    rare = adapted(start, read, [replace(examples[0], captions=("something else",))])
    for found in (same, rare):
        assert found is not None
        assert best(found, features_of(turned, ("blue", "cat"))) == ["a blue cat"]


def test_counts_that_cannot_be_read_are_told(world):
    examples, read, _ = world
    start = learned(read, examples)
    broken = replace(start, frequencies={**start.frequencies, "images": np.array(1)})
    with pytest.raises(BundleError, match="copy the bundle again"):
        adapted(broken, read, examples[:5])


def test_ngrams_are_as_common_as_among_the_new_images_and_those_of_the_start_alike(world):
    examples, read, _ = world
    known, new = named(examples, "dog", "cat", "bird"), named(examples, "red boat", "green boat")[:20]
    start = learned(read, known)
    both = adapted(start, read, new)
    assert both is not None
    found = DocumentFrequencies.from_arrays(both.frequencies)
    times = round(len(known) / len(new))
    assert times > 1
    assert (found.images, found.count("boat")) == (len(known) + times * len(new), times * len(new))
    before = DocumentFrequencies.from_arrays(start.frequencies)
    assert found.count("dog") == before.count("dog")
