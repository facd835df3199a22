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
NEARLY_EQUAL: Final = 0.95
FEW_EPOCHS: Final = 2
HIGH_LOSS: Final = 0.6
"""Share of the loss of a model that holds all tokens for equally likely; good models are well below 0.5."""
FEW_IMAGES: Final = 10
_SEED: Final = 0
_COMPARED: Final = 500


@dataclass(frozen=True)
class Circumstances:
    """What may explain a model that does not look.

    Attributes:
        diversity: Of its captions.
        epoch: The epoch its weights are from, 0 when unknown.
        loss: Teacher-forced, as a share (0..1) of the logarithm of the size of the vocabulary, which is the
            loss of a model that knows nothing.
    """

    diversity: Diversity
    epoch: int = 0
    loss: float = 0.0


def exchanged(examples: Sequence[Example]) -> list[Example]:
    """Return the examples, each with the digest of another one: its features are then read in their place.

    Seeded. No example keeps its own digest unless more than half of all have the same one.

    Example:
        >>> pair = [Example("a", "a", ("x",), digest="1"), Example("b", "b", ("y",), digest="2")]
        >>> [(example.image_id, example.digest) for example in exchanged(pair)]
        [('a', '2'), ('b', '1')]
    """
    same: dict[str, list[int]] = {}
    for at, example in enumerate(examples):
        same.setdefault(example.digest, []).append(at)
    groups = list(same.values())
    order = [at for group in np.random.default_rng(_SEED).permutation(len(groups)) for at in groups[group]]
    # Equal digests stand together, so a step over the largest group leads to another digest from anywhere.
    other = dict(zip(order, np.roll(order, -max(map(len, groups))).tolist(), strict=True))
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
    if images < FEW_IMAGES:
        yield f"only {images} images: by chance others may look much the same; test on {FEW_IMAGES} or more"
    if share < FEW_DIFFERENT:
        different = round(share * images)
        yield (
            f"only {different:,} different caption{'s' * (different > 1)} for {images:,} images: it has "
            "learned what captions sound like and not yet what they say"
        )
    if 0 < circumstances.epoch <= FEW_EPOCHS:
        yield f"its best epoch was epoch {circumstances.epoch}: trained too short, or at too high a rate"
    if circumstances.loss > HIGH_LOSS:
        yield (
            f"its loss is {circumstances.loss:.0%} of that of a model that knows nothing: trained too short, "
            "or on too few captions"
        )
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
