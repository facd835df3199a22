"""AdamW that also keeps an average of the weights it passed through."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops


class AveragingAdamW(keras.optimizers.AdamW):
    """AdamW (Loshchilov and Hutter, 2019) with an exponential moving average of the weights.

    The last steps of a run jump around a good place; the average is nearer to it (Polyak and Juditsky, 1992).
    After step k the average is ``m · average + (1 - m) · weights`` with m the lower one of ``average`` and
    ``(1 + k) / (10 + k)``, so that it follows quickly at first and short runs profit too.

    Attributes:
        average: Highest share m of the old average, 0 <= m < 1; 0 keeps no average.
    """

    def __init__(self, learning_rate: Any, average: float = 0.0, **arguments: Any) -> None:
        """Take the share m; other arguments as :class:`keras.optimizers.AdamW`."""
        super().__init__(learning_rate, **arguments)
        self.average = average
        self._averages: list[keras.Variable] = []
        self._shares: tuple[float, ...] = ()

    def slow_down(self, variables: Collection[keras.Variable], share: float) -> None:
        """Give some variables that share of the learning rate; to be called after :meth:`build`."""
        slow = {id(variable) for variable in variables}
        self._shares = tuple(share if id(v) in slow else 1.0 for v in self._trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take one step with one variable, at its share of the rate."""
        if self._shares:
            share = self._shares[self._get_variable_index(variable)]
            learning_rate = ops.cast(learning_rate, "float32") * share
        super().update_step(gradient, variable, learning_rate)

    def build(self, variables: list[keras.Variable]) -> None:
        """Make the averages, equal to the weights."""
        super().build(variables)
        if self.average:
            for variable in variables:
                copy = self.add_variable_from_reference(variable, name="average")
                # A real copy: JAX hands the memory of all variables to a step, and none of it twice.
                copy.assign(ops.copy(ops.convert_to_tensor(variable)))
                self._averages.append(copy)

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Take one step, then move the averages."""
        super().apply(grads, trainable_variables)
        if not self.average:
            return
        step = ops.cast(self.iterations, "float32")
        share = ops.minimum(self.average, (1.0 + step) / (10.0 + step))
        for average, variable in zip(self._averages, self._trainable_variables, strict=True):
            average.assign(share * average + (1.0 - share) * variable)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the averages in the place of the weights for a while; does nothing when there are none."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for average, variable in zip(self._averages, self._trainable_variables, strict=False):
            value = ops.copy(ops.convert_to_tensor(variable))
            variable.assign(average)
            average.assign(value)
