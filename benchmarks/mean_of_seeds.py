"""The same config from several seeds: every figure of each, their mean and its standard deviation.

    .venv/bin/python benchmarks/mean_of_seeds.py first/evaluation.json second/evaluation.json ...
    .venv/bin/python benchmarks/mean_of_seeds.py one_*/evaluation.json --against other_*/evaluation.json

Files are those that ``cutline evaluate`` writes. They have to be of the same data, split and decoding, or
nothing is printed: a mean over different questions answers none. The deviation is that of a sample (its
squares are divided by one less than the number of seeds); of few seeds it is itself not well known.

With ``--against`` the same of a second config, one evaluation or more, and the paired test between the two:
an image counts with the mean of its seeds. The two may decode differently; data and split have to be the
same. Texts are parted into tokens as ``cutline score`` does.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.tables import Table

from cutline.errors import CutlineError
from cutline.evaluation import scoring_tokens
from cutline.metrics import Scorer, compare_seeds
from cutline.recipes.results import load_evaluation
from cutline.records import Comparison
from cutline.text import Tokenizer, choose_level

FIGURES: Final[Mapping[str, tuple[str, str, float, int]]] = {
    "BLEU-4": ("scores", "bleu_4", 1, 1),
    "CIDEr-D": ("scores", "cider_d", 1, 1),
    "distinct captions, %": ("diversity", "unique_captions", 100, 0),
    "different words": ("diversity", "words", 1, 0),
    "ending in a function word, %": ("diversity", "function_word_endings", 100, 1),
}
"""Column → part of the evaluation, name in it, what it is multiplied by, decimals."""

_SAME_DATA: Final = ("split", "data_fingerprint")
_SAME: Final = ("decoding", *_SAME_DATA)
_TESTED: Final = {"bleu_4": "BLEU-4", "cider_d": "CIDEr-D"}


def table(evaluations: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a Markdown table, a row for each evaluation and one for all.

    Args:
        evaluations: Name → the fields of an ``EvaluationResult``; two at least.

    Raises:
        ValueError: They are not of the same data, split and decoding, or too few.
    """
    if len(evaluations) < 2:
        raise ValueError(f"a mean takes two evaluations or more, found {len(evaluations)}")
    _refuse_others(evaluations.values(), _SAME)
    columns, cells = ["evaluation"], [[*evaluations, "**mean ± sd**"]]
    for name, (part, key, factor, places) in FIGURES.items():
        values = [one[part][key] for one in evaluations.values()]
        if None in values:  # function words are known of English alone
            continue
        values = [value * factor for value in values]
        columns.append(name)
        cells.append([*(f"{value:.{places}f}" for value in values), _spread(values, places)])
    return Table("", columns, list(zip(*cells, strict=True))).markdown()


def differences(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> str:
    """Return a Markdown table of the paired test: what the first config is ahead of the second by.

    Args:
        first: For each seed the fields of an ``EvaluationResult``.
        second: Likewise; how many seeds and how they decoded may differ.

    Raises:
        ValueError: They are not of the same data and split.
        DataError: They are not of the same images.
    """
    _refuse_others([*first, *second], _SAME_DATA)
    references = first[0]["references"]
    texts = list(chain.from_iterable(references.values()))
    tokens = scoring_tokens(Tokenizer(choose_level(texts)), texts)
    scorer = Scorer(references, tokens.tokenise, tokens.name)
    found = compare_seeds(scorer, [one["captions"] for one in second], [one["captions"] for one in first])
    rows = []
    for key, name in _TESTED.items():
        one = found[key]
        gap = f"{one.difference:+.1f} ± {one.half_width:.1f}"
        rows.append((name, f"{one.first:.1f}", f"{one.second:.1f}", gap, _p(one)))
    return Table("", ["score", "against", "this", "difference", "p"], rows).markdown()


def _refuse_others(evaluations: Iterable[Mapping[str, Any]], keys: Sequence[str]) -> None:
    evaluations = list(evaluations)
    for key in keys:
        found = {str(one.get(key)) for one in evaluations}
        if len(found) > 1:
            raise ValueError(f"evaluations differ in {key}: {'; '.join(sorted(found))}")


def _p(comparison: Comparison) -> str:
    return "< 0.001" if comparison.p_value < 0.001 else f"{comparison.p_value:.3f}"


def _spread(values: Sequence[float], places: int) -> str:
    return f"{statistics.mean(values):.{places}f} ± {statistics.stdev(values):.{places}f}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("evaluations", type=Path, nargs="+", metavar="EVALUATION.json")
    parser.add_argument("--against", type=Path, nargs="+", metavar="OTHER.json", help="another config")
    asked = parser.parse_args()
    try:
        sides = [
            {str(path): asdict(load_evaluation(path)) for path in paths}
            for paths in (asked.evaluations, asked.against)
            if paths
        ]
        tables = [table(side) for side in sides if len(side) > 1 or len(sides) == 1]
        if len(sides) > 1:
            tables.append(differences(*(list(side.values()) for side in sides)))
        print("\n\n".join(tables))
    except (CutlineError, ValueError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
