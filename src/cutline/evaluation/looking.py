"""Does a model look at the picture? It is asked to caption images with the features of other images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from cutline.evaluation.captioning import ReadFeatures
from cutline.evaluation.neighbours import read_directions
from cutline.metrics import Scorer
from cutline.records import Diversity, Example, LookingTest

ENOUGH: Final = 0.5
"""Share of CIDEr-D that must be lost."""
FEW_DIFFERENT: Final = 0.1
NEARLY_EQUAL: Final = 0.98
FEW_EPOCHS: Final = 2
_SEED: Final = 0
_COMPARED: Final = 500


@dataclass(frozen=True)
class Circumstances:
    """What may explain a model that does not look.

    Attributes:
        diversity: Of its captions.
        epochs: Epochs it was trained for, 0 when unknown.
    """

    diversity: Diversity
    epochs: int = 0


def exchanged(examples: Sequence[Example]) -> list[Example]:
    """Return the examples, each with the digest of another one: its features are then read in their place.

    Seeded; no example keeps its own digest when there are two different ones or more and none repeats.

    Example:
        >>> pair = [Example("a", "a", ("x",), digest="1"), Example("b", "b", ("y",), digest="2")]
        >>> [(example.image_id, example.digest) for example in exchanged(pair)]
        [('a', '2'), ('b', '1')]
    """
    order = np.random.default_rng(_SEED).permutation(len(examples))
    # Along one cycle through all images, so that none stays where it is.
    other = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
    return [replace(example, digest=examples[other[at]].digest) for at, example in enumerate(examples)]


def looking_test(
    examples: Sequence[Example],
    texts: Mapping[str, str],
    caption: Callable[[Sequence[Example]], Mapping[str, str]],
    scorer: Scorer,
    read: ReadFeatures,
    circumstances: Circumstances,
) -> LookingTest | None:
    """Caption every image from the features of another one; a model that looks must lose half of its CIDEr-D.

    Args:
        examples: The images.
        texts: image_id → hypothesis from the image's own features.
        caption: Captions examples by their digests.
        scorer: Holds the references.
        read: Gives features by digest.
        circumstances: For the likely causes.

    Returns:
        The test, or None for a single image.
    """
    if len({example.digest for example in examples}) < 2:
        return None
    own = scorer.score(texts).cider_d
    other = scorer.score(caption(exchanged(examples))).cider_d
    looking = own > 0 and other <= (1 - ENOUGH) * own
    causes = () if looking else tuple(_causes(examples, read, circumstances))
    return LookingTest(own, other, looking, causes)


def _causes(examples: Sequence[Example], read: ReadFeatures, circumstances: Circumstances) -> Iterator[str]:
    share, images = circumstances.diversity.unique_captions, len(examples)
    if share < FEW_DIFFERENT:
        yield f"only {round(share * images):,} different captions for {images:,} images"
    if 0 < circumstances.epochs <= FEW_EPOCHS:
        plural = "s" if circumstances.epochs > 1 else ""
        yield f"trained for {circumstances.epochs} epoch{plural} only: train longer"
    cosine = mean_cosine(read, [example.digest for example in examples])
    if cosine > NEARLY_EQUAL:
        yield (
            f"the features of all images are nearly equal (mean cosine {cosine:.3f}): the encoder's weights "
            "or its preprocessing do not fit the images"
        )
    yield (
        "the captions may belong to other images than the table says, or describe what cannot be seen: "
        "look some pairs over"
    )


def mean_cosine(read: ReadFeatures, digests: Sequence[str]) -> float:
    """Return the mean cosine between the features of different images; at most 500 of them are read."""
    vectors = read_directions(read, digests[:_COMPARED]).astype(np.float64)
    count = len(vectors)
    together = float(np.square(vectors.sum(axis=0)).sum() - np.square(vectors).sum())
    return together / (count * (count - 1))
