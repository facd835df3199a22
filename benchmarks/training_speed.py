"""Captions per second in training, against a plain Keras loop and what the processor can multiply.

    .venv/bin/python benchmarks/training_speed.py [--decoder attend] [--rounds 5] [--batches 10] \\
        [--longest 30]

The decoder has 256 embedding, 512 LSTM and 256 attention units, features are 49 × 2048, the vocabulary has
2,541 tokens, a step has 64 captions. Features and tokens are made up, lengths are drawn as captions of photos
have them (9.8 words, standard deviation 3.6, and two markers).

The plain loop is what tutorials show: attention and an LSTM cell called step after step, in float32, captions
padded to the longest of a batch that was shuffled without regard to length. Both compute the same network up
to the gate on the context. Rounds alternate, so that other work on the machine slows all alike; medians are
printed. The useful operations are those of products of matrices, padding left out: two per multiplication
forward, four backward, two where no gradient flows on into the features.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from cutline.config import DecoderOptions, TrainingOptions
from cutline.data.batches import CaptionTable, plan_batches, plan_together
from cutline.data.packed_texts import PackedTexts
from cutline.models.decoders import build_decoder
from cutline.training.precision import choose_precision
from cutline.training.trainer import Trainer

REGIONS, DEPTH, VOCABULARY, BATCH = 49, 2048, 2541, 64
EMBEDDING, UNITS, ATTENTION = 256, 512, 256
IMAGES, CAPTIONS_EACH = 3000, 5

Step = Callable[[tuple[Any, ...]], None]


class PlainDecoder(keras.Model):
    """Show, Attend and Tell as a loop over Keras layers."""

    def __init__(self) -> None:
        super().__init__()
        dense = keras.layers.Dense
        self.project = dense(UNITS, activation="relu")
        self.keys, self.query, self.energy = dense(ATTENTION), dense(ATTENTION), dense(1)
        self.embed = keras.layers.Embedding(VOCABULARY, EMBEDDING)
        self.cell = keras.layers.LSTMCell(UNITS)
        self.begin_h, self.begin_c = dense(UNITS, activation="tanh"), dense(UNITS)
        self.hidden, self.predict = dense(EMBEDDING, activation="relu"), dense(VOCABULARY)
        self.drop = keras.layers.Dropout(0.5)

    def call(self, inputs: tuple[Any, ...], training: bool = False) -> Any:
        features, token_ids = inputs
        values = self.project(features)
        mean = ops.mean(values, axis=1)
        state = [self.begin_h(mean), self.begin_c(mean)]
        words, logits = self.embed(token_ids), []
        for place in range(token_ids.shape[1]):
            keys = self.keys(values) + ops.expand_dims(self.query(state[0]), 1)
            weights = ops.softmax(self.energy(ops.tanh(keys)), axis=1)
            context = ops.sum(weights * values, axis=1)
            read = ops.concatenate([words[:, place], context], axis=-1)
            hidden, state = self.cell(read, state)
            logits.append(self.predict(self.drop(self.hidden(hidden), training=training)))
        return ops.stack(logits, axis=1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--decoder", default="attend", choices=("attend", "up_down"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--longest", type=int, default=30, metavar="WORDS", help="of the captions (30)")
    asked = parser.parse_args()
    ceiling = gemm_ceiling("float32")
    table = made_up_captions(asked.longest)
    contenders = {"plain Keras loop": (plain_step(), shuffled(table), False)}
    bucketed = plan_batches(table.lengths, BATCH, seed=0, epoch=1)
    together = plan_together(table, 2, BATCH, seed=0, epoch=1)
    precisions = ["float32", *{choose_precision("auto")} - {"float32"}]
    for precision in precisions:
        contenders[f"cutline, {precision}"] = (cutline_step(asked.decoder, precision), bucketed, False)
    best = precisions[-1]
    contenders[f"cutline, {best}, captions_together=2"] = (
        cutline_step(asked.decoder, best),
        together,
        True,
    )
    features = np.random.default_rng(1).random((BATCH, REGIONS, DEPTH), np.float32)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    captions: dict[str, list[int]] = {name: [] for name in contenders}
    useful: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(asked.rounds + 1):
        for name, (step, plan, share) in contenders.items():
            chosen = plan[number * asked.batches : (number + 1) * asked.batches]
            batches = [batch_of(table, own, features, share) for own in chosen]
            if not number:  # every length is compiled before it is timed
                for batch in (
                    batch_of(table, own, features, share) for own in one_of_each_length(table, plan)
                ):
                    step(batch)
                continue
            start = time.perf_counter()
            for batch in batches:
                step(batch)
            seconds[name].append(time.perf_counter() - start)
            captions[name].append(sum(map(len, chosen)))
            useful[name].append(sum(operations(table, own, share) for own in chosen))
    rates = {
        name: statistics.median(np.divide(captions[name], seconds[name]).tolist()) for name in contenders
    }
    shares = {
        name: statistics.median(np.divide(useful[name], seconds[name]).tolist()) / ceiling
        for name in contenders
    }
    print(f"{asked.decoder}; products of matrices: {ceiling / 1e9:.0f} GFLOP/s in float32, ", end="")
    print(f"{gemm_ceiling('bfloat16') / 1e9:.0f} in bfloat16\n")
    print(
        "| training | captions/s | times the plain loop | useful operations, share of the float32 ceiling |"
    )
    print("| --- | ---: | ---: | ---: |")
    for name, rate in rates.items():
        print(f"| {name} | {rate:.0f} | {rate / rates['plain Keras loop']:.2f} | {shares[name]:.0%} |")


def made_up_captions(longest: int) -> CaptionTable:
    """Return captions whose lengths are those of people's, but of ``longest`` words at most."""
    generator = np.random.default_rng(0)
    count = IMAGES * CAPTIONS_EACH
    lengths = np.clip(generator.normal(9.8, 3.6, count).round(), 3, longest).astype(np.int32) + 2
    rows = np.repeat(np.arange(IMAGES), CAPTIONS_EACH)
    return CaptionTable(rows, PackedTexts([""] * count), lengths)


