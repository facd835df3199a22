"""Two runs with one seed on one machine give the same weights."""

from __future__ import annotations

import keras


def make_deterministic(seed: int) -> None:
    """Seed Python, NumPy and Keras, and forbid operations whose result depends on thread timing."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        # Here, because other backends do without it.
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
