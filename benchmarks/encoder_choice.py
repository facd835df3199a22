"""What encoders see, before any decoder is trained: a table with a row for each.

    .venv/bin/python benchmarks/encoder_choice.py captions.csv --images photos \\
        --encoder efficientnet_lite0 --encoder efficientnet_lite0@288 \\
        --encoder resnet50+efficientnet_lite0 --weights FILE.h5+imagenet

An encoder is named as for ``cutline train``; ``@`` and a number stand for ``encoder.input_size``.
``--weights`` are those of the encoder named just before. Pooled features are kept in the feature store.

*Found in ten*: how often an image's own captions are among the ten sets that suit its features best, out of
those of all val images; what suits is foretold by the regression behind ``decoding.consensus_by`` "learned".
*Neighbours*: CIDEr-D of the captions that the most similar training images agree on. Neither needs training,
both follow what a captioner can make of the features. *Images/s* is of encoding alone, features on average of
32 images at once, beside nothing else.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.config import DataOptions, EncoderOptions, TextOptions
from cutline.evaluation.baselines import Setting, compare_with_others, most_common_caption
from cutline.evaluation.expected_ngrams import learn_expected
from cutline.evaluation.scoring import make_scorer, plain_captions, scoring_tokens
from cutline.metrics import DocumentFrequencies
from cutline.models.encoders import build_encoder
from cutline.progress import Silent
from cutline.recipes.extract import extract_features, feature_reader
from cutline.recipes.prepare import load_dataset, make_vocabulary, split_dataset
from cutline.records import CONSENSUS, Dataset, Example
from cutline.runtime.expected_ngrams import ExpectedNgrams
from cutline.text import Tokenizer
from cutline.voters import weighed_ngrams

_BEST: Final = 10
_TIMED: Final = 8

Read = Callable[[Sequence[str]], NDArray[Any]]


def options_of(named: str, weights: str) -> EncoderOptions:
    """Read ``name@size``."""
    name, _, size = named.partition("@")
    return EncoderOptions(name=name, weights=weights, input_size=int(size or 0))


def found_in_ten(
    expected: ExpectedNgrams, read: Read, examples: Sequence[Example], tokenizer: Tokenizer
) -> float:
    """Return the share of images whose own captions are among those that suit their features best."""
    places = expected.places(read([example.digest for example in examples]))
    frequencies = DocumentFrequencies.from_arrays(expected.frequencies)
    captions = np.zeros((len(expected.weights), len(examples)), np.float32)
    for column, example in enumerate(examples):
        own = [tokenizer.tokenise(caption) for caption in plain_captions(example)]
        rows, weights, _ = weighed_ngrams(own, frequencies)
        np.add.at(captions[:, column], rows, weights / len(own))
    suits = places @ (expected.weights.astype(np.float32).T @ captions)
    better = (suits > np.diag(suits)[:, None]).sum(axis=1)
    return float(np.mean(better < _BEST))


def of_neighbours(
    read: Read, train: Sequence[Example], val: Sequence[Example], tokenizer: Tokenizer
) -> float:
    """Return the CIDEr-D of captions that similar training images agree on."""
    tokens = scoring_tokens(tokenizer, (caption for e in val for caption in plain_captions(e)))
    setting = Setting(val, train, read, tokens, make_scorer(val, tokenizer), {})
    common = most_common_caption(train, tokenizer)
    found = compare_with_others(setting, {example.image_id: common for example in val}, common, Silent())
    return next(one.scores.cider_d for one in found if one.name == CONSENSUS)


def row_of(dataset: Dataset, options: EncoderOptions, tokenizer: Tokenizer) -> list[str]:
    """Measure one encoder."""
    encoder = build_encoder(options)
    images = np.random.default_rng(0).integers(0, 256, (options.batch_size, *encoder.input_size, 3), np.uint8)
    encoder.encode(images)
    times = []
    for _ in range(_TIMED):
        start = time.perf_counter()
        encoder.encode(images)
        times.append(time.perf_counter() - start)
    store, readable = extract_features(encoder, dataset, Silent())
    with store:
        read = feature_reader(store)
        train, val = readable.of_split("train"), readable.of_split("val")
        expected = learn_expected(read, train, tokenizer, Silent())
        if expected is None:
            raise SystemExit("too few captions to learn from")
        return [
            options.name,
            f"{encoder.input_size[0]} × {encoder.input_size[1]}",
            str(encoder.feature_shape[0]),
            f"{options.batch_size / float(np.median(times)):.0f}",
            f"{100 * found_in_ten(expected, read, val, tokenizer):.1f} %",
            f"{of_neighbours(read, train, val, tokenizer):.1f}",
        ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("table", type=Path, help="captions")
    parser.add_argument("--images", type=Path, help="folder of the images")
    parser.add_argument("--encoder", dest="asked", action="append", required=True)
    parser.add_argument("--weights", dest="asked", action="append", type=lambda text: ("weights", text))
    given = parser.parse_args()
    asked: list[tuple[str, str]] = []
    for one in given.asked:
        if isinstance(one, str):
            if not re.fullmatch(r"[^@]+(@\d+)?", one):
                parser.error(f"--encoder {one}: expected NAME or NAME@PIXELS")
            asked.append((one, "imagenet"))
        elif not asked:
            parser.error("--weights: name an --encoder before them")
        else:
            asked[-1] = (asked[-1][0], one[1])
    data = DataOptions()
    dataset = load_dataset(given.table, given.images, data, Silent())
    dataset = split_dataset(dataset, data, ("train", "val"))
    tokenizer = make_vocabulary(dataset, TextOptions()).tokenizer
    print("| encoder | images | depth | images/s | found in ten | neighbours, CIDEr-D |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for named, weights in asked:
        print(f"| {' | '.join(row_of(dataset, options_of(named, weights), tokenizer))} |", flush=True)


if __name__ == "__main__":
    main()
