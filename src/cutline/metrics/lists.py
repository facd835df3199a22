"""How much the captions that a model gives for one image differ from each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cutline.metrics.bleu import Bleu
from cutline.metrics.cider import Cider
from cutline.metrics.document_frequencies import DocumentFrequencies
from cutline.metrics.references import Floats, Tokenise


def self_cider(
    lists: Mapping[str, Sequence[str]],
    tokenise: Tokenise | None = None,
    frequencies: DocumentFrequencies | None = None,
) -> float | None:
    """Return Self-CIDEr, mean over the images with at least two captions; None when there is none.

    Wang and Chan, "Describing Like Humans: On Diversity in Image Captioning" (2019): with s the singular
    values of the captions of one image as CIDEr's weighted n-gram vectors, it is -log(s₁ / Σ s) to the base
    of the number of captions; 0 when all are equal and 1 when they share nothing.

    Args:
        lists: image_id → captions of the image, such as the hypotheses of a beam.
        tokenise: COCO's tokenisation when None.
        frequencies: Document frequencies; those of the lists when None, which a single list makes useless:
            its n-grams all stand in every image, weigh nothing, and the result is 0.

    Example:
        >>> lists = {"a.png": ["a red dot", "two blue rings"], "b.png": ["one square", "one square"]}
        >>> self_cider(lists)
        0.5
    """
    several = {image_id: captions for image_id, captions in lists.items() if len(captions) > 1}
    if not several:
        return None
    known = {image_id: captions for image_id, captions in lists.items() if captions}
    shared = frequencies or DocumentFrequencies.from_references(known, tokenise)
    kernels = Cider(several, tokenise, shared).similarities()
    return float(np.mean([_spread(kernel) for kernel in kernels]))


def mutual_bleu_4(lists: Mapping[str, Sequence[str]], tokenise: Tokenise | None = None) -> float | None:
    """Return mBLEU-4: BLEU-4, ×100, of each caption against the others of its image, all taken together.

    None when no image has two captions. See Zhu et al., "Texygen" (2018), for the same idea as Self-BLEU.

    Example:
        >>> round(mutual_bleu_4({"a.png": ["a red dot on blue", "a red dot on blue"]}), 3)
        100.0
    """
    hypotheses, references = {}, {}
    for image_id, captions in lists.items():
        for number, caption in enumerate(captions if len(captions) > 1 else ()):
            key = f"{number} of {image_id}"
            hypotheses[key], references[key] = caption, [*captions[:number], *captions[number + 1 :]]
    if not hypotheses:
        return None
    return float(Bleu(references, tokenise).score(hypotheses)[0][3])


def _spread(kernel: Floats) -> float:
    # eigenvalues of a kernel are squares of the singular values of its vectors
    values = np.sqrt(np.clip(np.linalg.eigvalsh(kernel), 0.0, None))
    # blank captions alone: nothing differs; rounding may leave a hair below 0
    return max(0.0, float(np.log(values.sum() / values[-1]) / np.log(len(values)))) if values[-1] else 0.0
