"""Where a training step spends its time, against what the processor can multiply.

    .venv/bin/python benchmarks/training_profile.py [--decoder attend] [--repeats 15]

Sizes are those of training_speed.py: 64 captions of 12 tokens, features of 49 × 2048, 256 embedding, 512 LSTM
and 256 attention units, a vocabulary of 2,541. Each part of the decoder is compiled for itself, forward and
backward, in the precision that ``training.precision=auto`` chooses here; parts take turns, and the median
counts. The whole step is what the trainer takes. What the parts leave of it is called the rest: the loss, the
dropout masks, clipping, the optimizer and the averaged weights, less what is saved when all is compiled
together. Operations are those of products of matrices, counted as in training_speed.py.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from keras import ops
from training_speed import (
    ATTENTION,
    BATCH,
    DEPTH,
    EMBEDDING,
    REGIONS,
    UNITS,
    VOCABULARY,
    gemm_ceiling,
)

from cutline.config import DecoderOptions, TrainingOptions
from cutline.models.decoders import build_decoder
from cutline.models.decoders.attention import Memory
from cutline.training.precision import choose_precision
from cutline.training.trainer import Trainer

LENGTH = 12


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--decoder", default="attend", choices=("attend", "up_down"))
    parser.add_argument("--repeats", type=int, default=15)
    asked = parser.parse_args()
    precision = choose_precision("auto")
    options = DecoderOptions(
        name=asked.decoder, embedding_units=EMBEDDING, lstm_units=UNITS, attention_units=ATTENTION
    )
    decoder = build_decoder(options, VOCABULARY, (REGIONS, DEPTH), 0, precision)
    Trainer(decoder, TrainingOptions(), 100_000)
    parts = parts_of(decoder)
    parts["the whole step"] = (whole_step(decoder), 0.0)
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    for repeat in range(asked.repeats + 2):
        for name, (run, _) in parts.items():
            start = time.perf_counter()
            run()
            if repeat >= 2:  # the first compile
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(own) for name, own in seconds.items()}
    whole = medians.pop("the whole step")
    ceilings = {dtype: gemm_ceiling(dtype) for dtype in ("float32", "bfloat16")}
    told = " and ".join(f"{ceiling / 1e9:.0f} GFLOP/s in {dtype}" for dtype, ceiling in ceilings.items())
    print(f"{asked.decoder} in {precision}: {whole * 1e3:.0f} ms a step; products of matrices reach {told}\n")
    print("| part | ms | share of the step | GFLOP/s | of the ceiling |\n| --- | ---: | ---: | ---: | ---: |")
    for name, spent in medians.items():
        rate = parts[name][1] / spent
        share = f"{rate / ceilings[precision]:.0%}"
        print(f"| {name} | {spent * 1e3:.1f} | {spent / whole:.0%} | {rate / 1e9:.0f} | {share} |")
    rest = whole - sum(medians.values())
    print(f"| the rest | {rest * 1e3:.1f} | {rest / whole:.0%} | | |")


def parts_of(decoder: Any) -> dict[str, tuple[Callable[[], None], float]]:
    """Return for each part what runs it forward and backward, and its operations."""
    generator = np.random.default_rng(0)

    def made_up(*shape: int) -> Any:
        return tf.constant(generator.normal(0, 0.5, shape).astype(np.float32), decoder.compute_dtype)

    features = tf.constant(generator.random((BATCH, REGIONS, DEPTH), np.float32))
    tokens = tf.constant(generator.integers(4, VOCABULARY, (BATCH, LENGTH)).astype(np.int32))
    memory = Memory(made_up(BATCH, REGIONS, UNITS), made_up(BATCH, REGIONS, ATTENTION), made_up(BATCH, UNITS))
    gates = made_up(LENGTH, BATCH, 4 * UNITS)
    words, hidden, context = (made_up(BATCH, LENGTH, width) for width in (EMBEDDING, UNITS, UNITS))

    def regions() -> list[Any]:
        return list(decoder.remember(features, training=True))

    def read() -> list[Any]:
        return [decoder.read_words(decoder.embed(tokens))]

    def recurrence(values: Any, keys: Any, overview: Any, gates: Any) -> list[Any]:
        own = Memory(values, keys, overview)

        def advance(state: Any, word: Any) -> Any:
            state = decoder.advance(word, own, state)
            return state, state

        _, states = ops.scan(advance, decoder.first(own), gates)
        return [states.lstm[-2], states.context]

    def output(words: Any, hidden: Any, context: Any) -> list[Any]:
        return [decoder.score(words, hidden, context, training=True)]

    rows = BATCH * LENGTH
    project, key = REGIONS * DEPTH * UNITS, REGIONS * UNITS * ATTENTION
    recurrent = 4 * UNITS * 2 * UNITS * decoder.lstms
    attention = UNITS * ATTENTION + REGIONS * (ATTENTION + UNITS)
    # Two per multiplication forward, twice that backward, half of it where features need no gradient.
    return {
        "regions: values and keys": (backward(decoder, regions), float(BATCH * (4 * project + 6 * key))),
        "words: embeddings and their part of the gates": (
            backward(decoder, read),
            6.0 * rows * EMBEDDING * 4 * UNITS,
        ),
        "recurrence: attention and LSTM, word by word": (
            backward(decoder, recurrence, *memory, gates),
            6.0 * rows * (recurrent + attention),
        ),
        "output layer": (
            backward(decoder, output, words, hidden, context),
            6.0 * rows * EMBEDDING * (2 * UNITS + VOCABULARY),
        ),
    }


def backward(decoder: Any, part: Callable[..., list[Any]], *inputs: Any) -> Callable[[], None]:
    """Return what runs a part and takes its gradients by the decoder's weights and by its inputs."""

    @tf.function
    def run() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            found = part(*inputs)
            total = tf.add_n([tf.reduce_sum(tf.cast(tensor, tf.float32) ** 2) for tensor in found])
        gradients = tape.gradient(total, [*decoder.trainable_variables, *inputs])
        return [tf.reduce_sum(tf.cast(one, tf.float32)) for one in gradients if one is not None]

    def wait() -> None:
        for tensor in run():
            tensor.numpy()

    return wait


def whole_step(decoder: Any) -> Callable[[], None]:
    """Return what takes a training step with 64 captions of the same length."""
    generator = np.random.default_rng(1)
    features = generator.random((BATCH, REGIONS, DEPTH), np.float32)
    ids = generator.integers(4, VOCABULARY, (BATCH, LENGTH)).astype(np.int32)
    weights = np.ones((BATCH, LENGTH), np.float32)
    return lambda: decoder.train_on_batch((features, ids), ids, weights)


if __name__ == "__main__":
    main()
