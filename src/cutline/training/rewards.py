"""What a sampled caption is worth: its CIDEr-D against the captions of its image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cutline.metrics import CiderD, DocumentFrequencies

_SCALE = 100.0


class CiderReward:
    """CIDEr-D of token sequences, the end marker counted as a token.

    With the end marker inside, stopping at the right place pays: without it, captions trained on CIDEr-D end
    in "with a", because the words behind cost more than they bring.

    Example:
        >>> reward = CiderReward({7: ["a dog <end>", "a brown dog <end>"], 8: ["two cats <end>"]})
        >>> reward([7, 7], ["a dog <end>", "a dog a"]).round(2).tolist()
        [5.26, 2.05]
    """

    def __init__(self, references: Mapping[int, Sequence[str]]) -> None:
        """Count n-grams once.

        Args:
            references: Image → its captions as tokens joined by blanks, the end marker being the last one.
        """
        self._references = references
        self._frequencies = DocumentFrequencies.from_references(
            {str(image): texts for image, texts in references.items()}, str.split
        )

    def __call__(self, images: Sequence[int], captions: Sequence[str]) -> NDArray[np.float64]:
        """Score captions.

        Args:
            images: The image of each of N captions.
            captions: Tokens joined by blanks, with the end marker where the caption ended by itself.

        Returns:
            float64 (N,), 0 to 10: CIDEr-D as COCO prints it.
        """
        numbered = [str(place) for place in range(len(images))]
        references = {key: self._references[image] for key, image in zip(numbered, images, strict=True)}
        scorer = CiderD(references, str.split, self._frequencies)
        _, values = scorer.score(dict(zip(numbered, captions, strict=True)))
        return values / _SCALE
