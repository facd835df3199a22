"""Voters: what people wrote about training images says which caption is usual with a picture.

The captions of the training images most like it are asked. Devlin, Gupta, Girshick, Mitchell and Zitnick,
"Exploring Nearest Neighbor Approaches for Image Captioning", 2015 (arXiv:1505.04467) take a caption of
theirs; Mao et al., "Deep Captioning with Multimodal Recurrent Neural Networks", ICLR 2015 (arXiv:1412.6632),
section 8, choose in this way among captions that a model wrote for the picture itself, as it is done here.

Or it was learned beforehand what each n-gram is worth with a picture. This asks all training images at once
and needs none of their captions. Fang et al., "From Captions to Visual Concepts and Back", CVPR 2015
(arXiv:1411.4952) learn networks to rank candidates; here it is one linear model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from cutline.errors import BundleError
from cutline.metrics import CiderD, DocumentFrequencies
from cutline.metrics.ngrams import ORDERS, count_ngrams
from cutline.runtime import Bundle
from cutline.runtime.expected_ngrams import ExpectedNgrams
from cutline.runtime.neighbours import Neighbours
from cutline.text.tokenizer import Tokenizer

# CIDEr-D is scored from 0 to 1000 here, as everywhere; votes lie between 0 and 10, as in its paper.
_SCALE: Final = 100.0
# N-grams of candidates that are weighed at once: 8 MB with 256 axes.
_WEIGHED: Final = 8192


class Voters:
    """The captions of training images, or what was learned from them, ready to vote.

    Example:
        >>> from cutline.runtime.confidence import TrainingFeatures
        >>> training = TrainingFeatures(np.zeros(2, np.float32), np.eye(2, dtype=np.float32),
        ...                             np.eye(2, dtype=np.float32))
        >>> dog_and_cat = Neighbours(("dog.png", "cat.png"), (("A dog.",), ("A cat.",)), training)
        >>> voters = Voters(dog_and_cat, Tokenizer())
        >>> [votes.round(1).tolist() for votes in voters.votes(np.array([[0.1, 0.9]]), [["a cat", "dog"]], 1)]
        [[5.0, 0.0]]
    """

    def __init__(
        self, neighbours: Neighbours | None, tokenizer: Tokenizer, expected: ExpectedNgrams | None = None
    ) -> None:
        """Take the voters, of one kind at least, and the rules by which the vocabulary parts captions."""
        self.neighbours = neighbours
        self._tokenizer = tokenizer
        self._expected = expected
        self._joined: dict[int, list[str]] = {}
        self._counted: DocumentFrequencies | None = None
        self._of_learned: DocumentFrequencies | None = None
        self._counting = Lock()

    @classmethod
    def of(cls, bundle: Bundle) -> Voters | None:
        """Return the voters that a bundle carries; None without any."""
        if not bundle.has_voters:
            return None
        return cls(bundle.neighbours, bundle.vocabulary.tokenizer, bundle.expected)

    def votes(
        self,
        features: NDArray[Any],
        candidates: Sequence[Sequence[str]],
        count: int,
        by: Literal["both", "learned", "neighbours"] = "both",
    ) -> list[NDArray[np.float64]]:
        """Say how much the captions of training images agree with candidates.

        Args:
            features: Of B images, (B, D) or (B, R, D).
            candidates: For each image its candidates, each as tokens joined by blanks.
            count: Training images that vote with all their captions, where the nearest ones are asked.
            by: Whether what was learned votes, or the captions of the nearest images, or both; a kind that is
                not at hand does not.

        Returns:
            For each image one value per candidate, in order: its mean CIDEr-D with the captions of the
            nearest images, 0 to 10, where n-grams count by how rare they are among all training images. What
            was learned is a guess of how much more CIDEr it has with what people would write than with what
            they write on average. Of both, the mean.
        """
        learned = self._expected if by != "neighbours" or self.neighbours is None else None
        guesses = self._guesses(learned, features, candidates) if learned is not None else None
        if self.neighbours is None or (guesses is not None and by == "learned"):
            assert guesses is not None
            return guesses
        asked = self._asked(self.neighbours, features, candidates, count)
        if guesses is None:
            return asked
        return [(one + other) / 2 for one, other in zip(guesses, asked, strict=True)]

    def _asked(
        self, neighbours: Neighbours, features: NDArray[Any], candidates: Sequence[Sequence[str]], count: int
    ) -> list[NDArray[np.float64]]:
        places, likeness = neighbours.nearest(features, count)
        voters = [
            [text for place in own[known > -np.inf].tolist() for text in self._texts(place)]
            for own, known in zip(places, likeness, strict=True)
        ]
        return self.agreement(candidates, voters)

    def _guesses(
        self, expected: ExpectedNgrams, features: NDArray[Any], candidates: Sequence[Sequence[str]]
    ) -> list[NDArray[np.float64]]:
        sizes = [len(own) for own in candidates]
        texts = [text.split() for own in candidates for text in own]
        found = np.zeros(len(texts))
        rows, values, owners = weighed_ngrams(texts, self._learned_frequencies)
        places = expected.places(features)[np.repeat(np.arange(len(sizes)), sizes)]
        for at in range(0, len(rows), _WEIGHED):
            part = slice(at, at + _WEIGHED)
            weights = expected.weights[rows[part]].astype(np.float32)
            worth = np.einsum("np,np->n", weights, places[owners[part]])
            found += np.bincount(owners[part], worth * values[part], len(texts))
        return np.split(found, np.cumsum(sizes)[:-1])

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

    def rarity(self, candidates: Sequence[Sequence[str]]) -> list[NDArray[np.float64]]:
        """Say how rare the rarest word of captions is among the training images.

        What every voter likes best is what fits many pictures; the rarest word is what tells a picture from
        others.

        Args:
            candidates: For each image its candidates, each as tokens joined by blanks.

        Returns:
            For each image one value per candidate, in order: log(images / images with the word), in nats, of
            the word for which it is highest; 0 without any word. A word that was not counted stands in those
            of one image fewer than any that was, and of one at the least.

        Example:
            >>> from cutline.runtime.confidence import TrainingFeatures
            >>> training = TrainingFeatures(np.zeros(2, np.float32), np.eye(2, dtype=np.float32),
            ...                             np.eye(2, dtype=np.float32))
            >>> dogs = Neighbours(("1.png", "2.png"), (("A dog.",), ("A brown dog.",)), training)
            >>> Voters(dogs, Tokenizer()).rarity([["a dog", "a brown dog"]])[0].round(2).tolist()
            [0.0, 0.69]
        """
        frequencies = self._frequencies
        encoded = frequencies.index.encode([text.split() for own in candidates for text in own])
        words, counts = encoded.ngrams[0], frequencies.counts()[0]
        # What was learned keeps frequent words alone: one that it lacks need not be as rare as one image's.
        lacking = max(int(counts.min(initial=frequencies.images)) - 1, 1)
        images = np.append(counts, lacking)[np.minimum(words, len(counts))]
        rarest = np.zeros(len(encoded.lengths))
        np.maximum.at(rarest, encoded.owners[0], np.log(frequencies.images) - np.log(images))
        return np.split(rarest, np.cumsum([len(own) for own in candidates])[:-1])

    def _texts(self, place: int) -> list[str]:
        """Return what people wrote about a training image, token by token; most are never asked."""
        assert self.neighbours is not None
        if place not in self._joined:
            self._joined[place] = _joined(self.neighbours.captions[place], self._tokenizer)
        return self._joined[place]

    @property
    def _frequencies(self) -> DocumentFrequencies:
        if self.neighbours is None:
            return self._learned_frequencies
        # Threads that caption side by side ask at the same time: one of them counts, the others wait.
        with self._counting:
            if self._counted is None:
                self._counted = self._count(self.neighbours)
            return self._counted

    @property
    def _learned_frequencies(self) -> DocumentFrequencies:
        with self._counting:
            if self._of_learned is None:
                assert self._expected is not None
                self._of_learned = restored_frequencies(self._expected.frequencies)
            return self._of_learned

    def _count(self, neighbours: Neighbours) -> DocumentFrequencies:
        counted = neighbours.frequencies
        return (
            restored_frequencies(counted) if counted else frequencies_of(neighbours.captions, self._tokenizer)
        )


def restored_frequencies(counted: Mapping[str, NDArray[Any]]) -> DocumentFrequencies:
    """Return counts of n-grams that a bundle carries as arrays; BundleError where they cannot be read."""
    try:
        return DocumentFrequencies.from_arrays(counted)
    except (KeyError, ValueError) as error:
        raise BundleError(
            f"counted n-grams of the training captions cannot be read ({error}); copy the bundle again"
        ) from error


def weighed_ngrams(
    captions: Sequence[Sequence[str]], frequencies: DocumentFrequencies
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return what CIDEr makes of captions, but for what concerns their length (Vedantam et al., CVPR 2015).

    Args:
        captions: C tokenised captions.
        frequencies: Say which n-grams are known, and how rare each is.

    Returns:
        Three arrays of one length, an entry per caption and known n-gram in it: the n-gram's number among all
        known ones, shorter n-grams first; its weight, such that each order's weights are a vector of length 1
        divided by :data:`~cutline.metrics.ngrams.ORDERS`, times 10; the caption.

    Example:
        >>> frequencies = DocumentFrequencies.from_references({"a": ["dog"], "b": ["cat", "dogs"]}, str.split)
        >>> rows, weights, owners = weighed_ngrams([["cat"], ["dog", "cat"]], frequencies)
        >>> rows.tolist(), weights.round(2).tolist(), owners.tolist()
        ([1, 0, 1], [2.5, 1.77, 1.77], [0, 1, 1])
    """
    index = frequencies.index
    encoded = index.encode(captions)
    rows, weights, owners, before = [], [], [], 0
    for order, inverse in enumerate(frequencies.inverse(encoded, index), start=1):
        counts = count_ngrams(encoded, order)
        found = counts.count * inverse[counts.first]
        lengths = np.sqrt(np.bincount(counts.owner, found**2, len(captions)))[counts.owner]
        known = (counts.ngram < index.size(order)) & (lengths > 0)
        rows.append(counts.ngram[known].astype(np.int64) + before)
        weights.append(found[known] / lengths[known] * (10 / ORDERS))
        owners.append(counts.owner[known].astype(np.int64))
        before += index.size(order)
    return np.concatenate(rows), np.concatenate(weights), np.concatenate(owners)


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
