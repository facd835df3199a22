"""Show, Attend and Tell: before every word the decoder looks at the regions that its state asks for.

Xu et al., "Show, Attend and Tell: Neural Image Caption Generation with Visual Attention", ICML 2015
(arXiv:1502.03044), the deterministic ("soft") attention with its gate and deep output.
"""

from __future__ import annotations

from keras import ops

from cutline.models.decoders.attention import AttentionDecoder, Memory, RecurrentState, lstm_gates
from cutline.models.decoders.base import DECODERS, Tensor


@DECODERS.register("attend")
class Attend(AttentionDecoder):
    """One LSTM that reads the word and the context (see the module docstring)."""

    lstms = 1

    def make_recurrence(self) -> None:
        """Make the gate on the context, and the LSTM's part that depends on the state."""
        self.gate = self.dense(self.options.lstm_units, "gate", activation="sigmoid")
        self.state_gates = self.dense(4 * self.options.lstm_units, "state_gates", use_bias=False)

    def advance(self, word: Tensor, memory: Memory, state: RecurrentState) -> RecurrentState:
        """Look with the last hidden state, then read word and view."""
        h, c = state.lstm
        context, weights = self.look(h, memory, word, h, c)
        # How much of the picture the next word needs: "of" needs little.
        context = context * self.gate(h)
        h, c = lstm_gates(self.lstm_part(word) + self.state_gates(ops.concatenate([context, h], axis=-1)), c)
        return RecurrentState((h, c), context, weights)
