"""N-grams of 1 to 4 tokens as integers, so that whole corpora are counted with array operations.

An n-gram is named by its rank among the n-grams the index was built from. It is found from the rank of
its first n-1 tokens and its last token, so no n-gram is ever stored as text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, repeat
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
SmallInts = NDArray[np.int32]

ORDERS: Final = 4
"""Longest n-gram counted; BLEU, CIDEr and CIDEr-D all stop at 4."""


@dataclass(frozen=True)
class EncodedCaptions:
    """Captions as integers.

    Attributes:
        tokens: Token numbers of all captions one after the other, int32.
        lengths: Tokens in each caption, int32 (C,).
        owners: For each order, the caption each n-gram stands in, int32.
        ngrams: For each order, the number of each n-gram in reading order, int32; numbers the index does
            not know start at :meth:`NgramIndex.size` and are equal only for equal n-grams of this batch.
        unknown: The tokens the index does not know, in the order of their numbers, as long as they were
            encoded from text.
    """

    tokens: SmallInts
    lengths: SmallInts
    owners: tuple[SmallInts, ...]
    ngrams: tuple[SmallInts, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class NgramCounts:
    """Distinct n-grams of one order, sorted by caption and then by number; four arrays of one length.

    Attributes:
        owner: Caption (or image) the n-gram stands in, int32.
        ngram: Its number, int32.
        count: How often it stands there, int32, at least 1.
        first: Where in :attr:`EncodedCaptions.ngrams` it was first seen, int32.
    """

    owner: SmallInts
    ngram: SmallInts
    count: SmallInts
    first: SmallInts

    def keys(self) -> Ints:
        """Return owner and n-gram packed into one increasing number each, int64."""
        return pack(self.owner, self.ngram)


def pack(high: NDArray[np.integer], low: NDArray[np.integer]) -> Ints:
    """Pack two arrays of non-negative int32 into one int64 array that sorts by ``high``, then ``low``.

    Example:
        >>> pack(np.array([0, 1]), np.array([7, 7])).tolist()
        [7, 4294967303]
    """
    return high.astype(np.int64) << 32 | low.astype(np.int64)


def find(sorted_keys: Ints, wanted: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Look keys up in a sorted array.

    Returns:
        Positions in ``sorted_keys`` (0 where absent) and a mask of those that were found.

    Example:
        >>> positions, found = find(np.array([2, 5]), np.array([5, 4]))
        >>> positions.tolist(), found.tolist()
        ([1, 0], [True, False])
    """
    if not len(sorted_keys):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    positions = np.minimum(np.searchsorted(sorted_keys, wanted), len(sorted_keys) - 1)
    found = sorted_keys[positions] == wanted
    return np.where(found, positions, 0), found


def sort_pairs(high: NDArray[np.integer], low: NDArray[np.integer]) -> tuple[Ints, Ints]:
    """Sort pairs of non-negative int32 by ``high``, then ``low``; equal pairs keep their order.

    Returns:
        The packed pairs in increasing order, and the position each came from.

    Example:
        >>> keys, positions = sort_pairs(np.array([1, 0, 1]), np.array([3, 9, 3]))
        >>> (keys & 0xFFFFFFFF).tolist(), positions.tolist()
        ([9, 3, 3], [1, 0, 2])
    """
    if not len(high):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    low_bits, at_bits = int(low.max()).bit_length(), (len(high) - 1).bit_length()
    if int(high.max()).bit_length() + low_bits + at_bits > 63:
        keys = pack(high, low)
        positions = np.argsort(keys, kind="stable")
        return keys[positions], positions
    # Sorting one integer that holds the position as well is several times faster than argsort.
    packed = high.astype(np.int64) << (low_bits + at_bits)
    packed |= low.astype(np.int64) << at_bits
    packed |= np.arange(len(high))
    packed.sort()
    positions = packed & ((1 << at_bits) - 1)
    packed >>= at_bits
    return pack(packed >> low_bits, packed & ((1 << low_bits) - 1)), positions


