"""How much the captions of a model differ from each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

from cutline.metrics.function_words import function_words_of
from cutline.metrics.lists import mutual_bleu_4, self_cider
from cutline.metrics.ptb import tokenise_ptb
from cutline.metrics.references import Tokenise
from cutline.records import Diversity


def unique_share(captions: Collection[object]) -> float:
    """Return the number of distinct captions divided by the number of captions, 0..1; 0 for none.

    Example:
        >>> unique_share(["a dog", "a dog", "a cat", "a red dot"])
        0.75
    """
    return len(set(captions)) / len(captions) if captions else 0.0


def most_common(captions: Iterable[str], n: int = 1) -> list[tuple[str, int]]:
    """Return the ``n`` most frequent captions with their counts; ties in alphabetical order.

    Example:
        >>> most_common(["a dog", "two dots", "a dog", "a cat"], 2)
        [('a dog', 2), ('a cat', 1)]
    """
    return sorted(Counter(captions).items(), key=lambda item: (-item[1], item[0]))[:n]


def measure_diversity(
    captions: Sequence[str],
    tokenise: Tokenise | None = None,
    training: Iterable[str] | None = None,
    lists: Mapping[str, Sequence[str]] | None = None,
    function_words: Collection[str] | None = None,
) -> Diversity:
    """Measure how varied captions are.

    Args:
        captions: One per image.
        tokenise: Cuts captions into words; COCO's tokenisation when None.
        training: The captions the model was trained on, when they are known.
        lists: image_id → several captions of the model for it, for Self-CIDEr and mBLEU-4.
        function_words: Words that a caption should not end in; those of English when None and the captions
            are English.

    Example:
        >>> found = measure_diversity(["a dog on a", "a dog on a", "a cat"], training=["A cat."])
        >>> found.words, round(found.unique_captions, 2), round(found.novel_captions, 2)
        (4, 0.67, 0.67)
        >>> round(found.function_word_endings, 2), found.most_repeated
        (0.67, (('a dog on a', 2),))
    """
    cut = tokenise or tokenise_ptb
    tokens = [tuple(cut(caption)) for caption in captions]
    words = Counter(word for caption in tokens for word in caption)
    pairs = Counter(pair for caption in tokens for pair in pairwise(caption))
    known = None if training is None else {tuple(cut(caption)) for caption in training}
    ends = function_words_of(tokens) if function_words is None else function_words
    return Diversity(
        distinct_1=_share(len(words), words.total()),
        distinct_2=_share(len(pairs), pairs.total()),
        words=len(words),
        unique_captions=unique_share(tokens),
        novel_captions=None if known is None else _share(sum(c not in known for c in tokens), len(tokens)),
        mean_length=_share(words.total(), len(tokens)),
        function_word_endings=None
        if ends is None
        else _share(sum(bool(c) and c[-1] in ends for c in tokens), len(tokens)),
        most_repeated=tuple(pair for pair in most_common(captions, 5) if pair[1] > 1),
        self_cider=self_cider(lists or {}, tokenise),
        mbleu_4=mutual_bleu_4(lists or {}, tokenise),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
