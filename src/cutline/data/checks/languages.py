"""Which script and, for some languages, which language a caption is written in: by counting, not by model."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

_EAST_ASIAN: Final = "HAN AND KANA"
_TOGETHER: Final = {
    "CJK": _EAST_ASIAN,
    "HIRAGANA": _EAST_ASIAN,
    "KATAKANA": _EAST_ASIAN,
    "FULLWIDTH": "LATIN",
}
"""First word of a character's Unicode name → script, where the name is not that of the script."""

FUNCTION_WORDS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(words.split())
    for name, words in {
        "English": "the a an is are with of and in on at to his her their while from by it there",
        "German": "der das dem ein eine einen einem einer und ist sind mit auf im zwei vor von",
        "French": "le la les un une des du et est sont dans sur avec qui au aux deux devant pour",
        "Spanish": "el la los las un una unos y es son en con del al que dos sobre por está",
        "Portuguese": "o os um uma uns e em na da com dois duas que está são por sobre ao",
        "Italian": "il lo la gli le un una e è sono con di del della nel sul che su due",
        "Dutch": "de het een en zijn op met naar twee voor aan bij",
        "Swedish": "en ett det och är på med som av två från för",
        "Polish": "w na z się jest są po dwa dwie przez obok mężczyzna pies",
        "Turkish": "bir ve ile bu iki üzerinde için olan da de içinde",
        "Indonesian": "seorang yang di dan dengan sedang dua sebuah pada dari ke",
    }.items()
}
"""Language → words that hardly any sentence of it does without, those that are English words left out. Two of
them, and more than of the usual language of the data set, are taken for a sentence in it."""

_AT_LEAST: Final = 2
ENGLISH: Final = "English"


@lru_cache(maxsize=65_536)
def _script(character: str) -> str:
    name = unicodedata.name(character, "") if character.isalpha() else ""
    first = name.partition(" ")[0]
    return _TOGETHER.get(first, first)


def scripts_of(text: str) -> Counter[str]:
    """Count the letters of each script.

    Example:
        >>> scripts_of("Два пса, NBA")
        Counter({'CYRILLIC': 6, 'LATIN': 3})
    """
    if text.isascii():
        letters = sum(map(str.isalpha, text))
        return Counter({"LATIN": letters} if letters else {})
    return Counter(filter(None, map(_script, text)))


def main_script(text: str) -> str:
    """Return the script of most letters, ``""`` when there is no letter."""
    counted = scripts_of(text).most_common(1)
    return counted[0][0] if counted else ""


def mixed_words(tokens: Iterable[str]) -> list[str]:
    """Return words that mix Latin, Greek and Cyrillic letters, many of which look alike.

    Example:
        >>> mixed_words(["c\\u0430t", "dog", "\\u043a\\u043e\\u0442"])
        ['cаt']
    """
    alike = {"LATIN", "GREEK", "CYRILLIC"}
    return [
        token for token in tokens if not token.isascii() and len(alike.intersection(scripts_of(token))) > 1
    ]


def main_language(captions: Iterable[Sequence[str]]) -> str:
    """Return the language whose function words most captions hold, ``""`` when none is known.

    Args:
        captions: Lower-case tokens of each.

    Example:
        >>> main_language([["a", "dog", "on", "grass"], ["ein", "hund", "auf", "gras"], ["the", "dog"]])
        'English'
    """
    votes: Counter[str] = Counter()
    total = 0
    for tokens in captions:
        total += 1
        hits = _hits(frozenset(tokens))
        votes.update(name for name, count in hits.items() if count == max(hits.values()))
    best = votes.most_common(1)
    return best[0][0] if best and 2 * best[0][1] >= total else ""


def other_language(tokens: Sequence[str], usual: str) -> str:
    """Return the language a caption seems to be in when that is not the usual one, else ``""``.

    Example:
        >>> other_language("zwei hunde auf dem gras".split(), "English")
        'German'
        >>> other_language("two dogs in the snow".split(), "English")
        ''
    """
    if not usual:
        return ""
    hits = _hits(frozenset(tokens))
    best = max(hits, key=lambda name: hits[name], default="")
    return best if best and hits[best] >= max(_AT_LEAST, hits.get(usual, 0) + 1) else ""


def _hits(words: frozenset[str]) -> dict[str, int]:
    counts = {name: len(words & known) for name, known in FUNCTION_WORDS.items()}
    return {name: count for name, count in counts.items() if count}
