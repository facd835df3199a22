"""New tokens begin at what a trained decoder would have said in their place."""

from __future__ import annotations

import numpy as np
import pytest

from cutline.config import DecoderOptions
from cutline.data.batches import CaptionTable
from cutline.data.packed_texts import PackedTexts
from cutline.models.decoders import Decoder, build_decoder
from cutline.models.sessions import assign_arrays, decoder_arrays
from cutline.progress import Silent
from cutline.text import Tokenizer, Vocabulary, build_vocabulary
from cutline.text.vocabulary import SPECIALS
from cutline.training import new_token_rows
from cutline.training.new_token_rows import PASSES, begin_new_tokens, captions_to_read

KNOWN, ADDED = 9, 3
START, END, DOG, CAT = 2, 3, 4, 5
WOLF, SITS, NEVER = KNOWN, KNOWN + 1, KNOWN + 2
CAPTIONS = np.array([[START, WOLF, SITS, END], [START, DOG, SITS, END], [START, WOLF, END, 0]], np.int32)
COUNTS = [0, 0, 0, 30, 10, 0, 0, 0, 0, 20, 20, 10]
EXPECTED = np.array(COUNTS[KNOWN:]) / sum(COUNTS)


def batches() -> list:
    inputs, targets = CAPTIONS[:, :-1], CAPTIONS[:, 1:]
    features = np.random.default_rng(1).random((3, 2, 4), np.float32)
    return [((features, inputs), targets, (targets != 0).astype(np.float32))]


def made(name: str = "attend", scale: float = 0.7, precision: str = "float32") -> Decoder:
    options = DecoderOptions(name=name, embedding_units=5, lstm_units=6, attention_units=3)
    decoder = build_decoder(options, KNOWN + ADDED, (2, 4), 0, precision)
    chance = np.random.default_rng(2)
    arrays = {key: chance.normal(0, scale, value.shape) for key, value in decoder_arrays(decoder).items()}
    assign_arrays(decoder, {key: value.astype(np.float32) for key, value in arrays.items()})
    return decoder


def mean_chances(decoder: Decoder, read: list | None = None) -> np.ndarray:
    """How probable each new token is, on the mean of all places."""
    ((inputs, _, weights),) = read or batches()
    logits = np.asarray(decoder(inputs, training=False)).astype(np.float64)[weights > 0]
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (chances / chances.sum(axis=1, keepdims=True))[:, KNOWN:].mean(axis=0)


def begun(decoder: Decoder) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    before = decoder_arrays(decoder)
    with Silent().stage("reading", PASSES, "batches") as stage:
        begin_new_tokens(decoder, KNOWN, COUNTS, batches, batches, stage)
    return before, decoder_arrays(decoder)


@pytest.mark.parametrize("name", ["show_tell", "merge", "attend", "up_down"])
def test_only_new_tokens_change_and_are_expected_as_often_as_they_come(name):
    decoder = made(name)
    before, after = begun(decoder)
    for key, value in after.items():
        old = (
            value[:KNOWN]
            if key in ("embedding/embeddings", "predict_token/bias")
            else value[:, :KNOWN]
            if key == "predict_token/kernel"
            else value
        )
        was = before[key][tuple(slice(size) for size in old.shape)]
        np.testing.assert_array_equal(old, was, err_msg=key)
    np.testing.assert_allclose(mean_chances(decoder), EXPECTED, rtol=0.02)


def test_a_token_is_what_would_have_been_said_in_its_place():
    decoder = made(scale=0.1)
    # The state says nothing: the bias alone decides that a dog was expected everywhere.
    arrays = decoder_arrays(decoder)
    arrays["predict_token/bias"][:] = -9.0
    arrays["predict_token/bias"][DOG] = 9.0
    assign_arrays(decoder, arrays)
    _, after = begun(decoder)
    rows, kernel = after["embedding/embeddings"], after["predict_token/kernel"]
    for token in (WOLF, SITS):
        np.testing.assert_allclose(rows[token], rows[DOG], atol=1e-4)
        np.testing.assert_allclose(kernel[:, token], kernel[:, DOG], atol=1e-4)


