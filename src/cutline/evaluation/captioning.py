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
    hypotheses: dict[str, Hypothesis] = {}
    with progress.stage("captioning", len(examples), "images") as stage:
        for at in range(0, len(examples), options.batch_size):
            batch = examples[at : at + options.batch_size]
            features = read_features([example.digest for example in batch])
            for example, found in zip(
                batch, decode(model, np.asarray(features), vocabulary, options), strict=True
            ):
                hypotheses[example.image_id] = found[0]
            stage.advance(len(batch))
    return hypotheses
