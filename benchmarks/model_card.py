"""What a model card tells beside the scores: what captions are like, and whom they name.

    .venv/bin/python benchmarks/model_card.py runs/first/evaluation-val/captions.json captions.csv --split val

Prints, for the captions of a model and for the references of the same images: the share with a word that
names men or boys, women or girls (the table of ``cutline check``), how many differ, how many words they use,
and how many end in an English function word. Then, for some things, colours and numbers: how often the model
names them, how often a person does so of that image, too, how many images two people name them of, and how
many of these the model finds.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from cutline.config import TextOptions
from cutline.data.caption_files import read_hypotheses, read_references, select_split
from cutline.data.checks.corpus import gendered_words
from cutline.data.checks.sentences import Sentence, Sentences
from cutline.metrics.function_words import ENGLISH_FUNCTION_WORDS
from cutline.recipes.same_images import same_images
from cutline.records import Example
from cutline.text import Tokenizer

PERCENT: Final = 100.0
WORDS: Final = ("dog|dogs", "snow", "water", "bike|bicycle", "ball", "red", "blue", "three|four", "cat|cats")


def rows_of(captions: list[str]) -> dict[str, str]:
    """Return name of a figure → its value for captions."""
    tokenizer = Tokenizer()
    tokens = [tokenizer.tokenise(caption) for caption in captions]
    entries = tuple(
        Sentence(Example(str(n), "", (caption,)), caption, tuple(own))
        for n, (caption, own) in enumerate(zip(captions, tokens, strict=True))
    )
    counted = gendered_words(Sentences(entries, tokenizer, TextOptions(), None))
    share = {name: PERCENT * number / len(captions) for name, (number, _) in counted.items()}
    endings = sum(bool(own) and own[-1] in ENGLISH_FUNCTION_WORDS for own in tokens)
    return {
        "captions": f"{len(captions):,}",
        **{f"name {name} people": f"{value:.1f} %" for name, value in share.items()},
        "differ": f"{PERCENT * len(set(captions)) / len(captions):.0f} %",
        "words": f"{len({token for own in tokens for token in own}):,}",
        "end in a function word": f"{PERCENT * endings / len(captions):.1f} %",
    }


def named(word: str, model: Mapping[str, str], people: Mapping[str, Sequence[str]]) -> list[int]:
    """Count images where the model names a word, where a person does, too, where two do, and both."""
    pattern = re.compile(rf"\b({word})\b", re.IGNORECASE)
    said = {image for image, caption in model.items() if pattern.search(caption)}
    times = {image: sum(bool(pattern.search(caption)) for caption in people[image]) for image in model}
    there = {image for image, count in times.items() if count > 1}
    return [len(said), sum(times[image] > 0 for image in said), len(there), len(said & there)]


def main() -> None:
    """Read, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("captions", type=Path)
    parser.add_argument("references", type=Path)
    parser.add_argument("--split", default="val")
    asked = parser.parse_args()
    written = read_hypotheses(asked.captions)
    people = select_split(read_references(asked.references), asked.split)
    model = rows_of([texts[0] for texts in written.captions.values()])
    human = rows_of([text for texts in people.captions.values() for text in texts])
    print("| | model | people |\n| --- | --- | --- |")
    for name, value in model.items():
        print(f"| {name} | {value} | {human[name]} |")
    pairs = same_images([written], people)
    texts = {image: captions[0] for image, captions in pairs.texts[0].items()}
    print(
        "\n| word | named | a person does, too | two people name | found |\n| --- | --- | --- | --- | --- |"
    )
    for word in WORDS:
        print(f"| {word.replace('|', ', ')} | {' | '.join(map(str, named(word, texts, pairs.references)))} |")


if __name__ == "__main__":
    main()
