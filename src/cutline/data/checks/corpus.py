"""Faults that only show when all captions are seen together, and figures that describe them."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from cutline.data.checks.finding import Finding, Occurrence, found
from cutline.data.checks.languages import ENGLISH, FUNCTION_WORDS
from cutline.data.checks.sentences import Sentence, Sentences
from cutline.records import SPLITS, Example

GENDERED: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(words.split())
    for name, words in {
        "female": "woman women girl girls lady ladies female females she her hers herself mother mom mum "
        "daughter sister wife grandmother bride queen princess actress waitress policewoman businesswoman "
        "cowgirl schoolgirl",
        "male": "man men boy boys gentleman gentlemen male males guy guys he him his himself father dad son "
        "brother husband grandfather groom king prince actor waiter policeman businessman cowboy schoolboy "
        "fireman",
    }.items()
}
"""English words that name people of one gender."""

_PLAIN_WORDS: Final = FUNCTION_WORDS[ENGLISH] | frozenset(
    {"up", "out", "over", "into", "as", "an", "has", "he", "she", "him", "near", "through", "down", "while"}
)
_SAME_OPENING: Final = 0.3
_OPENING: Final = 3
_SHOWN: Final = 10
_EVERYWHERE: Final = 0.8
_MANY_IMAGES: Final = 10
_MANY_SHARE: Final = 0.005
_GENDERED: Final = 100
_UNEVEN: Final = 2.0
_LEAST_OF_GROUP: Final = 10
_UNEVEN_GROUPS: Final = 10
_RARE_SHARE: Final = 0.05
_UNKNOWN_SHARE: Final = 0.1
_FEW_IMAGES: Final = 500
_FEW_HELD_OUT: Final = 50
_OTHER_LENGTH: Final = 1.3
_ENOUGH: Final = 30
_POINTS: Final = 24


def corpus_findings(examples: Sequence[Example], sentences: Sentences) -> Iterator[Finding]:
    """Yield what is wrong with captions, words, groups and splits as a whole."""
    yield from _split_findings(examples, sentences)
    yield from _per_image(examples)
    yield from _shared(examples, sentences.all)
    yield from _openings(sentences)
    yield from _word_findings(examples, sentences)
    yield from _gender_finding(sentences)
    yield from _groups(examples)


def _split_findings(examples: Sequence[Example], sentences: Sentences) -> Iterator[Finding]:
    counts = Counter(example.split for example in examples)
    empty = [Occurrence(split, "no image") for split in SPLITS if not counts[split]]
    if empty:
        yield found("empty split", empty)
    if 0 < counts["train"] < _FEW_IMAGES:
        yield found("few images", message=f"images to train on: {counts['train']:,}")
    small = [
        Occurrence(split, f"{counts[split]:,} image{'s' if counts[split] > 1 else ''}")
        for split in ("val", "test")
        if 0 < counts[split] < _FEW_HELD_OUT
    ]
    if small:
        yield found("small split", small)
    lengths = {split: [len(each.tokens) for each in sentences.of_split(split)] for split in SPLITS}
    means = {split: statistics.fmean(each) for split, each in lengths.items() if len(each) >= _ENOUGH}
    train = means.pop("train", 0.0)
    differ = [
        Occurrence(split, f"{mean:.1f} tokens per caption, train {train:.1f}")
        for split, mean in means.items()
        if train and not train / _OTHER_LENGTH <= mean <= train * _OTHER_LENGTH
    ]
    if differ:
        yield found("splits differ", differ)


def _per_image(examples: Sequence[Example]) -> Iterator[Finding]:
    if not examples:
        return
    counts = [len(example.captions) for example in examples]
    usual = statistics.median(counts)
    if max(counts) == 1:
        yield found("one caption per image")
    places: dict[str, list[Occurrence]] = defaultdict(list)
    for example, count in zip(examples, counts, strict=True):
        place = Occurrence(
            example.image_id, f"{count} of usually {usual:g}", example.captions[0], (example.image_id,)
        )
        if count == 1 and usual >= 2:
            places["one-caption image"].append(place)
        if count > max(3 * usual, _MANY_IMAGES):
            places["image of many captions"].append(place)
    for kind, where in places.items():
        yield found(kind, where)


def _shared(examples: Sequence[Example], sentences: Sequence[Sentence]) -> Iterator[Finding]:
    images: dict[str, dict[str, None]] = defaultdict(dict)
    texts: dict[str, str] = {}
    for sentence in sentences:
        images[sentence.key][sentence.example.image_id] = None
        texts.setdefault(sentence.key, sentence.caption)
    # Ten images in a large set, fewer in a small one.
    least = min(max(_MANY_IMAGES, _MANY_SHARE * len(examples)), max(3.0, len(examples) / 4))
    often = sorted((key for key in images if len(images[key]) >= least), key=lambda key: -len(images[key]))
    places = [
        Occurrence(next(iter(images[key])), f"of {len(images[key]):,} images", texts[key], (*images[key],))
        for key in often
    ]
    if places:
        yield found("caption of many images", places)


def common_openings(sentences: Sequence[Sentence], most: int = _SHOWN) -> list[tuple[str, int]]:
    """Return the most frequent beginnings of three tokens with the number of captions that have them."""
    counts = Counter(
        " ".join(sentence.tokens[:_OPENING]) for sentence in sentences if len(sentence.tokens) > _OPENING
    )
    return [(text, count) for text, count in counts.most_common(most) if count > 1]


def _openings(sentences: Sentences) -> Iterator[Finding]:
    places = [
        Occurrence(repr(text), f"{count / len(sentences.all):.0%} of the captions")
        for text, count in common_openings(sentences.all)
        if count >= _SAME_OPENING * len(sentences.all) and count >= _MANY_IMAGES
    ]
    if places:
        yield found("same opening", places)


def common_words(sentences: Sentences, most: int = _SHOWN) -> list[tuple[str, int]]:
    """Return the words of most images with the number of images, English function words left out."""
    words: dict[str, set[str]] = defaultdict(set)
    for sentence in sentences.all:
        words[sentence.example.image_id].update(token.lower() for token in sentence.tokens)
    counts = Counter(word for tokens in words.values() for word in tokens)
    plain = _PLAIN_WORDS if sentences.language == ENGLISH else frozenset()
    kept = [(word, count) for word, count in counts.items() if word not in plain and count > 1]
    # Sets have no order of their own, and equal runs print equal lines.
    return sorted(kept, key=lambda pair: (-pair[1], pair[0]))[:most]


def _word_findings(examples: Sequence[Example], sentences: Sentences) -> Iterator[Finding]:
    vocabulary = sentences.vocabulary
    train = sentences.of_split("train")
    if vocabulary is None:
        if train:
            least = sentences.options.min_count
            yield found("no vocabulary", message=f"no token occurs {least} times in the train captions")
        return
    if sentences.language == ENGLISH and len(examples) >= _ENOUGH:
        everywhere = [
            Occurrence(repr(word), f"in the captions of {count / len(examples):.0%} of the images")
            for word, count in common_words(sentences)
            if count >= _EVERYWHERE * len(examples)
        ]
        if everywhere:
            yield found("word in nearly all images", everywhere)
    rare = 1 - vocabulary.coverage(sentence.caption for sentence in train)
    if rare > _RARE_SHARE and len(train) >= _ENOUGH:
        least = sentences.options.min_count
        message = f"{rare:.1%} of the train tokens occur less than {least} times and cannot be learned"
        yield found("rare words", message=message)
    unknown = [
        Occurrence(split, f"{1 - known:.1%} of the tokens are not in the vocabulary of train")
        for split, known in coverage(sentences).items()
        if 1 - known > max(_UNKNOWN_SHARE, 2 * rare) and len(sentences.of_split(split)) >= _ENOUGH
    ]
    if unknown:
        yield found("unknown words", unknown)


def coverage(sentences: Sentences) -> dict[str, float]:
    """Return split → share (0..1) of its tokens that the vocabulary knows, for val and test if not empty."""
    return {
        split: sentences.vocabulary.coverage(sentence.caption for sentence in captions)
        for split in ("val", "test")
        if sentences.vocabulary and (captions := sentences.of_split(split))
    }


def gendered_words(sentences: Sentences) -> dict[str, tuple[int, tuple[tuple[str, int], ...]]]:
    """Count English words that name people of one gender.

    Returns:
        ``"female"`` and ``"male"`` → (captions with such a word, words with their counts by falling count);
        empty when the captions are not English.
    """
    if sentences.language != ENGLISH:
        return {}
    result = {}
    for name, words in GENDERED.items():
        tokens = [[token.lower() for token in sentence.tokens] for sentence in sentences.all]
        counts = Counter(token for each in tokens for token in each if token in words)
        captions = sum(not words.isdisjoint(each) for each in tokens)
        result[name] = captions, tuple(counts.most_common())
    return result


def _gender_finding(sentences: Sentences) -> Iterator[Finding]:
    counted = gendered_words(sentences)
    if not counted:
        return
    (fewer, low), (more, high) = sorted(
        ((name, captions) for name, (captions, _) in counted.items()), key=lambda pair: pair[1]
    )
    if low + high >= _GENDERED and high > _UNEVEN * low:
        ratio = f"{high / low:.1f} times as often" if low else "alone"
        message = f"{more} people are named {ratio}: in {high:,} captions, {fewer} in {low:,} (English words)"
        yield found("uneven gendered words", message=message)


def _groups(examples: Sequence[Example]) -> Iterator[Finding]:
    counts = Counter(example.group for example in examples if example.group)
    if not counts:
        return
    largest = max(counts.values())
    small = [
        Occurrence(name, f"{count} images; the largest group has {largest:,}")
        for name, count in sorted(counts.items(), key=lambda pair: pair[1])
        if count < _LEAST_OF_GROUP and largest >= _UNEVEN_GROUPS * count
    ]
    if small:
        yield found("uneven groups", small)


def vocabulary_growth(sentences: Sentences) -> list[tuple[int, int]]:
    """Return how many different tokens the first so many train captions hold: (captions, tokens), rising."""
    train = sentences.of_split("train")
    stops = {max(1, round(len(train) * step / _POINTS)) for step in range(1, _POINTS + 1)} if train else set()
    seen: set[str] = set()
    points = []
    for number, sentence in enumerate(train, 1):
        seen.update(sentence.tokens)
        if number in stops:
            points.append((number, len(seen)))
    return points


def coverage_curve(sentences: Sentences) -> list[tuple[int, float]]:
    """Return which share of the val tokens the most frequent train tokens cover: (tokens kept, share).

    Where there is no val split, test is looked at, and train itself where there is neither.
    """
    counts = Counter(token for sentence in sentences.of_split("train") for token in sentence.tokens)
    held_out = sentences.of_split("val") or sentences.of_split("test") or sentences.of_split("train")
    asked = Counter(token for sentence in held_out for token in sentence.tokens)
    total = sum(asked.values())
    if not counts or not total:
        return []
    stops = {max(1, round(len(counts) ** (step / _POINTS))) for step in range(_POINTS + 1)}
    covered = 0
    points = []
    for number, (token, _) in enumerate(counts.most_common(), 1):
        covered += asked[token]
        if number in stops:
            points.append((number, covered / total))
    return points
