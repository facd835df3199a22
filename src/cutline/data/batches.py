"""Batches for teacher forcing, built lazily from the feature store with ``tf.data``.

Captions of one image share its row in the store; captions of similar length share a batch, so that little
of it is padding. Everything is a function of seed and epoch: the same two give the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cutline.data.feature_store import FeatureStore
from cutline.data.packed_texts import PackedTexts
from cutline.data.text_vectorization import mark
from cutline.records import Example
from cutline.text import Tokenizer

ReadRows: TypeAlias = Callable[[int, NDArray[np.int64]], NDArray[np.float16]]
"""From the number of a batch in its epoch and rows (N,) to features (N, *feature shape)."""

WINDOW = 50
"""Batches sorted by length together: enough for little padding, few enough to stay random."""


@dataclass(frozen=True)
class CaptionTable:
    """The captions of a split, one row each, pointing at the row of their image in the store.

    Attributes:
        rows: int64 (N,), rows in the feature store.
        texts: N strings ``"<start> a dog <end>"``, tokenised and joined by spaces.
        lengths: int32 (N,), tokens in each, markers included.
    """

    rows: NDArray[np.int64]
    texts: PackedTexts
    lengths: NDArray[np.int32]

    def __len__(self) -> int:
        """Count captions."""
        return len(self.texts)

    @cached_property
    def images(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows (N,) of the images in the order in which the table names them; for each caption which it is.

        Batches go by this order, not by that of rows: a store that another run has begun holds the same
        images in other rows, and the same seed must draw the same batches from it.

        Example:
            >>> texts = PackedTexts(["<start> a <end>", "<start> b <end>", "<start> c <end>"])
            >>> CaptionTable(np.array([7, 4, 7]), texts, np.array([3, 3, 3], np.int32)).images
            (array([7, 4]), array([0, 1, 0]))
        """
        rows, first, inverse = np.unique(self.rows, return_index=True, return_inverse=True)
        order = np.argsort(first)
        return rows[order], np.argsort(order)[inverse]


def caption_table(
    examples: Iterable[Example], store: FeatureStore, tokenizer: Tokenizer, max_length: int
) -> CaptionTable:
    """Tokenise every caption of the examples whose features are in the store.

    Args:
        examples: Identified examples (with digests).
        store: Holds their features.
        tokenizer: Cuts the captions.
        max_length: Most caption tokens kept, markers not counted.
    """
    known = [example for example in examples if example.digest in store]
    image_rows = store.rows([example.digest for example in known])
    rows = np.repeat(image_rows, [len(example.captions) for example in known])
    texts = PackedTexts(
        mark(caption, tokenizer, max_length) for example in known for caption in example.captions
    )
    lengths = np.fromiter((text.count(" ") + 1 for text in texts), np.int32, len(texts))
    return CaptionTable(rows, texts, lengths)


