"""Which file is which image: missing files are left out, equal files count as one image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from cutline.data.images import digest_file
from cutline.data.splits import IN_TWO_SPLITS, farthest_split, overlap_error, refuse_overlap
from cutline.errors import DataError, ImageError
from cutline.progress import Progress, Silent
from cutline.records import Dataset, Example, Problem


def identify(dataset: Dataset, progress: Progress | None = None, *, keep_overlaps: bool = False) -> Dataset:
    """Read every image file once, note its SHA-256, and merge files with the same content.

    Files that are missing, empty, folders or unreadable are left out, each with a Problem. Of several
    names for the same content the alphabetically first one stays, so that the result does not depend on
    the order of rows; captions are united in order, each kept once, and the decided split wins over an
    undecided one. So does a group over none.

    Args:
        dataset: As read; digests it may have are computed anew.
        progress: Told about every file.
        keep_overlaps: Make a Problem of the same content in two splits instead of an error; it stays in the
            one that is farthest from training.

    Returns:
        The data set with a digest in each example, problems appended.

    Raises:
        SplitError: The same content, or the same image_id, is in two splits.
        DataError: None of the files can be read, or one image_id stands for two different files.
    """
    refuse_overlap(dataset)
    problems: list[Problem] = []
    groups: dict[str, list[Example]] = {}
    with (progress or Silent()).stage("reading image files", len(dataset), "images") as stage:
        for example in dataset.examples:
            stage.advance()
            try:
                digest = digest_file(example.image)
            except ImageError as error:
                problems.append(_left_out(example, error))
                continue
            groups.setdefault(digest, []).append(replace(example, digest=digest))
    if not groups:
        raise _nothing_found(dataset)
    _refuse_shared_ids(groups.values())
    offenders = [_describe(group) for group in groups.values() if len(_splits_of(group)) > 1]
    if offenders and not keep_overlaps:
        raise overlap_error(offenders, dataset.source)
    problems += [_merged_problem(group) for group in groups.values() if len(group) > 1]
    return replace(
        dataset,
        examples=tuple(_merge(group) for group in groups.values()),
        problems=(*dataset.problems, *problems),
    )


def _left_out(example: Example, error: ImageError) -> Problem:
    kind = "unreadable image" if Path(example.image).exists() else "missing image"
    captions = "caption" if len(example.captions) == 1 else f"{len(example.captions):,} captions"
    message = f"{beside_name(error, example)}; left out with its {captions}"
    return Problem(kind, example.image_id, message, example.captions)


def beside_name(error: ImageError, example: Example) -> str:
    """Say what is wrong with the file of an image beside the image's name, without naming it twice.

    Example:
        >>> example = Example("a/1.png", "/photos/a/1.png", ("a dog",))
        >>> beside_name(ImageError("/photos/a/1.png: no such file"), example)
        'no such file in /photos'
        >>> beside_name(ImageError("/photos/a/1.png: the file is empty (0 bytes)"), example)
        'the file is empty (0 bytes)'
    """
    folder = example.image.removesuffix(example.image_id)
    if folder == example.image:
        return str(error)
    reason = str(error).removeprefix(f"{example.image}: ")
    head, also, rest = reason.partition("no such file")
    return f"{also} in {folder.rstrip('/') or '/'}{rest}" if also and not head else reason


def _nothing_found(dataset: Dataset) -> DataError:
    if not dataset.examples:
        return DataError(
            f"{dataset.source}: the data set holds no image; give a table with images and captions"
        )
    first = dataset.examples[0].image
    return DataError(
        f"{dataset.source}: none of its {len(dataset):,} image files can be read; looked for {first} and the "
        "like; give the folder that holds the images with --images DIR (in Python: images=...)"
    )


def _splits_of(group: Iterable[Example]) -> set[str]:
    return {example.split for example in group if example.split}


def _describe(group: Iterable[Example]) -> str:
    return " = ".join(f"{example.image_id} ({example.split or 'undecided'})" for example in group)


def _refuse_shared_ids(groups: Iterable[list[Example]]) -> None:
    owners: dict[str, Example] = {}
    for example in (example for group in groups for example in group):
        other = owners.setdefault(example.image_id, example)
        if other.digest != example.digest:
            raise DataError(
                f"image_id {example.image_id!r} stands for two different files, {other.image} and "
                f"{example.image}; give each image its own id"
            )


def _merged_problem(group: list[Example]) -> Problem:
    kept = min(group, key=lambda example: example.image_id)
    return Problem(
        IN_TWO_SPLITS if len(_splits_of(group)) > 1 else "same image twice",
        kept.image_id,
        f"the same file content under {len(group)} names, counted as one image: {_describe(group)}",
        tuple(text for example in group if example is not kept for text in example.captions),
        farthest_split(_splits_of(group)) or "" if len(_splits_of(group)) > 1 else kept.image_id,
    )


def _merge(group: list[Example]) -> Example:
    if len(group) == 1:
        return group[0]
    kept = min(group, key=lambda example: example.image_id)
    captions = tuple(dict.fromkeys(caption for example in group for caption in example.captions))
    belongs = kept.group or next((example.group for example in group if example.group), "")
    return replace(kept, captions=captions, split=farthest_split(_splits_of(group)), group=belongs)
