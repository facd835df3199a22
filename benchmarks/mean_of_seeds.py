"""The same experiment from several seeds: every figure of each, their mean and its standard deviation.

    .venv/bin/python benchmarks/mean_of_seeds.py first/evaluation.json second/evaluation.json ...

Files are those that ``cutline evaluate`` writes. They have to be of the same data, split and decoding, or
nothing is printed: a mean over different questions answers none. The deviation is that of a sample (its
squares are divided by one less than the number of seeds); of few seeds it is itself not well known.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.tables import Table

from cutline.errors import CutlineError
from cutline.recipes.results import load_evaluation

FIGURES: Final[Mapping[str, tuple[str, str, float, int]]] = {
    "BLEU-4": ("scores", "bleu_4", 1, 1),
    "CIDEr-D": ("scores", "cider_d", 1, 1),
    "distinct captions, %": ("diversity", "unique_captions", 100, 0),
    "different words": ("diversity", "words", 1, 0),
    "ending in a function word, %": ("diversity", "function_word_endings", 100, 1),
}
"""Column → part of the evaluation, name in it, what it is multiplied by, decimals."""

_SAME: Final = ("split", "decoding", "data_fingerprint")


def table(evaluations: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a Markdown table, a row for each evaluation and one for all.

    Args:
        evaluations: Name → the fields of an ``EvaluationResult``; two at least.

    Raises:
        ValueError: They are not of the same data, split and decoding, or too few.
    """
    if len(evaluations) < 2:
        raise ValueError(f"a mean takes two evaluations or more, found {len(evaluations)}")
    for key in _SAME:
        found = {str(one.get(key)) for one in evaluations.values()}
        if len(found) > 1:
            raise ValueError(f"evaluations differ in {key}: {'; '.join(sorted(found))}")
    columns, cells = ["evaluation"], [[*evaluations, "**mean ± sd**"]]
    for name, (part, key, factor, places) in FIGURES.items():
        values = [one[part][key] for one in evaluations.values()]
        if None in values:  # function words are known of English alone
            continue
        values = [value * factor for value in values]
        columns.append(name)
        cells.append([*(f"{value:.{places}f}" for value in values), _spread(values, places)])
    return Table("", columns, list(zip(*cells, strict=True))).markdown()


def _spread(values: Sequence[float], places: int) -> str:
    return f"{statistics.mean(values):.{places}f} ± {statistics.stdev(values):.{places}f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("evaluations", type=Path, nargs="+", metavar="EVALUATION.json")
    asked = parser.parse_args()
    try:
        print(table({str(path): asdict(load_evaluation(path)) for path in asked.evaluations}))
    except (CutlineError, ValueError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
