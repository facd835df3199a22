"""What a sampled caption is worth against the captions of its image: CIDEr-D, and BLEU-4 if asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cutline.metrics import Bleu, CiderD, DocumentFrequencies
from cutline.metrics.bleu import bleu_of

_SCALE = 100.0
_ORDERS = 4


class CaptionReward:
    """CIDEr-D of token sequences, the end marker counted as a token, and a share of BLEU-4.

    With the end marker inside, stopping at the right place pays: without it, captions trained on CIDEr-D end
    in "with a", because the words behind cost more than they bring.

    Example:
        >>> reward = CaptionReward({7: ["a dog <end>", "a brown dog <end>"], 8: ["two cats <end>"]})
        >>> reward([7, 7], ["a dog <end>", "a dog a"]).round(2).tolist()
        [5.26, 2.05]
    """

    def __init__(
        self,
        references: Mapping[int, Sequence[str]],
        bleu_4: float = 0.0,
        neighbours: Mapping[int, Sequence[int]] | None = None,
        neighbours_weight: float = 0.0,
    ) -> None:
        """Count n-grams once.

        Args:
            references: Image → its captions as tokens joined by blanks, the end marker being the last one.
            bleu_4: What a BLEU-4 of 1 is worth. It is that of a single caption, smoothed by counting one more
                n-gram of each order above 1 that is there and was found (Lin and Och, "ORANGE: a Method for
                Evaluating Automatic Evaluation Metrics for Machine Translation", 2004).
            neighbours: Image → images like it, whose captions judge, too: what is usual with such a picture
                is worth something even where none of its own captions says it. Five captions by people can
                be learned by heart, those of dozens of images cannot.
            neighbours_weight: What a CIDEr-D of 1 with them is worth.
        """
        self._references = references
        self._bleu_4 = bleu_4
        self._neighbours = neighbours or {}
        self._neighbours_weight = neighbours_weight
        self._frequencies = DocumentFrequencies.from_references(
            {str(image): texts for image, texts in references.items()}, str.split
        )

    def __call__(self, images: Sequence[int], captions: Sequence[str]) -> NDArray[np.float64]:
        """Score captions.

        Args:
            images: The image of each of N captions.
            captions: Tokens joined by blanks, with the end marker where the caption ended by itself.

        Returns:
            float64 (N,): CIDEr-D as COCO prints it, 0 to 10, and BLEU-4, 0 to 1, and CIDEr-D with the
            captions of neighbours, each times its worth.
        """
        numbered = [str(place) for place in range(len(images))]
        references = {key: self._references[image] for key, image in zip(numbered, images, strict=True)}
        scorer = CiderD(references, str.split, self._frequencies)
        numbered_captions = dict(zip(numbered, captions, strict=True))
        _, values = scorer.score(numbered_captions)
        rewards: NDArray[np.float64] = values / _SCALE
        if self._bleu_4:
            statistics = Bleu(scorer.references).statistics(numbered_captions).astype(np.float64)
            statistics[1:_ORDERS] += 1
            statistics[_ORDERS + 1 : 2 * _ORDERS] += 1
            rewards = rewards + self._bleu_4 * bleu_of(statistics)[-1] / _SCALE
        if self._neighbours and self._neighbours_weight:
            rewards = rewards + self._neighbours_weight * self._agreement(images, captions)
        return rewards

    def _agreement(self, images: Sequence[int], captions: Sequence[str]) -> NDArray[np.float64]:
        """Return CIDEr-D of each caption with all captions of the neighbours of its image, 0 to 10."""
        places: dict[int, list[int]] = {}
        for place, image in enumerate(images):
            if self._neighbours[image]:
                places.setdefault(image, []).append(place)
        if not places:
            return np.zeros(len(images))
        scorer = CiderD(
            {
                str(image): [text for other in self._neighbours[image] for text in self._references[other]]
                for image in places
            },
            str.split,
            self._frequencies,
        )
        found = np.zeros(len(images))
        # These references are many, so they are counted once per image: its captions come one at a time.
        for turn in range(max(map(len, places.values()), default=0)):
            chosen = {image: own[turn] for image, own in places.items() if turn < len(own)}
            texts = {str(image): captions[chosen[image]] if image in chosen else "" for image in places}
            _, values = scorer.score(texts)
            for image, value in zip(places, values / _SCALE, strict=True):
                if image in chosen:
                    found[chosen[image]] = value
        return found
