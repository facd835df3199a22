"""What a decoder reads in training other than the caption itself, and what is asked of its attention.

Scheduled sampling: Bengio et al., "Scheduled Sampling for Sequence Prediction with Recurrent Neural
Networks", 2015 (arXiv:1506.03099), in two parallel passes as in Mihaylova and Martins, "Scheduled Sampling
for Transformers", 2019 (arXiv:1906.07651): words are drawn from what the decoder predicts under teacher
forcing, and mixed into the caption that it then reads. Doubly stochastic attention: Xu et al., 2015
(arXiv:1502.03044).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from cutline.config import TrainingOptions
from cutline.models.decoders import Decoder, require_attention
from cutline.models.decoders.word_dropout import is_word
from cutline.text.vocabulary import END_ID, PAD_ID

Tensor = Any


def teaches(options: TrainingOptions) -> bool:
    """Tell whether the options ask for more than teacher forcing.

    Example:
        >>> teaches(TrainingOptions()), teaches(TrainingOptions(scheduled_sampling=0.25))
        (False, True)
    """
    return bool(options.scheduled_sampling or options.attention_penalty)


def sampled_share(options: TrainingOptions, epoch: int) -> float:
    """Return the share of words that are the model's own in an epoch.

    Args:
        options: ``scheduled_sampling``, the share in the last epoch, and ``epochs``.
        epoch: 1-based; later ones than the last have the last one's share.

    Returns:
        0 in the first epoch, then growing along a straight line.

    Example:
        >>> options = TrainingOptions(scheduled_sampling=0.5, epochs=5)
        >>> [sampled_share(options, epoch) for epoch in (1, 2, 5, 9)]
        [0.0, 0.125, 0.5, 0.5]
    """
    done = (epoch - 1) / max(options.epochs - 1, 1)
    return options.scheduled_sampling * min(done, 1.0)


class Teaching(keras.Model):
    """A decoder while it is trained; at rest it is the decoder and nothing else.

    Args:
        decoder: Built; all weights are its own.
        options: ``scheduled_sampling``, ``attention_penalty`` and ``seed``.

    Raises:
        ConfigError: There is a penalty for attention, and the decoder has no attention.

    Attributes:
        share: Share of the words read that are drawn from the decoder, 0..1; None without scheduled sampling.
    """

    def __init__(self, decoder: Decoder, options: TrainingOptions) -> None:
        """Keep the decoder; see the class."""
        super().__init__(name="teaching")
        if options.attention_penalty:
            require_attention(decoder.options.name, "training.attention_penalty")
        self.decoder = decoder
        self.options = options
        self.share: keras.Variable | None = None
        if options.scheduled_sampling:
            self.share = self.add_weight(shape=(), initializer="zeros", trainable=False, name="sampled_share")
            self.chance = keras.random.SeedGenerator(options.seed)

    def begin_epoch(self, epoch: int) -> None:
        """Set the share of an epoch, counted from 1."""
        if self.share is not None:
            self.share.assign(sampled_share(self.options, epoch))

    def call(self, inputs: tuple[Tensor, ...], training: bool = False) -> Tensor:
        """Score every next token: features, token ids (B, T) → logits (B, T, V); adds the penalty's loss."""
        if not training:
            return self.decoder(inputs, training=False)
        features, token_ids, *rows = inputs
        read = token_ids if self.share is None else self._mixed(inputs)
        if not self.options.attention_penalty:
            return self.decoder((features, read, *rows), training=True)
        logits, weights = self.decoder((features, read, *rows), training=True, with_weights=True)
        # After these tokens nothing is written any more.
        written = ops.logical_and(token_ids != PAD_ID, token_ids != END_ID)
        self.add_loss(self.options.attention_penalty * attention_penalty(weights, written))
        return logits

    def _mixed(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Replace some words of the captions by what the decoder would have said there; markers stay."""
        token_ids = inputs[1]
        logits = ops.stop_gradient(ops.cast(self.decoder(inputs, training=False), "float32"))
        # The logits after one token are about the next. Only words are drawn: a caption that went on after an
        # end marker is nothing that the decoder will ever have written.
        first = END_ID + 1
        words = ops.reshape(logits[:, :-1, first:], (-1, self.decoder.vocabulary_size - first))
        drawn = keras.random.categorical(words, 1, dtype="int32", seed=self.chance) + first
        own = ops.concatenate([token_ids[:, :1], ops.reshape(drawn, ops.shape(token_ids[:, 1:]))], axis=1)
        chosen = keras.random.uniform(ops.shape(token_ids), dtype="float32", seed=self.chance) < self.share
        return ops.where(ops.logical_and(chosen, is_word(token_ids)), own, token_ids)


def attention_penalty(weights: Tensor, written: Tensor) -> Tensor:
    """Return how far captions are from looking once at every region, as a mean over captions and regions.

    Xu et al. (2015), equation 14: the square of 1 less the sum of a region's weights over the caption.

    Args:
        weights: (B, T, R), how much each region was looked at for each word.
        written: bool (B, T), false where there is only padding to write.

    Returns:
        float32 (): at least 0.

    Example:
        >>> weights = ops.array([[[1.0, 0.0], [0.5, 0.5]]])
        >>> float(attention_penalty(weights, ops.array([[True, False]])))
        0.5
    """
    counted = ops.cast(weights, "float32") * ops.expand_dims(ops.cast(written, "float32"), axis=-1)
    return ops.mean(ops.square(1.0 - ops.sum(counted, axis=1)))
