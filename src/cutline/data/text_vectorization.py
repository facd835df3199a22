"""The vocabulary as a Keras layer: adapted in the graph, rebuilt from the saved list of tokens.

Captions are normalised and tokenised by :class:`cutline.text.Tokenizer` before the layer sees them,
because a graph cannot express its rules; the layer then splits at white space, which no token holds.
Captioning needs neither this module nor TensorFlow: the tokens are saved as plain JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import keras
import numpy as np
import tensorflow as tf

from cutline.text import END, START, Tokenizer, Vocabulary
from cutline.text.vocabulary import select_tokens

_BATCH = 1024


def mark(caption: str, tokenizer: Tokenizer, max_length: int) -> str:
    """Return the string that the layer reads: start marker, at most ``max_length`` tokens, end marker.

    Example:
        >>> mark("A dog!", Tokenizer(), 10)
        '<start> a dog <end>'
    """
    return " ".join((START, *tokenizer.tokenise(caption)[:max_length], END))


def vectorization_layer(vocabulary: Vocabulary, max_length: int) -> keras.layers.TextVectorization:
    """Rebuild the layer that maps marked captions to ids.

    Args:
        vocabulary: V tokens; the ids are theirs.
        max_length: Most caption tokens, markers not counted.

    Returns:
        A layer from strings (B,), as made by :func:`mark` with the same ``max_length``, to int64 ids
        (B, max_length + 2) in 0..V-1, padded with 0.
    """
    layer = keras.layers.TextVectorization(
        standardize=None, split="whitespace", output_mode="int", output_sequence_length=max_length + 2
    )
    # The layer brings padding (0) and unknown (1) itself.
    layer.set_vocabulary(list(vocabulary.tokens[2:]))
    return layer


def adapt_vocabulary(
    captions: Iterable[str], tokenizer: Tokenizer, min_count: int = 1, max_size: int | None = None
) -> Vocabulary:
    """Adapt a TextVectorization layer to the train captions and read the vocabulary off it.

    The layer knows neither a minimum count nor a fixed order of equally frequent tokens, so the ids
    it gives are counted and the tokens chosen by the rules of ``cutline.text.build_vocabulary``, to whose
    result this one is equal.

    Raises:
        DataError: Nothing is left after filtering.
    """
    texts = [text for caption in captions if (text := " ".join(tokenizer.tokenise(caption)))]
    if not texts:
        return select_tokens({}, tokenizer, min_count, max_size)
    layer = keras.layers.TextVectorization(standardize=None, split="whitespace", output_mode="int")
    layer.adapt(tf.data.Dataset.from_tensor_slices(texts).batch(_BATCH))
    tokens = layer.get_vocabulary()
    counts = np.zeros(len(tokens), np.int64)
    for batch in _batches(texts):
        ids = np.asarray(layer(tf.constant(batch)))
        counts += np.bincount(ids.ravel(), minlength=len(tokens))
    # The first two are padding and unknown; after adapting, every token is known.
    counted = {token: int(count) for token, count in list(zip(tokens, counts, strict=True))[2:]}
    return select_tokens(counted, tokenizer, min_count, max_size)


def _batches(texts: list[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
