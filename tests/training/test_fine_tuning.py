"""Training encoder and decoder together on images whose colour is their caption."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from cutline.config import DecoderOptions, FineTuneOptions, TrainingOptions
from cutline.data.pixel_batches import PixelBatch
from cutline.errors import RunError
from cutline.models.decoders import build_decoder
from cutline.models.encoders import Encoder
from cutline.progress import Silent
from cutline.training.determinism import make_deterministic
from cutline.training.fine_tuning import FineTuneTrainer


def learner(encoder_rate: float = 0.01, average: float = 0.0, decoder_rate: float = 0.01) -> FineTuneTrainer:
    make_deterministic(0)
    image = keras.Input((4, 4, 3), dtype="uint8")
    x = keras.layers.Conv2D(4, 1, 2, name="see")(keras.layers.Rescaling(1 / 255)(image))
    encoder = Encoder("small", keras.Model(image, x), "grid", 4)
    options = DecoderOptions(
        name="attend",
        embedding_units=6,
        lstm_units=8,
        attention_units=4,
        dropout=0,
        feature_dropout=0,
        embedding_dropout=0,
    )
    return FineTuneTrainer(
        encoder,
        build_decoder(options, 7, (4, 4), 0),
        TrainingOptions(warmup_steps=0, schedule="constant", weight_decay=0.5, weight_average=average),
        FineTuneOptions(epochs=1, learning_rate=encoder_rate, decoder_learning_rate=decoder_rate),
        100,
    )


def batch() -> PixelBatch:
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    pixels[0, ..., 0] = pixels[1, ..., 2] = 200
    tokens = np.array([[2, 4, 3], [2, 5, 3], [2, 6, 0]], np.int32)
    return PixelBatch(pixels, tokens, np.array([0, 1, 1], np.int32))


def train(trainer: FineTuneTrainer, steps: int) -> Any:
    with Silent().stage("epoch", None, "batches") as stage:
        return trainer.train_epoch([batch()] * steps, 1, stage)


def kernel(trainer: FineTuneTrainer) -> np.ndarray:
    return np.array(trainer._encoder.model.trainable_variables[0].numpy())


def test_the_loss_falls_and_counts_no_padding():
    trainer = learner()
    first, last = train(trainer, 2), train(trainer, 40)
    assert last.loss < first.loss / 2
    assert last.accuracy > first.accuracy
    assert last.reward == 0


def test_the_figures_of_an_epoch_weigh_the_tokens_of_all_its_batches_the_same():
    # At a rate of next to nothing the order of batches changes no loss, so each can be had alone.
    trainer = learner(1e-30, decoder_rate=1e-30)
    whole = batch()
    two_tokens = PixelBatch(whole.pixels[:1], whole.token_ids[:1], whole.image_of[:1])
    three_tokens = PixelBatch(whole.pixels[1:], whole.token_ids[1:], np.zeros(2, np.int32))
    with Silent().stage("epoch", None, "batches") as stage:
        alone = [trainer.train_epoch([some], 1, stage) for some in (two_tokens, three_tokens)]
        both = trainer.train_epoch([two_tokens, three_tokens], 1, stage)
        other_way = trainer.train_epoch([three_tokens, two_tokens], 1, stage)
    assert alone[0].loss != pytest.approx(alone[1].loss, rel=1e-3)
    assert both.loss == pytest.approx((2 * alone[0].loss + 3 * alone[1].loss) / 5, rel=1e-5)
    assert both.accuracy == pytest.approx((2 * alone[0].accuracy + 3 * alone[1].accuracy) / 5, rel=1e-5)
    assert other_way == pytest.approx(both, rel=1e-5)


@pytest.mark.usefixtures("eagerly")
def test_the_encoder_moves_at_its_own_rate_and_does_not_decay():
    moved = []
    for rate in (0.01, 0.0001):
        trainer = learner(rate)
        before = kernel(trainer), np.array(trainer.decoder.predict_token.kernel.numpy())
        train(trainer, 1)
        moved.append(np.abs(kernel(trainer) - before[0]).max())
        # The first step of Adam is as long as the rate, however large the gradient is; decay comes on top.
        step = np.array(trainer.decoder.predict_token.kernel.numpy()) - 0.995 * before[1]
        assert np.abs(step).max() == pytest.approx(0.01, rel=0.01)
    assert moved == pytest.approx([0.01, 0.0001], rel=0.01)


@pytest.mark.usefixtures("eagerly")
def test_averages_are_lent_and_given_back_with_a_fingerprint_of_their_own():
    trainer = learner(average=0.9)
    train(trainer, 5)
    encoder, own = trainer._encoder, kernel(trainer)
    fingerprint = encoder.fingerprint()
    with trainer.averaged():
        assert not np.array_equal(kernel(trainer), own)
        assert encoder.fingerprint() != fingerprint
    assert np.array_equal(kernel(trainer), own)
    assert encoder.fingerprint() == fingerprint


@pytest.mark.usefixtures("eagerly")
def test_a_restored_trainer_goes_on_in_the_same_way():
    one, other = learner(average=0.9), learner(average=0.9)
    train(one, 3)
    state = one.state()
    train(one, 2)
    other.restore(state)
    train(other, 2)
    assert one.state().keys() == other.state().keys()
    assert all(np.array_equal(array, other.state()[key]) for key, array in one.state().items())


@pytest.mark.usefixtures("eagerly")
def test_a_loss_that_is_no_number_names_the_rate():
    trainer = learner()
    trainer._encoder.model.trainable_variables[0].assign(np.full((1, 1, 3, 4), np.nan, np.float32))
    with pytest.raises(RunError, match=r"fine_tune\.learning_rate"):
        train(trainer, 1)
