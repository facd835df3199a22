"""Penn Treebank tokens as COCO's evaluation server makes them, in lower case and without punctuation."""

from __future__ import annotations

import re
from typing import Final

_PUNCTUATION: Final = frozenset({".", "?", "!", ",", ":", "-", "--", "...", ";", "'", "`", "''", "``"})
_TOKEN = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*|\S")


def tokenise_ptb(text: str) -> list[str]:
    """Split a caption into lower-case tokens.

    Example:
        >>> tokenise_ptb("A dog runs.")
        ['a', 'dog', 'runs']
    """
    return [token for token in _TOKEN.findall(text.lower()) if token not in _PUNCTUATION]
