"""Faults that one caption shows by itself, or beside what is usual in its data set."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from cutline.data.checks.damage import damage_in
from cutline.data.checks.finding import Finding, Occurrence, found
from cutline.data.checks.languages import ENGLISH, main_script, mixed_words, other_language
from cutline.data.checks.sentences import Sentence, Sentences
from cutline.data.image_paths import IMAGE_SUFFIXES

USELESS: Final = ("placeholder", "file name as caption", "caption without a letter")
"""Kinds of which nothing can be kept."""


def _set(words: str, separator: str = " ") -> frozenset[str]:
    return frozenset(words.split(separator))


_PLACEHOLDERS: Final = _set(
    "n/a|na|none|null|nan|nil|undefined|unknown|untitled|tbd|todo|test|xxx|caption|caption here|no caption"
    "|no description|description|insert caption here|placeholder|image|photo|picture|no text",
    "|",
)
_CAMERA_NAME: Final = re.compile(r"(?:img|dscn?|dscf|pict|image|photo|scan|pic)[ _-]?\d{2,}", re.IGNORECASE)
_SAID_TWICE: Final = _set("that had so very no ha bye many long really far big out up in on")
_UNENDING: Final = _set("a an the and or of their your my")
_FEW_TOKENS: Final = 3
_SHORT: Final = 0.34
_LONG: Final = 4.0
_LONG_TOKENS: Final = 25
_LONGEST_REPEAT: Final = 4
_RARE: Final = 2
_FREQUENT: Final = 30
_SPELLED: Final = 5


def caption_findings(sentences: Sentences) -> Iterator[Finding]:
    """Look at every caption by itself; yield one finding per kind that is there."""
    places: dict[str, list[Occurrence]] = defaultdict(list)
    for sentence in sentences.all:
        faults = faults_in(sentence, sentences)
        for kind, detail in faults.items():
            places[kind].append(sentence.place(detail))
    for kind in sorted(places):
        yield found(kind, places[kind])
    yield from _same_twice(sentences.all)
    yield from _misspelt(sentences)


def faults_in(sentence: Sentence, sentences: Sentences) -> dict[str, str]:
    """Return the kinds of fault in a caption, each with what shows it.

    Args:
        sentence: The caption.
        sentences: All captions, for what is usual among them.
    """
    useless = useless_caption(sentence.caption, sentence.example.image_id)
    if useless:
        return {useless: ""}
    faults = damage_in(sentence.caption)
    for kind, look in _LOOKS.items():
        detail = look(sentence, sentences)
        if detail:
            faults[kind] = detail
    return faults


def useless_caption(caption: str, image_id: str) -> str:
    """Return the kind of fault when a text is no caption at all, else ``""``.

    Example:
        >>> [useless_caption(caption, "a.jpg") for caption in ("IMG_2041.JPG", "N/A", "42", "a dog")]
        ['file name as caption', 'placeholder', 'caption without a letter', '']
    """
    plain = caption.strip(" .!?-_*()[]<>\"'").casefold()
    if plain in _PLACEHOLDERS or plain.startswith("lorem ipsum"):
        return "placeholder"
    stem = PurePosixPath(image_id).stem.casefold()
    one_word = " " not in plain
    if (
        (plain.endswith(IMAGE_SUFFIXES) and (one_word or "/" in plain))
        or _CAMERA_NAME.fullmatch(plain)
        or (one_word and plain == stem and any(map(str.isdigit, stem)))
    ):
        return "file name as caption"
    return "" if any(map(str.isalpha, caption)) else "caption without a letter"


def _repeated(sentence: Sentence, sentences: Sentences) -> str:
    tokens = sentence.tokens
    # With a comma between them, words may come again: "in the snow, snow flies".
    text = f" {sentences.tokenizer.normalise(sentence.caption)} "
    for size in range(1, _LONGEST_REPEAT + 1):
        for at in range(len(tokens) - 2 * size + 1):
            words = tokens[at : at + size]
            twice = " ".join(words * 2)
            if words == tokens[at + size : at + 2 * size] and _is_odd_twice(words) and twice in text:
                return twice
    return ""


def _is_odd_twice(words: tuple[str, ...]) -> bool:
    # "Very very" and "one brown and one brown and white" are said on purpose.
    if len(words) == 1:
        on_purpose = words[0] in _SAID_TWICE or (len(words[0]) < 2 and words[0] != "a")
    else:
        on_purpose = "and" in words
    return not on_purpose and all(any(map(str.isalpha, word)) for word in words)


def _unfinished(sentence: Sentence, sentences: Sentences) -> str:
    if sentence.caption.endswith(("...", "…")):
        return "ends in dots"
    if sentences.language != ENGLISH or not sentence.tokens:
        return ""
    last = sentence.tokens[-1].lower()
    return f"ends in {last!r}" if last in _UNENDING else ""


def _short(sentence: Sentence, sentences: Sentences) -> str:
    count = len(sentence.tokens)
    usual = sentences.median_length
    return f"{count} of usually {usual:.0f} tokens" if count < _FEW_TOKENS and count < _SHORT * usual else ""


def _long(sentence: Sentence, sentences: Sentences) -> str:
    count = len(sentence.tokens)
    usual = sentences.median_length
    return f"{count} of usually {usual:.0f} tokens" if count > max(_LONG * usual, _LONG_TOKENS) else ""


def _cut(sentence: Sentence, sentences: Sentences) -> str:
    count, most = len(sentence.tokens), sentences.options.max_length
    return f"{count} tokens, cut to {most}" if count > most else ""


def _other_script(sentence: Sentence, sentences: Sentences) -> str:
    if sentence.caption.isascii() and sentences.script == "LATIN":
        return ""
    script = main_script(sentence.caption)
    return f"{script.lower()}, not {sentences.script.lower()}" if script not in ("", sentences.script) else ""


def _other_language(sentence: Sentence, sentences: Sentences) -> str:
    language = other_language([word.lower() for word in sentence.tokens], sentences.language)
    return f"{language}, not {sentences.language}" if language else ""


def _mixed(sentence: Sentence, _: Sentences) -> str:
    return "" if sentence.caption.isascii() else ", ".join(mixed_words(sentence.tokens))


_LOOKS: Final[Mapping[str, Callable[[Sentence, Sentences], str]]] = {
    "repeated words": _repeated,
    "unfinished caption": _unfinished,
    "very short caption": _short,
    "very long caption": _long,
    "cut caption": _cut,
    "other script": _other_script,
    "other language": _other_language,
    "scripts mixed in a word": _mixed,
}


def _same_twice(sentences: Iterable[Sentence]) -> Iterator[Finding]:
    seen: dict[tuple[str, str], str] = {}
    places = []
    for sentence in sentences:
        key = (sentence.example.image_id, sentence.key)
        first = seen.setdefault(key, sentence.caption)
        if first is not sentence.caption:
            places.append(sentence.place(f"as {first!r}"))
    if places:
        yield found("same caption twice", places)


def _misspelt(sentences: Sentences) -> Iterator[Finding]:
    """Find rare words that become frequent ones when two neighbours are swapped or a letter is doubled."""
    if sentences.tokenizer.level != "word":
        return
    counts = Counter(token for sentence in sentences.all for token in sentence.tokens)
    meant = {
        word: near
        for word, count in counts.items()
        if count <= _RARE and len(word) >= _SPELLED and word.isalpha()
        for near in [max(_spelled_nearly(word), key=lambda other: counts[other])]
        if counts[near] >= _FREQUENT
    }
    places = [
        sentence.place(f"{token!r}: {meant[token]!r}?")
        for sentence in sentences.all
        for token in sentence.tokens
        if token in meant
    ]
    if places:
        yield found("likely misspelling", places)


def _spelled_nearly(word: str) -> set[str]:
    swapped = {
        word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        for at in range(len(word) - 1)
        if word[at] != word[at + 1]
    }
    doubled = {word[:at] + word[at] + word[at:] for at in range(1, len(word) - 1)}
    halved = {word[:at] + word[at + 1 :] for at in range(1, len(word) - 1) if word[at] == word[at + 1]}
    return swapped | doubled | halved
