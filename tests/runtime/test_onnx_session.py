"""ONNX Runtime as a session: what it refuses, and that it needs no framework."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.fakes import pooling_encoder

from cutline.config import DecoderOptions, DecodingOptions
from cutline.errors import BundleError
from cutline.exporting import with_graphs
from cutline.models.decoders import build_decoder
from cutline.models.sessions import decoder_arrays
from cutline.runtime import Bundle, Session, load_bundle, open_session, save_bundle, sessions
from cutline.runtime.onnx_session import OnnxSession
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import SPECIALS

keras = pytest.importorskip("keras")

VOCABULARY = Vocabulary((*SPECIALS, "a", "red", "square"), Tokenizer())
FINGERPRINT = {"encoder": "means", "weights_sha256": "0"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with graphs, over an encoder that pools colours."""
    encoder = pooling_encoder((8, 6), 2, 1 / 255)
    options = DecoderOptions(name="attend", embedding_units=4, lstm_units=5, attention_units=3)
    decoder = build_decoder(options, len(VOCABULARY), encoder.feature_shape)
    bundle = Bundle(
        encoder.spec(), encoder.weights(), options, decoder_arrays(decoder), encoder.feature_shape,
        VOCABULARY, DecodingOptions(beam_size=2, max_length=4), details={"encoder_fingerprint": FINGERPRINT},
    )  # fmt: skip
    path = tmp_path_factory.mktemp("onnx") / "model"
    save_bundle(with_graphs(bundle), path)
    return path


@pytest.fixture
def bundle(folder: Path) -> Bundle:
    return load_bundle(folder)


def test_graphs_are_preferred_and_give_what_keras_gives(bundle):
    session, keras_session = open_session(bundle), open_session(bundle, "keras")
    assert isinstance(session, OnnxSession)
    assert session.input_size == keras_session.input_size == (8, 6)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3), dtype=np.uint8)
    features = session.encode(pixels)
    np.testing.assert_allclose(features, keras_session.encode(pixels), atol=1e-6)
    assert session.encode(pixels[:0]).shape == (0, 12, 3)
    token = np.full(5, 2, np.int32)
    np.testing.assert_allclose(
        session.step(token, session.start(features))[0],
        keras_session.step(token, keras_session.start(features))[0],
        atol=1e-5,
    )


def test_a_bundle_without_graphs_is_opened_by_keras(bundle):
    session = open_session(dataclasses.replace(bundle, graphs={}))
    assert type(session).__name__ == "KerasSession"


def test_features_are_found_in_the_store_of_the_training(bundle):
    assert open_session(bundle).encoder.fingerprint() == FINGERPRINT
    unknown = open_session(dataclasses.replace(bundle, details={})).encoder.fingerprint()
    assert unknown["encoder"] == "means.keras"
    assert len(unknown["graph_sha256"]) == 64


def test_what_is_no_graph_is_refused_with_its_name(bundle, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"not a graph")
    broken = {**bundle.graphs, "decoder_step.onnx": tmp_path / "broken.onnx"}
    with pytest.raises(BundleError, match=r"broken\.onnx: cannot be opened \(.*\); copy the bundle again$"):
        open_session(dataclasses.replace(bundle, graphs=broken))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"feature_shape": (12, 4)}, r"encoder\.onnx: turns images .* the decoder needs \(12, 4\)"),
        ({"vocabulary": Vocabulary((*SPECIALS, "a"), Tokenizer())}, r"step\.onnx: scores 7 tokens.* has 5"),
    ],
)
def test_graphs_of_another_bundle_are_refused(bundle, change, told):
    with pytest.raises(BundleError, match=told):
        open_session(dataclasses.replace(bundle, **change))


def test_captioning_a_photo_loads_no_framework(folder, tmp_path):
    model = shutil.copytree(folder, tmp_path / "model")
    Image.new("RGB", (20, 30), "red").save(tmp_path / "red.png")
    program = (
        "import sys\n"
        "from cutline.cli.app import app\n"
        f"try: app(args=['caption', {str(tmp_path / 'red.png')!r}, '--model', {str(model)!r}])\n"
        "except SystemExit as done: assert not done.code\n"
        "print([name for name in ('tensorflow', 'keras', 'onnx', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_a_bundle_that_is_replaced_while_it_is_opened_is_opened_anew(folder, tmp_path, monkeypatch):
    moving = tmp_path / "moving"
    shutil.copytree(folder, moving)
    opened: list[Bundle] = []
    real = sessions.open_session

    def replaced_once(bundle: Bundle) -> Session:
        opened.append(bundle)
        if len(opened) == 1:
            newer = dataclasses.replace(
                load_bundle(moving), decoding=DecodingOptions(beam_size=1, max_length=3)
            )
            save_bundle(newer, moving)
        return real(bundle)

    monkeypatch.setattr(sessions, "open_session", replaced_once)
    bundle, _ = sessions.load_with_session(moving)
    assert len(opened) == 2
    assert bundle.decoding.max_length == 3
