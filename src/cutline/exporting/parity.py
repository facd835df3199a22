"""Whether a network says the same in two runtimes: captions compared, and log-probabilities."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cutline.config import DecodingOptions
from cutline.data.feature_store import as_stored
from cutline.decoding import rescore
from cutline.runtime import Session
from cutline.text import Vocabulary
from cutline.text.vocabulary import END_ID, START_ID
from cutline.voters import Voters
from cutline.writing import Writer


@dataclass(frozen=True)
class Parity:
    """How far two sessions agree.

    Attributes:
        images: Images that both captioned.
        different: Place of each image with another caption, and both captions.
        features: Largest difference of a feature, as a share of the image's largest feature.
        log_probability: Largest difference of a token's log-probability, nats, when both read the first
            session's captions, each with its own features.
    """

    images: int
    different: tuple[tuple[int, str, str], ...]
    features: float
    log_probability: float

    @property
    def same_share(self) -> float:
        """Share of images with the same caption, 0..1."""
        return 1 - len(self.different) / self.images if self.images else 1.0


def measure_parity(
    one: Session,
    other: Session,
    batches: Iterable[NDArray[np.uint8]],
    vocabulary: Vocabulary,
    options: DecodingOptions,
    voters: Voters | None = None,
) -> Parity:
    """Caption the same images with two sessions of one model.

    Args:
        one: As Keras, in which the model was trained, or the graphs that an export was made of.
        other: As ONNX Runtime, in which it ships, or what was read back.
        batches: Images, each uint8 (B, H, W, 3) of the sessions' input size.
        vocabulary: The model's.
        options: How captions are written.
        voters: For choosing by consensus.
    """
    sessions = (one, other)
    writers = [Writer(session, vocabulary, voters) for session in sessions]
    images, different, of_features, of_tokens = 0, [], 0.0, 0.0
    for batch in batches:
        exact = [session.encode(batch) for session in sessions]
        largest = np.abs(exact[0]).reshape(len(batch), -1).max(axis=1)
        apart = np.abs(exact[0] - exact[1]).reshape(len(batch), -1).max(axis=1)
        of_features = max(of_features, float((apart / np.maximum(largest, 1e-12)).max(initial=0)))
        # Rounded as for captioning: two roundings may fall apart where the numbers hardly do.
        features = [as_stored(found).astype(np.float32) for found in exact]
        written = [
            [own[0] for own in writer.write(found, options)]
            for writer, found in zip(writers, features, strict=True)
        ]
        captions = [hypothesis.token_ids for hypothesis in written[0]]
        read = [
            rescore(session, found, captions, START_ID, END_ID)
            for session, found in zip(sessions, features, strict=True)
        ]
        for place, (first, second) in enumerate(zip(*written, strict=True)):
            if first.token_ids != second.token_ids:
                different.append((images + place, first.text, second.text))
        for mine, its in zip(*read, strict=True):
            distances = np.abs(mine.log_probabilities - its.log_probabilities)
            of_tokens = max(of_tokens, float(distances.max(initial=0)))
        images += len(batch)
    return Parity(images, tuple(different), of_features, of_tokens)
