"""Time per photo with and without the confidence of its caption, side by side.

    .venv/bin/python benchmarks/confidence_cost.py MODEL PHOTOS [--images 256] [--rounds 5]

MODEL is a run folder or a bundle that carries a confidence, PHOTOS a folder. Reading, encoding and captioning
are all in the times, as in `cutline caption`; rounds alternate, so that other work on the machine slows both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    from cutline.captioner import Captioner
    from cutline.data.image_paths import match_images

    sure = Captioner.load(asked.model)
    if sure.bundle.confidence is None:
        raise SystemExit(f"{asked.model}: carries no confidence")
    unsure = sure.without_confidence()
    paths = [path for path, error in match_images([str(asked.photos)]).items() if error is None]
    paths = paths[: asked.images]
    print(f"{len(paths)} photos, {sure.bundle.encoder_spec['name']}, median of {asked.rounds} rounds\n")
    print("| beam size | without, ms per photo | with, ms per photo | with ÷ without |")
    print("| ---: | ---: | ---: | ---: |")
    for beam_size in (1, 3):
        for captioner in (sure, unsure):  # compile before anything is timed
            list(captioner.caption_all(paths[:64], beam_size))
        times: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(asked.rounds):
            for captioner in (unsure, sure):
                started = time.perf_counter()
                list(captioner.caption_all(paths, beam_size))
                times[captioner is sure].append((time.perf_counter() - started) / len(paths) * 1e3)
        ratio = statistics.median(a / b for a, b in zip(times[True], times[False], strict=True))
        without, with_it = statistics.median(times[False]), statistics.median(times[True])
        print(f"| {beam_size} | {without:.1f} | {with_it:.1f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
