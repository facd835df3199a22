"""Do a model's graphs write the captions that Keras writes? Every figure comes from the photos themselves.

    python benchmarks/onnx_parity.py MODEL FOLDER [--images 1000] [--split runs/first/split.csv]

MODEL is a run or a bundle with graphs; of the photos in FOLDER the first are taken, or those that a run's
split.csv calls val. Each runtime encodes and decodes for itself, from pixels.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cutline.data.image_paths import match_images
from cutline.data.images import decode_image
from cutline.exporting.parity import measure_parity
from cutline.runtime import load_bundle, open_session
from cutline.runtime.bundle import find_bundle
from cutline.voters import Voters

BATCH = 50


def chosen(folder: Path, split: Path | None, images: int) -> list[str]:
    paths = [path for path, error in match_images([str(folder)]).items() if error is None]
    if split is not None:
        with split.open(encoding="utf-8", newline="") as stream:
            wanted = {Path(row["image_id"]).name for row in csv.DictReader(stream) if row["split"] == "val"}
        paths = [path for path in paths if Path(path).name in wanted]
    return paths[:images]


def decoded(paths: list[str], size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    for at in range(0, len(paths), BATCH):
        yield np.stack([decode_image(path, size) for path in paths[at : at + BATCH]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--split", type=Path)
    asked = parser.parse_args()
    bundle = load_bundle(find_bundle(asked.model))
    keras, onnx = open_session(bundle, "keras"), open_session(bundle, "onnx")
    paths = chosen(asked.folder, asked.split, asked.images)
    batches = decoded(paths, onnx.input_size)
    found = measure_parity(keras, onnx, batches, bundle.vocabulary, bundle.decoding, Voters.of(bundle))
    print("| | |\n| --- | ---: |")
    print(f"| photos | {found.images:,} |")
    print(f"| same caption | {found.same_share:.2%} |")
    print(f"| largest difference of a feature, of the largest | {found.features:.1e} |")
    print(f"| largest difference of a token's log-probability, nats | {found.log_probability:.1e} |")
    for place, first, second in found.different:
        print(f"\n{paths[place]}\n  Keras: {first}\n  ONNX:  {second}")


if __name__ == "__main__":
    main()
