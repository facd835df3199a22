"""Models with random weights and pictures that nobody took: speed does not depend on what they show.

What it does depend on is how long captions are. The decoder made here therefore counts: one unit of its LSTM
rises by the same amount with every word and, when it reaches a threshold, the end marker becomes the most
probable token. Where it begins depends on the image, such that captions have as many words as one asks for,
all equally many or spread as people's captions are. Everything else is random and is computed in full.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.measuring import own_environment
from benchmarks.pieces import Asked, Skipped
from numpy.typing import NDArray

from cutline.config import DecoderOptions, DecodingOptions
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import END_ID, SPECIALS

VOCABULARY, REGIONS = 2541, 49
OPTIONS = DecoderOptions(name="attend", embedding_units=256, lstm_units=512, attention_units=256)
"""The decoder that is measured: H 512, E 256, A 256."""

WORDS, SPREAD = 10.0, 2.5
"""Mean length of captions in words, and its standard deviation: about what people write of photos."""

PHOTO_SIZE = (500, 375)
# Gates that are as good as open, and what a word adds. A table in 8 bits holds both without rounding, and the
# count is loud beside what is mixed with it, so that captions are as long there.
_OPEN = 8.0
_CANDIDATE = 2 * _OPEN / 127
_TICK = float(np.tanh(_CANDIDATE))
_LOUD = 8.0
_SURE = 600.0 / _LOUD
_PEAKED = 12.0


def decoder_arrays(
    options: DecoderOptions,
    vocabulary_size: int,
    depth: int,
    features: NDArray[Any],
    words: float = WORDS,
    spread: float = SPREAD,
) -> dict[str, NDArray[np.float32]]:
    """Return random weights of the decoder ``attend`` by name, as a bundle holds them.

    Args:
        options: Widths; other options are left alone.
        vocabulary_size: V.
        depth: D of the features.
        features: (N, R, D), images of the kind that will be captioned: their captions get the lengths.
        words: Mean of the lengths.
        spread: Their standard deviation; 0 for captions that are all equally long.
    """
    units, width, keys = options.lstm_units, options.embedding_units, options.attention_units
    shapes: dict[str, tuple[int, ...]] = {
        "region_bias": (units,),
        "project_regions/kernel": (depth, units),
        "make_keys/kernel": (units, keys),
        "make_keys/bias": (keys,),
        "attention/query/kernel": (units, keys),
        "attention/energy/kernel": (keys, 1),
        "begin/kernel": (units, 2 * units),
        "begin/bias": (2 * units,),
        "embedding/embeddings": (vocabulary_size, width),
        "word_gates/kernel": (width, 4 * units),
        "word_gates/bias": (4 * units,),
        "gate/kernel": (units, units),
        "gate/bias": (units,),
        "state_gates/kernel": (2 * units, 4 * units),
        "read_hidden/kernel": (units, width),
        "read_hidden/bias": (width,),
        "read_context/kernel": (units, width),
        "predict_token/kernel": (width, vocabulary_size),
        "predict_token/bias": (vocabulary_size,),
    }
    generator = np.random.default_rng(0)
    arrays = {
        name: generator.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / sum(shape)))
        if len(shape) == 2
        else np.zeros(shape, np.float32)
        for name, shape in shapes.items()
    }
    arrays["predict_token/kernel"] *= np.float32(_PEAKED)
    _count(arrays, units, features, words, spread)
    return arrays


def _count(
    arrays: dict[str, NDArray[np.float32]],
    units: int,
    features: NDArray[Any],
    words: float,
    spread: float,
) -> None:
    """Make the first unit of the LSTM count words, and the end marker follow from it."""
    gates = [place * units for place in range(4)]
    for name in ("word_gates/kernel", "state_gates/kernel"):
        arrays[name][:, gates] = 0
    # All gates open, to the forget gate's bias the decoder adds 1; the candidate is the same for every word.
    arrays["word_gates/bias"][gates] = [_OPEN, _OPEN - 1, _CANDIDATE, _OPEN]
    # The first number of what is mixed for the output layer shows the count and nothing else.
    for name in ("read_hidden/kernel", "read_context/kernel", "embedding/embeddings"):
        arrays[name][:, 0] = 0
    arrays["read_hidden/kernel"][0, 0] = _LOUD
    arrays["predict_token/kernel"][:, END_ID] = 0
    arrays["predict_token/kernel"][0] = 0
    arrays["predict_token/kernel"][0, END_ID] = _SURE
    arrays["predict_token/bias"][END_ID] = -_SURE * _LOUD * np.tanh(1.0)
    # The count begins so many ticks below 1 as there are to be words; which, depends on the image.
    direction = np.zeros(units, np.float32)
    shift = 0.0
    if spread:
        direction = np.random.default_rng(1).standard_normal(units).astype(np.float32)
        overviews = _overviews(arrays, features)
        mean = overviews.mean(axis=0)
        # What all images share must not count: rounding it would shift all lengths.
        direction -= mean * (mean @ direction / (mean @ mean))
        along = overviews @ direction
        scale = spread / max(float(along.std()), 1e-6)
        direction, shift = direction * np.float32(scale), -scale * float(along.mean())
    arrays["begin/kernel"][:, units] = -_TICK * direction
    arrays["begin/bias"][units] = 1 - _TICK * (words + 0.5 + shift)


def _overviews(arrays: dict[str, NDArray[np.float32]], features: NDArray[Any]) -> NDArray[np.float32]:
    given = np.asarray(features, np.float32)
    size = np.sqrt(np.mean(np.square(given), axis=(1, 2), keepdims=True) + 1e-6)
    values = given @ arrays["project_regions/kernel"] / size + arrays["region_bias"]
    overview: NDArray[np.float32] = np.maximum(values, 0).mean(axis=1)
    return overview


def made_up_features(images: int, depth: int) -> NDArray[np.float32]:
    """Return features (N, 49, D) such as a network ends in: none below 0, many of them 0."""
    drawn = np.random.default_rng(2).standard_normal((images, REGIONS, depth), np.float32)
    return np.maximum(drawn, 0)


def made_up_vocabulary(size: int = VOCABULARY) -> Vocabulary:
    """Return words without a meaning."""
    return Vocabulary((*SPECIALS, *(f"word{number}" for number in range(size - len(SPECIALS)))), Tokenizer())


def options_for(beam_size: int, batch_size: int = 64) -> DecodingOptions:
    """Return the options of a plain search."""
    return DecodingOptions(beam_size=beam_size, batch_size=batch_size, max_length=40)


def photos(asked: Asked, count: int) -> list[str]:
    """Return ``count`` image files: photos of the folder that was given, or JPEGs that are made up.

    Raises:
        Skipped: The folder holds none.
    """
    if asked.images is None:
        return _made_up_photos(asked.work / "photos", count)
    from cutline.data.image_paths import match_images

    found = [path for path, error in match_images([str(asked.images)]).items() if error is None]
    if not found:
        raise Skipped(f"{asked.images.name} holds no images")
    return found[:count]


def _made_up_photos(folder: Path, count: int) -> list[str]:
    """Write JPEGs of the size of web photos: large soft forms, with some of the noise that a camera adds."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        path = folder / f"{number:05}.jpg"
        paths.append(str(path))
        if path.exists():
            continue
        generator = np.random.default_rng(number)
        coarse = Image.fromarray(generator.integers(0, 256, (9, 12, 3), np.uint8))
        smooth = np.asarray(coarse.resize(PHOTO_SIZE, Image.Resampling.BICUBIC), np.int16)
        noise = generator.integers(-12, 13, smooth.shape, np.int16)
        Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8)).save(path, quality=88)
    return paths


