"""Self-critical training on images that are told apart by two numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from cutline.config import DecoderOptions, DecodingOptions, SelfCriticalOptions, TrainingOptions
from cutline.data.batches import ImageBatch
from cutline.decoding import DecodeResult
from cutline.errors import RunError
from cutline.models.decoders import build_decoder
from cutline.models.sessions import DecoderSession
from cutline.progress import Silent
from cutline.text import Tokenizer, build_vocabulary
from cutline.text.vocabulary import END_ID, START_ID
from cutline.training.determinism import make_deterministic
from cutline.training.rewards import CaptionReward
from cutline.training.self_critical import SelfCriticalTrainer, longest_draw, relative_rewards
from cutline.writing import Writer

CAPTIONS = ["a red dot", "two green squares", "a blue line here"]
VOCABULARY = build_vocabulary(CAPTIONS, Tokenizer())
FEATURES = np.array(
    [[[1.0, 0.0], [0.2, 0.2]], [[0.0, 1.0], [0.2, 0.2]], [[0.7, 0.7], [0.0, 0.3]]], np.float32
)
REFERENCES = {row: [f"{caption} <end>"] for row, caption in enumerate(CAPTIONS)}


@pytest.fixture(autouse=True)
def deterministic() -> None:
    make_deterministic(0)


def learner(
    reward: Any = None, cross_entropy: float = 0.0, rate: float = 0.02, seed: int = 0
) -> SelfCriticalTrainer:
    options = DecoderOptions(
        name="attend", embedding_units=12, lstm_units=16, attention_units=8, dropout=0, feature_dropout=0
    )
    decoder = build_decoder(options, len(VOCABULARY), (2, 2), seed)
    return SelfCriticalTrainer(
        decoder,
        TrainingOptions(warmup_steps=0, schedule="constant", weight_decay=0),
        SelfCriticalOptions(
            samples=8, learning_rate=rate, max_length=5, cross_entropy=cross_entropy, epochs=1
        ),
        100,
        DecoderSession(decoder),
        VOCABULARY,
        reward or CaptionReward(REFERENCES),
        list,
    )


def batches(count: int) -> list[ImageBatch]:
    ids = [VOCABULARY.encode(caption, 5) for caption in CAPTIONS]
    table = np.array([row + [0] * (6 - len(row)) for row in ids], np.int32)
    return [ImageBatch(np.arange(3), FEATURES, table, np.arange(3, dtype=np.int32))] * count


def train(trainer: SelfCriticalTrainer, count: int, monkeypatch: Any, epoch: int = 1) -> float:
    monkeypatch.setattr(trainer, "measure", lambda _: (1.0, 0.5))
    with Silent().stage("epoch", None, "batches") as stage:
        return trainer.train_epoch(batches(count), epoch, stage).reward


def captions_of(trainer: SelfCriticalTrainer) -> list[str]:
    found = Writer(DecoderSession(trainer.decoder), VOCABULARY).write(FEATURES, DecodingOptions(max_length=6))
    return [hypotheses[0].text for hypotheses in found]


@pytest.mark.usefixtures("eagerly")
def test_draws_keep_to_temperature_lengths_and_repetitions_as_asked(monkeypatch):
    trainer, (batch,) = learner(), batches(1)
    usual = trainer.self_critical

    def drawn(**changes: Any) -> list[tuple[int, ...]]:
        asked = usual.model_copy(update={"samples": 30, **changes})
        monkeypatch.setattr(trainer, "self_critical", asked)
        return [result.token_ids for result in trainer._draw(batch, 1)]

    plain, long = drawn(), drawn(min_length=3)
    assert min(map(len, plain)) < 3
    assert min(map(len, long)) == 3
    assert any(len(set(ids)) < len(ids) for ids in plain)
    assert all(len(set(ids)) == len(ids) for ids in drawn(no_repeat_ngram=1))
    assert len(set(drawn(temperature=1e-4))) == len(CAPTIONS), "the most probable caption of each image"


def test_the_reward_rises_until_the_captions_are_those_of_people(monkeypatch):
    trainer = learner(cross_entropy=0.2)
    first = train(trainer, 5, monkeypatch)
    for epoch in range(2, 14):
        last = train(trainer, 10, monkeypatch, epoch)
    assert first < 2
    assert last > 7
    assert captions_of(trainer) == CAPTIONS


def test_what_is_rewarded_is_written_more_often_whatever_people_wrote(monkeypatch):
    def likes_squares(_: Sequence[int], captions: Sequence[str]) -> np.ndarray:
        return np.array([float(text.split()[:1] == ["squares"]) for text in captions])

    trainer = learner(likes_squares)
    first = train(trainer, 5, monkeypatch)
    for epoch in range(2, 8):
        last = train(trainer, 10, monkeypatch, epoch)
    assert first < 0.5
    assert last > 0.9


@pytest.mark.usefixtures("eagerly")
def test_equal_rewards_change_nothing(monkeypatch):
    trainer = learner(lambda images, _: np.full(len(images), 3.0))
    before = trainer.decoder.get_weights()
    train(trainer, 2, monkeypatch)
    for old, new in zip(before, trainer.decoder.get_weights(), strict=True):
        np.testing.assert_allclose(old, new, atol=1e-7)


@pytest.mark.usefixtures("eagerly")
def test_one_seed_draws_the_same_captions_and_another_epoch_others(monkeypatch):
    seen: list[list[str]] = []

    def listen(images: Sequence[int], captions: Sequence[str]) -> np.ndarray:
        seen.append(list(captions))
        return np.zeros(len(images))

    for epoch in (1, 1, 2):
        train(learner(listen), 1, monkeypatch, epoch)
    assert seen[0] == seen[1] != seen[2]


def test_the_weights_of_tokens_are_advantages_and_shares():
    trainer = learner(cross_entropy=0.25)
    batch = batches(1)[0]
    red = VOCABULARY.encode("a red dot", 5)[1:-1]
    drawn = [DecodeResult.of(red, [-1.0] * 4)] * 8 + [DecodeResult.of(red[:1], [-1.0])] * 16
    rewards = np.zeros(24)
    rewards[0] = 7.0
    (features, inputs, rows), targets, weights = trainer._step(batch, drawn, rewards)
    assert features is batch.features
    assert rows.tolist() == [0] * 8 + [1] * 8 + [2] * 8 + [0, 1, 2]
    assert inputs[0, 0] == START_ID
    assert targets[0, :5].tolist() == [*red, END_ID, 0]
    # A caption that was cut off has no end marker to learn.
    assert targets[8, :3].tolist() == [red[0], 0, 0]
    tokens = 8 * 4 + 16
    np.testing.assert_allclose(weights[0, :5], 0.75 * 7 / tokens * np.array([1, 1, 1, 1, 0]), rtol=1e-6)
    np.testing.assert_allclose(weights[1, :4], 0.75 * -1 / tokens, rtol=1e-6)
    assert not weights[8:24].any()
    people = weights[24:]
    assert people.sum() == pytest.approx(0.25)
    assert len(np.unique(people[people > 0])) == 1


@pytest.mark.usefixtures("eagerly")
def test_a_loss_that_is_no_number_ends_training_in_one_line(monkeypatch):
    trainer = learner(lambda images, _: np.full(len(images), np.nan))
    with pytest.raises(RunError, match=r"became .*nan.* in epoch 3; lower self_critical\.learning_rate"):
        train(trainer, 1, monkeypatch, epoch=3)


def test_each_sample_is_measured_by_the_others_of_its_image():
    found = relative_rewards(np.array([[1.0, 2.0, 6.0], [4.0, 4.0, 4.0]]))
    assert found.tolist() == [[-3.0, -1.5, 4.5], [0.0, 0.0, 0.0]]


def test_draws_may_be_as_long_as_nearly_all_captions_by_people():
    markers = 2
    assert longest_draw(np.array([3, 8], np.int32)) == longest_draw(np.full(9, 22 + markers, np.int32)) == 22
    one_outlier = np.array([30 + markers] * 199 + [90], np.int32)
    assert longest_draw(one_outlier) == 30
