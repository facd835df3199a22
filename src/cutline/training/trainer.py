"""One decoder, its optimizer, and how both are trained, measured, saved and restored."""

from __future__ import annotations

import contextlib
import math
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from cutline.config import TrainingOptions
from cutline.errors import FeatureStoreError, RunError
from cutline.models.decoders import Decoder
from cutline.progress import Stage
from cutline.training.objectives import cross_entropy, token_metrics
from cutline.training.optimizers import AveragingAdamW
from cutline.training.schedules import Schedule
from cutline.training.teaching import Teaching, teaches

_MODEL = "model/"

UNDECAYED = ["bias", "gamma", "beta"]
"""Names of the variables whose size means something, so that they are not pulled towards 0."""

Batches = Any
"""What Keras iterates over, such as a ``tf.data.Dataset``: ``((features, inputs), targets, weights)``."""


class TrainFigures(NamedTuple):
    """What training one epoch showed.

    Attributes:
        loss: Teacher-forced, nats per token.
        accuracy: Share (0..1) of tokens predicted right.
        reward: Mean of the captions drawn, 0 when none were.
    """

    loss: float
    accuracy: float
    reward: float = 0.0


class Trainer:
    """Trains a decoder by teacher forcing with AdamW.

    Args:
        decoder: Built, its weights initialised.
        options: Rate, decay, clipping, schedule, and what is mixed into teacher forcing.
        total_steps: Steps of the whole run; the schedule ends there.

    Raises:
        ConfigError: The options ask for what the decoder cannot do.
    """

    def __init__(self, decoder: Decoder, options: TrainingOptions, total_steps: int) -> None:
        """Compile the training step."""
        self.decoder = decoder
        self.options = options
        self.model = Teaching(decoder, options) if teaches(options) else decoder
        self.schedule = Schedule(options, total_steps)
        self._optimizer = optimizer = AveragingAdamW(
            self.schedule,
            average=options.weight_average,
            weight_decay=options.weight_decay,
            global_clipnorm=options.clip_norm,
        )
        self._begin(optimizer)

    def _begin(self, optimizer: AveragingAdamW) -> None:
        """Build the optimizer and compile what takes the steps."""
        # Decaying biases and normalisation scales only fights their purpose.
        optimizer.exclude_from_weight_decay(var_names=UNDECAYED)
        optimizer.build(self.decoder.trainable_variables)
        self.compile(self.model, optimizer)

    def compile(self, network: keras.Model, optimizer: AveragingAdamW) -> None:
        """Compile a network that gives logits with this trainer's loss and metrics."""
        # Compiling with XLA was slower here: each caption length is a shape of its own to compile. Without it
        # TensorFlow still runs a graph, but other backends would run every operation by itself.
        network.compile(
            optimizer=optimizer,
            loss=self.loss(),
            weighted_metrics=token_metrics(),
            jit_compile=keras.backend.backend() != "tensorflow",
        )

    def loss(self) -> keras.losses.Loss:
        """Return what a step makes smaller."""
        return cross_entropy(self.options.label_smoothing)

    def train_epoch(self, batches: Batches, epoch: int, stage: Stage) -> TrainFigures:
        """Take one step per batch.

        Args:
            batches: One epoch, of known length: at the end of one of unknown length TensorFlow moves the
                optimizer on by a step that has no batch.
            epoch: 1-based, for messages and for scheduled sampling.
            stage: Advanced once per batch with the running loss and accuracy.

        Returns:
            Mean loss (nats per token) and word accuracy (0..1) over the epoch's non-padding tokens.

        Raises:
            RunError: The loss is no longer a number.
        """
        if isinstance(self.model, Teaching):
            self.model.begin_epoch(epoch)
        with plain_errors():
            history = self.model.fit(batches, epochs=1, verbose=0, shuffle=False, callbacks=[_Report(stage)])
        loss = float(history.history["loss_per_token"][-1])
        if not math.isfinite(loss):
            raise RunError(
                f"the training loss became {loss} in epoch {epoch}; "
                f"lower training.learning_rate (now {self.options.learning_rate}) and train again"
            )
        return TrainFigures(loss, float(history.history["word_accuracy"][-1]))

    def measure(self, batches: Batches) -> tuple[float, float]:
        """Return teacher-forced loss (nats per token) and word accuracy (0..1) without training."""
        with plain_errors():
            values = self.model.evaluate(batches, verbose=0, return_dict=True)
        return float(values["loss_per_token"]), float(values["word_accuracy"])

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Let the decoder have its averaged weights for a while, to be measured or saved."""
        return self._optimizer.averaged()

    def learning_rate(self) -> float:
        """Return the rate of the next step."""
        return float(self.schedule(self._optimizer.iterations))  # type: ignore[arg-type]

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of everything that changes while training: weights, random seeds, optimizer."""
        return {key: np.array(variable.numpy()) for key, variable in self._variables().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state returned by :meth:`state`; raise RunError when it is of another model."""
        _assign(self._variables(), state)

    def _variables(self) -> dict[str, keras.Variable]:
        optimizer = enumerate(self._optimizer.variables)
        of_decoder = {id(variable) for variable in self.decoder.variables}
        teaching = (variable for variable in self.model.variables if id(variable) not in of_decoder)
        return (
            _of_decoder(self.decoder)
            | {f"teaching/{index:03d}": value for index, value in enumerate(teaching)}
            | {f"optimizer/{index:03d}": value for index, value in optimizer}
        )


def restore_decoder(decoder: Decoder, state: Mapping[str, NDArray[Any]]) -> None:
    """Give a decoder the weights and random seeds of a :meth:`Trainer.state`; RunError when it is another."""
    _assign(_of_decoder(decoder), {key: value for key, value in state.items() if key.startswith(_MODEL)})


def _of_decoder(decoder: Decoder) -> dict[str, keras.Variable]:
    # Paths repeat between layers of one kind in some Keras versions, positions never do.
    return {f"{_MODEL}{index:03d}": value for index, value in enumerate(decoder.variables)}


def _assign(variables: Mapping[str, keras.Variable], state: Mapping[str, NDArray[Any]]) -> None:
    if set(variables) != set(state):
        odd = sorted(set(variables) ^ set(state))[0]
        raise RunError(f"the checkpoint is of another model (differs at {odd}); start a new run")
    for key, variable in variables.items():
        if state[key].shape != tuple(variable.shape):
            raise RunError(
                f"the checkpoint is of another model ({key} has shape {state[key].shape}, expected "
                f"{tuple(variable.shape)}); start a new run"
            )
    for key, variable in variables.items():
        variable.assign(state[key])


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Undo what TensorFlow makes of errors on their way through a graph.

    An error raised while a batch is read comes out as one of TensorFlow's, with the message and a traceback
    in its text; running out of memory has a class of its own.
    """
    try:
        yield
    except Exception as error:
        # Looked up and not imported: what was never loaded raised nothing, and other backends do without it.
        tensorflow = sys.modules.get("tensorflow")
        if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
            raise
        if isinstance(error, tensorflow.errors.ResourceExhaustedError):
            raise MemoryError(str(error).partition("\n")[0]) from error
        found = re.search(r"FeatureStoreError: (.+)", str(error))
        if found:
            raise FeatureStoreError(found.group(1)) from error
        raise


class _Report(keras.callbacks.Callback):
    """Passes Keras' running means on to a stage."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        values = logs or {}
        self._stage.advance(
            1, loss=values.get("loss_per_token", math.nan), accuracy=values.get("word_accuracy", math.nan)
        )
