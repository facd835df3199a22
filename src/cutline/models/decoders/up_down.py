"""Up-Down: one LSTM decides where to look, a second one what to say.

Anderson et al., "Bottom-Up and Top-Down Attention for Image Captioning and Visual Question Answering", CVPR
2018 (arXiv:1707.07998); the regions are those of the encoder's grid.
"""

from __future__ import annotations

from keras import ops

from cutline.models.decoders.attention import AttentionDecoder, Memory, RecurrentState, lstm_gates
from cutline.models.decoders.base import DECODERS, Tensor


@DECODERS.register("up_down")
class UpDown(AttentionDecoder):
    """Attention LSTM and language LSTM (see the module docstring).

    The attention LSTM gets the overview of the image through its initial state instead of at every step.
    """

    lstms = 2

    def make_recurrence(self) -> None:
        """Make the parts of both LSTMs that depend on the state."""
        units = self.options.lstm_units
        self.attention_gates = self.dense(4 * units, "attention_gates", use_bias=False)
        self.language_gates = self.dense(4 * units, "language_gates")

    def advance(self, word: Tensor, memory: Memory, state: RecurrentState) -> RecurrentState:
        """Read the word, look with the attention LSTM's state, then let the language LSTM speak."""
        h1, c1, h2, c2 = state.lstm
        before = ops.concatenate([h2, h1], axis=-1)
        h1, c1 = lstm_gates(self.lstm_part(word) + self.attention_gates(before), c1)
        context, weights = self.look(h1, memory, word, before, c1)
        h2, c2 = lstm_gates(self.language_gates(ops.concatenate([context, h1, h2], axis=-1)), c2)
        return RecurrentState((h1, c1, h2, c2), context, weights)
