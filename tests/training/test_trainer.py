from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cutline.config import DecoderOptions, DecodingOptions, TrainingOptions
from cutline.errors import FeatureStoreError, RunError
from cutline.models.decoders import Decoder, build_decoder
from cutline.models.sessions import DecoderSession
from cutline.progress import Silent
from cutline.text import Tokenizer, build_vocabulary
from cutline.training.determinism import make_deterministic
from cutline.training.trainer import Trainer
from cutline.writing import Writer

CAPTIONS = {(1.0, 0.0): "a red dot", (0.0, 1.0): "two green squares here", (0.5, 0.5): "nothing"}
VOCABULARY = build_vocabulary(CAPTIONS.values(), Tokenizer())
OPTIONS = TrainingOptions(learning_rate=0.02, warmup_steps=5, batch_size=12)


@pytest.fixture(scope="module", autouse=True)
def deterministic() -> None:
    make_deterministic(0)


def as_seen(name: str, features: np.ndarray) -> np.ndarray:
    """Give decoders with attention two regions, of which the second says nothing."""
    if name not in ("attend", "up_down"):
        return features
    return np.stack([features, np.full_like(features, 0.1)], axis=1)


def batches(count: int = 8, name: str = "show_tell") -> tf.data.Dataset:
    """Return batches of 12 captions in a fixed order; what the caption says follows from two numbers."""
    ids = [VOCABULARY.encode(caption, 5) for caption in CAPTIONS.values()]
    longest = max(map(len, ids))
    table = np.array([row + [0] * (longest - len(row)) for row in ids], np.int32)
    which = np.tile(np.arange(3), 4 * count)
    features = as_seen(name, np.array(list(CAPTIONS), np.float32))[which]
    inputs, targets = table[which][:, :-1], table[which][:, 1:]
    weights = (targets != 0).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices(((features, inputs), targets, weights)).batch(12)


def trainer(name: str = "show_tell", seed: int = 0, steps: int = 80, **changes: Any) -> Trainer:
    options = DecoderOptions(
        name=name, embedding_units=8, lstm_units=16, attention_units=8, dropout=0.2, feature_dropout=0.0
    )
    shape = as_seen(name, np.zeros((1, 2), np.float32)).shape[1:]
    decoder = build_decoder(options, len(VOCABULARY), shape, seed, changes.get("precision", "float32"))
    return Trainer(decoder, OPTIONS.model_copy(update=changes), steps)


def one_epoch(trainer: Trainer, epoch: int = 1) -> tuple[float, float]:
    with Silent().stage("epoch", None, "batches") as stage:
        return trainer.train_epoch(batches(name=trainer.decoder.options.name), epoch, stage)


def captions_of(decoder: Decoder) -> list[str]:
    features = as_seen(decoder.options.name, np.array(list(CAPTIONS), np.float32))
    found = Writer(DecoderSession(decoder), VOCABULARY).write(features, DecodingOptions(max_length=6))
    return [hypotheses[0].text for hypotheses in found]


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("show_tell", "float32"),
        ("attend", "bfloat16"),
        ("up_down", "float32"),
        # What these two do step by step is compared with another backend in test_backends.
        pytest.param("merge", "float32", marks=pytest.mark.slow),
        pytest.param("attend", "float32", marks=pytest.mark.slow),
    ],
)
def test_it_learns_what_the_features_say(name, precision):
    learner = trainer(name, precision=precision)
    before, _ = learner.measure(batches(1, name))
    assert captions_of(learner.decoder) != list(CAPTIONS.values())
    for epoch in range(1, 11):
        one_epoch(learner, epoch)
    loss, accuracy = learner.measure(batches(1, name))
    assert before > 2
    assert loss < 0.25
    assert accuracy > 0.9
    assert captions_of(learner.decoder) == list(CAPTIONS.values())


@pytest.fixture(scope="module")
def continued() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], tuple[float, float]]:
    """The state after one epoch, the state after the next, and what the next one measured."""
    straight = trainer()
    one_epoch(straight)
    middle = straight.state()
    measured = one_epoch(straight, 2)
    return middle, straight.state(), measured


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return list(one) == list(other) and all(np.array_equal(one[key], other[key]) for key in one)


def test_a_restored_trainer_goes_on_bit_for_bit(continued):
    middle, end, measured = continued
    resumed = trainer(seed=9)
    resumed.restore(middle)
    assert equal(resumed.state(), middle)
    assert one_epoch(resumed, 2) == measured
    assert equal(resumed.state(), end)


def test_the_state_is_a_copy(continued):
    middle, end, _ = continued
    assert not equal(middle, end)


def test_one_seed_gives_the_same_weights_twice():
    states = []
    for _ in range(2):
        make_deterministic(5)
        learner = trainer()
        one_epoch(learner)
        states.append(learner.state())
    assert equal(*states)


