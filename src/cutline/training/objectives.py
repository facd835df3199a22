"""What training minimises and what it reports, both over non-padding tokens only."""

from __future__ import annotations

import keras


def cross_entropy() -> keras.losses.Loss:
    """Return sparse categorical cross-entropy from logits (B, T, V), in nats per non-padding token.

    Padding is left out through the sample weights (B, T) that every batch carries: the mean is taken over
    the weights, so that a batch of short captions weighs its tokens the same as one of long captions.
    """
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")


def token_metrics() -> list[keras.metrics.Metric]:
    """Return exact epoch means over tokens: ``loss_per_token`` and ``word_accuracy``.

    Keras' own running loss averages batch means; these weigh each token once.
    """
    return [
        keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="loss_per_token"),
        keras.metrics.SparseCategoricalAccuracy(name="word_accuracy"),
    ]