def shuffled(table: CaptionTable) -> list[np.ndarray]:
    """Return batches without regard to length."""
    order = np.random.default_rng(0).permutation(len(table.lengths))
    return [order[at : at + BATCH] for at in range(0, len(order), BATCH)]


def one_of_each_length(table: CaptionTable, plan: list[np.ndarray]) -> list[np.ndarray]:
    """Return one batch of each length that the plan has."""
    return list({int(table.lengths[batch].max()): batch for batch in plan}.values())


def batch_of(table: CaptionTable, chosen: np.ndarray, features: np.ndarray, share: bool) -> tuple[Any, ...]:
    """Return inputs, targets and weights of a batch."""
    lengths = table.lengths[chosen] - 1
    inside = np.arange(lengths.max()) < lengths[:, None]
    ids = np.random.default_rng(int(lengths.sum())).integers(4, VOCABULARY, inside.shape)
    ids = np.where(inside, ids, 0).astype(np.int32)
    if not share:
        return (features[: len(chosen)], ids), ids, inside.astype(np.float32)
    images, where = np.unique(table.rows[chosen], return_inverse=True)
    return (features[: len(images)], ids, where.astype(np.int32)), ids, inside.astype(np.float32)


def plain_step() -> Step:
    """Return what takes a step with the plain loop."""
    model = PlainDecoder()
    optimizer = keras.optimizers.Adam(1e-3)
    objective = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")

    @tf.function(reduce_retracing=False)
    def train(features: Any, token_ids: Any, targets: Any, weights: Any) -> None:
        with tf.GradientTape() as tape:
            losses = objective(targets, model((features, token_ids), training=True))
            loss = ops.sum(losses * weights) / ops.sum(weights)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)

    def step(batch: tuple[Any, ...]) -> None:
        (features, token_ids), targets, weights = batch
        if not optimizer.built:
            model((features, token_ids))
            optimizer.build(model.trainable_variables)
        train(*map(tf.constant, (features, token_ids, targets, weights)))

    return step


def cutline_step(name: str, precision: Any) -> Step:
    """Return what takes a step as cutline's trainer does."""
    options = DecoderOptions(
        name=name, embedding_units=EMBEDDING, lstm_units=UNITS, attention_units=ATTENTION
    )
    decoder = build_decoder(options, VOCABULARY, (REGIONS, DEPTH), 0, precision)
    Trainer(decoder, TrainingOptions(), 100_000)

    def step(batch: tuple[Any, ...]) -> None:
        decoder.train_on_batch(*batch)

    return step


def operations(table: CaptionTable, chosen: np.ndarray, share: bool) -> float:
    """Return the useful operations of a step with a batch."""
    images = len(np.unique(table.rows[chosen])) if share else len(chosen)
    tokens = int((table.lengths[chosen] - 1).sum())
    project = REGIONS * DEPTH * UNITS
    per_image = REGIONS * UNITS * ATTENTION
    recurrent = 4 * UNITS * 2 * UNITS
    attention = UNITS * ATTENTION + REGIONS * (ATTENTION + UNITS)
    written = (EMBEDDING * 4 * UNITS) + (2 * UNITS * EMBEDDING) + EMBEDDING * VOCABULARY
    return float(images * (4 * project + 6 * per_image) + tokens * 6 * (recurrent + attention + written))


def gemm_ceiling(dtype: str) -> float:
    """Return operations per second of large products of matrices."""
    size = 2048
    one = tf.cast(tf.random.normal((size, size)), dtype)
    multiply = tf.function(lambda: tf.matmul(one, one))
    multiply()
    times = []
    for _ in range(7):
        start = time.perf_counter()
        multiply().numpy()
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times)


if __name__ == "__main__":
    main()