def test_a_state_of_another_model_is_refused_and_nothing_is_loaded(continued):
    middle, _, _ = continued
    other = trainer("merge", seed=2)
    before = other.state()
    for change, message in [
        (lambda state: state.pop("model/000"), "of another model .differs at model/000."),
        (
            lambda state: state.update({"model/001": np.zeros((3, 3, 3), np.float32)}),
            r"model/001 has shape \(3, 3, 3\)",
        ),
    ]:
        state = dict(before)
        change(state)
        with pytest.raises(RunError, match=message):
            other.restore(state)
    with pytest.raises(RunError, match="the checkpoint is of another model"):
        other.restore(middle)
    assert equal(other.state(), before)


@pytest.mark.usefixtures("eagerly")
def test_a_loss_that_is_no_number_ends_training_in_one_line():
    broken = trainer()
    broken.decoder.predict_token.bias.assign(np.full(len(VOCABULARY), np.nan, np.float32))
    with pytest.raises(RunError) as error:
        one_epoch(broken, 4)
    assert str(error.value) == (
        "the training loss became nan in epoch 4; lower training.learning_rate (now 0.02) and train again"
    )


def test_the_rate_follows_the_schedule_and_batches_are_counted():
    class Counter:
        def __init__(self) -> None:
            self.seen: list[dict[str, float]] = []

        def advance(self, count: int = 1, **values: float) -> None:
            self.seen.append(values)

    learner, counter = trainer(), Counter()
    assert learner.learning_rate() == pytest.approx(0.02 / 5, rel=1e-3)
    loss, accuracy, _ = learner.train_epoch(batches(), 1, counter)
    assert len(counter.seen) == 8
    assert counter.seen[-1] == pytest.approx({"loss": loss, "accuracy": accuracy})
    assert 0 < learner.learning_rate() < 0.02


def test_biases_and_scales_do_not_decay():
    learner = trainer(learning_rate=0.5, weight_decay=0.5, warmup_steps=0, schedule="constant")
    decoder = learner.decoder
    kernel, bias = decoder.image_cell.kernel, decoder.image_cell.bias
    bias.assign(np.ones(bias.shape, np.float32))
    learner.decoder.optimizer.apply([np.zeros(v.shape, np.float32) for v in decoder.trainable_variables])
    assert (np.asarray(bias) == 1).all()
    assert np.abs(np.asarray(kernel)).max() > 0
    before = np.abs(np.asarray(kernel)).sum()
    learner.decoder.optimizer.apply([np.zeros(v.shape, np.float32) for v in decoder.trainable_variables])
    assert np.abs(np.asarray(kernel)).sum() == pytest.approx(0.75 * before, rel=1e-4)


@pytest.mark.usefixtures("eagerly")
def test_averaged_weights_are_lent_and_taken_back():
    learner = trainer(weight_average=0.5)
    kernel = learner.decoder.image_cell.kernel
    expected = np.array(kernel.numpy())
    for step, batch in enumerate(batches(4)):
        learner.decoder.fit(tf.data.Dataset.from_tensors(batch), epochs=1, verbose=0, shuffle=False)
        share = min(0.5, (1 + step + 1) / (10 + step + 1))
        expected = share * expected + (1 - share) * np.asarray(kernel)
    weights, state = np.array(kernel.numpy()), learner.state()
    with learner.averaged():
        np.testing.assert_allclose(np.asarray(kernel), expected, atol=1e-6)
        assert np.abs(expected - weights).max() > 1e-4
    assert equal(learner.state(), state)
    np.testing.assert_array_equal(np.asarray(kernel), weights)


@pytest.mark.usefixtures("eagerly")
def test_without_averaging_the_weights_are_themselves():
    learner = trainer()
    one_epoch(learner)
    before = np.array(learner.decoder.image_cell.kernel.numpy())
    with learner.averaged():
        np.testing.assert_array_equal(np.asarray(learner.decoder.image_cell.kernel), before)


@pytest.mark.usefixtures("eagerly")
def test_an_average_goes_on_after_a_stop():
    straight, resumed = (trainer(weight_average=0.9, seed=seed) for seed in (0, 3))
    one_epoch(straight)
    middle = straight.state()
    one_epoch(straight, 2)
    resumed.restore(middle)
    one_epoch(resumed, 2)
    assert equal(resumed.state(), straight.state())


def test_an_error_while_a_batch_is_read_is_told_as_it_was_raised():
    def broken() -> Iterator[Any]:
        raise FeatureStoreError("/store: features.bin is too short; delete the folder")
        yield

    ids = tf.TensorSpec((None, None), tf.int32)
    signature = ((tf.TensorSpec((None, 2)), ids), ids, tf.TensorSpec((None, None)))
    batches = tf.data.Dataset.from_generator(broken, output_signature=signature)
    message = r"^/store: features\.bin is too short; delete the folder$"
    with Silent().stage("epoch", None, "batches") as stage, pytest.raises(FeatureStoreError, match=message):
        trainer().train_epoch(batches, 1, stage)
