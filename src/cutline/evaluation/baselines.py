"""What others score on the same images: captions that cost nothing, and people's."""

from __future__ import annotations

from collections.abc import Iterable

from cutline.metrics import most_common
from cutline.records import Example
from cutline.text import Tokenizer


def most_common_caption(examples: Iterable[Example], tokenizer: Tokenizer) -> str:
    """Return the caption that occurs most often in the examples, compared token by token.

    It is the baseline that looks at nothing: a model that is not far above it has learned the language
    and not the pictures. Equally frequent captions are taken in alphabetical order.
    """
    captions = (
        tokenizer.detokenise(tokenizer.tokenise(caption))
        for example in examples
        for caption in example.captions
    )
    return most_common(captions, 1)[0][0]
