"""Loss and word accuracy of any step model, with the reference token as the next input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.decoding import StepModel
from cutline.evaluation.captioning import ReadFeatures
from cutline.records import Example
from cutline.text import Vocabulary

_ROWS: Final = 64


def teacher_forced(
    model: StepModel[Any],
    read_features: ReadFeatures,
    examples: Sequence[Example],
    vocabulary: Vocabulary,
    max_length: int,
) -> tuple[float, float]:
    """Read every caption of the examples with a model of which only the steps are known.

    Args:
        model: The step model.
        read_features: Gives features by digest.
        examples: The images with at least one caption in all.
        vocabulary: The model's.
        max_length: Most tokens read of a caption; the rest is cut.

    Returns:
        Loss in nats per token, end markers counted, and the share (0..1) of tokens that the model held for
        the most probable. A token that it held for impossible makes the loss infinite.
    """
    loss, hits, tokens = 0.0, 0, 0
    for digests, token_ids in _batches(examples, vocabulary, max_length):
        unique, where = np.unique(digests, return_inverse=True)
        state = model.start(np.asarray(read_features(unique.tolist()), np.float32)[where])
        for place in range(token_ids.shape[1] - 1):
            logs, state = model.step(token_ids[:, place], state)
            target = token_ids[:, place + 1]
            # Behind the end marker stands padding, which is read and not counted.
            rows = np.flatnonzero(target)
            loss -= float(logs[rows, target[rows]].sum(dtype=np.float64))
            hits += int((logs[rows].argmax(axis=1) == target[rows]).sum())
            tokens += len(rows)
    return loss / tokens, hits / tokens


def _batches(
    examples: Sequence[Example], vocabulary: Vocabulary, max_length: int
) -> Iterator[tuple[list[str], NDArray[np.int32]]]:
    captions = [
        (example.digest, vocabulary.encode(caption, max_length))
        for example in examples
        for caption in example.captions
    ]
    captions.sort(key=lambda row: len(row[1]))
    for at in range(0, len(captions), _ROWS):
        batch = captions[at : at + _ROWS]
        token_ids = np.zeros((len(batch), max(len(ids) for _, ids in batch)), np.int32)
        for row, (_, ids) in enumerate(batch):
            token_ids[row, : len(ids)] = ids
        yield [digest for digest, _ in batch], token_ids
