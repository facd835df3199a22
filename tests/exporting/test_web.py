"""What is in the folder of a page, and what is refused."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fakes import onnx_decoder

from cutline.config import DecoderOptions, DecodingOptions
from cutline.errors import ExportError
from cutline.exporting.bundles import decoder_files
from cutline.exporting.web import PAGE, page_settings, read_graphs, read_runtime, write_web
from cutline.models.decoders import build_decoder
from cutline.models.sessions import decoder_arrays
from cutline.runtime import Bundle
from cutline.runtime.onnx_session import OnnxDecoder
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import SPECIALS

WORDS = Vocabulary((*SPECIALS, "a", "dog", "on", "the", "grass"), Tokenizer())
OPTIONS = DecoderOptions(name="attend", embedding_units=4, lstm_units=5, attention_units=3)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """A bundle whose encoder is but a name."""
    arrays = decoder_arrays(build_decoder(OPTIONS, len(WORDS), (6, 5)))
    graphs: dict[str, Path | bytes] = {"encoder.onnx": b"encoder", **decoder_files(OPTIONS, arrays, (6, 5))}
    decoding = DecodingOptions(beam_size=3, end_in_function_word=False, consensus=40, min_length=2)
    return Bundle({}, {}, OPTIONS, arrays, (6, 5), WORDS, decoding, graphs=graphs)


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A folder that looks like the npm package."""
    package = tmp_path / "onnxruntime-web"
    (package / "dist").mkdir(parents=True)
    for name in ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"):
        (package / "dist" / name).write_bytes(f"{name} \u00e9 </script>".encode())
    return package


def test_a_page_has_its_scripts_and_gives_its_graphs_back(bundle, runtime, tmp_path):
    folder = tmp_path / "page"
    folder.mkdir()
    write_web(bundle, (8, 6), runtime, folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*PAGE, "ort.wasm.min.js", "settings.js", "files.js"]
    )
    graphs = read_graphs(folder)
    assert graphs["encoder.onnx"] == b"encoder"
    features = np.random.default_rng(0).random((2, 6, 5), np.float32)
    there = OnnxDecoder(graphs["decoder_start.onnx"], graphs["decoder_step.onnx"])
    here = onnx_decoder(OPTIONS, bundle.decoder_arrays, (6, 5))
    for one, other in zip(
        there.step(np.array([4, 5]), there.start(features))[0],
        here.step(np.array([4, 5]), here.start(features))[0],
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_the_graphs_of_a_page_hold_no_tables(bundle, runtime, tmp_path):
    write_web(bundle, (8, 6), runtime, tmp_path)
    step = read_graphs(tmp_path)["decoder_step.onnx"]
    assert isinstance(step, bytes)
    before = bundle.graphs["decoder_step.onnx"]
    assert isinstance(before, bytes)
    assert len(step) < len(before)


def test_a_page_knows_what_python_knows_of_decoding(bundle):
    settings = page_settings(bundle, (8, 6))
    assert settings == json.loads(json.dumps(settings))
    assert settings["input_size"] == {"height": 8, "width": 6}
    assert settings["tokens"][:5] == [*SPECIALS, "a"]
    assert settings["decoding"] == {
        "beam_size": 3,
        "length_penalty": 0.0,
        "max_length": 40,
        "min_length": 2,
        "no_repeat_ngram": 0,
        "end_words": [4, 6, 7],
        "never": [0, 1, 2],
        "start_id": 2,
        "end_id": 3,
    }


@pytest.mark.parametrize("options", [{"temperature": 1.0}, {"beam_size": 4, "groups": 2}])
def test_options_that_the_page_cannot_follow_are_refused(bundle, runtime, tmp_path, options):
    other = replace(bundle, decoding=DecodingOptions(**options))
    with pytest.raises(ExportError, match=r"which the page cannot do"):
        write_web(other, (8, 6), runtime, tmp_path)
    assert page_settings(other, (8, 6))["tokens"], "graphs alone can be used in any way"


def packed(package: Path, path: Path) -> Path:
    """Pack a package as npm does."""
    with tarfile.open(path, "w:gz") as archive:
        for file in sorted(package.rglob("*.*")):
            archive.add(file, f"package/{file.relative_to(package).as_posix()}")
        climbing = tarfile.TarInfo("package/../../escaped")
        climbing.size = 4
        archive.addfile(climbing, io.BytesIO(b"evil"))
    return path


def test_the_runtime_is_read_from_a_folder_or_an_archive_alike(runtime, tmp_path):
    (tmp_path / "deep").mkdir()
    archive = packed(runtime, tmp_path / "deep" / "onnxruntime-web-1.30.0.tgz")
    assert read_runtime(archive) == read_runtime(runtime)
    assert set(read_runtime(runtime)) == {"ort.js", "ort.mjs", "ort.wasm"}
    assert not (tmp_path / "escaped").exists()


def test_what_is_not_the_runtime_is_refused_with_how_to_get_it(runtime, tmp_path):
    (runtime / "dist" / "ort-wasm-simd-threaded.wasm").unlink()
    text = tmp_path / "notes.txt"
    text.write_text("no archive")
    half = tmp_path / "half.tgz"
    half.write_bytes(packed(runtime, tmp_path / "whole.tgz").read_bytes()[:-40])
    for package, expected in (
        (half, "cannot be read"),
        (runtime, "holds no dist/ort-wasm-simd-threaded.wasm"),
        (text, "cannot be read"),
        (tmp_path / "none", "no such file or folder"),
    ):
        with pytest.raises(ExportError, match=expected) as refused:
            read_runtime(package)
        assert "npm pack onnxruntime-web" in str(refused.value)
