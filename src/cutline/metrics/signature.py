"""One line that says how scores were computed, so that only comparable ones are compared.

The idea is that of sacreBLEU: Post, "A Call for Clarity in Reporting BLEU Scores" (2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

METRIC_SET: Final = 1
"""Raised whenever a score of the same captions changes."""

FIELDS: Final = (
    "cutline",
    "tokenizer",
    "case",
    "markers",
    "references",
    "document frequencies",
    "decoding",
    "split",
    "data",
)
"""Names of the fields in the order in which they are written."""


def signature(facts: Mapping[str, object]) -> str:
    """Join facts to one line, ``name:value`` parted by ``|``.

    Args:
        facts: Values of :data:`FIELDS`, and of any others, which come last in their own order. ``cutline``,
            the version of the metric set, is filled in; facts that are None or blank are left out.

    Example:
        >>> signature({"split": "val", "tokenizer": "ptb", "references": 5})
        'cutline:1|tokenizer:ptb|references:5|split:val'
    """
    known = {"cutline": METRIC_SET, **facts}
    names = [name for name in FIELDS if name in known] + [name for name in known if name not in FIELDS]
    pairs = ((_clean(name), _clean(known[name])) for name in names)
    return "|".join(f"{name}:{value}" for name, value in pairs if value)


def facts_of(line: str) -> dict[str, str]:
    """Return the facts of a signature, name → value; those of ``""``, an unknown one, are none.

    Example:
        >>> facts_of("cutline:1|tokenizer:ptb|decoding:beam search: 3")["decoding"]
        'beam search: 3'
    """
    pairs = (pair.partition(":") for pair in line.split("|") if pair)
    return {name: value for name, _, value in pairs}


def _clean(value: object) -> str:
    text = "" if value is None else str(value)
    return " ".join(text.replace("|", "/").split())
