"""Weights come back from the graphs that were written of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.golden.make_bundles import FOLDER

from cutline.config import DecoderOptions
from cutline.errors import ExportError
from cutline.exporting import decoder_files
from cutline.exporting.decoder_weights import decoder_weights
from cutline.models.decoders import build_decoder
from cutline.models.sessions import decoder_arrays
from cutline.runtime import Bundle, load_bundle
from cutline.text import Vocabulary
from cutline.text.vocabulary import SPECIALS

R, D = 4, 40
WORDS = tuple(f"word{number}" for number in range(50))
WIDTHS = {"embedding_units": 33, "lstm_units": 36, "attention_units": 34}
OPTIONS = {
    "show_tell": DecoderOptions(name="show_tell", **WIDTHS),
    "merge": DecoderOptions(name="merge", **WIDTHS),
    "attend": DecoderOptions(name="attend", **WIDTHS),
    "up_down with a sentinel": DecoderOptions(name="up_down", sentinel=True, **WIDTHS),
}


def graphs_alone(options: DecoderOptions, **how: Any) -> tuple[Bundle, dict[str, np.ndarray]]:
    """A bundle whose decoder is there as graphs alone, and the weights they were written of."""
    bundle, shape = load_bundle(FOLDER / "version_3", weights=False), (R, D)
    vocabulary = Vocabulary((*SPECIALS, *WORDS), bundle.vocabulary.tokenizer)
    chance = np.random.default_rng(1)
    arrays = {
        name: chance.normal(0, 0.4, array.shape).astype(np.float32)
        for name, array in decoder_arrays(build_decoder(options, len(vocabulary), shape)).items()
    }
    graphs = {**bundle.graphs, **decoder_files(options, arrays, shape, **how)}
    alone = replace(
        bundle, decoder=options, decoder_arrays={}, feature_shape=shape, vocabulary=vocabulary, graphs=graphs
    )
    return alone, arrays


@pytest.mark.parametrize("name", OPTIONS)
def test_float32_weights_come_back_as_they_were_and_int8_ones_within_half_a_step(name):
    bundle, arrays = graphs_alone(OPTIONS[name], largest_table=0)
    found = decoder_weights(bundle)
    assert found.keys() == arrays.keys()
    for key, array in arrays.items():
        assert found[key].dtype == np.float32
        # To biases of forget gates 1 was added, which rounds them.
        np.testing.assert_allclose(found[key], array, rtol=0, atol=2e-7 if key.endswith("bias") else 0)

    int8 = decoder_files(OPTIONS[name], arrays, (R, D), largest_table=0, int8=True)
    rounded = decoder_weights(replace(bundle, graphs={**bundle.graphs, **int8}))
    step = max(float(np.abs(array).max()) for array in arrays.values()) / 127
    for key, array in arrays.items():
        assert np.abs(rounded[key] - array).max() <= step / 2 + 1e-6
    assert any(not np.array_equal(rounded[key], found[key]) for key in arrays)


@pytest.mark.parametrize("name", ["merge", "attend"])
def test_a_table_of_gates_is_refused_in_one_line(name):
    bundle, _ = graphs_alone(OPTIONS[name])
    with pytest.raises(
        ExportError, match=r"cannot be read from decoder_step\.onnx.*take the model"
    ) as raised:
        decoder_weights(bundle)
    assert "\n" not in str(raised.value)


def test_graphs_of_another_decoder_are_refused():
    bundle, _ = graphs_alone(OPTIONS["attend"], largest_table=0)
    with pytest.raises(ExportError, match="cannot be read"):
        decoder_weights(replace(bundle, decoder=OPTIONS["merge"]))
