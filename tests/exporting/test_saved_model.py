"""A SavedModel captions by itself what the model captions greedily."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tests.exporting.test_litert import OPTIONS, VOCABULARY, bundle_of

from cutline.config import DecodingOptions
from cutline.data.feature_store import as_stored
from cutline.errors import ExportError
from cutline.exporting.saved_model import SAVED_MODEL_FILES, SavedCaptioner, write_saved_model
from cutline.models.sessions import KerasSession
from cutline.runtime import Bundle
from cutline.text import Vocabulary
from cutline.writing import Writer

IMAGES = np.random.default_rng(2).integers(0, 256, (5, 2, 3, 3), dtype=np.uint8).repeat(4, 1).repeat(4, 2)
SPREAD = 2.0
"""Of the weights: captions depend much on the picture."""


def with_rules(bundle: Bundle) -> Bundle:
    decoding = DecodingOptions(max_length=7, min_length=3, no_repeat_ngram=2, end_in_function_word=False)
    return replace(bundle, decoding=decoding)


def in_python(bundle: Bundle, images: np.ndarray = IMAGES) -> list[tuple[str, float]]:
    session = KerasSession(bundle)
    features = as_stored(session.encode(images)).astype(np.float32)
    found = Writer(session, bundle.vocabulary).write(features, bundle.decoding)
    return [(own[0].text, pytest.approx(own[0].log_probability, abs=1e-4)) for own in found]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return with_rules(bundle_of(OPTIONS["attend with a sentinel"], SPREAD))


@pytest.fixture(scope="module")
def folder(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved")
    write_saved_model(bundle, KerasSession(bundle), path)
    return path


def files_of(images: np.ndarray) -> list[bytes]:
    contents = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        contents.append(stream.getvalue())
    return contents


def test_pixels_and_files_get_the_captions_of_python(bundle, folder):
    loaded = tf.saved_model.load(str(folder))
    expected = in_python(bundle)
    assert len({text for text, _ in expected}) > 2
    for signature, images in (("serving_default", files_of(IMAGES)), ("pixels", IMAGES)):
        for count in (5, 1, 0):
            given = tf.constant(images[:count], tf.string if signature == "serving_default" else tf.uint8)
            given = given if count else given[:0]
            if signature == "pixels" and not count:
                given = tf.zeros((0, 8, 12, 3), tf.uint8)
            found = loaded.signatures[signature](images=given)
            captions = [caption.decode("utf-8") for caption in found["captions"].numpy()]
            logs = found["log_probabilities"].numpy().tolist()
            assert list(zip(captions, logs, strict=True)) == expected[:count]


def test_what_is_written_is_what_is_known_to_be_an_export(folder):
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == set(SAVED_MODEL_FILES)


def test_files_that_get_other_captions_than_their_pixels_are_told(folder, monkeypatch):
    captioner = SavedCaptioner(folder)
    monkeypatch.setattr(tf.io, "encode_png", lambda image: files_of(255 - np.asarray(image)[None])[0])
    with pytest.raises(ExportError, match="captions pixels as"):
        captioner.caption(IMAGES)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_every_decoder_captions_as_in_python(name, tmp_path):
    bundle = with_rules(bundle_of(OPTIONS[name], SPREAD))
    write_saved_model(bundle, KerasSession(bundle), tmp_path)
    captions, logs = SavedCaptioner(tmp_path).caption(IMAGES)
    assert list(zip(captions, logs.tolist(), strict=True)) == in_python(bundle)


PROGRAM = """
import json, sys
sys.modules["cutline"] = sys.modules["keras"] = None
import tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
contents = [open(path, "rb").read() for path in sys.argv[2:]]
found = loaded.signatures["serving_default"](images=tf.constant(contents))
print(json.dumps([caption.decode("utf-8") for caption in found["captions"].numpy()]))
"""


@pytest.mark.slow
def test_neither_cutline_nor_keras_is_needed_to_caption(bundle, folder, tmp_path):
    paths = []
    for number, content in enumerate(files_of(IMAGES)):
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [text for text, _ in in_python(bundle)]


@pytest.mark.slow
def test_the_vocabulary_may_have_any_script(tmp_path):
    words = ("一", "只", "狗", "在", "草", "地", "上", "跑", "3", "red")
    assert len(words) == len(VOCABULARY) - 4
    tokenizer = replace(VOCABULARY.tokenizer, level="character")
    base = with_rules(bundle_of(OPTIONS["attend"], SPREAD))
    bundle = replace(base, vocabulary=Vocabulary((*VOCABULARY.tokens[:4], *words), tokenizer))
    write_saved_model(bundle, KerasSession(bundle), tmp_path)
    captions, _ = SavedCaptioner(tmp_path).caption(IMAGES)
    assert captions == [text for text, _ in in_python(bundle)]
    assert any(not caption.isascii() for caption in captions)
