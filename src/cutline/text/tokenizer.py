"""Captions to tokens and back, in any script.

Every character is first mapped to a one-letter kind (letter, mark, digit, ...); tokens are then found
by a regular expression over the string of kinds. That keeps the rules short and free of a Unicode
regular-expression package, and makes it impossible to cut a letter from its combining marks.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from cutline.errors import BundleError

Level = Literal["word", "character"]
LEVELS: Final = ("word", "character")

_IDEOGRAPHIC_RANGES: Final = (
    (0x3005, 0x3007),  # iteration mark, zero
    (0x3031, 0x3035),  # kana repeat marks
    (0x3041, 0x30FF),  # hiragana, katakana
    (0x31F0, 0x31FF),  # small katakana
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han, compatibility
    (0xFF66, 0xFF9F),  # half-width katakana
    (0x1B000, 0x1B16F),  # historic kana
    (0x20000, 0x323AF),  # Han, extensions B to H
)
_CLUSTERED_RANGES: Final = (
    (0x0E00, 0x0E7F),  # Thai
    (0x0E80, 0x0EFF),  # Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0xA9E0, 0xA9FF),  # Myanmar, extended B
    (0xAA60, 0xAA7F),  # Myanmar, extended A
)
_SPECIAL_KINDS: Final = {
    0x27: "q",  # apostrophe: stays inside a word
    0x2C: "p",
    0x2E: "p",  # comma and full stop: stay inside a number
    0x200C: "j",
    0x200D: "j",  # joiners: shape Indic and Arabic letters, glue emoji
    0x0E33: "m",
    0x0EB3: "m",  # Thai and Lao AM: letters by name, marks by behaviour
    0x1039: "v",
    0x17D2: "v",  # stack the following Myanmar or Khmer consonant below the last one
}
_APOSTROPHES: Final = "\u2019\u02bc\uff07"
_ZERO_WIDTH_SPACE: Final = "\u200b"


def _in_ranges(code_point: int, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(low <= code_point <= high for low, high in ranges)


def _kind(code_point: int) -> str:
    if code_point in _SPECIAL_KINDS:
        return _SPECIAL_KINDS[code_point]
    if 0x1F1E6 <= code_point <= 0x1F1FF:
        return "r"
    if 0x1F3FB <= code_point <= 0x1F3FF:
        return "e"
    category = unicodedata.category(chr(code_point))
    if category[0] in "LN" and _in_ranges(code_point, _IDEOGRAPHIC_RANGES):
        return "c"
    if category[0] == "L":
        return "t" if _in_ranges(code_point, _CLUSTERED_RANGES) else "a"
    return {"N": "d", "M": "m"}.get(category[0], "s" if category == "So" else "-")


class _KindTable(dict[int, str]):
    """code point → kind, filled as characters are met.

    a letter, c ideograph or kana, t letter of a script written in clusters without spaces, d digit,
    m mark, v mark that stacks the next letter, j joiner, q apostrophe, p point or comma, s symbol,
    r half of a flag, e skin tone, - anything else.
    """

    def __missing__(self, code_point: int) -> str:
        kind = self[code_point] = _kind(code_point)
        return kind


def _clean(code_point: int) -> str | None:
    character = chr(code_point)
    if character in _APOSTROPHES:
        return "'"
    category = unicodedata.category(character)
    if character == _ZERO_WIDTH_SPACE or category in ("Cc", "Cs", "Zs", "Zl", "Zp"):
        return " "
    # Other format characters (byte order mark, direction marks, soft hyphen) are invisible noise.
    return None if category == "Cf" and character not in "\u200c\u200d" else character


class _CleanTable(dict[int, str | None]):
    """code point → its cleaned form, filled as characters are met."""

    def __missing__(self, code_point: int) -> str | None:
        cleaned = self[code_point] = _clean(code_point)
        return cleaned


_KINDS: Final = _KindTable()
_CLEANED: Final = _CleanTable()
_EMOJI: Final = "rr|[sr](?:[me]|js)*"
_PATTERNS: Final = {
    "word": re.compile(rf"[actd](?:[actdmvj]|q(?=[actd])|(?<=d)p(?=d))*|{_EMOJI}"),
    "character": re.compile(
        rf"c[mvj]*|t(?:[mj]|vt?)*|[ad](?:[admvj]|q(?=[ad])|(?<=d)p(?=d))*|{_EMOJI}",
    ),
}


@dataclass(frozen=True)
class Tokenizer:
    """Cuts captions into tokens and joins tokens into captions; equal settings give equal tokens.

    Attributes:
        level: ``"word"`` for scripts that separate words by spaces. ``"character"`` for the others: one
            token per Han or kana character, one per base letter with its marks in Thai, Lao, Khmer and
            Myanmar, while words and numbers of other scripts stay whole.
        lowercase: Whether case is folded.

    Example:
        >>> Tokenizer().tokenise("The dog doesn't wait, it RUNS!")
        ['the', 'dog', "doesn't", 'wait', 'it', 'runs']
        >>> Tokenizer("character").tokenise("两只狗在草地上。")
        ['两', '只', '狗', '在', '草', '地', '上']
    """

    level: Level = "word"
    lowercase: bool = True

    def __post_init__(self) -> None:
        """Refuse an unknown level."""
        if self.level not in LEVELS:
            raise BundleError(f"tokenizer level {self.level!r} is unknown; allowed: {', '.join(LEVELS)}")

    def normalise(self, text: str) -> str:
        """Return ``text`` in NFC with single spaces, plain apostrophes and, if asked, folded case.

        Controls, line ends and any kind of space become one space; invisible format characters are
        dropped, except the joiners that Indic and Arabic scripts and emoji need. Applying it twice
        changes nothing.

        Example:
            >>> Tokenizer().normalise("A Cafe\\u0301\\nat  night")
            'a café at night'
        """
        text = unicodedata.normalize("NFC", text.translate(_CLEANED))
        if self.lowercase:
            text = unicodedata.normalize("NFC", text.lower())
        return " ".join(text.split())

    def tokenise(self, text: str) -> list[str]:
        """Return the tokens of a caption: words or characters, numbers and emoji; no punctuation.

        Combining marks stay with their letter, an apostrophe inside a word and a point or comma inside a
        number stay where they are. A token never holds white space or angle brackets, so that no caption
        can contain a marker such as ``<end>``. The list is empty when nothing but punctuation is given.
        """
        text = self.normalise(text)
        kinds = text.translate(_KINDS)
        return [text[match.start() : match.end()] for match in _PATTERNS[self.level].finditer(kinds)]

    def detokenise(self, tokens: Sequence[str]) -> str:
        """Join tokens into what a person reads; tokenising the result gives the same tokens.

        Words are separated by a space. At character level there is none between characters of scripts
        written without spaces, nor beside a Han or kana character.

        Example:
            >>> Tokenizer("character").detokenise(["3", "只", "狗"])
            '3只狗'
            >>> Tokenizer("character").detokenise(["red", "bus"])
            'red bus'
        """
        if self.level == "word":
            return " ".join(tokens)
        pieces: list[str] = []
        before = ""
        for token in tokens:
            kinds = token.translate(_KINDS)
            if before and _needs_space(before, kinds):
                pieces.append(" ")
            pieces.append(token)
            before = kinds
        return "".join(pieces)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        return {"level": self.level, "lowercase": self.lowercase}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Tokenizer:
        """Rebuild a tokenizer from :meth:`to_dict`; raise BundleError when the values do not fit.

        Example:
            >>> Tokenizer.from_dict({"level": "word", "lowercase": False})
            Tokenizer(level='word', lowercase=False)
        """
        if set(values) != {"level", "lowercase"} or not isinstance(values["lowercase"], bool):
            raise BundleError(f"tokenizer settings {dict(values)!r} do not fit; needed: level and lowercase")
        return cls(values["level"], values["lowercase"])


def _needs_space(before: str, after: str) -> bool:
    # A stacking mark or a joiner at the end would swallow the next letter into its own cluster.
    if before[-1] in "vj":
        return True
    if before[0] == "c" or after[0] == "c":
        return False
    return not (before[0] == "t" and after[0] == "t")


def choose_level(captions: Iterable[str]) -> Level:
    """Return the level that suits a language: ``"character"`` when it is written without spaces.

    Args:
        captions: Any number of captions; all their letters are counted.

    Returns:
        ``"character"`` when more than half of the letters belong to Han, kana, Thai, Lao, Khmer or
        Myanmar, else ``"word"``.

    Example:
        >>> choose_level(["一个人在跑步", "T恤"]), choose_level(["두 마리 개", "dogs"])
        ('character', 'word')
    """
    counts: Counter[str] = Counter()
    for caption in captions:
        counts.update(caption.translate(_KINDS))
    unspaced = counts["c"] + counts["t"]
    return "character" if unspaced > counts["a"] else "word"
