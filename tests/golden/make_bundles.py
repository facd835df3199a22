# PYTHONPATH=SRC:. python THIS_FILE
"""Write a tiny bundle of one format version: that of the cutline in SRC, the ``src`` of a checkout.

A test loads and captions with every one of them, so that no later cutline forgets how. A folder that is there
is never written again; a new format version adds one, made when the version is new::

    PYTHONPATH=src:. python tests/golden/make_bundles.py

writes ``bundles/version_N`` (from version 3 on also ``version_N.zip``) and ``bundles/version_N.json`` with
what this cutline says of four made-up pictures. Version 1 was written with the commit before the one that
brought graphs, version 2 with the last one before version 3.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "bundles"
WORDS = [*("a", "dog", "on", "the", "grass", "runs", "in", "snow", "two", "red", "ball")]
SIZE = (8, 8)
PICTURES = 4
SEED = 8


def picture(number: int) -> NDArray[np.uint8]:
    """Return a uint8 (8, 8, 3) image of four blocks, by integer formula."""
    row, column, channel = np.ogrid[: SIZE[0], : SIZE[1], :3]
    levels = (row // 4 * 5 + column // 4 * 3 + channel) * (number + 1) * 97 % 256
    return np.asarray(levels, np.uint8)


def make_bundle() -> Any:
    """Return a bundle with everything: a network of its own, a confidence, captions of training images."""
    import keras

    from cutline.config import DecoderOptions, DecodingOptions
    from cutline.models.decoders import build_decoder
    from cutline.models.encoders import Encoder
    from cutline.models.sessions import decoder_arrays
    from cutline.runtime import Bundle
    from cutline.runtime.confidence import Confidence, TrainingFeatures
    from cutline.runtime.neighbours import Neighbours
    from cutline.text import Tokenizer, Vocabulary
    from cutline.text.vocabulary import SPECIALS

    image = keras.Input((*SIZE, 3), name="image")
    rescaled = keras.layers.Rescaling(1 / 64, name="rescale")(image)
    network = keras.Model(image, keras.layers.AveragePooling2D(4, name="pool")(rescaled), name="means")
    config = keras.saving.serialize_keras_object(network)
    taking_bytes = keras.Input((*SIZE, 3), dtype="uint8")
    encoder = Encoder("means.keras", keras.Model(taking_bytes, network(taking_bytes)), "grid", 2, config)
    vocabulary = Vocabulary((*SPECIALS, *WORDS), Tokenizer())
    options = DecoderOptions(name="attend", embedding_units=3, lstm_units=4, attention_units=3)
    chance = np.random.default_rng(SEED)
    decoder = build_decoder(options, len(vocabulary), encoder.feature_shape)
    arrays = {
        # Few digits in binary, so that every machine computes the same captions.
        name: (chance.integers(-64, 65, array.shape) / 16).astype(np.float32)
        for name, array in decoder_arrays(decoder).items()
    }
    training = TrainingFeatures(
        np.zeros(3, np.float32), np.eye(3, 2, dtype=np.float32), np.eye(2, dtype=np.float32)
    )
    numbers = (np.zeros(4), np.ones(4), np.full(4, 0.25), 0.5, 0.5, 1.0)
    return Bundle(
        encoder_spec=encoder.spec(),
        encoder_arrays=encoder.weights(),
        decoder=options,
        decoder_arrays=arrays,
        feature_shape=encoder.feature_shape,
        vocabulary=vocabulary,
        decoding=DecodingOptions(beam_size=2, min_length=2, max_length=6, no_repeat_ngram=1),
        confidence=Confidence("good", 30.0, *numbers, training, frozenset({"0" * 16})),
        neighbours=Neighbours(("a.png", "b.png"), (("a dog runs",), ("the snow",)), training),
        details={"cutline": "0.1.0", "created": "2026-11-23T00:00:00+00:00", "epoch": 3},
    )


def main() -> None:
    """Write what is not there yet."""
    from cutline.captioner import Captioner
    from cutline.runtime import bundle as format
    from cutline.runtime import save_bundle

    version = getattr(format, "FORMAT_VERSION", None)
    if version is None:
        from cutline.runtime.manifest import FORMAT_VERSION as version  # noqa: N811
    folder = FOLDER / f"version_{version}"
    if folder.exists():
        raise SystemExit(f"{folder} is there, and stays as it is")
    bundle = make_bundle()
    if version > 1:
        from cutline.exporting import with_graphs

        bundle = with_graphs(bundle)
    save_bundle(bundle, folder)
    if version > 2:
        save_bundle(bundle, folder.with_suffix(".zip"))
    captioner = Captioner.load(folder)
    found = [captioner.caption(picture(number))[0] for number in range(PICTURES)]
    facts = [{"caption": one.text, "confidence": round(one.confidence or 0, 3)} for one in found]
    folder.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
