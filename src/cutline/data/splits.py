"""Splits by image: given ones are honoured, undecided images are drawn by a seed."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from cutline.config import DataOptions
from cutline.errors import DataError, SplitError
from cutline.files import replacing
from cutline.records import SPLITS, Dataset, Example

SPLIT_NAMES: Final[Mapping[str, str]] = {
    "train": "train",
    "training": "train",
    "restval": "train",  # Karpathy's name for the rest of COCO's val images, which everybody trains on
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "development": "val",
    "test": "test",
    "testing": "test",
}
"""What people call splits → what cutline calls them."""

SMALLEST: Final = 3
"""Images needed to train: one each to train on, to choose by and to test on."""

_SHOWN: Final = 5
IN_TWO_SPLITS: Final = "image in two splits"
"""Kind of the problem, where it is told and not refused."""

_FARTHEST: Final = ("test", "val", "train")


def farthest_split(splits: Iterable[str]) -> str | None:
    """Return the split that is farthest from training: there an image does least harm to the scores.

    Example:
        >>> farthest_split({"train", "val"}), farthest_split(set())
        ('val', None)
    """
    return min(splits, key=_FARTHEST.index, default=None)


def parse_split(value: str | None, where: str) -> str | None:
    """Return the split that ``value`` names, or None when it is empty.

    Args:
        value: A cell or field such as ``"Validation"``.
        where: File and row, for the message.

    Raises:
        DataError: The name is unknown.

    Example:
        >>> parse_split(" Dev ", "table.csv row 2"), parse_split("", "table.csv row 3")
        ('val', None)
    """
    name = (value or "").strip().lower()
    if not name:
        return None
    if name not in SPLIT_NAMES:
        raise DataError(
            f"{where}: split {value!r} is unknown; allowed: {', '.join(SPLIT_NAMES)}, or empty for undecided"
        )
    return SPLIT_NAMES[name]


def overlap_error(offenders: Sequence[str], source: str) -> SplitError:
    """Make the error for images in two splits: its message lists five, its ``offenders`` are all of them.

    Example:
        >>> print(overlap_error(["a.jpg (train, val)"], "table.csv"))
        table.csv: 1 image is in two splits: a.jpg (train, val); give each image one split
    """
    count = len(offenders)
    shown = "; ".join(offenders[:_SHOWN]) + (f"; and {count - _SHOWN:,} more" if count > _SHOWN else "")
    images = "1 image is" if count == 1 else f"{count:,} images are"
    return SplitError(f"{source}: {images} in two splits: {shown}; give each image one split", offenders)


def refuse_overlap(dataset: Dataset) -> None:
    """Raise SplitError when an image_id is in two splits."""
    seen: dict[str, set[str]] = {}
    for example in dataset.examples:
        if example.split:
            seen.setdefault(example.image_id, set()).add(example.split)
    offenders = [f"{key} ({', '.join(sorted(found))})" for key, found in seen.items() if len(found) > 1]
    if offenders:
        raise overlap_error(offenders, dataset.source)


def assign_splits(
    dataset: Dataset, options: DataOptions | None = None, needed: Sequence[str] = ("train", "val")
) -> Dataset:
    """Give every image a split.

    Given splits are honoured. Undecided images are shared out by seed in the fractions of ``options``:
    among all three splits when the source names none; among the splits that the source does not name
    when it names some, since those it names are taken to be complete. When there are train images but
    no val image after that, ``val_fraction`` of the train images (at least one) become val; nothing
    else is touched, and test may stay empty.

    The draw depends on the seed and the image ids alone, not on their order.

    Args:
        dataset: Examples with or without a split.
        options: Fractions and seed.
        needed: Splits that must not be empty afterwards; pass ``()`` to allow anything, for instance a
            data set that is only evaluated on.

    Returns:
        The same examples in the same order, each with a split.

    Raises:
        SplitError: An image_id is in two splits; a needed split has no image; or there are fewer than
            three images although train is needed.
    """
    options = options or DataOptions()
    refuse_overlap(dataset)
    if "train" in needed and len(dataset) < SMALLEST:
        raise SplitError(
            f"{dataset.source}: {len(dataset)} usable images are too few to train; give at least {SMALLEST}"
        )
    given = {example.image_id: example.split for example in dataset.examples if example.split}
    undecided = sorted({e.image_id for e in dataset.examples} - given.keys(), key=_draw(options.split_seed))
    splits = {**given, **_share_out(undecided, _weights(set(given.values()), options))}
    train = [image_id for image_id, split in splits.items() if split == "train"]
    if "val" not in splits.values() and len(train) > 1:
        train.sort(key=_draw(options.split_seed))
        count = min(max(1, round(options.val_fraction * len(train))), len(train) - 1)
        splits.update(dict.fromkeys(train[:count], "val"))
    assigned = replace(
        dataset,
        examples=tuple(replace(example, split=splits[example.image_id]) for example in dataset.examples),
    )
    for split in needed:
        require_split(assigned, split)
    return assigned


def require_split(dataset: Dataset, split: str) -> tuple[Example, ...]:
    """Return the examples of a split; raise SplitError when there are none."""
    examples = dataset.of_split(split)
    if not examples:
        counts = Counter(example.split or "undecided" for example in dataset.examples)
        # Only evaluating needs test images, and can do with others.
        another = "; or name another split with --split val" if split == "test" and counts["val"] else ""
        found = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "no images at all"
        raise SplitError(
            f"{dataset.source}: no image is in split {split!r} (found: {found}); name images {split!r} in "
            f"the split column, or remove the column to have them drawn{another}"
        )
    return examples


def save_splits(dataset: Dataset, path: Path | str) -> None:
    """Write which image is in which split as CSV: image_id, split, digest, one row per image."""
    with replacing(Path(path)) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("image_id", "split", "digest"))
        writer.writerows((e.image_id, e.split or "", e.digest) for e in dataset.examples)


def load_splits(path: Path | str, key: Literal["image_id", "digest"] = "image_id") -> dict[str, str]:
    """Read what :func:`save_splits` wrote.

    Args:
        path: The saved CSV.
        key: What to find images by. Digests know an image again whatever its file is called, and never take
            another image of the same name for it.

    Returns:
        image_id, or digest, → split, without undecided images.

    Raises:
        DataError: The file is missing or damaged.
    """
    try:
        with Path(path).open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: the saved splits cannot be read ({error}); restore the file") from None
    splits: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        if not row.get("image_id") or (row.get("split") or "train") not in SPLITS:
            raise DataError(
                f"{path} row {number}: needed are image_id and split ({', '.join(SPLITS)}); found {row!r}"
            )
        if row.get("split"):
            splits[row[key]] = row["split"]
    return splits


def _draw(seed: int) -> Callable[[str], bytes]:
    """Return the key that puts image ids into the seed's order."""

    def key(image_id: str) -> bytes:
        return hashlib.sha256(f"{seed}:{image_id}".encode()).digest()

    return key


def _weights(given: set[str | None], options: DataOptions) -> dict[str, float]:
    test = round(1 - options.train_fraction - options.val_fraction, 12)
    fractions = {"train": options.train_fraction, "val": options.val_fraction, "test": max(test, 0.0)}
    unnamed = {
        split: fraction for split, fraction in fractions.items() if split not in given and fraction > 0
    }
    return unnamed or fractions


def _share_out(image_ids: Sequence[str], weights: Mapping[str, float]) -> dict[str, str]:
    """Cut drawn images into consecutive pieces in proportion to the weights, none empty if possible."""
    total = sum(weights.values())
    ideal = {split: len(image_ids) * weight / total for split, weight in weights.items()}
    counts = {split: int(share) for split, share in ideal.items()}
    by_remainder = sorted(ideal, key=lambda split: counts[split] - ideal[split])
    for split in by_remainder[: len(image_ids) - sum(counts.values())]:
        counts[split] += 1
    for split in [split for split in counts if not counts[split] and weights[split] > 0]:
        largest = max(counts, key=lambda name: counts[name])
        if counts[largest] > 1:
            counts[largest] -= 1
            counts[split] = 1
    names = [split for split in counts for _ in range(counts[split])]
    return dict(zip(image_ids, names, strict=True))
