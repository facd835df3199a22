"""Write perturbed_scores.json: what COCO's own code, Java tokenizer included, says of five sets of captions.

    .venv/bin/python tests/golden/make_perturbed_scores.py

Needs Java and pycocoevalcap 1.2. The sets are those of benchmarks/score_equality.py.
"""

from __future__ import annotations

import json
import random
import runpy
from pathlib import Path

HERE = Path(__file__).parent
CAPTIONS = {
    "kitchen.jpg": [
        "A cook with a tall hat stirs a pot of soup.",
        "Steam rises from the cook's pot, and he doesn't look up.",
        "A man in white is cooking (something green) on a gas stove",
        "the cook stirs his soup with a long wooden spoon .",
    ],
    "harbour.jpg": [
        "Three fishing boats lie in a harbour at low tide.",
        "Boats on the mud: the sea has gone out.",
        "Two small boats and a bigger one rest on the sand.",
    ],
    "market.jpg": [
        'An old woman sells "fresh" eggs, cheese & honey at a market stall.',
        "A lady in a blue-green scarf weighs cheese for a customer",
        "People queue at the stall; it's 9 a.m. and it can't be warm.",
        "A market stall with cheese, eggs, honey ...",
        "The woman at the stall cannot reach the highest shelf!",
    ],
    "rail.jpg": [
        "A yellow train crosses a bridge over a river.",
        "The train, half empty, is on the old iron bridge.",
    ],
    "garden.jpg": [
        "A cat sleeps between two rows of tomatoes.",
        "Mr. Green's cat is asleep in the tomato bed again.",
        "a grey cat lies in the sun",
        "A cat, tomatoes, and a watering can near St. Mary's Rd.",
    ],
    "workshop.jpg": [
        "A girl with goggles drills a 10-inch hole into a plank.",
        "The girl's father holds the plank while she drills.",
        "Two people are at work in a workshop full of tools",
    ],
    "hill.jpg": [
        "Seven hikers climb a steep green hill in the rain.",
        "A line of people with rucksacks walks up a hill .",
        "Hikers -- all of them in red -- climb up a hill.",
        "They climb and climb and climb.",
    ],
    "library.jpg": [
        "A boy reads on the floor of a library, his back to the shelves.",
        "A reader sits on the floor, a pile of books beside him.",
    ],
}


def main() -> None:
    """Write the file."""
    benchmark = runpy.run_path(str(HERE.parents[1] / "benchmarks" / "score_equality.py"))
    references = benchmark["tokens_of"](CAPTIONS, java=True)
    sets = {}
    for name, change in benchmark["CHANGES"].items():
        hypotheses = change(CAPTIONS, random.Random(0))
        tokens = dict(zip(hypotheses, benchmark["coco_tokens"](list(hypotheses.values()), True), strict=True))
        scores = benchmark["coco_scores"](tokens, references)
        sets[name] = {
            "hypotheses": hypotheses,
            "scores": {metric: [mean, *values.tolist()] for metric, (mean, values) in scores.items()},
        }
    content = {
        "made_with": "pycocoevalcap 1.2 with its Java tokenizer, x100; the corpus, then each image",
        "references": CAPTIONS,
        "sets": sets,
    }
    text = json.dumps(content, ensure_ascii=False, indent=1)
    (HERE / "perturbed_scores.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
