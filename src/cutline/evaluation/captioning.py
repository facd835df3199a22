"""Captioning many examples from stored features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.captioner import decode
from cutline.config import DecodingOptions
from cutline.decoding import StepModel
from cutline.progress import Progress
from cutline.records import Example, Hypothesis
from cutline.text import Vocabulary

ReadFeatures = Callable[[Sequence[str]], NDArray[Any]]
"""Digests of N images to their features (N, ...)."""


def caption_examples(
    model: StepModel[Any],
    read_features: ReadFeatures,
    examples: Sequence[Example],
    vocabulary: Vocabulary,
    options: DecodingOptions,
    progress: Progress,
) -> dict[str, Hypothesis]:
    """Caption examples from stored features, a batch at a time.

    Returns:
        image_id → best hypothesis, for every example, in order.
    """
    lists = _caption((model, read_features), examples, vocabulary, options, 1, progress)
    return {image_id: found[0] for image_id, found in lists.items()}


def caption_lists(
    model: StepModel[Any],
    read_features: ReadFeatures,
    examples: Sequence[Example],
    vocabulary: Vocabulary,
    options: DecodingOptions,
    progress: Progress,
) -> dict[str, list[Hypothesis]]:
    """Caption examples as :func:`caption_examples` does, and keep the whole beam.

    Returns:
        image_id → hypotheses, best first, at most as many as the beam size: one for greedy decoding.
    """
    return _caption((model, read_features), examples, vocabulary, options, options.beam_size, progress)


def _caption(
    source: tuple[StepModel[Any], ReadFeatures],
    examples: Sequence[Example],
    vocabulary: Vocabulary,
    options: DecodingOptions,
    n_best: int,
    progress: Progress,
) -> dict[str, list[Hypothesis]]:
    model, read_features = source
    lists: dict[str, list[Hypothesis]] = {}
    with progress.stage("captioning", len(examples), "images") as stage:
        for at in range(0, len(examples), options.batch_size):
            batch = examples[at : at + options.batch_size]
            features = np.asarray(read_features([example.digest for example in batch]))
            for example, found in zip(
                batch, decode(model, features, vocabulary, options, n_best), strict=True
            ):
                lists[example.image_id] = found
            stage.advance(len(batch))
    return lists
