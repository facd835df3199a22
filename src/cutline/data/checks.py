"""Looks a data set over before hours are spent on it."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

from cutline.config import TextOptions
from cutline.data.check_report import CheckReport, Spread
from cutline.data.images import decode_image, measure_image
from cutline.errors import DataError, ImageError
from cutline.progress import Progress, Silent
from cutline.records import SPLITS, Dataset, Example, Problem
from cutline.text import Tokenizer, Vocabulary, build_vocabulary, choose_level

__all__ = ["CheckReport", "Spread", "check_dataset"]

_SHOWN: Final = 5
_AHEAD: Final = 256
_FEW_IMAGES: Final = 500
_FEW_PIXELS: Final = 64
_LOST: Final = ("missing image", "unreadable image")


def check_dataset(
    dataset: Dataset,
    progress: Progress = Silent(),  # noqa: B008 (holds no state)
    text: TextOptions | None = None,
) -> CheckReport:
    """Count what is in a data set and decode every image once, at small size, to find broken ones.

    Args:
        dataset: Identified (see :mod:`cutline.data.identity`) and, for the counts by split, split.
        progress: Shown as "checking images".
        text: Rules of the vocabulary; the usual ones when absent.

    Returns:
        The report; a broken image or an empty split is listed in it, not raised. Broken images are not
        counted, as training leaves them out; only the vocabulary has their captions, as in training.
    """
    text = text or TextOptions()
    sizes, broken = _read_images(dataset.examples, progress)
    left_out = {problem.where for problem in broken}
    usable = [example for example in dataset.examples if example.image_id not in left_out]
    captions = [caption for example in usable for caption in example.captions]
    tokenizer = _tokenizer(dataset, text)
    lengths = [len(tokenizer.tokenise(caption)) for caption in captions]
    vocabulary, distinct = _vocabulary(dataset, tokenizer, text)
    splits = _count_splits(usable)
    common, distinct_captions, shared = _repeated(usable, tokenizer)
    return CheckReport(
        source=dataset.source,
        format=dataset.format,
        images=len(usable),
        captions=len(captions),
        images_left_out=len(broken) + sum(problem.kind in _LOST for problem in dataset.problems),
        captions_per_image=Spread.of([len(example.captions) for example in usable]),
        splits=splits,
        level=tokenizer.level,
        tokens=Spread.of(lengths),
        token_histogram=dict(sorted(Counter(lengths).items())),
        distinct_tokens=distinct,
        vocabulary_size=len(vocabulary) if vocabulary else 0,
        coverage=_coverage(dataset, vocabulary),
        common_captions=common,
        distinct_captions=distinct_captions,
        shared_captions=shared,
        widths=Spread.of([width for _, width in sizes]),
        heights=Spread.of([height for height, _ in sizes]),
        problems=(*dataset.problems, *broken),
        advice=tuple(_advice(splits, lengths, sizes, bool(vocabulary), text)),
    )


def _read_images(
    examples: Sequence[Example], progress: Progress
) -> tuple[list[tuple[int, int]], list[Problem]]:
    sizes: list[tuple[int, int]] = []
    broken: list[Problem] = []
    with progress.stage("checking images", len(examples), "images") as stage:
        for example, outcome in _probed(examples):
            stage.advance()
            if isinstance(outcome, ImageError):
                broken.append(Problem("unreadable image", example.image_id, str(outcome)))
            else:
                sizes.append(outcome)
    return sizes, broken


def _probed(examples: Iterable[Example]) -> Iterator[tuple[Example, tuple[int, int] | ImageError]]:
    remaining = iter(examples)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        # In portions, so that neither Ctrl-C nor memory has to deal with a hundred thousand tasks.
        while portion := list(islice(remaining, _AHEAD)):
            yield from zip(portion, pool.map(_probe, [example.image for example in portion]), strict=True)


def _probe(path: str) -> tuple[int, int] | ImageError:
    try:
        decode_image(path, (32, 32))
        return measure_image(path)
    except ImageError as error:
        return error


def _tokenizer(dataset: Dataset, text: TextOptions) -> Tokenizer:
    captions = [caption for example in dataset.examples for caption in example.captions]
    return Tokenizer(choose_level(captions) if text.level == "auto" else text.level, text.lowercase)


def _vocabulary(dataset: Dataset, tokenizer: Tokenizer, text: TextOptions) -> tuple[Vocabulary | None, int]:
    train = [caption for example in dataset.of_split("train") for caption in example.captions]
    distinct = len({token for caption in train for token in tokenizer.tokenise(caption)})
    try:
        return build_vocabulary(train, tokenizer, text.min_count, text.max_size), distinct
    except DataError:
        return None, distinct


def _coverage(dataset: Dataset, vocabulary: Vocabulary | None) -> dict[str, float]:
    return {
        split: vocabulary.coverage(caption for example in examples for caption in example.captions)
        for split in ("val", "test")
        if vocabulary and (examples := dataset.of_split(split))
    }


def _count_splits(examples: Iterable[Example]) -> dict[str, tuple[int, int]]:
    counts = dict.fromkeys(SPLITS, (0, 0))
    for example in examples:
        images, captions = counts.get(example.split or "none", (0, 0))
        counts[example.split or "none"] = images + 1, captions + len(example.captions)
    return counts


def _repeated(
    examples: Iterable[Example], tokenizer: Tokenizer
) -> tuple[tuple[tuple[str, int], ...], int, int]:
    """Return the most common captions, how many differ, and how many describe several images."""
    uses: Counter[str] = Counter()
    images: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        for caption in map(tokenizer.normalise, example.captions):
            uses[caption] += 1
            images[caption].add(example.image_id)
    common = tuple((caption, count) for caption, count in uses.most_common(_SHOWN) if count > 1)
    return common, len(uses), sum(len(where) > 1 for where in images.values())


def _advice(
    splits: Mapping[str, tuple[int, int]],
    lengths: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    vocabulary: bool,
    text: TextOptions,
) -> Iterator[str]:
    for split in SPLITS:
        if not splits[split][0]:
            yield f"the {split} split has no image: name it in the split column or let cutline split"
    if 0 < splits["train"][0] < _FEW_IMAGES:
        yield f"images to train on: {splits['train'][0]}; {_FEW_IMAGES} or more give better captions"
    if splits["train"][0] and not vocabulary:
        yield f"no token occurs {text.min_count} times in the train captions: lower text.min_count"
    too_long = sum(length > text.max_length for length in lengths)
    if too_long:
        yield f"captions cut after {text.max_length} tokens: {too_long:,}; raise text.max_length to keep them"
    without = sum(length == 0 for length in lengths)
    if without:
        yield f"captions with no word, only punctuation: {without:,}; correct or remove them"
    small = sum(min(size) < _FEW_PIXELS for size in sizes)
    if small:
        yield f"images less than {_FEW_PIXELS} pixels wide or high: {small:,}; use larger ones if you can"