def what_photos(asked: Asked, count: int) -> str:
    """Say in a few words what the images are."""
    if asked.images is not None:
        return f"{count:,} photos"
    return f"{count:,} made-up JPEGs of {PHOTO_SIZE[0]} × {PHOTO_SIZE[1]} pixels"


def pixels_of(paths: Sequence[str], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode images, each of the size that an encoder wants."""
    from cutline.data.images import decode_image

    return np.stack([decode_image(path, size) for path in paths])


def trained_encoder(asked: Asked) -> str:
    """Return the encoder of the model that was given, EfficientNet-Lite0 without one."""
    if asked.model is None:
        return "efficientnet_lite0"
    from cutline.runtime import load_bundle
    from cutline.runtime.bundle import find_bundle

    return str(load_bundle(find_bundle(asked.model), weights=False).encoder_spec["name"])


def model(asked: Asked, encoder: str | None = None, precision: str = "float32") -> Path:
    """Return the folder of a bundle with graphs; those of an encoder are made when one is asked for.

    Args:
        asked: With a ``model``, the bundle is that one wherever its encoder is the one asked for, without
            confidence and consensus; else its decoder has random weights.
        encoder: ``"efficientnet_lite0"`` or ``"resnet50"``; that of the model when None.
        precision: ``"float32"``, ``"int8"``, or ``"int8-encoder"``, whose decoder is in float32.
    """
    encoder = trained_encoder(asked) if encoder is None else encoder
    folder = asked.work / "models" / f"{encoder}-{precision}"
    if not (folder / "manifest.json").exists():
        asked.tell(f"making models with {encoder}")
        paths = photos(asked, asked.size(64, 8))
        trained = "" if asked.model is None else str(asked.model)
        weights = "" if asked.encoder_weights is None else str(asked.encoder_weights)
        # In a process of its own: who measures must not hold TensorFlow in memory.
        making = [sys.executable, "-m", "benchmarks.making", str(folder.parent), encoder, trained]
        done = subprocess.run(
            [*making, weights, *paths], env=own_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"no model with {encoder}: {(done.stderr.strip() or '?').splitlines()[-1]}")
    return folder


def what_model(asked: Asked, encoder: str | None = None) -> str:
    """Say in a few words what writes the captions."""
    if asked.model is not None and encoder in (None, trained_encoder(asked)):
        return f"the model {asked.model.name}, without confidence and consensus"
    return (
        f"a decoder `{OPTIONS.name}` with random weights that writes captions of {WORDS:.0f} ± "
        f"{SPREAD:.1f} words"
    )
