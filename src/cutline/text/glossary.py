"""Preferred terms: words of a caption are replaced by others once it is written."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from cutline.config import read_toml
from cutline.errors import ConfigError
from cutline.text.tokenizer import Tokenizer

_COLUMNS: Final = ["word", "preferred"]


class Glossary:
    """A table of terms, each with what is written in its place.

    Attributes:
        terms: The tokens of each term → what is preferred.

    Example:
        >>> glossary = Glossary({"dog": "Labrador", "a brown dog": "Rex"}, Tokenizer())
        >>> glossary.apply(["a", "brown", "dog", "sees", "a", "dog"])
        ['Rex', 'sees', 'a', 'Labrador']
    """

    def __init__(self, table: Mapping[str, str], tokenizer: Tokenizer) -> None:
        """Cut terms as captions are cut.

        Args:
            table: Term, of one word or several, in any case and form → preferred text, written as it is.
            tokenizer: Cuts the captions.

        Raises:
            ConfigError: A term holds no word, or two terms are the same to the tokenizer.
        """
        self.terms: dict[tuple[str, ...], str] = {}
        for term, preferred in table.items():
            tokens = tuple(tokenizer.tokenise(term))
            if not tokens or not preferred.strip():
                raise ConfigError(f"glossary: {term!r} = {preferred!r}; a word is needed on both sides")
            if self.terms.setdefault(tokens, preferred) != preferred:
                raise ConfigError(
                    f"glossary: {' '.join(tokens)!r} is {self.terms[tokens]!r} and {preferred!r}; keep one"
                )
        self._longest = max(map(len, self.terms), default=0)

    def apply(self, tokens: Sequence[str]) -> list[str]:
        """Return tokens with preferred texts in the place of terms.

        From the first token to the last; of several terms that begin at a token the longest counts, and what
        is put in is not looked at again.
        """
        pieces: list[str] = []
        at = 0
        while at < len(tokens):
            for size in range(min(self._longest, len(tokens) - at), 0, -1):
                preferred = self.terms.get(tuple(tokens[at : at + size]))
                if preferred is not None:
                    pieces.append(preferred)
                    at += size
                    break
            else:
                pieces.append(tokens[at])
                at += 1
        return pieces


def read_glossary(path: Path) -> dict[str, str]:
    """Read a table of terms.

    Args:
        path: A TOML file with ``word = "preferred"`` lines (several words in quotation marks), or a CSV file
            with the columns ``word`` and ``preferred``; by its ending.

    Raises:
        ConfigError: There is no such file, or it is not such a table.
    """
    if path.suffix.lower() == ".toml":
        found: Mapping[str, object] = read_toml(path)
    elif path.suffix.lower() == ".csv":
        found = _read_csv(path)
    else:
        raise ConfigError(f"--glossary {path}: unknown ending {path.suffix!r}; allowed: .toml, .csv")
    table = {term: preferred for term, preferred in found.items() if isinstance(preferred, str)}
    for term in found:
        if term not in table:
            raise ConfigError(f'{path}: {term} is not text; write it as word = "preferred"')
    return table


def _read_csv(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.reader(stream, strict=True))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such glossary") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: not a readable CSV file: {error}") from None
    if not rows or rows[0] != _COLUMNS:
        found = ",".join(rows[0]) if rows else "nothing"
        raise ConfigError(f"{path}: the first line must be {','.join(_COLUMNS)}; found {found}")
    table: dict[str, str] = {}
    for line, row in enumerate(rows[1:], start=2):
        if not any(row):
            continue
        if len(row) != len(_COLUMNS):
            raise ConfigError(f"{path}: row {line} has {len(row)} columns, expected 2 (word,preferred)")
        if table.setdefault(row[0], row[1]) != row[1]:
            raise ConfigError(f"{path}: row {line} gives {row[0]!r} a second preferred word; keep one")
    return table
