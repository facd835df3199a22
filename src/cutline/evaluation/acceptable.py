"""What it means that a caption is acceptable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cutline.metrics import CiderD, DocumentFrequencies

Floats = NDArray[np.float64]

BY_PEOPLE: Final = "as near to the references as 3 of 4 captions by people are to the others of their image"
ABOVE_CHANCE: Final = (
    "nearer to the references than 19 of 20 captions by people are to those of another image"
)

_ENOUGH_IMAGES: Final = 30


@dataclass(frozen=True)
class Acceptable:
    """The least a caption must score.

    Attributes:
        threshold: CIDEr-D (×100) from which a caption is acceptable; one that scores 0 never is.
        definition: Where that number comes from, in words that go on after "acceptable means: ".
    """

    threshold: float
    definition: str

    def judge(self, image_scores: Floats) -> NDArray[np.bool_]:
        """Return which of the scores (CIDEr-D, ×100) are acceptable."""
        found: NDArray[np.bool_] = (image_scores >= self.threshold) & (image_scores > 0)
        return found


def define_acceptable(
    references: Mapping[str, Sequence[str]], tokenise: Callable[[str], list[str]] | None = None
) -> Acceptable:
    """Set the bar by what people reach where their captions can be compared, and above chance anywhere.

    Three of four captions by people reach the bar when each is scored against the other references of its
    image: one who is asked about a caption at the bar would find worse ones among people's own. The quarter
    below is left out because references include slips, and captions of something nobody else mentions.

    Where the references of an image differ so much that this bar would be low, and where images have one
    reference each so that people cannot be compared, the bar is what one in twenty references reaches when it
    is scored for another image: a caption above it says something about its own picture.

    Args:
        references: image_id → references, of two images at least.
        tokenise: COCO's tokenisation when None.

    Raises:
        DataError: There is no image, or one without a reference.
    """
    # Those of all references in every round, so that the same words count for everybody.
    frequencies = DocumentFrequencies.from_references(references, tokenise)
    chance = float(np.percentile(_scores_of_strangers(references, tokenise, frequencies), 95))
    people = _scores_of_people(references, tokenise, frequencies)
    lower = float(np.percentile(people, 25)) if people is not None else 0.0
    if lower > chance:
        return Acceptable(lower, BY_PEOPLE)
    return Acceptable(chance, ABOVE_CHANCE)


def _scores_of_people(
    references: Mapping[str, Sequence[str]],
    tokenise: Callable[[str], list[str]] | None,
    frequencies: DocumentFrequencies,
) -> Floats | None:
    """Return the CIDEr-D of each reference against the others of its image, or None with too few to tell."""
    several = {image_id: captions for image_id, captions in references.items() if len(captions) > 1}
    if len(several) < _ENOUGH_IMAGES:
        return None
    scores = []
    for place in range(max(map(len, several.values()))):
        judged = {image_id: captions for image_id, captions in several.items() if len(captions) > place}
        others = {i: [*captions[:place], *captions[place + 1 :]] for i, captions in judged.items()}
        captions = {i: c[place] for i, c in judged.items()}
        scores.append(CiderD(others, tokenise, frequencies).score(captions)[1])
    return np.concatenate(scores)


def _scores_of_strangers(
    references: Mapping[str, Sequence[str]],
    tokenise: Callable[[str], list[str]] | None,
    frequencies: DocumentFrequencies,
) -> Floats:
    """Return the CIDEr-D of the first reference of one image scored for another, once for each image."""
    image_ids = list(references)
    np.random.default_rng(0).shuffle(image_ids)
    # Along a ring no image meets itself.
    neighbours = zip(image_ids, [*image_ids[1:], image_ids[0]], strict=True)
    captions = {image_id: references[other][0] for image_id, other in neighbours}
    return CiderD(references, tokenise, frequencies).score(captions)[1]
