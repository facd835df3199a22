"""The models that ``make bench`` makes up: captions as long as asked for, and the decoder that there is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.made_up import decoder_arrays, made_up_features, made_up_vocabulary, options_for
from benchmarks.plain_search import plain_search

from cutline.config import DecoderOptions
from cutline.exporting.bundles import decoder_files
from cutline.models.decoders import build_decoder
from cutline.models.sessions import decoder_arrays as arrays_of
from cutline.models.sessions import load_decoder
from cutline.runtime.bundle import DECODER_START, DECODER_STEP
from cutline.runtime.onnx_session import OnnxDecoder
from cutline.writing import Writer

OPTIONS = DecoderOptions(name="attend", embedding_units=48, lstm_units=64, attention_units=32)
TOKENS, DEPTH = 60, 40


def lengths(arrays: dict[str, Any], features: np.ndarray, beams: int, int8: bool = False) -> list[int]:
    files = decoder_files(OPTIONS, arrays, features.shape[1:], int8=int8)
    writer = Writer(OnnxDecoder(files[DECODER_START], files[DECODER_STEP]), made_up_vocabulary(TOKENS))
    return [len(found[0].token_ids) for found in writer.write(features, options_for(beams))]


def test_its_weights_are_those_that_the_decoder_has() -> None:
    made_up = decoder_arrays(OPTIONS, TOKENS, DEPTH, made_up_features(2, DEPTH))
    own = arrays_of(build_decoder(OPTIONS, TOKENS, (49, DEPTH)))
    assert {name: array.shape for name, array in made_up.items()} == {
        name: array.shape for name, array in own.items()
    }


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("words", [5, 12, 40])
def test_captions_are_as_long_as_is_asked_for(words: int, beams: int) -> None:
    features = made_up_features(4, DEPTH)
    assert lengths(decoder_arrays(OPTIONS, TOKENS, DEPTH, features, words, 0), features, beams) == [words] * 4


@pytest.mark.parametrize("int8", [False, True])
def test_lengths_are_spread_around_their_mean(int8: bool) -> None:
    features = made_up_features(64, DEPTH)
    found = lengths(decoder_arrays(OPTIONS, TOKENS, DEPTH, features, 10, 2.5), features, 3, int8)
    assert 9 < np.mean(found) < 11
    assert 1.5 < np.std(found) < 3.5


# With few beams they may differ: cutline always follows what greedy decoding writes, too.
@pytest.mark.parametrize("beams", [1, 5])
def test_the_plain_search_finds_what_cutline_finds(beams: int) -> None:
    features = made_up_features(5, DEPTH)
    arrays = decoder_arrays(OPTIONS, TOKENS, DEPTH, features)
    files = decoder_files(OPTIONS, arrays, (49, DEPTH))
    writer = Writer(OnnxDecoder(files[DECODER_START], files[DECODER_STEP]), made_up_vocabulary(TOKENS))
    decoder = load_decoder(OPTIONS, TOKENS, (49, DEPTH), arrays)
    found = [list(best[0].token_ids) for best in writer.write(features, options_for(beams))]
    assert found == [plain_search(decoder, row, beams) for row in features]
    assert len({tuple(ids) for ids in found}) > 1