def plan_batches(
    lengths: NDArray[np.int32], batch_size: int, seed: int | None, epoch: int = 0
) -> list[NDArray[np.int64]]:
    """Choose which captions go together.

    Args:
        lengths: int32 (N,), tokens per caption.
        batch_size: Captions per batch; the last batch may be smaller.
        seed: Seed of the shuffle; None keeps the order of lengths, for evaluation.
        epoch: Each epoch shuffles anew.

    Returns:
        ceil(N / batch_size) index arrays that hold every caption once.

    Example:
        >>> plan_batches(np.array([3, 9, 3, 9], np.int32), 2, seed=None)
        [array([0, 2]), array([1, 3])]
    """
    if seed is None:
        order = np.argsort(lengths, kind="stable")
        return [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
    shuffle = np.random.default_rng((seed, epoch))
    order = shuffle.permutation(len(lengths))
    batches: list[NDArray[np.int64]] = []
    for at in range(0, len(order), batch_size * WINDOW):
        window = order[at : at + batch_size * WINDOW]
        window = window[np.argsort(lengths[window], kind="stable")]
        batches += [window[start : start + batch_size] for start in range(0, len(window), batch_size)]
    return [batches[index] for index in shuffle.permutation(len(batches))]


def plan_together(
    table: CaptionTable, together: int, batch_size: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Choose which captions go together so that captions of one image, alike in length, share a batch.

    Args:
        table: Captions of one split.
        together: Captions of an image that share a batch at the most; an image with more comes several times.
        batch_size: Captions per batch at the most, at least ``together``.
        seed: Seed of the shuffle.
        epoch: Each epoch shuffles anew.

    Returns:
        Index arrays that hold every caption once.

    Example:
        >>> texts = PackedTexts(["<start> a <end>"] * 4)
        >>> table = CaptionTable(np.array([7, 4, 7, 7]), texts, np.array([3, 9, 3, 4], np.int32))
        >>> sorted(batch.tolist() for batch in plan_together(table, 2, 2, seed=0, epoch=1))
        [[0], [1], [3, 2]]
    """
    groups = [
        group
        for places in captions_by_image(table).values()
        for group in _alike(places[np.argsort(table.lengths[places], kind="stable")[::-1]], together)
    ]
    longest = np.array([table.lengths[group].max() for group in groups], np.int32)
    plan = plan_batches(longest, max(1, batch_size // together), seed, epoch)
    return [np.concatenate([groups[index] for index in chosen]) for chosen in plan]


def _alike(places: NDArray[np.int64], together: int) -> list[NDArray[np.int64]]:
    return [places[at : at + together] for at in range(0, len(places), together)]


def teacher_forcing_batches(
    table: CaptionTable,
    store: FeatureStore,
    layer: keras.layers.TextVectorization,
    plan: Sequence[NDArray[np.int64]],
    read_rows: ReadRows | None = None,
    share: bool = False,
) -> tf.data.Dataset:
    """Build the batches of a plan, a few ahead of the model and never more.

    Args:
        table: Captions of one split.
        store: Features of their images.
        layer: Turns caption strings into token ids.
        plan: From :func:`plan_batches` or :func:`plan_together`.
        read_rows: Reads the features of a batch; from the store as they are when None.
        share: Give the features of an image once for all of its captions in a batch.

    Returns:
        Elements ``((features, inputs), targets, weights)``: features float32 (B, *feature shape); inputs and
        targets int32 (B, T), the targets one token ahead; weights float32 (B, T), 0 on padding. With
        ``share`` they are ``((features, inputs, places), targets, weights)``: features of N images, and
        places int32 (B,), which of them each caption is of.
    """
    rows, image_of = table.images

    def indices() -> Iterator[tuple[int, NDArray[np.int64]]]:
        yield from enumerate(plan)

    def read(
        number: np.int64, chosen: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.object_], np.int64]:
        # Each image is read once even when several of its captions meet in one batch.
        images, where = np.unique(image_of[chosen], return_inverse=True)
        stored = rows[images]
        found = store.read(stored) if read_rows is None else read_rows(int(number), stored)
        features = found.astype(np.float32)
        if not share:
            features = features[where]
        longest = np.int64(table.lengths[chosen].max())
        return features, where.astype(np.int32), table.texts.take(chosen), longest

    def build(number: tf.Tensor, chosen: tf.Tensor) -> tuple[Any, Any, Any]:
        kinds = (tf.float32, tf.int32, tf.string, tf.int64)
        features, places, texts, longest = tf.numpy_function(read, [number, chosen], kinds, stateful=False)
        features.set_shape((None, *store.shape))
        places.set_shape((None,))
        texts.set_shape((None,))
        token_ids = tf.cast(layer(texts)[:, :longest], tf.int32)
        inputs, targets = token_ids[:, :-1], token_ids[:, 1:]
        given = (features, inputs, places) if share else (features, inputs)
        return given, targets, tf.cast(targets != 0, tf.float32)

    dataset = tf.data.Dataset.from_generator(
        indices, output_signature=(tf.TensorSpec((), tf.int64), tf.TensorSpec((None,), tf.int64))
    )
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(plan)))
    # One after another: deterministic training does not run them in parallel anyway, and TensorFlow complains
    # on standard error when it takes a parallel map back.
    return dataset.map(build).prefetch(2)


@dataclass(frozen=True)
class ImageBatch:
    """Some images of a split with some of their captions.

    Attributes:
        rows: int64 (N,), rows of the images in the feature store.
        features: float32 (N, *feature shape).
        token_ids: int32 (M, T), captions with both markers, padded with 0.
        image_of: int32 (M,), which of the N images each caption is of.
    """

    rows: NDArray[np.int64]
    features: NDArray[np.float32]
    token_ids: NDArray[np.int32]
    image_of: NDArray[np.int32]


def captions_by_image(table: CaptionTable) -> dict[int, NDArray[np.int64]]:
    """Return the places in the table of each image's captions, by its row in the store, in the table's order.

    Example:
        >>> texts = PackedTexts(["<start> a <end>", "<start> b <end>", "<start> c <end>"])
        >>> table = CaptionTable(np.array([7, 4, 7]), texts, np.array([3, 3, 3], np.int32))
        >>> captions_by_image(table)
        {7: array([0, 2]), 4: array([1])}
    """
    rows, image_of = table.images
    order = np.argsort(image_of, kind="stable")
    starts = np.searchsorted(image_of[order], np.arange(1, len(rows)))
    return dict(zip(rows.tolist(), np.split(order, starts), strict=True))


@dataclass(frozen=True)
class ImageBatches:
    """Every image of a split once, in random order, each with a few of its captions.

    Attributes:
        table: Captions of the split.
        store: Features of their images.
        layer: Turns caption strings into token ids.
        images: Images per batch, N; the last batch may be smaller.
        captions: Captions drawn for each image, all when it has fewer.
        seed: Seed of the order and of the draws.
        epoch: Each epoch shuffles anew.
        read_rows: Reads the features of a batch; from the store as they are when None.
    """

    table: CaptionTable
    store: FeatureStore
    layer: keras.layers.TextVectorization
    images: int
    captions: int
    seed: int
    epoch: int
    read_rows: ReadRows | None = None

    def __len__(self) -> int:
        """Count batches."""
        return -(-len(self.table.images[0]) // self.images)

    def __iter__(self) -> Iterator[ImageBatch]:
        """Read one batch after the other; the same ones each time."""
        places = captions_by_image(self.table)
        plan = draw_images(places, self.images, self.captions, self.seed, self.epoch)
        for number, (chosen, drawn) in enumerate(plan):
            rows = np.array(chosen, np.int64)
            token_ids, image_of = token_ids_of(self.table, self.layer, drawn)
            found = self.store.read(rows) if self.read_rows is None else self.read_rows(number, rows)
            yield ImageBatch(rows, found.astype(np.float32), token_ids, image_of)


def draw_images(
    places: Mapping[int, NDArray[np.int64]], images: int, captions: int, seed: int, epoch: int
) -> Iterator[tuple[list[int], list[NDArray[np.int64]]]]:
    """Draw the batches of one pass over images: every image once, in random order, with some captions.

    Args:
        places: From :func:`captions_by_image`.
        images: Images per batch, N; the last batch may be smaller.
        captions: Captions drawn for each image, all when it has fewer.
        seed: Seed of the order and of the draws.
        epoch: Each epoch draws anew.

    Yields:
        The rows of N images, and for each the places of its captions in the table.
    """
    rows = np.array(list(places), np.int64)
    generator = np.random.default_rng((seed, epoch))
    generator.shuffle(rows)
    for at in range(0, len(rows), images):
        chosen = rows[at : at + images].tolist()
        yield (
            chosen,
            [generator.choice(places[row], min(captions, len(places[row])), replace=False) for row in chosen],
        )


def token_ids_of(
    table: CaptionTable, layer: keras.layers.TextVectorization, drawn: Sequence[NDArray[np.int64]]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the captions of N images as ids.

    Args:
        table: Holds the captions.
        layer: Turns caption strings into token ids.
        drawn: For each image, the places of its captions in the table.

    Returns:
        int32 (M, T), captions with both markers, padded with 0; int32 (M,), which of the N images each is of.
    """
    flat = np.concatenate(drawn)
    image_of = np.repeat(np.arange(len(drawn), dtype=np.int32), [len(some) for some in drawn])
    texts = tf.constant(table.texts.take(flat), tf.string)
    return layer(texts).numpy()[:, : table.lengths[flat].max()].astype(np.int32), image_of