def test_markers_are_nothing_to_be_like():
    decoder = made(scale=0.1)
    arrays = decoder_arrays(decoder)
    arrays["predict_token/bias"][:] = -9.0
    arrays["predict_token/bias"][[END, CAT]] = 9.0, 0.0
    assign_arrays(decoder, arrays)
    _, after = begun(decoder)
    rows = after["embedding/embeddings"]
    np.testing.assert_allclose(rows[WOLF], rows[CAT], atol=1e-3)


def test_a_token_that_no_caption_holds_keeps_its_rows():
    before, after = begun(made())
    for key in ("embedding/embeddings", "predict_token/kernel"):
        place = (NEVER,) if key.startswith("embedding") else (slice(None), NEVER)
        np.testing.assert_array_equal(before[key][place], after[key][place])
        place = (WOLF,) if key.startswith("embedding") else (slice(None), WOLF)
        assert not np.array_equal(before[key][place], after[key][place])


def test_lower_precision_is_enough():
    decoder = made(precision="bfloat16")
    begun(decoder)
    np.testing.assert_allclose(mean_chances(decoder), EXPECTED, rtol=0.1)


def test_the_second_round_reads_what_the_first_has_learned(monkeypatch):
    _, twice = begun(made())
    monkeypatch.setattr(new_token_rows, "PASSES", 2)
    _, once = begun(made())
    key = "embedding/embeddings"
    assert not np.allclose(once[key][SITS], twice[key][SITS])


def test_where_places_are_left_out_those_that_are_kept_are_of_all_kinds(monkeypatch):
    chance = np.random.default_rng(4)
    captions = chance.integers(len(SPECIALS), KNOWN + ADDED, (400, 4)).astype(np.int32)
    captions[:, 0], captions[:, -1] = START, END
    # New tokens stand in the first place alone; of every third place only those would be kept.
    captions[:, 2] = DOG
    features = chance.random((400, 2, 4), np.float32)
    many = [((features, captions[:, :-1]), captions[:, 1:], np.ones((400, 3), np.float32))]
    monkeypatch.setattr(new_token_rows, "_CELLS", 400 * ADDED)
    decoder = made()
    counts = np.bincount(captions[:, 1:].ravel(), minlength=KNOWN + ADDED).tolist()
    with Silent().stage("reading", PASSES, "batches") as stage:
        begin_new_tokens(decoder, KNOWN, counts, lambda: many, lambda: many, stage)
    expected = np.array(counts[KNOWN:]) / sum(counts)
    np.testing.assert_allclose(mean_chances(decoder, many), expected, rtol=0.25)


def table_of(captions: list[str]) -> tuple[CaptionTable, Vocabulary]:
    vocabulary = build_vocabulary(captions, Tokenizer())
    texts = PackedTexts(f"<start> {caption} <end>" for caption in captions)
    lengths = np.array([len(caption.split()) + 2 for caption in captions], np.int32)
    return CaptionTable(np.arange(len(captions)), texts, lengths), vocabulary


def test_all_captions_are_read_where_they_are_few():
    table, vocabulary = table_of(["a dog", "a wolf", "a dog"])
    drawn, more = captions_to_read(table, vocabulary, len(vocabulary) - 1, 0)
    assert (sorted(drawn.tolist()), more.tolist()) == ([0, 1, 2], [])


def test_of_many_captions_rare_tokens_have_some_beside_those_drawn(monkeypatch):
    monkeypatch.setattr(new_token_rows, "_SAMPLE", 50)
    rare = ["a wolf"] * 9 + ["a fox"] * 3
    table, vocabulary = table_of(["a dog"] * 600 + rare)
    known = min(map(vocabulary.id_of, ("wolf", "fox")))
    assert known == len(vocabulary) - 2
    drawn, more = captions_to_read(table, vocabulary, known, 0)
    assert len(drawn) == 50
    read = [table.texts[place] for place in [*drawn.tolist(), *more.tolist()]]
    assert sum("wolf" in text for text in read) == 5
    assert sum("fox" in text for text in read) == 3
    assert len(set(drawn.tolist()) | set(more.tolist())) == len(drawn) + len(more)
