"""Makes the bundles that pieces measure; run by :func:`benchmarks.made_up.model`, in a process of its own.

    python -m benchmarks.making FOLDER ENCODER TRAINED WEIGHTS PHOTO ...

Written are FOLDER/ENCODER-PRECISION for each precision.
TRAINED is a run or a bundle, or empty; WEIGHTS a file for the encoder, or empty.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from benchmarks.made_up import (
    OPTIONS,
    VOCABULARY,
    decoder_arrays,
    made_up_vocabulary,
    options_for,
    pixels_of,
)

from cutline.config import EncoderOptions
from cutline.exporting.bundles import decoder_files, with_graphs
from cutline.exporting.quantising import quantise_encoder
from cutline.models.encoders import build_encoder
from cutline.runtime import Bundle, load_bundle, save_bundle
from cutline.runtime.bundle import ENCODER_GRAPH, find_bundle

_BATCH = 16


def main() -> None:
    folder, encoder, trained, weights, *paths = sys.argv[1:]
    bundle = _trained(Path(trained), encoder) if trained else None
    if bundle is None:
        bundle = _untrained(encoder, weights, paths)
    save_bundle(bundle, Path(folder, f"{encoder}-float32"))
    pixels = pixels_of(paths, input_size(bundle))
    batches = (pixels[at : at + _BATCH] for at in range(0, len(pixels), _BATCH))
    small = {ENCODER_GRAPH: quantise_encoder(bundle.graphs[ENCODER_GRAPH], batches)}
    bundle = replace(bundle, graphs={**bundle.graphs, **small})
    save_bundle(bundle, Path(folder, f"{encoder}-int8-encoder"))
    arrays, shape = bundle.decoder_arrays, bundle.feature_shape
    small = decoder_files(bundle.decoder, arrays, shape, int8=True)
    save_bundle(replace(bundle, graphs={**bundle.graphs, **small}), Path(folder, f"{encoder}-int8"))


def _trained(model: Path, encoder: str) -> Bundle | None:
    """Return a trained model without what is measured apart; None when it has another encoder."""
    bundle = load_bundle(find_bundle(model))
    if bundle.encoder_spec.get("name") != encoder:
        return None
    plain = bundle.decoding.model_copy(update={"consensus": 0})
    bundle = replace(bundle, confidence=None, neighbours=None, decoding=plain)
    return bundle if bundle.graphs else with_graphs(bundle)


def _untrained(name: str, weights: str, paths: list[str]) -> Bundle:
    known = weights if name == "resnet50" else "imagenet"
    encoder = build_encoder(EncoderOptions(name=name, weights=known or "random", features="grid"))
    features = encoder.encode(pixels_of(paths, encoder.input_size))
    depth = encoder.feature_shape[-1]
    return with_graphs(
        Bundle(
            encoder_spec=encoder.spec(),
            encoder_arrays=encoder.weights(),
            decoder=OPTIONS,
            decoder_arrays=decoder_arrays(OPTIONS, VOCABULARY, depth, features),
            feature_shape=encoder.feature_shape,
            vocabulary=made_up_vocabulary(),
            decoding=options_for(3),
            details={"encoder_fingerprint": encoder.fingerprint()},
        )
    )


def input_size(bundle: Bundle) -> tuple[int, int]:
    """Return height and width of the images that a bundle's encoder takes."""
    from cutline.runtime.onnx_session import OnnxEncoder

    return OnnxEncoder(bundle).input_size


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
