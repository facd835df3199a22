"""Training on the score of the captions a model writes itself.

Rennie et al., "Self-critical Sequence Training for Image Captioning", CVPR 2017 (arXiv:1612.00563), with the
mean of an image's other samples as the baseline of each (Luo, "A Better Variant of Self-Critical Sequence
Training", 2020, arXiv:2003.09971). Samples better than their neighbours are made more probable, worse ones
less. A share of cross-entropy stays in the objective, so that captions keep the shape of sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cutline.config import SelfCriticalOptions, TrainingOptions
from cutline.data.batches import ImageBatch
from cutline.decoding import DecodeResult, Filters, Narrowing, StepModel, sample
from cutline.errors import RunError
from cutline.models.decoders import Decoder
from cutline.progress import Stage
from cutline.text import Vocabulary
from cutline.text.vocabulary import END, END_ID, PAD_ID, START_ID, UNK_ID
from cutline.training.objectives import weighted_log_likelihood
from cutline.training.trainer import Batches, Trainer, TrainFigures

Reward = Callable[[Sequence[int], Sequence[str]], NDArray[np.float64]]

# What nearly all captions of photos are within; those of longer texts say so themselves.
_LONGEST_DRAW = 22
_MARKERS = 2

_NEVER_DRAWN = (PAD_ID, UNK_ID, START_ID)


class SelfCriticalTrainer(Trainer):
    """Trains a decoder by policy gradient; see the module docstring.

    Args:
        decoder: Trained by teacher forcing before.
        options: Decay, clipping, averaging, seed.
        self_critical: Rate, samples, shares; ``max_length`` of 1 or more.
        total_steps: Steps of this phase; the schedule ends there.
        session: The step model over the same decoder.
        vocabulary: Names of the tokens, for the reward.
        reward: Value of captions; see :class:`cutline.training.rewards.CaptionReward`.
        some_captions: → batches of some train captions, on which the train figures are measured.
    """

    def __init__(
        self,
        decoder: Decoder,
        options: TrainingOptions,
        self_critical: SelfCriticalOptions,
        total_steps: int,
        session: StepModel[Any],
        vocabulary: Vocabulary,
        reward: Reward,
        some_captions: Callable[[], Batches],
    ) -> None:
        """Compile the training step."""
        self.self_critical = self_critical
        self._session = session
        self._vocabulary = vocabulary
        self._reward = reward
        self._some_captions = some_captions
        super().__init__(
            decoder,
            # What is mixed into captions by people has no place where the model reads its own.
            options.model_copy(
                update={
                    "learning_rate": self_critical.learning_rate,
                    "scheduled_sampling": 0.0,
                    "attention_penalty": 0.0,
                }
            ),
            total_steps,
        )

    def loss(self) -> keras.losses.Loss:
        """Return the sum of negative log-likelihoods, weighted by :meth:`_weights`."""
        return weighted_log_likelihood()

    def train_epoch(self, batches: Iterable[ImageBatch], epoch: int, stage: Stage) -> TrainFigures:
        """Take one step per batch of images.

        Args:
            batches: One pass over the images.
            epoch: 1-based, for messages and for the draws.
            stage: Advanced once per batch with the running reward.

        Returns:
            Mean reward of the samples, and the teacher-forced figures of some train captions after the epoch.

        Raises:
            RunError: The loss is no longer a number.
        """
        total, count = 0.0, 0
        for step, batch in enumerate(batches):
            seed = int(np.random.SeedSequence((self.options.seed, epoch, step)).generate_state(1)[0])
            drawn = self._draw(batch, seed)
            images = np.repeat(batch.rows, self.self_critical.samples).tolist()
            rewards = self._reward(images, [self._text(result) for result in drawn])
            loss = self.decoder.train_on_batch(*self._step(batch, drawn, rewards))
            if not np.isfinite(np.asarray(loss)).all():
                raise RunError(
                    f"the training loss became {loss} in epoch {epoch}; lower self_critical.learning_rate "
                    f"(now {self.self_critical.learning_rate}) and train again"
                )
            total, count = total + float(rewards.sum()), count + len(rewards)
            stage.advance(1, reward=total / count)
        loss, accuracy = self.measure(self._some_captions())
        return TrainFigures(loss, accuracy, total / max(count, 1))

    def _draw(self, batch: ImageBatch, seed: int) -> list[DecodeResult]:
        options = self.self_critical
        found = sample(
            self._session,
            batch.features,
            START_ID,
            END_ID,
            options.max_length,
            options.samples,
            seed,
            _NEVER_DRAWN,
            Filters(min_length=options.min_length, no_repeat_ngram=options.no_repeat_ngram),
            Narrowing(options.temperature),
        )
        return [result for results in found for result in results]

    def _text(self, result: DecodeResult) -> str:
        tokens = [self._vocabulary.tokens[token] for token in result.token_ids]
        return " ".join([*tokens, END] if result.finished else tokens)

    def _step(
        self, batch: ImageBatch, drawn: Sequence[DecodeResult], rewards: NDArray[np.float64]
    ) -> tuple[Any, Any, Any]:
        """Lay samples and references one below the other: inputs, targets and weights of their tokens."""
        options = self.self_critical
        sampled = [[START_ID, *result.token_ids, *([END_ID] if result.finished else [])] for result in drawn]
        length = max(batch.token_ids.shape[1], max(len(row) for row in sampled))
        ids = np.full((len(sampled) + len(batch.token_ids), length), PAD_ID, np.int32)
        for place, row in enumerate(sampled):
            ids[place, : len(row)] = row
        ids[len(sampled) :, : batch.token_ids.shape[1]] = batch.token_ids
        inputs, targets = ids[:, :-1], ids[:, 1:]
        written = (targets != PAD_ID).astype(np.float32)
        advantages = relative_rewards(rewards.reshape(-1, options.samples)).reshape(-1)
        policy, people = written[: len(sampled)], written[len(sampled) :]
        policy = policy * advantages[:, None].astype(np.float32) / max(policy.sum(), 1.0)
        people = people / max(people.sum(), 1.0)
        weights = np.concatenate([(1 - options.cross_entropy) * policy, options.cross_entropy * people])
        images = np.arange(len(batch.rows), dtype=np.int32)
        rows = np.concatenate([np.repeat(images, options.samples), batch.image_of])
        return (batch.features, inputs, rows), targets, weights


def longest_draw(lengths: NDArray[np.int32]) -> int:
    """Return how long a drawn caption may be: the larger of 22 and what 99 of 100 captions do not exceed.

    A draw that is cut has no end marker and loses the reward for it, so where people write more, as in
    languages that are parted into characters, a limit of 22 would teach the model to be short.

    Args:
        lengths: int32 (N,), N >= 1, tokens in each caption by people, both markers counted.

    Returns:
        Tokens, markers not counted.

    Example:
        >>> longest_draw(np.array([9, 12, 14])), longest_draw(np.full(200, 42))
        (22, 40)
    """
    return max(_LONGEST_DRAW, int(np.percentile(lengths, 99, method="higher")) - _MARKERS)


def relative_rewards(rewards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much better each sample is than the mean of its image's other samples, (N, S) → (N, S).

    Example:
        >>> relative_rewards(np.array([[1.0, 2.0, 6.0]])).tolist()
        [[-3.0, -1.5, 4.5]]
    """
    samples = rewards.shape[1]
    others = (rewards.sum(axis=1, keepdims=True) - rewards) / (samples - 1)
    return rewards - others
