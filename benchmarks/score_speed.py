"""Time and memory of scoring against pycocoevalcap, side by side.

    .venv/bin/python benchmarks/score_speed.py [flickr8k/captions.csv] [--images 40000] [--repeats 3]

Every image has five references and one hypothesis: from a table with columns image and caption, repeated
until there are enough images, or made up from a seed. Both sides compute BLEU-1..4, ROUGE-L and CIDEr-D
(cutline also CIDEr), first on the same tokens, then on captions as written, which COCO's code hands to Java.
Each measurement is a process of its own, the two sides in turn; medians are printed. Memory is the peak of
the process that scores, captions included and Java not.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from itertools import accumulate
from pathlib import Path


def made_up(images: int, seed: int = 0) -> dict[str, list[str]]:
    """Make five captions per image: about 11 words, few of them frequent and many rare."""
    rng = random.Random(seed)
    words = [f"word{number}" for number in range(8000)]
    weights = list(accumulate(1 / (rank + 3) for rank in range(len(words))))
    captions: dict[str, list[str]] = {}
    for image in range(images):
        topic = rng.choices(words, cum_weights=weights, k=12)
        captions[str(image)] = [
            " ".join(
                rng.choice(topic) if rng.random() < 0.5 else rng.choices(words, cum_weights=weights)[0]
                for _ in range(rng.randint(6, 16))
            )
            for _ in range(5)
        ]
    return captions


def from_table(table: Path, images: int) -> dict[str, list[str]]:
    """Read captions and repeat the images under other names until there are enough."""
    by_image: dict[str, list[str]] = defaultdict(list)
    with table.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            by_image[row["image"]].append(row["caption"])
    distinct = list(by_image.values())
    return {str(number): distinct[number % len(distinct)] for number in range(images)}


def prepare(arguments: argparse.Namespace, folder: Path) -> None:
    """Write both kinds of captions: as they are, and as tokens joined by blanks."""
    from cutline.metrics import tokenise_ptb

    references = (
        from_table(arguments.table, arguments.images) if arguments.table else made_up(arguments.images)
    )
    rng = random.Random(1)
    hypotheses = {}
    for image, captions in references.items():
        words = rng.choice(captions).split()
        hypotheses[image] = " ".join(word for word in words if rng.random() > 0.15)
    write(folder / "captions.json", hypotheses, references)
    tokens = {key: " ".join(tokenise_ptb(text)) for key, text in hypotheses.items()}
    joined = {key: [" ".join(tokenise_ptb(text)) for text in texts] for key, texts in references.items()}
    write(folder / "tokens.json", tokens, joined)


def write(path: Path, hypotheses: dict[str, str], references: dict[str, list[str]]) -> None:
    path.write_text(json.dumps([hypotheses, references]), encoding="utf-8")


def measure(side: str, path: Path) -> None:
    """Score what a file holds and print seconds, MiB and three scores; runs in a process of its own."""
    hypotheses, references = json.loads(path.read_text(encoding="utf-8"))
    tokens = path.stem == "tokens"
    score = score_with_cutline if side == "cutline" else score_with_coco
    start = time.perf_counter()
    scores = score(hypotheses, references, tokens)
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    print(json.dumps({"seconds": seconds, "peak": peak, "scores": scores}))


def score_with_cutline(hypotheses: dict, references: dict, tokens: bool) -> list[float]:
    from cutline.metrics import Scorer

    scores = Scorer(references, str.split if tokens else None).score(hypotheses)
    return [scores.bleu_4, scores.rouge_l, scores.cider_d]


def score_with_coco(hypotheses: dict, references: dict, tokens: bool) -> list[float]:
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    single = {image: [text] for image, text in hypotheses.items()}
    if not tokens:
        from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

        single, references = (
            PTBTokenizer().tokenize(
                {image: [{"caption": text} for text in texts] for image, texts in captions.items()}
            )
            for captions in (single, references)
        )
    bleu = Bleu(4).compute_score(references, single, verbose=0)[0][3]
    rouge = Rouge().compute_score(references, single)[0]
    return [100 * float(value) for value in (bleu, rouge, Cider().compute_score(references, single)[0])]


def in_own_process(side: str, path: Path) -> dict:
    """Run one measurement; one thread each, as the reference code has no more."""
    command = [sys.executable, __file__, "--measure", side, str(path)]
    single = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, env=os.environ | single
    )
    return json.loads(done.stdout)


def print_rows(name: str, path: Path, repeats: int) -> None:
    """Measure both sides in turn and print a row for each."""
    found: dict[str, list[dict]] = {"pycocoevalcap": [], "cutline": []}
    for _ in range(repeats):
        for side, results in found.items():
            results.append(in_own_process(side, path))
    coco, own = found.values()
    for one, other in zip(coco, own, strict=True):
        for expected, value in zip(one["scores"], other["scores"], strict=True):
            if abs(value - expected) > 1e-6 * abs(expected):
                raise SystemExit(f"the two sides disagree: {one['scores']} and {other['scores']}")
    ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in zip(coco, own, strict=True))
    for side, results in found.items():
        seconds = statistics.median(result["seconds"] for result in results)
        peak = max(result["peak"] for result in results)
        faster = f"{ratio:.1f}" if side == "cutline" else ""
        print(f"| {name} | {side} | {seconds:.2f} | {peak:,.0f} | {faster} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("table", type=Path, nargs="?")
    parser.add_argument("--images", type=int, default=40_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prepare(arguments, Path(folder))
        print(f"{arguments.images:,} hypotheses, {5 * arguments.images:,} references\n")
        print("| what | code | seconds | peak memory, MiB | times as fast |")
        print("| --- | --- | ---: | ---: | ---: |")
        print_rows("scores of given tokens", Path(folder, "tokens.json"), arguments.repeats)
        if shutil.which("java"):
            print_rows("tokens and scores", Path(folder, "captions.json"), arguments.repeats)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
