"""The graphs of a decoder compute what Keras does, step by step, and what can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.fakes import onnx_decoder

from cutline.config import DecoderOptions
from cutline.decoding import beam, greedy, sample
from cutline.errors import UnknownNameError
from cutline.exporting import DecoderParts, decoder_files, decoder_graphs
from cutline.exporting.decoders import LARGEST_TABLE
from cutline.models.decoders import build_decoder
from cutline.models.sessions import DecoderSession, assign_arrays, decoder_arrays
from cutline.runtime.onnx_session import OnnxDecoder

V, R, D = 13, 6, 5
WIDTHS = {"embedding_units": 4, "lstm_units": 7, "attention_units": 3}
OPTIONS = {
    "show_tell": DecoderOptions(name="show_tell", **WIDTHS),
    "merge": DecoderOptions(name="merge", **WIDTHS),
    "attend": DecoderOptions(name="attend", **WIDTHS),
    "attend with a sentinel": DecoderOptions(name="attend", sentinel=True, **WIDTHS),
    "up_down": DecoderOptions(name="up_down", **WIDTHS),
    "up_down with a sentinel": DecoderOptions(name="up_down", sentinel=True, **WIDTHS),
}
GRID = np.random.default_rng(0).random((3, R, D), np.float32)


def keras_session(options: DecoderOptions, shape: tuple[int, ...]) -> tuple[DecoderSession, dict[str, Any]]:
    """A decoder whose weights, biases too, are far from what training begins with."""
    decoder = build_decoder(options, V, shape)
    generator = np.random.default_rng(1)
    arrays = {
        name: generator.normal(0, 0.8, array.shape).astype(np.float32)
        for name, array in decoder_arrays(decoder).items()
    }
    assign_arrays(decoder, arrays)
    return DecoderSession(decoder), arrays


def both(name: str, features: np.ndarray) -> tuple[DecoderSession, OnnxDecoder]:
    shape = features.shape[1:]
    session, arrays = keras_session(OPTIONS[name], shape)
    return session, onnx_decoder(OPTIONS[name], arrays, shape)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_step_gives_the_scores_and_weights_that_keras_gives(name):
    keras, onnx = both(name, GRID)
    states: list[Any] = [keras.start(GRID), onnx.start(GRID)]
    for tokens, rows in (
        ([2, 2, 2], [0, 0, 1, 1, 2, 2]),  # two beams of each image
        ([4, 5, 6, 7, 8, 9], [5, 4, 0, 1]),  # the second image is done
        ([10, 1, 11, 3], [1, 2, 3]),  # captions are no longer equally many
        ([12, 4, 6], [2, 0]),
        ([5, 8], [1, 1, 0]),
        ([3, 9, 7], [0]),
    ):
        found = []
        for place, session in enumerate((keras, onnx)):
            scores, state = session.step(np.array(tokens, np.int32), states[place])
            found.append((scores, session.attention_weights(state)))
            states[place] = session.reorder(state, np.array(rows))
        (expected, looked), (scores, looked_too) = found
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
        assert scores.dtype == np.float32
        assert (looked is None) == (looked_too is None)
        if looked is not None and looked_too is not None:
            np.testing.assert_allclose(looked_too, looked, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["show_tell", "merge"])
def test_pooled_features_are_read_as_grids_are(name):
    pooled = GRID.mean(axis=1)
    keras, onnx = both(name, pooled)
    token = np.full(3, 2, np.int32)
    np.testing.assert_allclose(
        onnx.step(token, onnx.start(pooled))[0],
        keras.step(token, keras.start(pooled))[0],
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("name", OPTIONS)
def test_captions_are_the_same_however_they_are_written(name):
    keras, onnx = both(name, GRID)
    ids = (2, 3, 9)
    for write in (greedy, beam):
        one, other = write(keras, GRID, *ids), write(onnx, GRID, *ids)
        assert repr_of(one) == repr_of(other)
    one, other = (sample(session, GRID, *ids, samples=4) for session in (keras, onnx))
    assert repr_of(one) == repr_of(other)


def repr_of(found: Any) -> list[Any]:
    return [[result.token_ids for result in (own if isinstance(own, list) else [own])] for own in found]


def test_a_vocabulary_too_large_for_a_table_is_multiplied_out():
    _, arrays = keras_session(OPTIONS["attend"], (R, D))
    parts = DecoderParts(OPTIONS["attend"], arrays, (R, D))
    with_table = decoder_graphs(parts)[1]
    without = decoder_graphs(replace(parts, largest_table=V))[1]
    gates = (V, 4 * WIDTHS["lstm_units"])
    assert gates in {tuple(array.dims) for array in with_table.graph.initializer}
    assert gates not in {tuple(array.dims) for array in without.graph.initializer}
    start = decoder_graphs(parts)[0].SerializeToString()
    one, other = (OnnxDecoder(start, step.SerializeToString()) for step in (with_table, without))
    token = np.full(3, 5, np.int32)
    np.testing.assert_allclose(
        one.step(token, one.start(GRID))[0], other.step(token, other.start(GRID))[0], atol=1e-5
    )


def test_embeddings_are_stored_once_where_there_is_no_table():
    _, arrays = keras_session(OPTIONS["attend"], (R, D))
    step = decoder_graphs(DecoderParts(OPTIONS["attend"], arrays, (R, D), largest_table=0))[1]
    shapes = [tuple(array.dims) for array in step.graph.initializer]
    assert shapes.count((V, WIDTHS["embedding_units"])) == 1


def test_a_decoder_without_graphs_is_named():
    options = OPTIONS["attend"].model_copy(update={"name": "transformer"})
    with pytest.raises(UnknownNameError, match="decoder with ONNX graphs 'transformer'"):
        decoder_graphs(DecoderParts(options, {}, (R, D)))


def test_weights_set_by_hand_give_the_probabilities_worked_out_by_hand():
    # Two equal regions, widths of 1, every weight 0 but these: what is left is a chain of known functions.
    options = DecoderOptions(name="attend", embedding_units=1, lstm_units=1, attention_units=1)
    _, arrays = keras_session(options, (2, 1))
    arrays = {name: np.zeros_like(array) for name, array in arrays.items()}
    arrays["project_regions/kernel"][:] = 1  # values of 1, their length being scaled away
    arrays["embedding/embeddings"][:] = np.arange(V)[:, None]
    arrays["word_gates/kernel"][0] = [0, 0, 1, 0]  # the candidate is tanh(word)
    arrays["state_gates/kernel"][0] = [0, 0, 0, 2]  # the output gate hears of the context
    arrays["read_hidden/kernel"][:] = 3
    arrays["predict_token/kernel"][0, 7] = 1
    onnx = onnx_decoder(options, arrays, (2, 1))
    scores, state = onnx.step(np.array([1], np.int32), onnx.start(np.full((1, 2, 1), 4, np.float32)))

    context = 0.5  # the regions' 1, through a gate that is half open
    cell = 0.5 * np.tanh(1)
    hidden = np.tanh(cell) / (1 + np.exp(-2 * context))
    logit = 3 * hidden + 1  # the word is added
    assert scores[0, 7] == pytest.approx(logit - np.log(np.exp(logit) + V - 1), abs=1e-5)
    assert scores[0, 0] == pytest.approx(-np.log(np.exp(logit) + V - 1), abs=1e-5)
    assert state.attention.tolist() == [[0.5, 0.5]]


def test_the_most_probable_tokens_are_taken_in_the_graph():
    import onnxruntime

    _, arrays = keras_session(OPTIONS["show_tell"], (D,))
    start, step = decoder_graphs(DecoderParts(OPTIONS["show_tell"], arrays, (D,)))
    session = onnxruntime.InferenceSession(step.SerializeToString())
    onnx = OnnxDecoder(start.SerializeToString(), step.SerializeToString())
    state = onnx.start(GRID.mean(axis=1))
    token = np.full(3, 2, np.int32)
    wanted = ["log_probabilities", "best.token_ids", "best.values"]
    scores, tokens, values = session.run(
        wanted, {"token_ids": token, "count": np.array([4]), **state.memory, **state.rows}
    )
    np.testing.assert_array_equal(tokens, np.argsort(-scores, axis=1)[:, :4])
    np.testing.assert_array_equal(values, np.take_along_axis(scores, tokens, axis=1))


def test_the_session_hands_over_what_the_graph_chose():
    _, onnx = both("attend", GRID)
    token, state = np.full(3, 2, np.int32), onnx.start(GRID)
    scores, _ = onnx.step(token, state)
    tokens, values, _ = onnx.step_best(token, state, 4)
    np.testing.assert_array_equal(tokens, np.argsort(-scores, axis=1)[:, :4])
    np.testing.assert_array_equal(values, np.take_along_axis(scores, tokens, axis=1))
    every, _, _ = onnx.step_best(token, state, V + 5)
    assert every.shape == (3, V)


WIDE = {"embedding_units": 40, "lstm_units": 48, "attention_units": 32}


@pytest.mark.parametrize("name", ["show_tell", "merge", "attend", "up_down"])
@pytest.mark.parametrize("tabled", [True, False], ids=["with a table", "without a table"])
def test_whole_numbers_of_8_bits_give_nearly_the_same_and_take_a_third_of_the_room(name, tabled):
    size, shape = 60, (R, 64)
    options = DecoderOptions(name=name, **WIDE)
    generator = np.random.default_rng(1)
    arrays = {
        part: generator.normal(0, 0.15, array.shape).astype(np.float32)
        for part, array in decoder_arrays(build_decoder(options, size, shape)).items()
    }
    largest = LARGEST_TABLE if tabled else 0
    exact, rounded = (decoder_files(options, arrays, shape, largest, int8) for int8 in (False, True))
    assert sum(map(len, rounded.values())) < 0.4 * sum(map(len, exact.values()))
    one, other = (OnnxDecoder(*files.values()) for files in (exact, rounded))
    grid = generator.random((3, *shape), np.float32)
    token, states = np.array([2, 5, 7], np.int32), [one.start(grid), other.start(grid)]
    for _ in range(4):
        (scores, states[0]), (near, states[1]) = (
            session.step(token, state) for session, state in zip((one, other), states, strict=True)
        )
        assert np.abs(scores - near).max() < 0.05
        assert not np.array_equal(scores, near)


def test_only_graphs_in_int8_name_operators_of_onnx_runtime():
    _, arrays = keras_session(OPTIONS["attend"], (R, D))
    for int8, domains in ((False, [""]), (True, ["", "com.microsoft"])):
        for graph in decoder_graphs(DecoderParts(OPTIONS["attend"], arrays, (R, D), int8=int8)):
            assert [operators.domain for operators in graph.opset_import] == domains


def test_rounded_numbers_do_not_depend_on_what_stands_beside_them():
    options, shape = DecoderOptions(name="attend", **WIDE), (R, 64)
    arrays = decoder_arrays(build_decoder(options, 60, shape))
    onnx = onnx_decoder(options, arrays, shape, int8=True)
    grid = np.random.default_rng(0).random((4, *shape), np.float32) * [[[1]], [[1]], [[1]], [[90]]]
    token = np.full(4, 2, np.int32)
    together, _ = onnx.step(token, onnx.start(grid))
    alone = [onnx.step(token[:1], onnx.start(row[None]))[0][0] for row in grid]
    np.testing.assert_allclose(together, alone, atol=1e-6)
