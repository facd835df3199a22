"""In how many images of a corpus each n-gram stands: what makes CIDEr-D favour telling words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutline.errors import DataError
from cutline.files import DAMAGE, replacing
from cutline.metrics.ngrams import ORDERS, EncodedCaptions, Ints, NgramIndex, SmallInts, pack
from cutline.metrics.references import Floats, ReferenceSet, Tokenise


class DocumentFrequencies:
    """For every n-gram of a corpus, the number of images in whose references it stands.

    Attributes:
        images: Number of images in the corpus.

    Example:
        >>> corpus = {"a.png": ["a red dot"], "b.png": ["a blue dot"]}
        >>> frequencies = DocumentFrequencies.from_references(corpus)
        >>> frequencies.images, frequencies.count("a"), frequencies.count("blue dot"), frequencies.count("x")
        (2, 2, 1, 0)
    """

    def __init__(self, index: NgramIndex, counts: Sequence[SmallInts], images: int) -> None:
        """Take an index and, for each order, the number of images of each of its n-grams."""
        self._index = index
        self._counts = tuple(counts)
        self.images = images
        self._inverse = [np.log(float(images)) - np.log(np.maximum(count, 1.0)) for count in self._counts]

    @classmethod
    def of(cls, references: ReferenceSet) -> DocumentFrequencies:
        """Count over cooked references."""
        counts = [
            np.bincount(ngrams.ngram, minlength=references.index.size(order)).astype(np.int32)
            for order, ngrams in enumerate(references.ngrams, start=1)
        ]
        return cls(references.index, counts, len(references))

    @classmethod
    def from_references(
        cls, references: Mapping[str, Sequence[str]], tokenise: Tokenise | None = None
    ) -> DocumentFrequencies:
        """Count over references as text; DataError as in :class:`ReferenceSet`."""
        return cls.of(ReferenceSet(references, tokenise))

    @cached_property
    def fingerprint(self) -> str:
        """8 hexadecimal digits of the corpus: its words, how often n-grams occur, its number of images.

        Neither the order of images nor that of references matters.
        """
        counted = zip(self._index.words(), self._counts[0].tolist(), strict=True)
        words = "\x1e".join(f"{word}\x1f{count}" for word, count in sorted(counted))
        digest = hashlib.sha256(f"{self.images}\x1d{words}".encode())
        for counts in self._counts[1:]:
            digest.update(np.sort(counts).astype("<i4").tobytes())
        return digest.hexdigest()[:8]

    @property
    def index(self) -> NgramIndex:
        """Numbers of the n-grams."""
        return self._index

    def counts(self) -> tuple[SmallInts, ...]:
        """Return, for each order, the number of images of each n-gram, in the order of their numbers."""
        return self._counts

    def count(self, ngram: str) -> int:
        """Return the number of images of an n-gram of 1 to 4 tokens separated by blanks."""
        tokens = ngram.split()
        number = int(self._index.encode([tokens]).ngrams[len(tokens) - 1][0])
        counts = self._counts[len(tokens) - 1]
        return int(counts[number]) if number < len(counts) else 0

    def inverse_of(self, index: NgramIndex) -> list[Floats]:
        """Return log(images / images with the n-gram) for every n-gram of an index, order by order."""
        if index is self._index:
            return self._inverse
        return [
            np.append(inverse, np.log(float(self.images)))[numbers]
            for inverse, numbers in zip(self._inverse, index.numbers_in(self._index), strict=True)
        ]

    def inverse(self, captions: EncodedCaptions, index: NgramIndex) -> list[Floats]:
        """Return log(images / images with the n-gram) for every n-gram of captions encoded by ``index``.

        Returns:
            For each order, float64 values that stand beside ``captions.ngrams``. An n-gram that the corpus
            lacks counts as standing in one image.
        """
        if index is not self._index:
            captions = self._translated(captions, index)
        unknown = np.log(float(self.images))
        return [
            np.append(inverse, unknown)[np.minimum(ngrams, len(inverse))]
            for inverse, ngrams in zip(self._inverse, captions.ngrams, strict=True)
        ]

    def _translated(self, captions: EncodedCaptions, index: NgramIndex) -> EncodedCaptions:
        """Encode captions anew with the corpus's own numbers."""
        # The corpus may know tokens that the references lack.
        numbers = self._index.number([index.words(), captions.unknown])
        return self._index.encode_numbers(numbers[captions.tokens], captions.lengths)

    def without_singles(self) -> DocumentFrequencies:
        """Leave out the n-grams of one image only, which are most of them.

        An n-gram that the corpus lacks counts as standing in one image, so that scores stay what they are.

        Example:
            >>> corpus = {"a.png": ["a red dot"], "b.png": ["a blue dot"]}
            >>> DocumentFrequencies.from_references(corpus).without_singles().count("red")
            0
        """
        return self.without_rare(2)

    def without_rare(self, least: int) -> DocumentFrequencies:
        """Leave out the n-grams of fewer than ``least`` images: they then count as standing in one image."""
        words = self._index.words()
        kept = self._counts[0] >= least
        tokens = before = _ranks(kept)
        keys, counts = [], [self._counts[0][kept]]
        for own, count in zip(self._index.keys(), self._counts[1:], strict=True):
            kept_ngrams = count >= least
            # What an n-gram begins with and its last token stand in as many images as it does, at least.
            known = own[kept_ngrams]
            keys.append(pack(before[known >> 32], tokens[known & 0xFFFFFFFF]))
            counts.append(count[kept_ngrams])
            before = _ranks(kept_ngrams)
        left = [word for word, stays in zip(words, kept.tolist(), strict=True) if stays]
        return DocumentFrequencies(NgramIndex.restored(left, keys), counts, self.images)

    def joined(self, other: DocumentFrequencies) -> DocumentFrequencies:
        """Return the sums of both counts, of corpora that should have no image in common.

        What one side left out as rare (:meth:`without_rare`) counts as 0 there. Words of this corpus keep
        their numbers, new ones follow; longer n-grams are numbered anew.

        Example:
            >>> one = DocumentFrequencies.from_references({"a.png": ["a red dot"]})
            >>> both = one.joined(DocumentFrequencies.from_references({"b.png": ["a blue dot"]}))
            >>> both.images, both.count("a"), both.count("blue dot"), both.count("a dot")
            (2, 2, 1, 0)
        """
        sides = (self, other)
        known = self._index.words()
        words = list(dict.fromkeys([*known, *other._index.words()]))
        tokens = [NgramIndex([words]).number([side._index.words()]) for side in sides]
        ranks, keys, counts = tokens, [], [_added(tokens, [side._counts[0] for side in sides], len(words))]
        for place in range(ORDERS - 1):
            own = [side._index.keys()[place] for side in sides]
            moved = [
                pack(before[key >> 32], token[key & 0xFFFFFFFF])
                for before, token, key in zip(ranks, tokens, own, strict=True)
            ]
            keys.append(np.unique(np.concatenate(moved)))
            ranks = [np.searchsorted(keys[-1], key).astype(np.int32) for key in moved]
            counts.append(_added(ranks, [side._counts[place + 1] for side in sides], len(keys[-1])))
        return DocumentFrequencies(NgramIndex.restored(words, keys), counts, self.images + other.images)

    def with_images_repeated(self, other: DocumentFrequencies, times: int) -> DocumentFrequencies:
        """Return the counts as they were if some of the images came several times more.

        Args:
            other: Counts of these images, which this corpus counts already; n-grams that are left out here
                stay so.
            times: How often they are added, 0 or more.

        Example:
            >>> one = DocumentFrequencies.from_references({"a.png": ["a red dot"], "b.png": ["a blue dot"]})
            >>> blue = DocumentFrequencies.from_references({"b.png": ["a blue dot"]})
            >>> more = one.with_images_repeated(blue, 3)
            >>> more.images, more.count("a"), more.count("red dot"), more.count("blue dot")
            (5, 5, 1, 4)
        """
        numbers = self._index.numbers_in(other.index)
        counts = [
            (count + times * np.append(more, 0)[number]).astype(np.int32)
            for count, more, number in zip(self._counts, other.counts(), numbers, strict=True)
        ]
        return DocumentFrequencies(self._index, counts, self.images + times * other.images)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything as arrays by name, from which :meth:`from_arrays` makes the same again."""
        words = np.frombuffer(json.dumps(self._index.words()).encode(), np.uint8)
        arrays: dict[str, NDArray[Any]] = {"images": np.array(self.images), "words": words}
        arrays |= {f"keys_{n}": array for n, array in enumerate(self._index.keys(), start=2)}
        return arrays | {f"counts_{n}": array for n, array in enumerate(self._counts, start=1)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> DocumentFrequencies:
        """Make what :meth:`to_arrays` was asked of.

        Raises:
            KeyError: An array is missing.
            ValueError: Arrays are of the wrong kind, or do not fit each other.
        """
        words = json.loads(arrays["words"].tobytes())
        keys = [_whole(arrays[f"keys_{order}"], np.int64) for order in range(2, ORDERS + 1)]
        counts = [_whole(arrays[f"counts_{order}"], np.int32) for order in range(1, ORDERS + 1)]
        if arrays["images"].ndim:
            raise ValueError(f"{arrays['images'].size} numbers where that of the images belongs")
        images = int(arrays["images"])
        _check(words, keys, counts, images)
        return cls(NgramIndex.restored(words, keys), counts, images)

    def save(self, path: Path) -> None:
        """Write to one ``.npz`` file, atomically."""
        arrays: dict[str, Any] = self.to_arrays()
        with replacing(path, "wb") as stream:
            np.savez_compressed(stream, **arrays)

    @classmethod
    def load(cls, path: Path) -> DocumentFrequencies:
        """Read what :meth:`save` wrote; DataError when the file is missing or damaged."""
        try:
            # np.load leaves a damaged file open when it is given a path
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                return cls.from_arrays(arrays)
        except DAMAGE as error:
            raise DataError(
                f"{path}: not readable as saved document frequencies ({error}); save them anew"
            ) from error


def _added(ranks: Sequence[SmallInts], counts: Sequence[SmallInts], size: int) -> SmallInts:
    """Return for each of ``size`` n-grams the sum of its counts on all sides."""
    found = np.bincount(np.concatenate(ranks), np.concatenate(counts), size)
    return found.astype(np.int32)


def _ranks(kept: NDArray[np.bool_]) -> Ints:
    """Return the number that each of those that are kept has among them."""
    return np.cumsum(kept, dtype=np.int64) - 1


def _whole(array: NDArray[Any], kind: type[np.integer]) -> NDArray[Any]:
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"an array of {array.dtype} {array.shape} where a list of whole numbers belongs")
    return array.astype(kind)


def _check(words: object, keys: Sequence[Ints], counts: Sequence[SmallInts], images: int) -> None:
    """Raise ValueError unless the parts of a saved file are of the right kind and fit each other."""
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError("the words are no list of words")
    sizes = [len(words), *map(len, keys)]
    if len(set(words)) != len(words) or [len(count) for count in counts] != sizes:
        raise ValueError(f"{sizes} n-grams have {[len(count) for count in counts]} counts")
    if images < 1 or any(((count < 1) | (count > images)).any() for count in counts):
        raise ValueError(f"counts that cannot be of {images} images")
    for before, array in zip(sizes, keys, strict=False):
        high, low = array >> 32, array & 0xFFFFFFFF
        sorted_once = bool((np.diff(array) > 0).all())
        if not sorted_once or ((high < 0) | (high >= before) | (low >= len(words))).any():
            raise ValueError("n-grams that are not made of the words")
