from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest
from tests.fakes import made_up_captions

from cutline.errors import DataError
from cutline.metrics import CiderD, DocumentFrequencies


def test_an_ngram_counts_once_per_image():
    corpus = {"a": ["a dog and a dog", "a dog"], "b": ["a cat"], "c": ["dog"]}
    frequencies = DocumentFrequencies.from_references(corpus)
    assert frequencies.images == 3
    counts = [frequencies.count(ngram) for ngram in ("a", "dog", "a dog", "a dog and a", "zebra", "a zebra")]
    assert counts == [2, 2, 1, 1, 0, 0]


def test_frequencies_of_the_references_themselves_change_nothing():
    hypotheses, references = made_up_captions(20)
    frequencies = DocumentFrequencies.from_references(references)
    given = CiderD(references, frequencies=frequencies).score(hypotheses)[1]
    np.testing.assert_allclose(given, CiderD(references).score(hypotheses)[1], rtol=1e-12)


def test_some_images_score_the_same_with_the_frequencies_of_all():
    hypotheses, references = made_up_captions(40, seed=3)
    hypotheses["0.jpg"] = "an unheard unheard word on the grass"
    some = [image_id for number, image_id in enumerate(references) if number % 3 == 0]
    everything = CiderD(references).score(hypotheses)[1]
    part = CiderD(
        {image_id: references[image_id] for image_id in some},
        frequencies=DocumentFrequencies.from_references(references),
    ).score({image_id: hypotheses[image_id] for image_id in some})[1]
    np.testing.assert_allclose(part, everything[::3], rtol=1e-12)


def test_words_that_only_the_corpus_has_are_weighted_by_the_corpus():
    corpus = {"a": ["a red dog"], "b": ["a red cat"], "c": ["a blue dog"], "d": ["two people"]}
    alone = CiderD({"c": corpus["c"]}, frequencies=DocumentFrequencies.from_references(corpus))
    everything = CiderD(corpus).score({**dict.fromkeys("abd", ""), "c": "a red dog"})[1]
    assert alone.score({"c": "a red dog"})[0] == pytest.approx(everything[2])


def test_references_outside_the_corpus_are_weighted_as_rare():
    corpus = {str(number): ["a dog on the grass"] for number in range(4)}
    cider = CiderD({"a": ["a zebra zebra on ice"]}, frequencies=DocumentFrequencies.from_references(corpus))
    assert cider.score({"a": "a zebra zebra on ice"})[0] == pytest.approx(1000)
    assert cider.score({"a": "a lion lion on ice"})[0] < 500


@pytest.mark.parametrize("seed", range(2))
def test_n_grams_of_one_image_can_be_left_out_and_scores_stay(seed):
    hypotheses, references = made_up_captions(30, seed=seed)
    frequencies = DocumentFrequencies.from_references(made_up_captions(60, seed=seed + 9)[1])
    few = frequencies.without_singles()
    assert len(few.to_arrays()["counts_4"]) < len(frequencies.to_arrays()["counts_4"])
    assert few.images == frequencies.images
    for ngram in ("a dog", "dog", "on the grass"):
        count = frequencies.count(ngram)
        assert few.count(ngram) == (count if count > 1 else 0)
    expected = CiderD(references, frequencies=frequencies).score(hypotheses)[1]
    assert CiderD(references, frequencies=few).score(hypotheses)[1].tolist() == expected.tolist()
    again = DocumentFrequencies.from_arrays(few.to_arrays())
    assert CiderD(references, frequencies=again).score(hypotheses)[1].tolist() == expected.tolist()


def test_saved_frequencies_come_back(tmp_path):
    hypotheses, references = made_up_captions(20)
    frequencies = DocumentFrequencies.from_references(made_up_captions(50, seed=9)[1])
    frequencies.save(tmp_path / "frequencies.npz")
    loaded = DocumentFrequencies.load(tmp_path / "frequencies.npz")
    assert loaded.images == 50
    expected = CiderD(references, frequencies=frequencies).score(hypotheses)[1]
    assert CiderD(references, frequencies=loaded).score(hypotheses)[1].tolist() == expected.tolist()


ODD_ARRAYS = {
    "too few counts": {"counts_1": np.array([1], np.int32)},
    "counts of text": {"counts_1": np.array(["a", "b"])},
    "counts in two axes": {"counts_1": np.array([[1], [1]])},
    "counts beyond the images": {"counts_1": np.array([1, 9])},
    "words that are no list": {"words": np.frombuffer(b"7", np.uint8)},
    "words that are no text": {"words": np.frombuffer(b"[1, 2]", np.uint8)},
    "keys of other words": {"keys_2": np.array([7 << 32], np.int64)},
    "two numbers of images": {"images": np.array([1, 2])},
    "no images": {"images": np.array(0)},
}


@pytest.mark.parametrize(
    "damage", ["missing", "empty", "text", "cut", "other arrays", "bad words", *ODD_ARRAYS]
)
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / "frequencies.npz"
    DocumentFrequencies.from_references({"a": ["a dog"]}).save(path)
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "other arrays":
        np.savez(path, images=np.array(1))
    elif damage in ODD_ARRAYS:
        with np.load(path) as arrays:
            np.savez(path, **{**arrays, **ODD_ARRAYS[damage]})
    elif damage == "bad words":
        np.savez(path, words=np.frombuffer(b"{", np.uint8))
    else:
        path.write_bytes({"empty": b"", "text": b"hello", "cut": content[: len(content) // 2]}[damage])
    with pytest.raises(DataError, match="not readable as saved document frequencies"):
        DocumentFrequencies.load(path)


@pytest.mark.parametrize("seed", range(4))
def test_a_file_in_which_a_byte_has_changed_is_read_or_refused(tmp_path, seed):
    path = tmp_path / "frequencies.npz"
    DocumentFrequencies.from_references(made_up_captions(5)[1]).save(path)
    content = path.read_bytes()
    rng = random.Random(seed)
    for _ in range(250):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= rng.randrange(1, 256)
        path.write_bytes(damaged)
        with contextlib.suppress(DataError):
            CiderD({"a": ["a dog runs on the grass"]}, frequencies=DocumentFrequencies.load(path))


def test_counts_of_two_corpora_joined_are_those_of_both_counted_at_once():
    _, first = made_up_captions(30, seed=1)
    _, second = made_up_captions(30, seed=2)
    second = {f"other {image_id}": captions for image_id, captions in second.items()}
    one, other = map(DocumentFrequencies.from_references, (first, second))
    at_once = DocumentFrequencies.from_references({**first, **second})
    joined = one.joined(other)
    assert joined.images == at_once.images == 60
    assert joined.fingerprint == at_once.fingerprint
    for numbers, mine, theirs in zip(
        joined.index.numbers_in(at_once.index), joined.counts(), at_once.counts(), strict=True
    ):
        np.testing.assert_array_equal(np.sort(numbers), np.arange(len(theirs)))
        np.testing.assert_array_equal(mine, theirs[numbers])
    again = DocumentFrequencies.from_arrays(joined.to_arrays())
    assert again.fingerprint == joined.fingerprint


def test_rare_ngrams_left_out_before_stay_out_when_counts_are_joined():
    _, first = made_up_captions(30, seed=1)
    one = DocumentFrequencies.from_references(first)
    kept = one.without_rare(3)
    joined = kept.joined(DocumentFrequencies.from_references({"new": ["a zebra"]}))
    assert joined.count("a zebra") == 1
    assert joined.index.size(4) == kept.index.size(4)
    assert joined.images == 31
