from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from cutline.training.objectives import cross_entropy, token_metrics

CHANCE = np.random.default_rng(0)
LOGITS = CHANCE.standard_normal((2, 3, 5)).astype(np.float32)
TARGETS = np.array([[4, 3, 0], [1, 2, 3]], np.int32)
WEIGHTS = np.array([[1, 1, 0], [1, 1, 1]], np.float32)


def nats(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return −log softmax of each target, written out."""
    logits = logits.astype(np.float64)
    log_sum = np.log(np.exp(logits).sum(axis=-1))
    return log_sum - np.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]


def test_the_loss_is_the_mean_over_tokens_that_are_no_padding():
    expected = nats(LOGITS, TARGETS)[WEIGHTS == 1].mean()
    assert float(cross_entropy()(TARGETS, LOGITS, WEIGHTS)) == pytest.approx(expected, abs=1e-6)


def test_a_smoothed_target_leaves_every_token_a_share():
    share = 0.3
    log_p = LOGITS.astype(np.float64) - np.log(np.exp(LOGITS.astype(np.float64)).sum(-1, keepdims=True))
    target = np.full((2, 3, 5), share / 5)
    np.put_along_axis(target, TARGETS[..., None], 1 - share + share / 5, axis=-1)
    expected = -(target * log_p).sum(axis=-1)[WEIGHTS == 1].mean()
    assert float(cross_entropy(share)(TARGETS, LOGITS, WEIGHTS)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_no_three_gradients_are_added_in_an_order_that_depends_on_timing(label_smoothing):
    loss = cross_entropy(label_smoothing)

    @tf.function
    def gradient(logits: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(tf.zeros((2, 3), tf.int32), logits, sample_weight=tf.ones((2, 3)))
        return tape.gradient(value, logits)

    graph = gradient.get_concrete_function(tf.TensorSpec((2, 3, 5), tf.float32)).graph
    sums = [operation for operation in graph.get_operations() if operation.type == "AddN"]
    assert all(len(operation.inputs) == 2 for operation in sums)
    assert bool(sums) == bool(label_smoothing)


def test_padding_changes_neither_loss_nor_metrics():
    other = LOGITS.copy()
    other[0, 2] = [50, -50, 3, 0, 9]
    values = []
    for logits in (LOGITS, other):
        metrics = token_metrics()
        for metric in metrics:
            metric.update_state(TARGETS, logits, WEIGHTS)
        values.append(
            [float(cross_entropy()(TARGETS, logits, WEIGHTS)), *(float(m.result()) for m in metrics)]
        )
    assert values[0] == values[1]


def test_metrics_weigh_each_token_once_however_batches_are_cut():
    loss, accuracy = token_metrics()
    for rows in (slice(0, 1), slice(1, 2)):
        loss.update_state(TARGETS[rows], LOGITS[rows], WEIGHTS[rows])
        accuracy.update_state(TARGETS[rows], LOGITS[rows], WEIGHTS[rows])
    counted = WEIGHTS == 1
    assert (loss.name, accuracy.name) == ("loss_per_token", "word_accuracy")
    assert float(loss.result()) == pytest.approx(nats(LOGITS, TARGETS)[counted].mean(), abs=1e-6)
    right = (LOGITS.argmax(axis=-1) == TARGETS)[counted].mean()
    assert float(accuracy.result()) == pytest.approx(right, abs=1e-6)
