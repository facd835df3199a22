"""From what people have to what training needs: records with digests and splits, and a vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from cutline.config import DataOptions, TextOptions
from cutline.data.loading import load
from cutline.data.splits import assign_splits
from cutline.errors import DataError
from cutline.progress import Progress
from cutline.records import Dataset, Problem
from cutline.text import Tokenizer, Vocabulary, choose_level

_LOST: Final = ("missing image", "unreadable image")


def load_dataset(
    data: Dataset | str | Path, images: str | Path | None, options: DataOptions, progress: Progress
) -> Dataset:
    """Read a data set, unless it is one already, and find out which file is which image.

    Raises:
        DataError: Nothing usable, or more than half of the images cannot be read, which means a wrong folder
            rather than a few bad files.
    """
    dataset = load(data, images, options, progress)
    lost = [problem for problem in dataset.problems if problem.kind in _LOST]
    named = len(dataset) + len(lost)
    if len(lost) * 2 > named:
        raise DataError(
            f"{dataset.source}: {len(lost):,} of {named:,} image files cannot be read, the first: "
            f"{lost[0].where}: {lost[0].message}; name the folder of the images with --images DIR"
        )
    return dataset


def split_dataset(
    dataset: Dataset,
    options: DataOptions,
    needed: Sequence[str],
    known: Mapping[str, str] | None = None,
) -> Dataset:
    """Give every example a split.

    Args:
        dataset: Identified examples.
        options: Fractions and seed.
        needed: Splits that must not be empty.
        known: Digest → split of an earlier run. Images that it does not know were never trained on, so
            they are test images. Splits in the data set itself come first.
    """
    if known is not None:
        examples = tuple(
            example if example.split else replace(example, split=known.get(example.digest, "test"))
            for example in dataset.examples
        )
        dataset = replace(dataset, examples=examples)
    return assign_splits(dataset, options, needed)


def require_readable(before: Dataset, after: Dataset, needed: Sequence[str]) -> None:
    """Raise DataError when decoding lost a whole split, or more than half of the images.

    Args:
        before: All examples.
        after: Those whose image could be decoded, with a Problem for each of the others.
        needed: Splits that must not be empty.
    """
    lost = after.problems[len(before.problems) :]
    empty = [split for split in needed if before.of_split(split) and not after.of_split(split)]
    if not lost or not (empty or len(lost) * 2 > len(before)):
        return
    what = f"no image of split {empty[0]!r} can be read" if empty else "most images cannot be read"
    raise DataError(
        f"{before.source}: {what} ({len(lost):,} of {len(before):,} unreadable), the first: {lost[0].message}"
    )


def make_vocabulary(dataset: Dataset, options: TextOptions) -> Vocabulary:
    """Build the vocabulary from the captions of the train split, and from nothing else.

    Raises:
        DataError: No token is frequent enough.
    """
    # Imported when it is needed: Keras counts the tokens, and evaluating does without.
    from cutline.data.text_vectorization import adapt_vocabulary

    captions = [caption for example in dataset.of_split("train") for caption in example.captions]
    level = choose_level(captions) if options.level == "auto" else options.level
    tokenizer = Tokenizer(level=level, lowercase=options.lowercase)
    return adapt_vocabulary(captions, tokenizer, options.min_count, options.max_size)


def long_captions(dataset: Dataset, vocabulary: Vocabulary, max_length: int) -> list[Problem]:
    """List the captions that will be cut because they are longer than the maximum."""
    return [
        Problem(
            "long caption",
            example.image_id,
            f"{count} tokens, cut to {max_length}; raise text.max_length to keep them all",
        )
        for example in dataset.examples
        for caption in example.captions
        if (count := len(vocabulary.tokenizer.tokenise(caption))) > max_length
    ]
