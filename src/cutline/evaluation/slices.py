"""Scores over parts of the images: long and short captions, rare words, the groups of a table.

A mean over all images hides where a model fails. CIDEr-D of an image is what it is in the whole evaluation,
document frequencies included, so the mean of the parts, weighted by their images, is the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.evaluation.scoring import plain_captions
from cutline.metrics import Scorer, interval_of_mean
from cutline.metrics.contributions import METRICS, corpus_scores
from cutline.records import BY_LENGTH, BY_RARE_WORDS, Example, Slice
from cutline.text import Vocabulary

RARE: Final = 10
"""A word is rare when the training captions have it less often."""

SMALLEST: Final = 10
"""Images that a part of the numbers has on average at least; fewer say next to nothing."""

LARGEST_GROUPS: Final = 12
_PARTS: Final = 4
_FEW_NUMBERS: Final = 6
_DIGITS: Final = 18
_OTHER: Final = "other"
_NOT_GIVEN: Final = "not given"

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Part:
    """Rows of the scorer's images that belong together."""

    kind: str
    name: str
    rows: Ints


def slices(
    examples: Sequence[Example],
    hypotheses: Mapping[str, str],
    scorer: Scorer,
    vocabulary: Vocabulary,
    *,
    training: Iterable[str] = (),
    group_name: str = "",
) -> tuple[Slice, ...]:
    """Score parts of the images apart.

    By the mean length of an image's references, by the share of rare words in them, and by the groups of the
    examples where these have any. Lengths, shares and groups that are numbers are cut into at most four
    parts of about as many images, and not at all when there are fewer than 20 images. Of other groups the 12
    largest stay and the rest is one part; a column in which most groups are of one image is a free text and
    left out.

    Args:
        examples: Those that the scorer has as references, in any order.
        hypotheses: image_id → hypothesis.
        scorer: Made of the examples.
        vocabulary: The model's; its tokenizer cuts the references into words.
        training: The captions the model was trained on. A word is rare when they have it fewer than ten
            times; without them it is rare when the vocabulary lacks it.
        group_name: What the groups are, the name of their column.

    Returns:
        The parts, kind by kind: ``"caption length"``, ``"rare words"`` with what that means, and the groups.
        The parts of a kind are disjoint and make up all images; a kind of a single part is left out.

    Raises:
        DataError: Hypotheses and references are not of the same images.
    """
    by_id = {example.image_id: example for example in examples}
    ordered = [by_id[image_id] for image_id in scorer.references.image_ids]
    parts = [
        *_by_number(BY_LENGTH, mean_lengths(scorer), _unit(vocabulary)),
        *_by_number(*_rare_shares(ordered, vocabulary, training), " %"),
        *_by_group(group_name or "group", [example.group for example in ordered]),
    ]
    contributions = scorer.contributions(hypotheses)
    return tuple(_scored(part, contributions, scorer.references.image_ids) for part in parts)


def mean_lengths(scorer: Scorer) -> Ints:
    """Return the mean length of each image's references in the scorer's tokens, rounded, (N,)."""
    references = scorer.references
    totals = np.bincount(references.image_of, references.captions.lengths, len(references))
    return np.rint(totals / np.bincount(references.image_of)).astype(np.int64)


def _scored(part: _Part, contributions: NDArray[np.float64], image_ids: Sequence[str]) -> Slice:
    own = contributions[part.rows]
    found = dict(zip(METRICS, corpus_scores(own.sum(0), len(own)).tolist(), strict=True))
    return Slice(
        kind=part.kind,
        name=part.name,
        images=len(own),
        cider_d=found["cider_d"],
        bleu_4=found["bleu_4"],
        # What an image adds to the corpus's CIDEr-D comes last.
        interval=interval_of_mean(own[:, -1]) if len(own) > 1 else None,
        image_ids=tuple(image_ids[row] for row in part.rows),
    )


def _unit(vocabulary: Vocabulary) -> str:
    return " characters" if vocabulary.tokenizer.level == "character" else " words"


