"""Seconds per training step with float32 and with bfloat16, side by side.

    .venv/bin/python benchmarks/precision.py [--decoder attend] [--regions 49] [--depth 2048] [--rounds 5]

Batches are made up: 64 captions of 12 tokens from a vocabulary of 2,700. Rounds of ten steps alternate, so
that other work on the machine slows both; medians are printed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

STEPS = 10
CAPTIONS, TOKENS, VOCABULARY = 64, 13, 2700


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--decoder", default="attend")
    parser.add_argument("--regions", type=int, default=49)
    parser.add_argument("--depth", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    import numpy as np

    from cutline.config import DecoderOptions, TrainingOptions
    from cutline.models.decoders import build_decoder
    from cutline.training.precision import choose_precision
    from cutline.training.trainer import Trainer

    rng = np.random.default_rng(0)
    features = rng.random((CAPTIONS, asked.regions, asked.depth), np.float32)
    ids = rng.integers(4, VOCABULARY, (CAPTIONS, TOKENS), np.int32)
    weights = np.ones((CAPTIONS, TOKENS - 1), np.float32)
    options = DecoderOptions(name=asked.decoder, embedding_units=512)
    seconds: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    decoders = {}
    for precision in ("float32", "bfloat16"):
        decoder = build_decoder(options, VOCABULARY, (asked.regions, asked.depth), 0, precision)
        Trainer(decoder, TrainingOptions(weight_average=0.999, label_smoothing=0.1), 1000)
        decoder.train_on_batch((features, ids[:, :-1]), ids[:, 1:], weights)
        decoders[precision] = decoder
    for _ in range(asked.rounds):
        for precision, decoder in decoders.items():
            start = time.perf_counter()
            for _ in range(STEPS):
                decoder.train_on_batch((features, ids[:, :-1]), ids[:, 1:], weights)
            seconds[precision].append((time.perf_counter() - start) / STEPS)
    medians = {precision: statistics.median(values) for precision, values in seconds.items()}
    print(f"{asked.decoder}, {asked.regions} × {asked.depth}; auto is {choose_precision('auto')} here\n")
    print("| precision | seconds per step | times as fast |")
    print("| --- | ---: | ---: |")
    for precision, value in medians.items():
        print(f"| {precision} | {value:.3f} | {medians['float32'] / value:.2f} |")


if __name__ == "__main__":
    main()
