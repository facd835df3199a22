"""What is mixed into captions in training, and the penalty on attention."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from tests.training.test_trainer import equal, one_epoch, trainer

from cutline.config import DecoderOptions, TrainingOptions
from cutline.errors import ConfigError
from cutline.models.decoders import Decoder, build_decoder
from cutline.training.determinism import make_deterministic
from cutline.training.teaching import Teaching, attention_penalty, sampled_share

V = 9
GRID = np.random.default_rng(0).random((300, 2, 3), np.float32)
TOKENS = np.tile(np.array([2, 5, 6, 1, 7, 3, 0], np.int32), (300, 1))


@pytest.fixture(scope="module", autouse=True)
def deterministic() -> None:
    make_deterministic(0)


def decoder(name: str = "attend", **options: Any) -> Decoder:
    off = {"dropout": 0, "feature_dropout": 0, "embedding_dropout": 0}
    return build_decoder(
        DecoderOptions(name=name, embedding_units=4, lstm_units=5, attention_units=6, **{**off, **options}),
        V,
        (2, 3),
    )


def read_by(teaching: Teaching, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Return the tokens that the decoder reads in training."""
    seen = []
    real = Decoder.__call__

    def listen(self: Decoder, inputs: Any, **arguments: Any) -> Any:
        if isinstance(self, Decoder) and arguments.get("training"):
            seen.append(np.asarray(inputs[1]))
        return real(self, inputs, **arguments)

    monkeypatch.setattr(Decoder, "__call__", listen)
    teaching((GRID, TOKENS), training=True)
    monkeypatch.undo()
    return seen[-1]


def sampling(share: float, **options: Any) -> Teaching:
    teaching = Teaching(decoder(**options), TrainingOptions(scheduled_sampling=share, epochs=3))
    teaching.begin_epoch(3)
    return teaching


def test_a_share_of_the_words_is_the_models_own_and_markers_stay(monkeypatch):
    teaching = sampling(0.4)
    # It says 8 whatever it reads, except that one time in two it would end, which is not drawn.
    bias = np.full(V, -50.0, np.float32)
    bias[[3, 8]] = 50.0
    teaching.decoder.predict_token.bias.assign(bias)
    read = read_by(teaching, monkeypatch)
    changed = read != TOKENS
    assert set(read[changed]) == {8}
    assert not changed[:, [0, 3, 5, 6]].any()
    assert changed[:, [1, 2, 4]].mean() == pytest.approx(0.4, abs=0.05)


def test_the_words_mixed_in_are_drawn_from_what_the_model_says_before_each(monkeypatch):
    teaching = sampling(1.0)
    read = read_by(teaching, monkeypatch)
    logits = np.asarray(teaching.decoder((GRID, TOKENS)), np.float64)[:, :, 4:]
    expected = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    for place in (1, 2, 4):
        found = np.bincount(read[:, place] - 4, minlength=V - 4) / len(read)
        np.testing.assert_allclose(found, expected[:, place - 1].mean(axis=0), atol=0.09)


def test_nothing_is_mixed_in_before_the_second_epoch_nor_at_rest(monkeypatch):
    teaching = sampling(1.0)
    teaching.begin_epoch(1)
    np.testing.assert_array_equal(read_by(teaching, monkeypatch), TOKENS)
    teaching.begin_epoch(3)
    np.testing.assert_array_equal(
        np.asarray(teaching((GRID, TOKENS))), np.asarray(teaching.decoder((GRID, TOKENS)))
    )


def test_the_share_grows_in_a_line_to_the_last_epoch():
    options = TrainingOptions(scheduled_sampling=0.6, epochs=4)
    assert [sampled_share(options, epoch) for epoch in (1, 2, 3, 4, 5)] == pytest.approx(
        [0, 0.2, 0.4, 0.6, 0.6]
    )
    assert sampled_share(options.model_copy(update={"epochs": 1}), 1) == 0


def test_the_penalty_follows_its_equation_and_leaves_padding_out():
    chance = np.random.default_rng(1)
    weights = chance.random((3, 5, 4)).astype(np.float32)
    written = np.arange(5) < np.array([[5], [2], [3]])
    expected = 0.0
    for row in range(3):
        for region in range(4):
            looked = sum(weights[row, step, region] for step in range(5) if written[row, step])
            expected += (1 - looked) ** 2 / 12
    found = attention_penalty(keras.ops.convert_to_tensor(weights), keras.ops.convert_to_tensor(written))
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["attend", "up_down"])
def test_the_penalty_is_added_in_training_only(name):
    teaching = Teaching(decoder(name), TrainingOptions(attention_penalty=2.5))
    logits = teaching((GRID[:2], TOKENS[:2]), training=True)
    _, weights = teaching.decoder((GRID[:2], TOKENS[:2]), with_weights=True)
    np.testing.assert_allclose(np.asarray(logits), np.asarray(teaching.decoder((GRID[:2], TOKENS[:2]))))
    np.testing.assert_allclose(np.asarray(weights).sum(axis=-1), 1, atol=1e-6)
    # The last two tokens read are the end marker and padding.
    expected = 2.5 * np.square(1 - np.asarray(weights)[:, :5].sum(axis=1)).mean()
    assert [float(loss) for loss in teaching.losses] == pytest.approx([expected], rel=1e-5)
    teaching((GRID[:2], TOKENS[:2]))
    assert teaching.losses == []


def test_with_the_penalty_regions_are_looked_at_more_evenly():
    spread = []
    for penalty in (0.0, 20.0):
        learner = trainer("attend", attention_penalty=penalty)
        for epoch in range(1, 4):
            one_epoch(learner, epoch)
        chance = np.random.default_rng(0).random((20, 2, 2), np.float32)
        tokens = np.tile(np.array([[2, 4, 5]], np.int32), (20, 1))
        _, weights = learner.decoder((chance, tokens), with_weights=True)
        spread.append(np.asarray(weights).sum(axis=1).std(axis=-1).mean())
    assert spread[1] < 0.7 * spread[0]


@pytest.mark.parametrize("name", ["show_tell", "merge"])
def test_the_penalty_needs_attention(name):
    message = (
        f"training.attention_penalty needs attention, and decoder {name} has none; set decoder.name=attend or"
    )
    with pytest.raises(ConfigError, match=message):
        Teaching(decoder(name), TrainingOptions(attention_penalty=1.0))


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("name", ["show_tell", "attend"])
def test_a_restored_trainer_goes_on_drawing_where_it_was(name):
    changes: dict[str, Any] = {"scheduled_sampling": 0.8, "epochs": 2}
    if name == "attend":
        changes["attention_penalty"] = 0.5
    straight, resumed = (trainer(name, seed=seed, **changes) for seed in (0, 9))
    one_epoch(straight)
    middle = straight.state()
    measured = one_epoch(straight, 2)
    resumed.restore(middle)
    assert one_epoch(resumed, 2) == measured
    assert equal(resumed.state(), straight.state())