def _rare_shares(
    examples: Sequence[Example], vocabulary: Vocabulary, training: Iterable[str]
) -> tuple[str, Ints]:
    """Return what rare means, and the share of rare words in each image's references in per cent, (N,).

    Shares are rounded up: 0 is an image without any.
    """
    tokenise = vocabulary.tokenizer.tokenise
    counts = Counter(token for caption in training for token in tokenise(caption))
    shares = []
    for example in examples:
        tokens = [token for caption in plain_captions(example) for token in tokenise(caption)]
        rare = sum(counts[token] < RARE if counts else token not in vocabulary for token in tokens)
        shares.append(-(-100 * rare // len(tokens)) if tokens else 0)
    meaning = f"fewer than {RARE} in training" if counts else "unknown to the model"
    return f"{BY_RARE_WORDS} ({meaning})", np.array(shares, np.int64)


def _by_number(kind: str, values: Ints, unit: str = "") -> Iterator[_Part]:
    """Cut images at quantiles of whole numbers, equal ones staying together."""
    wanted = min(_PARTS, len(values) // SMALLEST)
    if wanted < 2:
        return
    ends = np.quantile(values, np.arange(1, wanted) / wanted, method="inverted_cdf")
    ends = np.unique(np.append(ends, values.max())).astype(np.int64)
    if len(ends) < 2:
        return
    part_of = np.searchsorted(ends, values)
    for number, end in enumerate(ends.tolist()):
        rows = np.flatnonzero(part_of == number)
        start = int(values[rows].min())
        yield _Part(kind, _span(start, end, unit, first=number == 0, last=number == len(ends) - 1), rows)


def _span(start: int, end: int, unit: str, *, first: bool, last: bool) -> str:
    """Name the whole numbers from ``start`` to ``end``; the first and the last part are open-ended.

    Example:
        >>> _span(0, 8, " words", first=True, last=False), _span(9, 9, " words", first=False, last=False)
        ('up to 8 words', '9 words')
        >>> _span(0, 0, " %", first=True, last=False), _span(3, 40, " %", first=False, last=True)
        ('0 %', '3 % or more')
    """
    if last:
        return f"{start}{_singular(unit, start)} or more"
    if first and end > 0:
        return f"up to {end}{_singular(unit, end)}"
    return f"{start} to {end}{unit}" if start < end else f"{start}{_singular(unit, start)}"


def _singular(unit: str, count: int) -> str:
    return unit.removesuffix("s") if count == 1 else unit


def _by_group(kind: str, groups: Sequence[str]) -> Iterator[_Part]:
    named = Counter(group for group in groups if group)
    if 2 * len(named) > len(groups) or len(set(groups)) < 2:
        return
    numbers = all(map(_is_whole_number, named))
    if numbers and len(named) > _FEW_NUMBERS:
        yield from _by_many_numbers(kind, groups)
        return
    largest = sorted(named, key=lambda group: (-named[group], group))[:LARGEST_GROUPS]
    names = np.array([group if group in largest else _OTHER if group else _NOT_GIVEN for group in groups])
    for name in dict.fromkeys((*(sorted(largest, key=int) if numbers else largest), _OTHER, _NOT_GIVEN)):
        rows = np.flatnonzero(names == name)
        if len(rows):
            yield _Part(kind, name, rows)


def _by_many_numbers(kind: str, groups: Sequence[str]) -> Iterator[_Part]:
    given = np.flatnonzero([bool(group) for group in groups])
    parts = list(_by_number(kind, np.array([int(groups[row]) for row in given.tolist()], np.int64)))
    yield from (replace(part, rows=given[part.rows]) for part in parts)
    if parts and len(given) < len(groups):
        yield _Part(kind, _NOT_GIVEN, np.flatnonzero([not group for group in groups]))


def _is_whole_number(text: str) -> bool:
    # More digits than this are the number of an image, and would not fit an integer of 64 bits.
    return text.removeprefix("-").isdecimal() and len(text) < _DIGITS
