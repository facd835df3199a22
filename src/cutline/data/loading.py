"""From an annotation file to examples whose image files are known: what every command begins with."""

from __future__ import annotations

from pathlib import Path

from cutline.config import DataOptions
from cutline.data.identity import identify
from cutline.data.readers import read_dataset
from cutline.data.splits import IN_TWO_SPLITS, overlap_error
from cutline.errors import DataError
from cutline.progress import Progress
from cutline.records import Dataset


def load(
    data: Dataset | str | Path,
    images: str | Path | None,
    options: DataOptions,
    progress: Progress,
    *,
    keep_overlaps: bool = False,
) -> Dataset:
    """Read a data set, unless it is one already, and find out which file is which image.

    Args:
        data: A data set, or the file or folder to read one from.
        images: Folder of the images.
        options: How it is read.
        progress: Told about every file.
        keep_overlaps: Make a Problem of every image in two splits instead of an error.

    Raises:
        DataError: Nothing usable; SplitError for an image in two splits, also where it was to become a
            Problem and there is no other image to go on with.
    """
    if isinstance(data, Dataset):
        dataset = data
    else:
        dataset = read_dataset(data, images, options=options, keep_overlaps=keep_overlaps)
    if all(example.digest for example in dataset.examples):
        return dataset
    try:
        return identify(dataset, progress, keep_overlaps=keep_overlaps)
    except DataError:
        torn = [problem.message for problem in dataset.problems if problem.kind == IN_TWO_SPLITS]
        if torn:
            raise overlap_error(torn, dataset.source) from None
        raise