def run_starts(*sorted_columns: NDArray[np.integer]) -> Ints:
    """Return where a new run of equal rows begins in columns that are sorted together.

    Example:
        >>> run_starts(np.array([4, 4, 7])).tolist()
        [0, 2]
    """
    new = np.ones(len(sorted_columns[0]), np.bool_)
    new[1:] = False
    for column in sorted_columns:
        new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(new)


def run_lengths(starts: Ints, total: int) -> Ints:
    """Return the lengths of runs from their starts and the number of rows.

    Example:
        >>> run_lengths(np.array([0, 2]), 3).tolist()
        [2, 1]
    """
    return np.diff(starts, append=total)


def count_ngrams(captions: EncodedCaptions, order: int) -> NgramCounts:
    """Count the n-grams of ``order`` (1 to 4) tokens within each caption.

    Example:
        >>> captions = [["a", "dog", "a"]]
        >>> counts = count_ngrams(NgramIndex(captions).encode(captions), 1)
        >>> counts.ngram.tolist(), counts.count.tolist(), counts.first.tolist()
        ([0, 1], [2, 1], [0, 1])
    """
    keys, positions = sort_pairs(captions.owners[order - 1], captions.ngrams[order - 1])
    starts = run_starts(keys)
    return NgramCounts(
        owner=(keys[starts] >> 32).astype(np.int32),
        ngram=(keys[starts] & 0xFFFFFFFF).astype(np.int32),
        count=run_lengths(starts, len(keys)).astype(np.int32),
        first=positions[starts].astype(np.int32),
    )


