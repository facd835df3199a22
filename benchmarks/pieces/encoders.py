"""Encoders alone: decoded pixels to features, in float32 and int8, by ONNX Runtime and by Keras."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.made_up import model, photos, pixels_of, what_photos
from benchmarks.measuring import in_turn
from benchmarks.pieces import Asked
from benchmarks.tables import Table, spelt

_ENCODERS = {"efficientnet_lite0": 128, "resnet50": 64}


def run(asked: Asked) -> list[Table]:
    """Encode the same pixels in turn."""
    from cutline.runtime import load_bundle, open_session

    rows: list[list[str]] = []
    values: dict[str, float] = {}
    for encoder, full in _ENCODERS.items():
        paths = photos(asked, asked.size(full, 4))
        asked.tell(f"encoding {len(paths)} images with {encoder}")
        bundles = {name: load_bundle(model(asked, encoder, name)) for name in ("float32", "int8")}
        sessions = {
            "Keras, float32": open_session(bundles["float32"], "keras"),
            "ONNX Runtime, float32": open_session(bundles["float32"], "onnx"),
            "ONNX Runtime, int8": open_session(bundles["int8"], "onnx"),
        }
        pixels = pixels_of(paths, sessions["Keras, float32"].input_size)
        works: dict[str, Callable[[], object]] = {
            name: partial(session.encode, pixels) for name, session in sessions.items()
        }
        found = in_turn(works, asked.rounds)
        for name in works:
            rate = len(pixels) / found.median(name)
            times = found.times_as_fast(name, "Keras, float32")
            values[f"{encoder} {name}"] = rate
            rows.append([encoder, name, spelt(rate), spelt(times)])
    note = (
        f"{what_photos(asked, asked.size(128, 4))} ({asked.size(_ENCODERS['resnet50'], 4)} for ResNet-50), "
        f"decoded before; 32 images at once; median of {asked.rounds} rounds, in turn. ResNet-50 has "
        + ("the weights that were given." if asked.encoder_weights else "random weights.")
    )
    return [Table("", ["encoder", "by", "images/s", "times Keras"], rows, note, values)]
