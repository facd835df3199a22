"""What training minimises and what it reports, both over non-padding tokens only."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def cross_entropy(label_smoothing: float = 0.0) -> keras.losses.Loss:
    """Return sparse categorical cross-entropy from logits (B, T, V), in nats per non-padding token.

    Padding is left out through the sample weights (B, T) that every batch carries: the mean is taken over
    the weights, so that a batch of short captions weighs its tokens the same as one of long captions.

    Args:
        label_smoothing: Share of the target's probability that is spread over all tokens, 0 <= share < 1
            (Szegedy et al., 2016).
    """
    if label_smoothing:
        return _SmoothedCrossEntropy(label_smoothing)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")


class _SmoothedCrossEntropy(keras.losses.Loss):
    """Cross-entropy with a target that leaves every token some probability."""

    def __init__(self, share: float) -> None:
        super().__init__(reduction="mean_with_sample_weight", name="smoothed_cross_entropy")
        self.share = share

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Target ids (B, T) and logits (B, T, V) → nats (B, T)."""
        logits = ops.cast(y_pred, "float32")
        # Neither term minds what is added to all logits of a token. With their mean at 0 the smoothed part
        # needs no term of its own for it, and only two gradients meet at the logits: TensorFlow adds three
        # in an order that depends on which of their buffers is free first, and so on timing.
        logits = logits - ops.mean(logits, axis=-1, keepdims=True)
        target = keras.losses.sparse_categorical_crossentropy(y_true, logits, from_logits=True)
        # Mean over the vocabulary of -log p, without writing the probabilities down.
        everything = ops.logsumexp(logits, axis=-1)
        return (1.0 - self.share) * target + self.share * everything


def token_metrics() -> list[keras.metrics.Metric]:
    """Return exact epoch means over tokens: ``loss_per_token`` and ``word_accuracy``.

    Keras' own running loss averages batch means; these weigh each token once.
    """
    return [
        keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="loss_per_token"),
        keras.metrics.SparseCategoricalAccuracy(name="word_accuracy"),
    ]


def weighted_log_likelihood() -> keras.losses.Loss:
    """Return the negative log-likelihood of targets (B, T) under logits (B, T, V), summed with its weights.

    With the advantage of a sampled caption as the weight of its tokens this is the policy gradient of
    REINFORCE (Williams, 1992); weights may be negative.
    """
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
