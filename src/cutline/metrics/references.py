"""References tokenised and counted once, to score many sets of hypotheses against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cutline.errors import DataError
from cutline.metrics.ngrams import (
    ORDERS,
    EncodedCaptions,
    Ints,
    NgramCounts,
    NgramIndex,
    SmallInts,
    count_ngrams,
    find,
    run_lengths,
    run_starts,
    sort_pairs,
)
from cutline.metrics.ptb import tokenise_ptb

Tokenise = Callable[[str], list[str]]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ReferenceNgrams:
    """The n-grams of one order in all references, grouped by image.

    U distinct pairs of image and n-gram, sorted by image and then by n-gram, have a *place* 0..U-1 each.

    Attributes:
        keys: Image and n-gram of each place, packed, int64 (U,).
        ceiling: The most often that the n-gram stands in one reference of the image, int32 (U,).
        owner: Reference of each distinct pair of reference and n-gram, int32 (P,), by place.
        place: Place of that pair, int32 (P,).
        count: How often the n-gram stands in that reference, int32 (P,).
    """

    keys: Ints
    ceiling: SmallInts
    owner: SmallInts
    place: SmallInts
    count: SmallInts

    @property
    def ngram(self) -> Ints:
        """Number of the n-gram of each place, (U,)."""
        return self.keys & 0xFFFFFFFF


@dataclass(frozen=True)
class CookedHypotheses:
    """One tokenised and counted hypothesis per image, in the order of the references' images.

    Attributes:
        captions: The hypotheses as integers of the references' index.
        counts: Their n-grams for each order; the owner is the image.
        places: For each order, the place of each n-gram in :class:`ReferenceNgrams`, int64, and a mask of
            those that have one; beside ``counts``.
    """

    captions: EncodedCaptions
    counts: tuple[NgramCounts, ...]
    places: tuple[tuple[Ints, NDArray[np.bool_]], ...]


class ReferenceSet:
    """The references of N images, tokenised and counted.

    Attributes:
        image_ids: The N images in the order of the mapping that was given; per-image scores follow it.
        index: Numbers of all n-grams in the references.
        captions: All R references as integers, image by image.
        image_of: Image of each reference, int32 (R,).
        starts: First reference of each image, int64 (N,).
        ngrams: N-grams for each order, grouped by image.
        token_places: Place, among the n-grams of order 1, of every token of :attr:`captions`, int32.

    Example:
        >>> references = ReferenceSet({"a.png": ["A red dot.", "one dot"]})
        >>> len(references), references.captions.lengths.tolist()
        (1, [3, 2])
    """

    def __init__(self, references: Mapping[str, Sequence[str]], tokenise: Tokenise | None = None) -> None:
        """Tokenise (as COCO does unless ``tokenise`` is given) and count.

        Raises:
            DataError: There is no image, an image has no reference, or a single string was given as
                its references.
        """
        _check_references(references)
        self._tokenise = tokenise or tokenise_ptb
        tokens = [self._tokenise(caption) for captions in references.values() for caption in captions]
        sizes = np.fromiter(map(len, references.values()), np.int64, len(references))
        self.image_ids = tuple(references)
        self.index, self.captions = NgramIndex.with_captions(tokens)
        self.image_of: SmallInts = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        self.starts = np.cumsum(sizes) - sizes
        grouped = [self._grouped(order) for order in range(ORDERS)]
        self.ngrams = tuple(ngrams for ngrams, _ in grouped)
        self.token_places = grouped[0][1]

    def __len__(self) -> int:
        """Count images."""
        return len(self.image_ids)

    def cook(self, hypotheses: Mapping[str, str]) -> CookedHypotheses:
        """Tokenise and count one hypothesis per image; blank ones are allowed.

        Raises:
            DataError: An image has a hypothesis and no references, or references and no hypothesis.
        """
        _check_same_images(hypotheses, self.image_ids)
        tokens = [self._tokenise(hypotheses[image_id]) for image_id in self.image_ids]
        captions = self.index.encode(tokens)
        counts = tuple(count_ngrams(captions, order) for order in range(1, ORDERS + 1))
        places = tuple(find(own.keys, theirs.keys()) for own, theirs in zip(self.ngrams, counts, strict=True))
        return CookedHypotheses(captions, counts, places)

    def joined(self, hypotheses: Mapping[str, str]) -> dict[str, str]:
        """Return image_id → the tokens of its hypothesis joined by blanks."""
        return {image_id: " ".join(self._tokenise(hypotheses[image_id])) for image_id in self.image_ids}

    def joined_references(self) -> dict[str, list[str]]:
        """Return image_id → the tokens of each of its references joined by blanks."""
        words = np.array(self.index.words(), dtype=object)
        ends = np.cumsum(self.captions.lengths)[:-1]
        sentences = [" ".join(tokens) for tokens in np.split(words[self.captions.tokens], ends)]
        joined: dict[str, list[str]] = {image_id: [] for image_id in self.image_ids}
        for image, sentence in zip(self.image_of.tolist(), sentences, strict=True):
            joined[self.image_ids[image]].append(sentence)
        return joined

    def _grouped(self, order: int) -> tuple[ReferenceNgrams, SmallInts]:
        """Return the n-grams of ``order`` + 1 tokens by image, and the place of each in reading order."""
        owners, total = self.captions.owners[order], len(self.captions.owners[order])
        keys, positions = sort_pairs(self.image_of[owners], self.captions.ngrams[order])
        owners = owners[positions]
        starts = run_starts(keys)
        places = np.repeat(np.arange(len(starts), dtype=np.int32), run_lengths(starts, total))
        in_reading_order = np.empty(total, np.int32)
        in_reading_order[positions] = places
        pairs = run_starts(places, owners)
        count = run_lengths(pairs, total).astype(np.int32)
        place = places[pairs]
        ceiling = np.maximum.reduceat(count, run_starts(place)) if total else count
        return ReferenceNgrams(keys[starts], ceiling, owners[pairs], place, count), in_reading_order


def cooked(references: ReferenceSet, hypotheses: Mapping[str, str] | CookedHypotheses) -> CookedHypotheses:
    """Return hypotheses ready to be compared, cooking them unless that was done before."""
    return hypotheses if isinstance(hypotheses, CookedHypotheses) else references.cook(hypotheses)


def as_reference_set(
    references: Mapping[str, Sequence[str]] | ReferenceSet, tokenise: Tokenise | None = None
) -> ReferenceSet:
    """Return references ready to be compared with; ``tokenise`` applies to references given as text."""
    return references if isinstance(references, ReferenceSet) else ReferenceSet(references, tokenise)


def _check_references(references: Mapping[str, Sequence[str]]) -> None:
    if not references:
        raise DataError("no references to score against: the mapping is empty; give at least one image")
    for image_id, captions in references.items():
        if isinstance(captions, str):
            raise DataError(
                f"references of image {image_id!r} are one string, {captions[:40]!r}; "
                "a list of captions is needed: put it in brackets"
            )
        if not captions:
            raise DataError(f"image {image_id!r} has no references; give at least one or leave the image out")


def _check_same_images(hypotheses: Iterable[str], image_ids: Sequence[str]) -> None:
    given, wanted = set(hypotheses), set(image_ids)
    if given == wanted:
        return
    faults = []
    if wanted - given:
        faults.append(f"no hypothesis for {_some(wanted - given)}")
    if given - wanted:
        faults.append(f"no references for {_some(given - wanted)}")
    raise DataError(
        f"hypotheses and references are not of the same images: {'; '.join(faults)}; "
        "score the images that have both"
    )


def _some(image_ids: Iterable[str], shown: int = 5) -> str:
    names = sorted(map(str, image_ids))
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{len(names)} image{'s' if len(names) > 1 else ''} ({', '.join(names[:shown])}{rest})"
