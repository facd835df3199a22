"""New tokens begin at what a trained decoder would have said in their place."""

from __future__ import annotations

import numpy as np
import pytest

from cutline.config import DecoderOptions
from cutline.models.decoders import Decoder, build_decoder
from cutline.models.sessions import assign_arrays, decoder_arrays
from cutline.training.new_token_rows import begin_new_tokens

KNOWN, ADDED = 9, 3
START, END, DOG, CAT, RUNS = 2, 3, 4, 5, 6
WOLF, SITS, NEVER = KNOWN, KNOWN + 1, KNOWN + 2
CAPTIONS = np.array([[START, WOLF, SITS, END], [START, DOG, SITS, END], [START, WOLF, END, 0]], np.int32)
COUNTS = [0, 0, 0, 30, 10, 0, 0, 0, 0, 20, 20, 10]


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


def begun(decoder: Decoder) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    before = decoder_arrays(decoder)
    begin_new_tokens(decoder, KNOWN, COUNTS, batches)
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
    ((inputs, _, weights),) = batches()
    logits = np.asarray(decoder(inputs, training=False))[weights > 0]
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    expected = np.array(COUNTS[KNOWN:]) / sum(COUNTS)
    np.testing.assert_allclose(chances[:, KNOWN:].mean(axis=0), expected, rtol=0.02)


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


def test_without_new_tokens_nothing_is_read():
    begin_new_tokens(made(), KNOWN + ADDED, COUNTS, lambda: pytest.fail("captions were read"))


def test_lower_precision_is_enough():
    decoder = made(precision="bfloat16")
    _, after = begun(decoder)
    assert all(np.isfinite(value).all() for value in after.values())
