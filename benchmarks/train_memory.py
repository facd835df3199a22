"""Peak memory of `cutline train` against the number of images, features extracted before.

    .venv/bin/python benchmarks/train_memory.py [--images 1000 50000]

The sample scenes are repeated under new names with a few bytes appended, which makes each file an image of
its own to cutline. Their features are computed once and filed under every name, so that what is measured is
training: each size trains one epoch in a process of its own, and that process's peak is printed.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path

import numpy as np

SETTINGS = {
    "training.epochs": 1,
    "training.batch_size": 256,
    "decoder.embedding_units": 64,
    "decoder.lstm_units": 128,
}


def repeat_sample(sample: Path, folder: Path, images: int) -> Path:
    """Write ``images`` files and a table of five captions each; return the table."""
    (folder / "images").mkdir(parents=True)
    captions: dict[str, list[str]] = {}
    with sample.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            captions.setdefault(row["image"], []).append(row["caption"])
    table = folder / "captions.csv"
    with table.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("image", "caption"))
        for number, name in enumerate(islice(cycle(captions), images)):
            copy = f"images/{number:06}.png"
            (folder / copy).write_bytes((sample.parent / name).read_bytes() + f"#{number}".encode())
            writer.writerows((copy, caption) for caption in captions[name])
    return table


def fill_store(folder: Path, distinct: int) -> None:
    """Encode the distinct scenes once and file their features under the digest of every copy."""
    from cutline.config import EncoderOptions
    from cutline.data.feature_store import FeatureStore
    from cutline.data.images import decode_image
    from cutline.models.encoders import build_encoder
    from cutline.recipes.extract import store_folder

    encoder = build_encoder(EncoderOptions())
    paths = sorted((folder / "images").iterdir())
    pixels = np.stack([decode_image(path, encoder.input_size) for path in paths[:distinct]])
    features = encoder.encode(pixels)
    with FeatureStore.open(store_folder(encoder), encoder.fingerprint(), encoder.feature_shape) as store:
        for chunk in ranges(len(paths), 512):
            digests = [hashlib.sha256(paths[index].read_bytes()).hexdigest() for index in chunk]
            store.append(digests, features[[index % len(features) for index in chunk]])


def ranges(count: int, size: int) -> list[range]:
    """Return consecutive ranges that cover 0..count-1."""
    return [range(at, min(at + size, count)) for at in range(0, count, size)]


def peak_of_training(table: Path, run: Path) -> float:
    """Train in a process of its own; return its peak memory in MiB."""
    command = [sys.executable, "-m", "cutline", "train", str(table), "--run", str(run), "--quiet"]
    for key, value in SETTINGS.items():
        command += ["--set", f"{key}={value}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"training failed with status {status}")
    scale = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * scale / 2**20


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 50_000])
    sizes = parser.parse_args().images
    from cutline.data.sample import draw_sample

    with tempfile.TemporaryDirectory() as folder:
        os.environ["CUTLINE_CACHE"] = f"{folder}/cache"
        sample = draw_sample(Path(folder) / "sample")
        distinct = len(list((sample.parent / "images").iterdir()))
        peaks = {}
        print("| images | captions | peak memory, MiB | against the first |\n| ---: | ---: | ---: | ---: |")
        for size in sizes:
            data = Path(folder) / f"data-{size}"
            table = repeat_sample(sample, data, size)
            # In a process of its own, like the training: this one stays small.
            fill = [sys.executable, __file__, "--fill", str(data), str(min(size, distinct))]
            subprocess.run(fill, check=True, stderr=subprocess.DEVNULL)
            peaks[size] = peak_of_training(table, Path(folder) / f"run-{size}")
            ratio = peaks[size] / peaks[sizes[0]]
            print(f"| {size:,} | {5 * size:,} | {peaks[size]:.0f} | {ratio:.3f} |", flush=True)
            shutil.rmtree(data)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--fill"]:
        fill_store(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
