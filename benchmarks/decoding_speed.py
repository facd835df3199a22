"""How fast a model writes captions from features: its graphs in ONNX Runtime beside Keras on TensorFlow.

    python benchmarks/decoding_speed.py MODEL FOLDER [--images 64] [--repeats 5]

MODEL is a run or a bundle with graphs. The first photos in FOLDER are encoded once; then both runtimes
caption the same features in turn, all images side by side, and the median of the repeats counts. Look at the
ratio: images per second depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from cutline.data.feature_store import as_stored
from cutline.data.image_paths import match_images
from cutline.data.images import decode_image
from cutline.runtime import load_bundle, open_session
from cutline.runtime.bundle import find_bundle
from cutline.writing import Writer

WAYS = (("greedy", 1), ("beam search, 3 beams", 3), ("beam search, 5 beams", 5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    bundle = load_bundle(find_bundle(asked.model))
    sessions = {name: open_session(bundle, name) for name in ("keras", "onnx")}
    paths = [path for path, error in match_images([str(asked.folder)]).items() if error is None]
    size = sessions["onnx"].input_size
    pixels = np.stack([decode_image(path, size) for path in paths[: asked.images]])
    features = as_stored(sessions["onnx"].encode(pixels))
    print("| decoding | Keras, images/s | ONNX Runtime, images/s | ratio |\n| --- | ---: | ---: | ---: |")
    for way, beam_size in WAYS:
        options = bundle.decoding.model_copy(
            update={"beam_size": beam_size, "consensus": 0, "batch_size": asked.images}
        )
        writers = {name: Writer(session, bundle.vocabulary) for name, session in sessions.items()}
        seconds: dict[str, list[float]] = {name: [] for name in writers}
        for repeat in range(asked.repeats + 1):
            for name, writer in writers.items():
                begin = time.perf_counter()
                writer.write(features, options)
                if repeat:  # the first compiles
                    seconds[name].append(time.perf_counter() - begin)
        keras, onnx = (len(features) / statistics.median(seconds[name]) for name in ("keras", "onnx"))
        print(f"| {way} | {keras:,.0f} | {onnx:,.0f} | {onnx / keras:.1f} |", flush=True)


if __name__ == "__main__":
    main()
