"""Captioning many examples from stored features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.config import DecodingOptions
from cutline.data.reading_ahead import read_ahead
from cutline.progress import Progress
from cutline.records import Example, Hypothesis
from cutline.writing import Writer

ReadFeatures = Callable[[Sequence[str]], NDArray[Any]]
"""Digests of N images to their features (N, ...)."""


def caption_examples(
    writer: Writer,
    read_features: ReadFeatures,
    examples: Sequence[Example],
    options: DecodingOptions,
    progress: Progress,
) -> dict[str, Hypothesis]:
    """Caption examples from stored features, a batch for each core at a time where the model allows it.

    Returns:
        image_id → best hypothesis, for every example, in order.
    """
    lists = _caption(writer, read_features, examples, options, 1, progress)
    return {image_id: found[0] for image_id, found in lists.items()}


def caption_lists(
    writer: Writer,
    read_features: ReadFeatures,
    examples: Sequence[Example],
    options: DecodingOptions,
    progress: Progress,
) -> dict[str, list[Hypothesis]]:
    """Caption examples as :func:`caption_examples` does, and keep the whole beam.

    Returns:
        image_id → hypotheses, best first, at most as many as the beam size: one for greedy decoding.
    """
    return _caption(writer, read_features, examples, options, options.beam_size, progress)


def _caption(
    writer: Writer,
    read_features: ReadFeatures,
    examples: Sequence[Example],
    options: DecodingOptions,
    n_best: int,
    progress: Progress,
) -> dict[str, list[Hypothesis]]:
    def write(batch: Sequence[Example]) -> list[list[Hypothesis]]:
        features = np.asarray(read_features([example.digest for example in batch]))
        return writer.write(features, options, n_best)

    lists: dict[str, list[Hypothesis]] = {}
    batches = [examples[at : at + options.batch_size] for at in range(0, len(examples), options.batch_size)]
    at_once = getattr(writer.model, "side_by_side", 1)
    with (
        progress.stage("captioning", len(examples), "images") as stage,
        closing(read_ahead(write, batches, at_once - 1, at_once)) as captioned,
    ):
        for batch, found in captioned:
            for example, hypotheses in zip(batch, found.result(), strict=True):
                lists[example.image_id] = hypotheses
            stage.advance(len(batch))
    return lists
