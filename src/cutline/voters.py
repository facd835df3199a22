"""Voters: what people wrote about the training images most like a picture says which caption is usual there.

Devlin, Gupta, Girshick, Mitchell and Zitnick, "Exploring Nearest Neighbor Approaches for Image Captioning",
2015 (arXiv:1505.04467) take a caption of theirs; Mao et al., "Deep Captioning with Multimodal Recurrent
Neural Networks", ICLR 2015 (arXiv:1412.6632), section 8, choose in this way among captions that a model wrote
for the picture itself, as it is done here.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cutline.errors import BundleError
from cutline.metrics import CiderD, DocumentFrequencies
from cutline.runtime import Bundle
from cutline.runtime.neighbours import Neighbours
from cutline.text.tokenizer import Tokenizer

# CIDEr-D is scored from 0 to 1000 here, as everywhere; votes lie between 0 and 10, as in its paper.
_SCALE: Final = 100.0


class Voters:
    """The captions of training images, ready to vote.

    Example:
        >>> from cutline.runtime.confidence import TrainingFeatures
        >>> training = TrainingFeatures(np.zeros(2, np.float32), np.eye(2, dtype=np.float32),
        ...                             np.eye(2, dtype=np.float32))
        >>> dog_and_cat = Neighbours(("dog.png", "cat.png"), (("A dog.",), ("A cat.",)), training)
        >>> voters = Voters(dog_and_cat, Tokenizer())
        >>> [votes.round(1).tolist() for votes in voters.votes(np.array([[0.1, 0.9]]), [["a cat", "dog"]], 1)]
        [[5.0, 0.0]]
    """

    def __init__(self, neighbours: Neighbours, tokenizer: Tokenizer) -> None:
        """Take the training images and the rules by which the model's vocabulary parts captions."""
        self.neighbours = neighbours
        self._tokenizer = tokenizer
        self._joined: dict[int, list[str]] = {}
        self._counted: DocumentFrequencies | None = None
        self._counting = Lock()

    @classmethod
    def of(cls, bundle: Bundle) -> Voters | None:
        """Return the voters that a bundle carries; None without any."""
        return cls(bundle.neighbours, bundle.vocabulary.tokenizer) if bundle.neighbours else None

    def votes(
        self, features: NDArray[Any], candidates: Sequence[Sequence[str]], count: int
    ) -> list[NDArray[np.float64]]:
        """Say how much the captions of the nearest training images agree with candidates.

        Args:
            features: Of B images, (B, D) or (B, R, D).
            candidates: For each image its candidates, each as tokens joined by blanks.
            count: Training images that vote with all their captions.

        Returns:
            For each image one value per candidate, in order: its mean CIDEr-D with the voters, 0 to 10, where
            n-grams count by how rare they are among all training images.
        """
        places, likeness = self.neighbours.nearest(features, count)
        voters = [
            [text for place in own[known > -np.inf].tolist() for text in self._texts(place)]
            for own, known in zip(places, likeness, strict=True)
        ]
        return self.agreement(candidates, voters)

    def agreement(
        self, candidates: Sequence[Sequence[str]], others: Sequence[Sequence[str]]
    ) -> list[NDArray[np.float64]]:
        """Say how much captions agree with others.

        Args:
            candidates: For each image its candidates, each as tokens joined by blanks.
            others: For each image the captions to compare them with, in the same form.

        Returns:
            For each image one value per candidate, in order: its mean CIDEr-D with the others, 0 to 10, where
            n-grams count by how rare they are among all training images; 0 where there are no others.
        """
        found = [np.zeros(len(own)) for own in candidates]
        # An image whose only neighbour is itself has nobody to ask.
        asked = {str(image): texts for image, texts in enumerate(others) if texts}
        if not asked:
            return found
        scorer = CiderD(asked, str.split, self._frequencies)
        # One candidate of every image at a time, the shape in which captions are scored.
        for place in range(max(map(len, candidates), default=0)):
            turn = {
                image: candidates[int(image)][place] if place < len(candidates[int(image)]) else ""
                for image in asked
            }
            _, values = scorer.score(turn)
            for image, value in zip(asked, values / _SCALE, strict=True):
                if place < len(found[int(image)]):
                    found[int(image)][place] = value
        return found

    def _texts(self, place: int) -> list[str]:
        """Return what people wrote about a training image, token by token; most are never asked."""
        if place not in self._joined:
            self._joined[place] = _joined(self.neighbours.captions[place], self._tokenizer)
        return self._joined[place]

    @property
    def _frequencies(self) -> DocumentFrequencies:
        # Threads that caption side by side ask at the same time: one of them counts, the others wait.
        with self._counting:
            if self._counted is None:
                self._counted = self._count()
            return self._counted

    def _count(self) -> DocumentFrequencies:
        counted = self.neighbours.frequencies
        if not counted:
            return frequencies_of(self.neighbours.captions, self._tokenizer)
        try:
            return DocumentFrequencies.from_arrays(counted)
        except (KeyError, ValueError) as error:
            raise BundleError(
                f"counted n-grams of the training captions cannot be read ({error}); copy the bundle again"
            ) from error


def frequencies_of(captions: Sequence[Sequence[str]], tokenizer: Tokenizer) -> DocumentFrequencies:
    """Count in how many images each n-gram of captions stands.

    Args:
        captions: Of each training image.
        tokenizer: Of the model.

    Example:
        >>> frequencies_of([["A dog.", "a big dog"], ["The dog"]], Tokenizer()).count("dog")
        2
    """
    joined = {str(place): _joined(texts, tokenizer) for place, texts in enumerate(captions)}
    return DocumentFrequencies.from_references(
        {place: texts for place, texts in joined.items() if texts}, str.split
    )


def _joined(captions: Sequence[str], tokenizer: Tokenizer) -> list[str]:
    return [text for caption in captions if (text := " ".join(tokenizer.tokenise(caption)))]
