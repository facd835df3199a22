"""Whether images may be mirrored, and the features of those that are."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from cutline.data.mirrors import Mirrors, rows_without_sides
from cutline.errors import DataError
from cutline.progress import Progress
from cutline.recipes.corridor import Corridor
from cutline.recipes.extract import extract_mirrored
from cutline.text import Vocabulary
from cutline.wishes import function_word_ids


def knows_sides(vocabulary: Vocabulary) -> bool:
    """Tell whether it is known which words of the captions say left and right: in English alone."""
    return bool(function_word_ids(vocabulary))


def with_mirrors(corridor: Corridor, stack: ExitStack, progress: Progress) -> Corridor:
    """Return the corridor with the features of mirrored train images, where its options ask for them.

    Args:
        corridor: Without them; its store holds all images.
        stack: Closes the features.
        progress: Told about every image that is encoded.

    Raises:
        DataError: An image can no longer be read.
        FeatureStoreError: The disk is full.
    """
    if corridor.options.training.flip == "never" or not knows_sides(corridor.vocabulary):
        return corridor
    examples = corridor.dataset.of_split("train")
    rows = dict(zip(corridor.store.rows([one.digest for one in examples]).tolist(), examples, strict=True))
    mirrored_rows = rows_without_sides(corridor.captions_of("train"))
    chosen = [rows[row] for row in mirrored_rows]
    store, problems = extract_mirrored(corridor.encoder, chosen, progress)
    stack.enter_context(store)
    if problems:
        raise DataError(f"{problems[0].message}; it could be read before: put the image back, and resume")
    twins = np.full(len(corridor.store), -1, np.int64)
    twins[mirrored_rows] = store.rows([one.digest for one in chosen])
    return replace(corridor, mirrors=Mirrors(corridor.store, store, twins))
