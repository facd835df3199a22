"""Cutline's scores against those of pycocoevalcap, image by image.

    .venv/bin/python benchmarks/score_equality.py flickr8k/captions.csv [--seed 0]

The table has columns image, caption and, optionally, split; images of the test split are left out. Every
image's last caption, changed in one of five ways, is scored against all of its captions. The reference code
reads tokens of COCO's Java tokenizer where Java is there, and the comparison of tokens is then printed too;
without Java it reads cutline's tokens. What is printed is the largest difference relative to the reference's
value, over all images and the corpus; values below 1e-12 count as zero on both sides.
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cutline.metrics import Scorer, tokenise_ptb

Captions = dict[str, list[str]]


def read_captions(table: Path) -> Captions:
    """Return image → captions of the images that are not in the test split."""
    captions: Captions = defaultdict(list)
    with table.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row.get("split") != "test":
                captions[row["image"]].append(row["caption"])
    return dict(captions)


def of_another_image(captions: Captions, rng: random.Random) -> dict[str, str]:
    """Give every image the caption of another one."""
    last = [texts[-1] for texts in captions.values()]
    at = rng.randrange(1, max(2, len(last)))
    return dict(zip(captions, last[at:] + last[:at], strict=True))


def changed(change: Callable[[list[str], random.Random], list[str]]) -> Callable[..., dict[str, str]]:
    """Change the words of every image's last caption."""

    def change_all(captions: Captions, rng: random.Random) -> dict[str, str]:
        return {image: " ".join(change(texts[-1].split(), rng)) for image, texts in captions.items()}

    return change_all


def dropped(words: list[str], rng: random.Random) -> list[str]:
    """Leave out a fourth of the words."""
    return [word for word in words if rng.random() > 0.25]


def swapped(words: list[str], rng: random.Random) -> list[str]:
    """Exchange neighbours here and there."""
    words = words.copy()
    for at in range(len(words) - 1):
        if rng.random() < 0.3:
            words[at], words[at + 1] = words[at + 1], words[at]
    return words


def cut_short(words: list[str], rng: random.Random) -> list[str]:
    """Keep the first words, sometimes none."""
    return words[: rng.randint(0, len(words))]


def repeated(words: list[str], rng: random.Random) -> list[str]:
    """Say words twice or thrice, and put in one that no reference has."""
    out = [word for word in words for _ in range(rng.choice((1, 1, 2, 3)))]
    out.insert(rng.randint(0, len(out)), "unheardof")
    return out


CHANGES: dict[str, Callable[[Captions, random.Random], dict[str, str]]] = {
    "caption of another image": of_another_image,
    "words left out": changed(dropped),
    "neighbours exchanged": changed(swapped),
    "cut short": changed(cut_short),
    "words repeated": changed(repeated),
}


def coco_tokens(captions: Sequence[str], java: bool) -> list[str]:
    """Return tokens joined by blanks: by COCO's Java tokenizer, or by cutline's."""
    if not java:
        return [" ".join(tokenise_ptb(caption)) for caption in captions]
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    numbered = {number: [{"caption": caption}] for number, caption in enumerate(captions)}
    tokens = PTBTokenizer().tokenize(numbered)
    # a caption that ends the list and is blank gets no line
    return [tokens.get(number, [""])[0] for number in range(len(captions))]


def coco_scores(
    hypotheses: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> dict[str, tuple[float, np.ndarray]]:
    """Return metric → corpus value and per-image values of pycocoevalcap, ×100."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    single = {image: [text] for image, text in hypotheses.items()}
    corpus, images = Bleu(4).compute_score(references, single, verbose=0)
    found = {f"bleu_{n}": pair for n, pair in enumerate(zip(corpus, images, strict=True), start=1)}
    found["rouge_l"] = Rouge().compute_score(references, single)
    found["cider_d"] = Cider().compute_score(references, single)
    return {name: (100 * float(mean), 100 * np.array(values)) for name, (mean, values) in found.items()}


def largest_difference(own: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference relative to the expected value; 0 where both are nearly zero."""
    scale = np.maximum(np.abs(expected), 1e-12)
    differences = np.where((np.abs(own) < 1e-12) & (np.abs(expected) < 1e-12), 0.0, np.abs(own - expected))
    return float((differences / scale).max())


def compare_all(captions: Captions, seed: int, java: bool) -> list[dict[str, object]]:
    """Return one row per set of hypotheses."""
    references = tokens_of(captions, java)
    scorer = Scorer(captions)
    different = differing(captions, references)
    rows: list[dict[str, object]] = []
    for name, change in CHANGES.items():
        hypotheses = change(captions, random.Random(seed))
        texts = list(hypotheses.values())
        tokens = dict(zip(hypotheses, coco_tokens(texts, java), strict=True))
        expected = coco_scores(tokens, references)
        corpus, images = scorer.score(hypotheses), scorer.per_image(hypotheses)
        row: dict[str, object] = {"hypotheses": name}
        row["tokens differ"] = different + differing({k: [v] for k, v in hypotheses.items()}, tokens)
        for metric, (mean, values) in expected.items():
            own = np.append(images[metric], getattr(corpus, metric))
            row[metric] = largest_difference(own, np.append(values, mean))
        rows.append(row)
    return rows


def tokens_of(captions: Captions, java: bool) -> Captions:
    """Tokenise all captions of all images at once."""
    flat = iter(coco_tokens([text for texts in captions.values() for text in texts], java))
    return {image: [next(flat) for _ in texts] for image, texts in captions.items()}


def differing(captions: Mapping[str, Sequence[str]], tokens: Mapping[str, Sequence[str] | str]) -> int:
    """Count captions whose tokens are not cutline's."""
    return sum(
        " ".join(tokenise_ptb(text)) != given
        for image, texts in captions.items()
        for text, given in zip(
            texts, [tokens[image]] if isinstance(tokens[image], str) else tokens[image], strict=True
        )
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-java", action="store_true", help="read cutline's tokens on both sides")
    arguments = parser.parse_args()
    captions = read_captions(arguments.table)
    java = not arguments.no_java and shutil.which("java") is not None
    rows = compare_all(captions, arguments.seed, java)
    count = sum(map(len, captions.values()))
    print(f"{len(captions):,} images, {count:,} references; tokens of {'Java' if java else 'cutline'}\n")
    print("| " + " | ".join(rows[0]) + " |\n|" + " --- |" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(f"{v:.1e}" if isinstance(v, float) else f"{v}" for v in row.values()) + " |")


if __name__ == "__main__":
    main()