class NgramIndex:
    """Numbers for every n-gram of a corpus.

    Example:
        >>> index = NgramIndex([["a", "red", "dog"], ["a", "red", "cat"]])
        >>> [index.size(order) for order in (1, 2, 3, 4)]
        [4, 3, 2, 0]
        >>> index.encode([["red", "cat"], ["blue", "dog"]]).ngrams[1].tolist()  # "blue dog" is new
        [2, 3]
    """

    def __init__(self, captions: Sequence[Sequence[str]]) -> None:
        """Number the n-grams of tokenised captions."""
        self._start(captions)

    def _start(self, captions: Sequence[Sequence[str]]) -> EncodedCaptions:
        lengths = _lengths(captions)
        words: dict[str, int] = defaultdict(count().__next__)
        numbers = map(words.__getitem__, chain.from_iterable(captions))
        tokens = np.fromiter(numbers, np.int32, int(lengths.sum()))
        self._words = dict(words)
        self._keys: list[Ints] = []
        return self._walk(tokens, lengths, grow=True)

    @classmethod
    def with_captions(cls, captions: Sequence[Sequence[str]]) -> tuple[NgramIndex, EncodedCaptions]:
        """Number the n-grams of tokenised captions, and return these captions encoded as well."""
        index = cls.__new__(cls)
        return index, index._start(captions)

    @classmethod
    def restored(cls, words: Sequence[str], keys: Sequence[Ints]) -> NgramIndex:
        """Rebuild an index from its :meth:`words` and :meth:`keys`."""
        index = cls([words])
        index._keys = list(keys)
        return index

    def words(self) -> list[str]:
        """List the known tokens in the order of their numbers."""
        return list(self._words)

    def keys(self) -> tuple[Ints, ...]:
        """Return the sorted packed (first n-1 tokens, last token) keys of orders 2, 3 and 4."""
        return tuple(self._keys)

    def size(self, order: int) -> int:
        """Count the distinct n-grams of ``order`` tokens in the corpus."""
        return len(self._words) if order == 1 else len(self._keys[order - 2])

    def number(self, captions: Sequence[Sequence[str]]) -> SmallInts:
        """Return the token numbers of captions one after the other; new tokens get the next numbers."""
        return self._number(captions)[0]

    def _number(self, captions: Sequence[Sequence[str]]) -> tuple[SmallInts, tuple[str, ...]]:
        """Return the token numbers of captions, and the new tokens."""
        tokens = list(chain.from_iterable(captions))
        numbers = np.fromiter(map(self._words.get, tokens, repeat(-1)), np.int32, len(tokens))
        fresh: dict[str, int] = {}
        for at in np.flatnonzero(numbers < 0).tolist():
            numbers[at] = fresh.setdefault(tokens[at], len(self._words) + len(fresh))
        return numbers, tuple(fresh)

    def numbers_in(self, other: NgramIndex) -> list[SmallInts]:
        """Return, for each order, the number that another index gives to each n-gram of this one.

        ``other.size(order)`` stands for n-grams the other one does not know.
        """
        tokens = np.minimum(other.number([self.words()]), other.size(1))
        translated = [tokens]
        for order, keys in enumerate(self._keys, start=2):
            beginnings = translated[-1][keys >> 32]
            endings = tokens[keys & 0xFFFFFFFF]
            ranks, found = find(other.keys()[order - 2], pack(beginnings, endings))
            found &= (beginnings < other.size(order - 1)) & (endings < other.size(1))
            translated.append(np.where(found, ranks, other.size(order)).astype(np.int32))
        return translated

    def encode(self, captions: Sequence[Sequence[str]]) -> EncodedCaptions:
        """Encode tokenised captions; any of them may be empty or hold tokens the corpus lacks."""
        numbers, unknown = self._number(captions)
        return replace(self.encode_numbers(numbers, _lengths(captions)), unknown=unknown)

    def encode_numbers(self, tokens: SmallInts, lengths: SmallInts) -> EncodedCaptions:
        """Encode captions given as token numbers; a number from ``size(1)`` on is an unknown token."""
        return self._walk(tokens, lengths, grow=False)

    def _walk(self, tokens: SmallInts, lengths: SmallInts, *, grow: bool) -> EncodedCaptions:
        """Go from each order to the next one; ``grow`` fills the index instead of consulting it."""
        owners = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        ends = np.repeat(np.cumsum(lengths), lengths)
        starts = np.arange(len(tokens))
        ngrams = tokens
        all_owners, all_ngrams = [owners], [ngrams]
        for order in range(2, ORDERS + 1):
            fits = starts + order <= ends
            starts, ends, owners, ngrams = starts[fits], ends[fits], owners[fits], ngrams[fits]
            endings = tokens[starts + order - 1]
            ngrams = self._grown(ngrams, endings) if grow else _rank(self._keys[order - 2], ngrams, endings)
            all_owners.append(owners)
            all_ngrams.append(ngrams)
        return EncodedCaptions(tokens, lengths, tuple(all_owners), tuple(all_ngrams))

    def _grown(self, beginnings: SmallInts, endings: SmallInts) -> SmallInts:
        """Add the keys of the next order; return the rank of each."""
        keys, positions = sort_pairs(beginnings, endings)
        starts = run_starts(keys)
        self._keys.append(keys[starts])
        ranks = np.empty(len(keys), np.int32)
        ranks[positions] = np.repeat(np.arange(len(starts), dtype=np.int32), run_lengths(starts, len(keys)))
        return ranks


def _lengths(captions: Sequence[Sequence[str]]) -> SmallInts:
    return np.fromiter(map(len, captions), np.int32, len(captions))


def _rank(known: Ints, beginnings: SmallInts, endings: SmallInts) -> SmallInts:
    """Return the rank of each key among the known ones; unknown keys are ranked behind them."""
    keys = pack(beginnings, endings)
    ranks, found = find(known, keys)
    unknown = ~found
    if unknown.any():
        ranks[unknown] = len(known) + np.unique(keys[unknown], return_inverse=True)[1]
    return ranks.astype(np.int32)
